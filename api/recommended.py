"""The action that the policy in force recommends beside a score that was just made."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from api.models import Champions
from churn.errors import PolicyError
from churn.recommendation import Advice, Trouble
from schemas.outreach import Status
from store.policies import policy_asked_for, read_policy

if TYPE_CHECKING:
    from api.predictions import Prediction

# The night has seen what no score tells: who was held out, so that an action would spoil the measure, or was contacted.
LEFT_ALONE = frozenset({Status.HELD_OUT, Status.COOLING_DOWN, Status.HOUSEHOLD_LIMIT})

log = logging.getLogger(__name__)


def recommended(
    champions: Champions, row: Mapping[str, Any], chance: float, reasons: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """What pays most for the customer, given by column; None where nothing does, or no policy can be read.

    `reasons` are given by the fields of `Reason`, and the answer by those of `RecommendedAction`.
    """
    advice = advice_beside(champions)
    if advice is None:
        return None
    troubles = [Trouble(reason["feature"], reason["value"]) for reason in reasons] if advice.by_reasons else ()
    best = advice.best(chance, row, troubles)
    if best is None:
        return None
    return {
        "action": best.action.name,
        "channel": best.action.channel,
        "expected_value": best.expected_value,
        "agent_says": best.says,
        "rule": advice.rule,
    }


def as_decided(score: Prediction, decision: Mapping[Any, Any] | None) -> Prediction:
    """The score of a customer about whom the night's list decided so; without an action where it leaves him alone."""
    left_alone = decision is not None and decision["status"] in LEFT_ALONE
    return score.model_copy(update={"recommended": None}) if left_alone else score


@lru_cache(maxsize=8)
def advice_beside(champions: Champions) -> Advice | None:
    """The contract's own policy as it ships, read once for these champions; None where no night would take it."""
    contract = champions.contract
    try:
        return Advice.of(read_policy(policy_asked_for(contract, None)).policy, contract)
    except PolicyError as broken:
        log.warning("no action is recommended: %s", broken)
        return None
