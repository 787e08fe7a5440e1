"""Deals customers out to champions and challengers: a challenger in the shadow decides about a share of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.segments import places_of
from schemas.contract import Contract
from schemas.outreach import ModelArm

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Score = Callable[[str, pa.Table], pa.Table]

MODEL_ARM = "model_arm"
NEITHER = -1  # where there is no challenger


@dataclass(frozen=True, slots=True)
class Traffic:
    """The challengers that decide about a share of a night's customers, by place: the digest of each one's model.

    `places` are the segments that have a champion or a challenger of their own, and perhaps that of all. `digest` names
    all of this.
    """

    digest: str
    places: tuple[str, ...]
    challengers: Mapping[str, str]

    def dealt(self, customers: pa.Table, contract: Contract, by_lot: Flags) -> Dealt:
        """Who decides about whom of the customers, of whom those `by_lot` [n] are a challenger's where there is one."""
        arm = np.full(customers.num_rows, NEITHER, np.int64)
        theirs: dict[str, Ints] = {}
        for place, members in places_of(customers, contract, self.places).items():
            if place in self.challengers:
                arm[members] = by_lot[members]
                theirs[place] = members[by_lot[members]]
        return Dealt(arm, {self.challengers[place]: chosen for place, chosen in theirs.items() if len(chosen)})


@dataclass(frozen=True, slots=True, eq=False)
class Dealt:
    """The arm of each of n customers, as the place of a ModelArm or NEITHER, and whom each challenger decides about."""

    arm: Ints
    theirs: Mapping[str, Ints]


def with_challengers(scores: pa.Table, customers: pa.Table, dealt: Dealt, score: Score) -> pa.Table:
    """The scores, in place of the champions' those of each challenger of its customers; and the column MODEL_ARM.

    `scores` and `customers` are alike row by row. `score` gives rows of the score table of some customers, by the model
    of that digest.
    """
    rows, order = [scores], np.arange(scores.num_rows)
    for digest, members in dealt.theirs.items():
        order[members] = sum(part.num_rows for part in rows) + np.arange(len(members))
        rows.append(score(digest, customers.take(pa.array(members))).select(scores.column_names).cast(scores.schema))
    decided = pa.concat_tables(rows).unify_dictionaries().take(pa.array(order)) if dealt.theirs else scores
    return decided.append_column(MODEL_ARM, _named(dealt.arm))


def _named(arm: Ints) -> pa.DictionaryArray:
    indices = pa.array(arm.astype(np.int32), mask=arm == NEITHER)
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(ModelArm), pa.string()))
