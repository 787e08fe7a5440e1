"""Tries by the waves' own lot whether it pays to leave those alone whom an action's effect advises against."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.actions import gain_of
from churn.experiment import Experiment, points, units_of
from churn.off_policy import NOTHING, Ints, Logged, Value, surely_gained, value_gained
from churn.profit import expected_value
from churn.scorecard import Floats, one_array
from churn.spending import Yes, flags_of
from churn.training.lessons import LABEL, digest_of
from churn.training.plan import TrainingPlan
from churn.training.uplift import FEWEST_CHURNERS, HELD_OUT, train_uplift
from churn.uplift import Cards, Uplift, lowered
from schemas.columns import Column
from schemas.policy import Action, Policy
from schemas.uplift import UpliftVerdict

HALVES = Experiment("uplift-halves")  # one half teaches, and the other one judges the very cards that it taught
FEWEST_OF_HALF = FEWEST_CHURNERS // 4  # by chance a half has fewer than half of those who left


class Drawn(NamedTuple):
    """How many customers the lot has listed and held out, and how many of each left."""

    listed: int
    held_out: int
    listed_churned: int
    held_out_churned: int

    @property
    def fewer(self) -> int:
        """How many left of the arm of which fewer did."""
        return min(self.listed_churned, self.held_out_churned)

    @property
    def members(self) -> int:
        """Listed and held out together."""
        return self.listed + self.held_out


@dataclass(frozen=True, slots=True)
class Trial:
    """An action's waves, and what leaving those alone earns whom its effects advise against, in money a customer.

    `gained` and `cards` are None where too few have left. The cards have learnt from one half of the customers, and are
    judged by the other, at the `look` of that number and one of so many `actions`. Those are `standing` that lists go
    by since an earlier look. `members_digest` names what was tried: customers, what became of them, and the rule.
    """

    action: str
    drawn: Drawn
    gained: Value | None = None
    cards: Cards | None = None
    look: int = 1
    actions: int = 1
    members_digest: str | None = None
    standing: bool = False

    @property
    def surely(self) -> float | None:
        """What was gained at least, of which all looks at all actions together are sure."""
        return surely_gained(self.gained, self.look, self.actions) if self.gained else None

    @property
    def verdict(self) -> UpliftVerdict:
        """Whether lists may leave those alone whom the effects advise against."""
        if self.standing:
            return UpliftVerdict.NO_GAIN if self._surely_loses else UpliftVerdict.PAYS
        if self.surely is None or self.cards is None:
            return UpliftVerdict.NOT_YET
        return UpliftVerdict.PAYS if self.surely > 0.0 else UpliftVerdict.NO_GAIN

    @property
    def needed(self) -> int | None:
        """How many customers of waves have enough in each arm who leave; None where nobody left yet."""
        fewer = self.drawn.fewer
        return ceil(FEWEST_CHURNERS * self.drawn.members / fewer) if fewer else None

    @property
    def says(self) -> str:
        """The verdict in a sentence."""
        members = f"{self.drawn.members:,} customers of waves"
        if self.gained is None:
            left = f"{self.drawn.listed_churned:,} listed and {self.drawn.held_out_churned:,} held out left"
            needed = f"about {self.needed:,} are needed" if self.needed else "how many are needed nobody knows"
            still = " Lists still leave those alone whom an earlier look advised against." if self.standing else ""
            return f"Not yet: of {members} {left}; {needed}, so that {FEWEST_CHURNERS} of each leave.{still}"
        gained = "{:+.3f} ({:+.3f} to {:+.3f})".format(*self.gained)
        rule = "lists leave these alone" if self.verdict is UpliftVerdict.PAYS else "nobody is left alone for it"
        sure = f"{self.surely:+.3f} of it is sure"
        if self.standing:
            sure = f"it paid before, and is {'now' if self._surely_loses else 'not'} sure to lose"
        return (
            f"To leave alone whom effects advise against earns {gained} a customer, over {members}; at look {self.look}"
            f" {sure}: {rule}."
        )

    @property
    def _surely_loses(self) -> bool:
        if self.gained is None:
            return False
        value, low, high = self.gained
        return surely_gained(Value(-value, -high, -low), self.look, self.actions) > 0.0


@dataclass(frozen=True, slots=True)
class Before:
    """What earlier trials left: the number of each action's looks, by what each tried, and what lists go by."""

    looks: Mapping[str, Mapping[str, int]]
    uplift: Uplift | None = None

    def look(self, action: str, members_digest: str) -> int:
        """The number of a look at these members: to ask the same of the same customers again is no other look."""
        theirs = self.looks.get(action, {})
        return theirs.get(members_digest, len(theirs) + 1)

    def cards(self, action: str) -> Cards | None:
        """The cards of the action that lists go by."""
        return self.uplift.cards.get(action) if self.uplift else None


