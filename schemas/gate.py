"""A promotion gate: the rules, in order, that a challenger must pass before it may become champion."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.policy import Name

Limit = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Area = Annotated[float, Field(ge=0.5, le=1)]


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ContractRule(_Rule):
    """The challenger reads the champion's contract, or somebody says why another."""

    rule: Literal["contract"]


class LeakageRule(_Rule):
    """No column alone ranks churners above the one AUC, and out of time the model itself not above the other."""

    rule: Literal["leakage"]
    alone_at_most: Area = 0.95
    auc_at_most: Area = 0.97


class ProfitRule(_Rule):
    """Neither EMPC nor profit at capacity is worse than the champion's by more than `tolerance`, beyond its interval.

    Both are money per customer, reckoned with the values, costs and capacity of the base's decision policy. With
    `lead_of_other_kinds`, what is no scorecard must have a greater EMPC than a scorecard champion, beyond the interval.
    """

    rule: Literal["out_of_time_profit"]
    tolerance: Limit = 0.0
    lead_of_other_kinds: bool = True


class CalibrationRule(_Rule):
    """The calibration slope is between two limits, and predicted / observed within `level_within` of 1.

    It refuses what no value in the figure's interval would satisfy.
    """

    rule: Literal["calibration"]
    slope_from: Limit = 0.8
    slope_to: Limit = 1.25
    level_within: Limit = 0.15


class HoldoutRule(_Rule):
    """Of those held out by lot while the labels came, predicted / observed is within `ratio_within` of 1.

    They are the only ones among the riskiest whom nobody called, so that they alone tell how risky these are. It
    refuses what no value in the figure's interval would satisfy, and nothing where too few of them left to tell.
    """

    rule: Literal["holdout_calibration"]
    ratio_within: Limit = 0.15


class SegmentRule(_Rule):
    """In each segment with at least so many churners: lift and EMPC not below their floors, beyond the interval."""

    rule: Literal["segment_floors"]
    churners_from: Annotated[int, Field(ge=10)] = 50
    lift_10_from: Limit = 1.0
    tolerance: Limit = 0.0


class ProbeRule(_Rule):
    """The artifact that would be used gives the log-odds that the trained model gave, on every test row."""

    rule: Literal["probe_parity"]
    log_odds_within: Limit = 1e-9


Rule = ContractRule | LeakageRule | ProfitRule | CalibrationRule | HoldoutRule | SegmentRule | ProbeRule


class Gate(BaseModel):
    """A versioned gate file; the rules are asked in its order.

    Who passes scores `shadow_nights` nights in the shadow of the champion before he may take his place; with none he
    takes it at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    description: str
    shadow_nights: Annotated[int, Field(ge=0, le=90)] = 0
    rules: Annotated[tuple[Annotated[Rule, Field(discriminator="rule")], ...], Field(min_length=1)]

    @field_validator("rules")
    @classmethod
    def _each_once(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        names = [rule.rule for rule in rules]
        if len(set(names)) < len(names):
            raise ValueError(f"a rule is given twice: {', '.join(names)}")
        return rules

    @property
    def digest(self) -> str:
        """The sha256 of what the gate asks for, defaults and all."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
