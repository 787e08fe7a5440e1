"""Which segments have churners enough for a model of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from churn.metrics import Labels
from churn.training.lessons import distinct_lessons, untouched
from churn.training.plan import TrainingPlan
from churn.training.split import Mask, Split, split_lessons
from schemas.columns import Role
from schemas.contract import Contract
from schemas.manifest import FallbackEntry

# Measured on the IBM customers: a scorecard learnt from all 1,220 churners of a sample had an AUC of .853 on the rest,
# from 400 of them on average .849, from 200 .842, from 100 .828 and from 50 .813. A segment must be strange indeed to
# win more than the .01 that 200 cost. With 20 churners held out, its level is known to a quarter.
FEWEST_CHURNERS_TO_FIT = 200
FEWEST_CHURNERS_HELD_OUT = 20


def segments_to_train(
    rows: pa.Table, contract: Contract, plan: TrainingPlan
) -> tuple[tuple[str, ...], tuple[FallbackEntry, ...]]:
    """The segments that a model of their own can be trained for, and those that are scored by the model of all.

    `rows` are as for `train`, by whose split the churners are counted. Both are in the order of their names; a contract
    without segments has none of either.
    """
    column = contract.one(Role.SEGMENT)
    if column is None:
        return (), ()
    lessons = untouched(distinct_lessons(rows, contract))
    split = split_lessons(lessons, contract, plan)
    names = lessons.rows[column.name].cast(pa.string())
    segments = sorted(pc.unique(names.drop_null()).to_pylist())
    masks = {name: pc.fill_null(pc.equal(names, name), False).to_numpy() for name in segments}
    short = {name: next(_shortages(name, mask, lessons.labels, split), None) for name, mask in masks.items()}
    return tuple(name for name in segments if not short[name]), tuple(entry for entry in short.values() if entry)


def _shortages(name: str, mask: Mask, labels: Labels, split: Split) -> Iterator[FallbackEntry]:
    for part, needed in (
        (split.fit, FEWEST_CHURNERS_TO_FIT),
        (split.calibrate, FEWEST_CHURNERS_HELD_OUT),
        (split.test, FEWEST_CHURNERS_HELD_OUT),
    ):
        churners = int(labels[mask & part].sum())
        if churners < needed:
            yield FallbackEntry(segment=name, churners=churners, needed=needed)