def tried(
    members: pa.Table, columns: Sequence[Column], policy: Policy, plan: TrainingPlan, *, before: Before
) -> list[Trial]:
    """The trial of each action of the policy in force; cards that paid before stay until one is sure that they lose.

    `members` are customers of waves: the columns, `action`, `held_out`, `label`, `probability`, `customer_value`,
    `unit`, and of `churn.spending` `share` and `spent`. Those count of whom all is known and who could be held out.
    """
    known = [pc.is_valid(members[name]) for name in ("customer_value", "spent")]
    drawn = pc.fill_null(pc.greater(members["share"], 0.0), False)
    counted = members.filter(pc.and_(drawn, pc.and_(*known)))
    names = counted["action"].cast(pa.string())
    trials = []
    for action in policy.actions:
        rule, theirs = _Rule(action, policy.minimum_expected_value), counted.filter(pc.equal(names, action.name))
        digest = _digest(rule, theirs)
        look, cards = before.look(action.name, digest), before.cards(action.name)
        found = replace(_trial(rule, theirs, columns, plan), look=look, actions=len(policy.actions))
        trials.append(replace(_with_standing(found, rule, theirs, cards), members_digest=digest))
    return trials


def teaching(members: pa.Table) -> pa.Table:
    """The half of the members, a household as a whole, from which the cards learn."""
    return members.filter(pa.array(_teaches(members)))


@dataclass(frozen=True, slots=True)
class _Rule:
    """Whom a list has for an action, as far as his own worth decides: who is worth more than the policy's minimum."""

    action: Action
    minimum: float

    def chosen(self, members: pa.Table, effect: Floats | None = None) -> Ints:
        """The action or NOTHING for each member, as lists decide by beliefs alone, or with an effect."""
        worth = gain_of(members, _floats(members, "customer_value"), self._asked_of(members), effect).worth
        return np.where(worth > self.minimum, 0, NOTHING)

    def _asked_of(self, members: pa.Table) -> Action:
        """The action; without causes where it is not known who meets them."""
        known = set(self.action.cause_columns) <= set(members.column_names)
        return self.action if known else self.action.model_copy(update={"causes": ()})


def _trial(rule: _Rule, members: pa.Table, columns: Sequence[Column], plan: TrainingPlan) -> Trial:
    name, held_out, left = rule.action.name, flags_of(members, HELD_OUT), _floats(members, LABEL) > 0.0
    drawn = Drawn(*(int(arm.sum()) for arm in (~held_out, held_out, left & ~held_out, left & held_out)))
    if drawn.fewer < FEWEST_CHURNERS:
        return Trial(name, drawn)
    cards = train_uplift(teaching(members), columns, plan, fewest=FEWEST_OF_HALF).get(name)
    judges = members.filter(pa.array(~_teaches(members)))
    return Trial(name, drawn, _gained(rule, judges, lowered(cards, judges)), cards) if cards else Trial(name, drawn)


def _with_standing(found: Trial, rule: _Rule, members: pa.Table, cards: Cards | None) -> Trial:
    """Where new cards do not pay, the trial of those that did: of whom lists have spared since nobody is in a wave."""
    if cards is None or found.verdict is UpliftVerdict.PAYS:
        return found
    if found.gained is None:
        return replace(found, cards=cards, standing=True)
    if not Uplift("", {found.action: cards}).columns <= set(members.column_names):
        return found
    judges = members.filter(pa.array(~_teaches(members)))
    return replace(found, gained=_gained(rule, judges, lowered(cards, judges)), cards=cards, standing=True)


def _digest(rule: _Rule, members: pa.Table) -> str:
    """What names a trial: the customers of it, all that is known of them, and whom lists have by beliefs alone."""
    asked = f"{rule.action.model_dump_json()} {rule.minimum!r} {digest_of(members)}"
    return hashlib.sha256(asked.encode()).hexdigest()


def _teaches(members: pa.Table) -> Yes:
    return np.asarray(points(_units(members), HALVES) < 0.5)


def _units(members: pa.Table) -> pa.Array:
    """What each lot was drawn for: members of a household tell of each other, and so belong into one half."""
    alone = units_of(one_array(members, "customer_id"), None)
    return pc.coalesce(one_array(members, "unit").cast(pa.string()), alone)


def _gained(rule: _Rule, members: pa.Table, effect: Floats) -> Value:
    """By how much the rule that lists would go by beats the one that they go by, of those who were in waves."""
    risk, value = _floats(members, "probability"), _floats(members, "customer_value")
    believed = np.column_stack([-risk * value, expected_value(risk, value, rule.action) - risk * value])
    return value_gained(_logged(members, value), rule.chosen(members, effect), rule.chosen(members), believed)


def _logged(members: pa.Table, value: Floats) -> Logged:
    held_out, share, left = flags_of(members, HELD_OUT), _floats(members, "share"), _floats(members, LABEL)
    action: Ints = np.where(held_out, NOTHING, 0)
    propensity = np.where(held_out, share, 1.0 - share)
    unit = np.asarray(_units(members).dictionary_encode().indices).astype(np.int64)
    return Logged(action, propensity, -left * value - _floats(members, "spent"), unit)


def _floats(members: pa.Table, name: str) -> Floats:
    return np.asarray(one_array(members, name).cast(pa.float64()).to_numpy(zero_copy_only=False))
