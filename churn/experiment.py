"""Deals units out to the arms of an experiment: by a keyed hash, so that every process and every night deals alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.profit import Floats

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

FOR_EVER = 0
_CUSTOMER, _HOUSEHOLD = "customer", "household"
_BYTES = 8
_EPOCH = date(1970, 1, 1)
_MANTISSA = 53  # bits that a float64 holds exactly


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment in one of its periods: another name or another period deals the units out anew."""

    name: str
    period: int = FOR_EVER

    @classmethod
    def on(cls, name: str, as_of: date, valid_days: int) -> Experiment:
        """The experiment in the period of so many days that the date lies in."""
        return cls(name, (as_of - _EPOCH).days // valid_days)


def points(units: pa.Array, experiment: Experiment) -> Floats:
    """Each unit's lot in [0, 1): evenly spread, and the same wherever and whenever it is drawn. Shape (n,)."""
    drawn = blake2b(digest_size=_BYTES, key=f"{experiment.name}:{experiment.period}".encode())
    distinct = pc.dictionary_encode(units.cast(pa.string()))
    digests = b"".join(_digest(drawn, unit) for unit in distinct.dictionary.to_pylist())
    lots = (np.frombuffer(digests, ">u8") >> np.uint64(64 - _MANTISSA)).astype(np.float64) / 2.0**_MANTISSA
    return np.asarray(lots[distinct.indices.to_numpy()])


def held_out(units: pa.Array, experiment: Experiment, share: float) -> Flags:
    """Which units are left out, a `share` of all. Shape (n,)."""
    if share == 0.0:
        return np.zeros(len(units), np.bool_)
    return points(units, experiment) < share


def arms(units: pa.Array, experiment: Experiment, shares: Sequence[float]) -> Ints:
    """Which arm each unit is in, counted from 0: arms have so large shares of all, in proportion. Shape (n,).

    For the traffic of champion and challenger, and for customers whom no column gives to a team.
    """
    if len(shares) == 1:
        return np.zeros(len(units), np.int64)
    limits = np.cumsum(shares)[:-1] / np.sum(shares)
    return np.searchsorted(limits, points(units, experiment), side="right")


def units_of(customers: pa.Array, households: pa.Array | None) -> pa.Array:
    """What is dealt out: each customer's household, or the customer alone where there is none.

    The two are marked, so that a household that is called like a customer is another unit.
    """
    alone = pc.binary_join_element_wise(_CUSTOMER, customers.cast(pa.string()), " ")
    if households is None:
        return alone
    return pc.coalesce(pc.binary_join_element_wise(_HOUSEHOLD, households.cast(pa.string()), " "), alone)


def homes_of(units: pa.ChunkedArray) -> pa.ChunkedArray:
    """The households that units stand for; null for a customer alone."""
    mark = f"{_HOUSEHOLD} "
    return pc.if_else(pc.starts_with(units, mark), pc.utf8_slice_codeunits(units, len(mark)), None)


def _digest(drawn: blake2b, unit: str) -> bytes:
    # One unit after another: nothing vectorised has a keyed hash, and this one takes less than a microsecond.
    mine = drawn.copy()
    mine.update(unit.encode())
    return mine.digest()
