"""How far each feature of a base lies from the base that its model learnt from: sizes, of which none alarms anybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from churn.scorecard import Feature, Floats, Ints, Kind

MISSING = 0  # the bin of missing values
LEAST_SHARE = 1e-6  # stands for a bin that nobody is in: its logarithm would be endless

Bins = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Drift:
    """How a feature is spread tonight, against the customers that its model learnt from.

    Shares are of the customers; `unseen` are categories that the model never met. `ks` is the largest gap between the
    shares at or below any value, of those that are known; None of categories, which have no order. `psi` is the
    population stability index over all bins, the missing one too. Of numbers of which a model that is no scorecard
    keeps but one bin, both are None. `crowded` is the share of the customers in the bin that gained most,
    `crowded_before` what was there.
    """

    feature: str
    missing: float
    missing_before: float
    unseen: float
    unseen_before: float
    ks: float | None
    psi: float | None
    crowded: float
    crowded_before: float

    @property
    def lost(self) -> float:
        """How many more of the customers have no value, or none that the model knows, as a share."""
        return max(self.missing - self.missing_before, 0.0) + max(self.unseen - self.unseen_before, 0.0)


def drift_of(feature: Feature, counts: Ints | Floats, reference: Sequence[float]) -> Drift:
    """The sizes for a feature of which each bin holds so many customers; `reference` has the shares before."""
    now, before = shares(counts), shares(reference)
    is_category, fullest = feature.kind is Kind.CATEGORY, int(np.argmax(now - before))
    told_apart = is_category or len(feature.cuts) > 0
    return Drift(
        feature=feature.name,
        missing=float(now[MISSING]),
        missing_before=float(before[MISSING]),
        unseen=float(now[-1]) if is_category else 0.0,
        unseen_before=float(before[-1]) if is_category else 0.0,
        ks=_largest_gap(now, before) if told_apart and not is_category else None,
        psi=stability_index(now, before) if told_apart else None,
        crowded=float(now[fullest]),
        crowded_before=float(before[fullest]),
    )


def shares(counts: Sequence[float] | Ints | Floats) -> Floats:
    """The counts as shares of their sum; zeros where nobody is counted."""
    numbers = np.asarray(counts, np.float64)
    return np.asarray(numbers / max(float(numbers.sum()), LEAST_SHARE))


def stability_index(now: Floats, before: Floats) -> float:
    """The population stability index of two spreads over the same bins: 0 where they are alike."""
    one, other = np.maximum(now, LEAST_SHARE), np.maximum(before, LEAST_SHARE)
    return float(((one - other) * np.log(one / other)).sum())


def restored(feature: Feature, bins: Bins, reference: Sequence[float], dice: np.random.Generator) -> Bins:
    """The customers' bins were the feature spread tonight as `reference` says; [rows].

    Numbers keep their order, so that what only moved or changed its unit is mended to what it was. Where many share
    one value that few should have, and of categories, chance says who gets which: what a column no longer tells of a
    customer is not to be had. As few as possible move between missing and known, and between categories.
    """
    now, before = shares(np.bincount(bins, minlength=feature.bins)), shares(reference)
    if feature.kind is Kind.CATEGORY:
        return _least_moved(bins, now, before, dice)
    blank = np.array([now[MISSING], 1.0 - now[MISSING]]), np.array([before[MISSING], 1.0 - before[MISSING]])
    was_known, known = bins != MISSING, _least_moved((bins != MISSING).astype(np.uint16), *blank, dice) == 1
    chance = dice.random(len(bins))
    edges, width = np.cumsum(_known(now)), _known(now)
    at = np.maximum(bins, 1) - 1
    rank = np.where(was_known, edges[at] - width[at] * chance, chance)
    wanted = 1 + np.searchsorted(np.cumsum(_known(before))[:-1], rank, side="right")
    return np.where(known, wanted, MISSING).astype(np.uint16)


def values_of(feature: Feature, bins: Bins) -> pa.Array:
    """A value for each bin: of a number zero where it lies in the bin, else the middle; null of the others. [rows].

    Of a whole number it is a whole one in the bin, where there is one.
    """
    if feature.kind is Kind.CATEGORY:
        return pa.array([None, *feature.categories, None], pa.string()).take(pa.array(bins))
    middles = _middles(feature) if len(feature.cuts) else np.zeros(1)
    middles[np.searchsorted(feature.cuts, 0.0, side="right")] = 0.0
    return pa.array([None, *middles.tolist()], pa.float64()).take(pa.array(bins))


def _middles(feature: Feature) -> Floats:
    """The middle of each bin of known values; the outer ones are taken to be as wide as those beside them."""
    cuts = feature.cuts
    first, last = (cuts[1] - cuts[0], cuts[-1] - cuts[-2]) if len(cuts) > 1 else (1.0, 1.0)
    edges = np.array([cuts[0] - first, *cuts, cuts[-1] + last])
    middles = (edges[:-1] + edges[1:]) / 2.0
    return middles if feature.kind is Kind.NUMBER else np.asarray(np.maximum(np.floor(middles), np.ceil(edges[:-1])))


def _known(spread: Floats) -> Floats:
    """The shares of the bins but the missing one, of those who are in them."""
    return shares(spread[MISSING + 1 :])


def _largest_gap(now: Floats, before: Floats) -> float:
    return float(np.abs(np.cumsum(_known(now)) - np.cumsum(_known(before))).max(initial=0.0))


def _least_moved(bins: Bins, now: Floats, before: Floats, dice: np.random.Generator) -> Bins:
    """Of each bin that is too full as many as are too many go, by lot, to where some are lacking."""
    too_many = np.maximum(now - before, 0.0) / np.maximum(now, LEAST_SHARE)
    lacking = np.cumsum(np.maximum(before - now, 0.0))
    goes = dice.random(len(bins)) < too_many[bins]
    if not goes.any() or not lacking[-1]:
        return bins
    moved = bins.copy()
    moved[goes] = np.searchsorted(lacking / lacking[-1], dice.random(int(goes.sum())), side="right")
    return moved
