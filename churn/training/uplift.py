"""Learns what each action changes: one scorecard of those whom it was meant for, one of those whom a lot left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.scorecard import Scorecard
from churn.training.additive import fit
from churn.training.lessons import LABEL, labels_of, varying
from churn.training.plan import TrainingPlan
from churn.uplift import Cards
from schemas.columns import Column

HELD_OUT = "held_out"

# With fewer in an arm a card follows single customers; effects as small as those in docs/money.md take many more.
FEWEST_CHURNERS = 200


def train_uplift(
    members: pa.Table, columns: Sequence[Column], plan: TrainingPlan, *, fewest: int = FEWEST_CHURNERS
) -> Mapping[str, Cards]:
    """The cards of each action of which both arms have the fewest churners, or more; an action without is left out.

    `members` are customers of waves: the columns, `action`, `held_out` by lot, and `label`, 1 for a churner. Listed
    ones count whether or not they were reached, so the effect is that of the decision to contact.
    """
    actions = sorted(pc.unique(members["action"].drop_null().cast(pa.string())).to_pylist())
    arms = {action: _arms(members, action) for action in actions}
    return {
        action: Cards(*(_card(arm, columns, plan) for arm in both))
        for action, both in arms.items()
        if min(int(labels_of(arm).sum()) for arm in both) >= fewest
    }


def _arms(members: pa.Table, action: str) -> tuple[pa.Table, pa.Table]:
    with_action = members.filter(pc.equal(members["action"].cast(pa.string()), action))
    held_out = with_action[HELD_OUT]
    return with_action.filter(pc.invert(held_out)), with_action.filter(held_out)


def _card(arm: pa.Table, columns: Sequence[Column], plan: TrainingPlan) -> Scorecard:
    kept = varying(arm, columns)
    return fit(arm.select([*(column.name for column in kept), LABEL]), np.asarray(labels_of(arm)), kept, plan)
