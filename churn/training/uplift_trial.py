"""Tries by the waves' own lot whether two scorecards of an action's effect earn more than the policy's belief in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.actions import gain_of
from churn.experiment import Experiment, points, units_of
from churn.off_policy import NOTHING, Ints, Logged, Value, pays, value_gained
from churn.profit import expected_value
from churn.scorecard import Floats, one_array
from churn.spending import flags_of
from churn.training.lessons import LABEL
from churn.training.plan import TrainingPlan
from churn.training.uplift import FEWEST_CHURNERS, HELD_OUT, train_uplift
from churn.uplift import Cards, lowered
from schemas.columns import Column
from schemas.policy import Action
from schemas.uplift import UpliftVerdict

HALVES = Experiment("uplift-halves")  # each half is judged by what the other one has taught
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
    """An action's waves, and by how much its effects beat the policy's belief, in money a customer of these waves.

    `gained` and `cards` are None where too few have left; the cards have learnt from both halves.
    """

    action: str
    drawn: Drawn
    gained: Value | None = None
    cards: Cards | None = None

    @property
    def verdict(self) -> UpliftVerdict:
        """Whether lists may go by the effects."""
        if self.gained is None or self.cards is None:
            return UpliftVerdict.NOT_YET
        return UpliftVerdict.PAYS if pays(self.gained) else UpliftVerdict.NO_GAIN

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
            return f"Not yet: of {members} {left}; {needed}, so that {FEWEST_CHURNERS} of each leave."
        gained = "{:+.3f} ({:+.3f} to {:+.3f})".format(*self.gained)
        rule = "lists go by them" if self.verdict is UpliftVerdict.PAYS else "the policy's keep probability stays"
        return f"Effects earn {gained} more a customer than the keep probability, over {members}: {rule}."


def tried(members: pa.Table, columns: Sequence[Column], actions: Sequence[Action], plan: TrainingPlan) -> list[Trial]:
    """The trial of each action.

    `members` are customers of waves: the columns, `action`, `held_out`, `label`, `probability`, `customer_value`,
    `unit`, and of `churn.spending` `share` and `spent`. Those count of whom all is known and who could be held out.
    """
    known = [pc.is_valid(members[name]) for name in ("customer_value", "spent")]
    drawn = pc.fill_null(pc.greater(members["share"], 0.0), False)
    counted = members.filter(pc.and_(drawn, pc.and_(*known)))
    names = counted["action"].cast(pa.string())
    return [_trial(action, counted.filter(pc.equal(names, action.name)), columns, plan) for action in actions]


def _trial(action: Action, members: pa.Table, columns: Sequence[Column], plan: TrainingPlan) -> Trial:
    held_out, left = flags_of(members, HELD_OUT), _floats(members, LABEL) > 0.0
    drawn = Drawn(*(int(arm.sum()) for arm in (~held_out, held_out, left & ~held_out, left & held_out)))
    if drawn.fewer < FEWEST_CHURNERS:
        return Trial(action.name, drawn)
    effect = _told_by_the_other_half(action, members, columns, plan)
    cards = train_uplift(members, columns, plan).get(action.name)
    return Trial(action.name, drawn, None if effect is None else _gained(action, members, effect), cards)


def _told_by_the_other_half(
    action: Action, members: pa.Table, columns: Sequence[Column], plan: TrainingPlan
) -> Floats | None:
    """The effect on each customer by cards that have not seen him; None where a half can teach none. Shape (n,)."""
    half = points(_units(members), HALVES) < 0.5
    effect = np.empty(len(half))
    for mine in (half, ~half):
        learnt = train_uplift(members.filter(pa.array(~mine)), columns, plan, fewest=FEWEST_OF_HALF)
        if action.name not in learnt:
            return None
        effect[mine] = lowered(learnt[action.name], members.filter(pa.array(mine)))
    return effect


def _units(members: pa.Table) -> pa.Array:
    """What each lot was drawn for: members of a household tell of each other, and so belong into one half."""
    alone = units_of(one_array(members, "customer_id"), None)
    return pc.coalesce(one_array(members, "unit").cast(pa.string()), alone)


def _gained(action: Action, members: pa.Table, effect: Floats) -> Value:
    """By how much leaving alone whom the effects advise against beats contacting all, as the waves have done."""
    risk, value = _floats(members, "probability"), _floats(members, "customer_value")
    whole = action.model_copy(update={"causes": ()})  # members of earlier policies' waves meet none of them
    worth = gain_of(members, value, whole, effect).worth
    chosen = np.where(worth > 0.0, 0, NOTHING)
    believed = np.column_stack([-risk * value, expected_value(risk, value, action) - risk * value])
    return value_gained(_logged(members, value), chosen, np.zeros(len(chosen), np.int64), believed)


def _logged(members: pa.Table, value: Floats) -> Logged:
    held_out, share, left = flags_of(members, HELD_OUT), _floats(members, "share"), _floats(members, LABEL)
    action: Ints = np.where(held_out, NOTHING, 0)
    propensity = np.where(held_out, share, 1.0 - share)
    return Logged(action, propensity, -left * value - _floats(members, "spent"), left.astype(np.int64))


def _floats(members: pa.Table, name: str) -> Floats:
    return np.asarray(one_array(members, name).cast(pa.float64()).to_numpy(zero_copy_only=False))
