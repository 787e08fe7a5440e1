"""What actions change, by what ails the customer, believed first and then learnt from the lot of each wave.

Effects are small and randomised customers are few, so what a team believes about an action is stated as such, and moves
only as far as the waves' own lot says (empirical Bayes). Nights do not decide so: docs/money.md has what it would cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.actions import is_answered
from churn.arrow import as_floats
from churn.causes import cause_of, keep_of
from churn.profit import value_of_effect
from churn.scorecard import Floats, one_array
from schemas.policy import Cause, Policy

# How firmly scores are believed where a lot says otherwise: as if so many more of the held out had left as predicted.
LEAVERS_BELIEVED = 20.0


@dataclass(frozen=True, slots=True)
class Belief:
    """A cause of an action, and how far off the share that it keeps may be: `spread`, as a standard deviation."""

    action: str
    cause: Cause
    spread: float

    @property
    def keep(self) -> float:
        """The share of those who would have left that the action keeps."""
        return self.cause.keeps


def keep_probabilities(rows: pa.Table, policy: Policy) -> Floats:
    """The share of leavers that each action keeps of customers like these, NaN where it is not offered; [n, actions].

    `rows` has the score table's reason columns, and those that causes look at, where an action asks for them.
    """
    return _columns(np.where(is_answered(rows, action), keep_of(rows, action), np.nan) for action in policy.actions)


def believing(policy: Policy, beliefs: Sequence[Belief]) -> Policy:
    """The policy with the causes that are believed in, in place of its own and of the reasons that actions answer."""
    actions = tuple(
        action.model_copy(update={"causes": _causes_of(action.name, beliefs), "answers": ()})
        for action in policy.actions
    )
    return policy.model_copy(update={"actions": actions})


def expected_gains(risk: Floats, effects: Floats, customer_value: Floats, policy: Policy) -> Floats:
    """What each action gains of each customer by `churn.profit.value_of_effect`; money [n, actions], -inf for NaN.

    `effects` [n, actions] are by how much each action lowers the `risk` [n].
    """
    gains = _columns(
        value_of_effect(risk, effect, customer_value, action)
        for effect, action in zip(effects.T, policy.actions, strict=True)
    )
    return np.where(np.isnan(gains), -np.inf, gains)


def learned(beliefs: Sequence[Belief], members: pa.Table) -> tuple[Belief, ...]:
    """The beliefs, each moved from what was believed to what waves showed, as far as these can tell.

    `members` are customers of waves: action, held_out, probability, churned, and the causes' columns. Listed and held
    out were told apart by lot alone, so they differ by the action; whether it was carried out is not asked.
    """
    return tuple(_updated(belief, _heads(belief, _causes_of(belief.action, beliefs), members)) for belief in beliefs)


class _Heads(NamedTuple):
    """Of listed and of held-out customers: how many left, and how many were predicted to."""

    left: float
    predicted: float
    held_out_left: float
    held_out_predicted: float


def _updated(belief: Belief, heads: _Heads) -> Belief:
    """The mean of a normal belief and a normal measurement, each weighed by how sure it is."""
    if not heads.predicted:
        return belief
    # The scores of customers who were chosen for them are too high; the held out show by how much.
    level = (heads.held_out_left + LEAVERS_BELIEVED) / (heads.held_out_predicted + LEAVERS_BELIEVED)
    untouched = level * heads.predicted
    measured = 1.0 - heads.left / untouched
    stay = 1.0 - belief.keep  # the spread by belief: that of a measurement would be 0 where nobody left
    noise = stay**2 * (1.0 / (stay * untouched) + 1.0 / (heads.held_out_left + LEAVERS_BELIEVED))
    weight = belief.spread**2 / (belief.spread**2 + noise)
    cause = belief.cause.model_copy(update={"keeps": belief.keep + weight * (measured - belief.keep)})
    return replace(belief, cause=cause, spread=belief.spread * sqrt(1.0 - weight))


def _heads(belief: Belief, causes: Sequence[Cause], members: pa.Table) -> _Heads:
    with_action = members.filter(pc.equal(members["action"].cast(pa.string()), belief.action))
    met = cause_of(with_action, causes) == causes.index(belief.cause)
    those = with_action.filter(pa.array(met))
    held_out, left, predicted = (as_floats(one_array(those, name)) for name in ("held_out", "churned", "probability"))
    listed = 1.0 - held_out
    sums = [float(np.dot(arm, values)) for arm in (listed, held_out) for values in (left, predicted)]
    return _Heads(*sums)


def _causes_of(action: str, beliefs: Sequence[Belief]) -> tuple[Cause, ...]:
    return tuple(belief.cause for belief in beliefs if belief.action == action)


def _columns(of_actions: Iterable[Floats]) -> Floats:
    return np.stack(list(of_actions), axis=1)
