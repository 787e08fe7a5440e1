"""Compares a challenger with the champion, on customers that the challenger has not seen, both on the same ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.bootstrap import FEWEST_CHURNERS, intervals
from churn.campaign import PUBLISHED, Campaign, best_campaign, profit_at_capacity
from churn.metrics import log_loss
from churn.ranking import Curve, Floats, Labels, Ranking, ranked
from schemas.columns import Role
from schemas.contract import Contract

COMPARED = ("empc", "auc", "log_loss", "profit_at_capacity")


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Test rows, what came of them, and a model's log-odds from a twin of it that has seen none of them; all [rows].

    A row stands for `weights` customers of the base: more than one where stayers were sampled at the source. Money is
    what `campaign` would earn.
    """

    rows: pa.Table = field(repr=False)
    labels: Labels = field(repr=False)
    log_odds: Floats = field(repr=False)
    weights: Floats = field(repr=False)
    campaign: Campaign = PUBLISHED

    @property
    def as_of(self) -> date:
        """The newest date that was judged."""
        return pc.max(self.rows["as_of"]).as_py()  # type: ignore[no-any-return]

    @property
    def tellable(self) -> bool:
        """Whether there are churners and stayers enough for figures that say something."""
        return FEWEST_CHURNERS <= int(self.labels.sum()) <= len(self.labels) - FEWEST_CHURNERS

    def part(self, mask: np.ndarray) -> Judged:
        """The customers for whom `mask` is true."""
        return replace(
            self,
            rows=self.rows.filter(pa.array(mask)),
            labels=self.labels[mask],
            log_odds=self.log_odds[mask],
            weights=self.weights[mask],
        )

    def segments(self, contract: Contract) -> Iterator[tuple[str, np.ndarray]]:
        """Each segment's name and who is in it, by name; nothing where the contract knows no segments."""
        column = contract.one(Role.SEGMENT)
        if column is None:
            return
        names = self.rows[column.name].cast(pa.string())
        for name in sorted(pc.unique(names.drop_null()).to_pylist()):
            yield name, pc.fill_null(pc.equal(names, name), False).to_numpy()


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both models, and the challenger's less the champion's with its paired 95 % interval."""

    champion: float
    challenger: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Compared:
    """Both models on the same customers: all of them, or those of a segment; a difference for each of COMPARED."""

    name: str
    rows: int
    churners: int
    differences: Mapping[str, Difference]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both models on all customers and on each segment that has churners enough.

    `seen_by_champion` says that the champion learnt from some of them, which flatters it.
    """

    whole: Compared
    segments: tuple[Compared, ...]
    seen_by_champion: bool


def compare(
    judged: Judged, champion: Floats, contract: Contract, *, champion_learnt_until: date | None = None
) -> Comparison:
    """The challenger, whose log-odds are `judged`, against the champion's log-odds of the same rows.

    `champion_learnt_until` is the newest date that the champion learnt from or was calibrated on, its test_as_of.
    """
    parts = [(name, mask) for name, mask in judged.segments(contract) if judged.part(mask).tellable]
    return Comparison(
        whole=_compared("all", judged, champion),
        segments=tuple(_compared(name, judged.part(mask), champion[mask]) for name, mask in parts),
        seen_by_champion=champion_learnt_until is not None and champion_learnt_until >= judged.as_of,
    )


def _compared(name: str, judged: Judged, champion: Floats) -> Compared:
    theirs, ours = ranked(judged.labels, champion), ranked(judged.labels, judged.log_odds)
    campaign = judged.campaign
    drawn = intervals(lambda counts: _differences(ours, theirs, counts, campaign), judged.labels, judged.weights)
    old, new = (_figures(ranking.curve(judged.weights), campaign) for ranking in (theirs, ours))
    differences = {key: Difference(old[key], new[key], new[key] - old[key], *drawn[key]) for key in COMPARED}
    return Compared(name, len(judged.labels), int(judged.labels.sum()), differences)


def _differences(ours: Ranking, theirs: Ranking, counts: Floats, campaign: Campaign) -> dict[str, float]:
    new, old = _figures(ours.curve(counts), campaign), _figures(theirs.curve(counts), campaign)
    return {name: new[name] - old[name] for name in COMPARED}


def _figures(curve: Curve, campaign: Campaign) -> dict[str, float]:
    return {
        "empc": best_campaign(curve, campaign).profit,
        "auc": curve.auc(),
        "log_loss": log_loss(curve),
        "profit_at_capacity": profit_at_capacity(curve, campaign),
    }
