"""What actions change: the share of leavers that each keeps, by what ails the customer, believed first and then learnt.

Effects are small and randomised customers are few, so what a team believes about an action is stated as such, and moves
only as far as the waves' own lot says (empirical Bayes). Two scorecards per action tell the same without any belief,
where waves are large enough to teach them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.actions import is_answered
from churn.arrow import as_floats
from churn.lookup import score
from churn.metrics import probability
from churn.profit import value_of_effect
from churn.scorecard import Floats, Scorecard, one_array
from schemas.policy import Policy

Ints = npt.NDArray[np.int64]

NO_CAUSE = -1

# How firmly scores are believed where a lot says otherwise: as if so many more of the held out had left as predicted.
LEAVERS_BELIEVED = 20.0


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an action may change something: the customer's `column` lies above a limit.

    `keep` is the share of those who would have left that the action keeps, below 0 where it drives others away, and
    `spread` is how far off that belief may be, as a standard deviation.
    """

    action: str
    column: str
    above: float
    keep: float
    spread: float


class Cards(NamedTuple):
    """The risk with an action and the risk of those whom a lot left out of it."""

    treated: Scorecard
    held_out: Scorecard


@dataclass(frozen=True, slots=True, eq=False)
class Uplift:
    """The cards of each action whose effect lots have told well enough to go by; `digest` names them all."""

    digest: str
    cards: Mapping[str, Cards]

    @property
    def columns(self) -> frozenset[str]:
        """The columns of the customer row that the cards look at."""
        both = [card for cards in self.cards.values() for card in cards]
        return frozenset(feature.name for card in both for feature in card.features)

    def effects(self, rows: pa.Table, policy: Policy) -> Floats:
        """By how much each of the policy's actions lowers the risk, NaN where no lot told; [n, actions]."""
        return card_effects(self.cards, rows, policy)


def keep_probabilities(rows: pa.Table, policy: Policy, causes: Sequence[Cause] | None = None) -> Floats:
    """The share of leavers that each action keeps of customers like these, NaN where it is not offered; [n, actions].

    Without causes it is the policy's own for whoever has a reason that the action answers, and `rows` has the score
    table's reason columns. With them it is that of the first of the action's causes that holds, and `rows` has their
    columns.
    """
    if causes is None:
        return _columns(
            np.where(is_answered(rows, action), action.keep_probability, np.nan) for action in policy.actions
        )
    return _columns(_keep_of(rows, action.name, causes) for action in policy.actions)


def cause_of(rows: pa.Table, action: str, causes: Sequence[Cause]) -> Ints:
    """The place of the first of the action's causes that holds for each customer, NO_CAUSE where none does; [n]."""
    place = np.full(rows.num_rows, NO_CAUSE, np.int64)
    for number, cause in reversed(list(enumerate(causes))):
        if cause.action == action:
            place[as_floats(one_array(rows, cause.column)) > cause.above] = number  # NaN is above nothing
    return place


def expected_gains(risk: Floats, effects: Floats, customer_value: Floats, policy: Policy) -> Floats:
    """What each action gains of each customer by `churn.profit.value_of_effect`; money [n, actions], -inf for NaN.

    `effects` [n, actions] are by how much each action lowers the `risk` [n].
    """
    gains = _columns(
        value_of_effect(risk, effect, customer_value, action)
        for effect, action in zip(effects.T, policy.actions, strict=True)
    )
    return np.where(np.isnan(gains), -np.inf, gains)


def learned(causes: Sequence[Cause], members: pa.Table) -> tuple[Cause, ...]:
    """The causes, each moved from what was believed to what waves showed, as far as these can tell.

    `members` are customers of waves: action, held_out, probability, churned, and the causes' columns. Listed and held
    out were told apart by lot alone, so they differ by the action; whether it was carried out is not asked.
    """
    return tuple(_updated(cause, _heads(cause, place, causes, members)) for place, cause in enumerate(causes))


def card_effects(cards: Mapping[str, Cards], rows: pa.Table, policy: Policy) -> Floats:
    """By how much each action lowers the risk, as its two cards tell it; NaN where it has none; [n, actions]."""
    nobody = np.full(rows.num_rows, np.nan)
    return _columns(lowered(cards[action.name], rows) if action.name in cards else nobody for action in policy.actions)


def lowered(cards: Cards, rows: pa.Table) -> Floats:
    """By how much an action lowers the risk, as its two cards tell it; [n]."""
    held_out, treated = (probability(score(card, rows).log_odds) for card in (cards.held_out, cards.treated))
    return held_out - treated


class _Heads(NamedTuple):
    """Of listed and of held-out customers: how many left, and how many were predicted to."""

    left: float
    predicted: float
    held_out_left: float
    held_out_predicted: float


def _updated(cause: Cause, heads: _Heads) -> Cause:
    """The mean of a normal belief and a normal measurement, each weighed by how sure it is."""
    if not heads.predicted:
        return cause
    # The scores of customers who were chosen for them are too high; the held out show by how much.
    level = (heads.held_out_left + LEAVERS_BELIEVED) / (heads.held_out_predicted + LEAVERS_BELIEVED)
    untouched = level * heads.predicted
    measured = 1.0 - heads.left / untouched
    stay = 1.0 - cause.keep  # the spread by belief: that of a measurement would be 0 where nobody left
    noise = stay**2 * (1.0 / (stay * untouched) + 1.0 / (heads.held_out_left + LEAVERS_BELIEVED))
    weight = cause.spread**2 / (cause.spread**2 + noise)
    return replace(cause, keep=cause.keep + weight * (measured - cause.keep), spread=cause.spread * sqrt(1.0 - weight))


def _heads(cause: Cause, place: int, causes: Sequence[Cause], members: pa.Table) -> _Heads:
    with_action = members.filter(pc.equal(members["action"].cast(pa.string()), cause.action))
    those = with_action.filter(pa.array(cause_of(with_action, cause.action, causes) == place))
    held_out, left, predicted = (as_floats(one_array(those, name)) for name in ("held_out", "churned", "probability"))
    listed = 1.0 - held_out
    sums = [float(np.dot(arm, values)) for arm in (listed, held_out) for values in (left, predicted)]
    return _Heads(*sums)


def _keep_of(rows: pa.Table, action: str, causes: Sequence[Cause]) -> Floats:
    keep = np.array([*(cause.keep for cause in causes), np.nan])
    return np.asarray(keep[cause_of(rows, action, causes)])  # NO_CAUSE is the last


def _columns(of_actions: Iterable[Floats]) -> Floats:
    return np.stack(list(of_actions), axis=1)
