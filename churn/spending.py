"""What contacts of waves cost, and what share of customers was held out, by the policy that decided each wave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.scorecard import one_array

Yes = npt.NDArray[np.bool_]


class Cost(NamedTuple):
    """What an action costs, in money: each contact, and each offer that is accepted."""

    contact: float
    offer: float


@dataclass(frozen=True, slots=True)
class Terms:
    """What the policy of that digest says: the share that is held out, and what actions cost."""

    policy_digest: str
    share: float
    costs: Mapping[str, Cost]


def with_terms(members: pa.Table, policies: Sequence[Terms]) -> pa.Table:
    """The members with `share`, that of customers whom their policy holds out, and `spent`; null where nobody knows."""
    digests = pa.array([terms.policy_digest for terms in policies], pa.string())
    place = pc.index_in(members["policy_digest"].cast(pa.string()), digests)
    share = pa.array([terms.share for terms in policies], pa.float64()).take(place.combine_chunks())
    return members.append_column("share", share).append_column("spent", _spent(members, policies))


def flags_of(members: pa.Table, name: str) -> Yes:
    """Which members have it so; who is not told of has not."""
    return np.asarray(one_array(members, name).fill_null(False).to_numpy(zero_copy_only=False), np.bool_)


def _spent(members: pa.Table, policies: Sequence[Terms]) -> pa.Array:
    """What each customer's contact cost: as written back, or where nothing was of his wave, as if made and accepted."""
    costs = {f"{each.policy_digest} {name}": cost for each in policies for name, cost in each.costs.items()}
    names = pc.binary_join_element_wise(
        members["policy_digest"].cast(pa.string()), members["action"].cast(pa.string()), " "
    )
    places = pc.index_in(names, pa.array(list(costs), pa.string())).to_numpy()
    unknown = np.isnan(places)
    prices = np.array([*costs.values(), Cost(0.0, 0.0)], np.float64)
    contact, offer = prices[np.where(unknown, -1, places).astype(np.int64)].T
    contacted, accepted, held_out = (flags_of(members, name) for name in ("contacted", "accepted", "held_out"))
    listed = ~held_out
    told = _of_a_wave_that(contacted, members)
    spent = np.where(told, contacted * contact + accepted * offer, listed * (contact + offer))
    return pa.array(spent, mask=unknown & listed)


def _of_a_wave_that(happened: Yes, members: pa.Table) -> Yes:
    """Who is of a wave in which it happened to somebody."""
    wave = np.asarray(one_array(members, "as_of").dictionary_encode().indices)
    return np.asarray(np.bincount(wave, happened)[wave] > 0)
