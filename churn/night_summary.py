"""Tells of a night in a page that a person reads with the first coffee: what changed since the night before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

# The other pages of the night, by the key under which the orchestrator keeps them.
PAGES = {
    "the list": "outreach-top",
    "the teams": "outreach-teams",
    "checks of the base": "data-quality-snapshot",
    "checks of the scores": "data-quality-scores",
    "the model": "champion",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What was counted of one night: customers by band, by status, and how many rows were set aside."""

    as_of: date
    revision: int
    scored: int
    listed: int
    quarantined: int
    bands: Mapping[str, int]
    statuses: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Around:
    """What else the page says: how long steps took, where everything lies, what to beware of, and the parity."""

    seconds: Mapping[str, float]
    places: Mapping[str, str]
    warnings: Sequence[str] = ()
    parity: str = ""


def night_markdown(base: str, night: Figures, before: Figures | None, around: Around) -> str:
    """The page; without a night `before` there is nothing to compare with."""
    parts = (
        [f"# {base} as of {night.as_of}, revision {night.revision}"],
        [f"> {warning}" for warning in around.warnings],
        [f"parity of table and service: {around.parity}"] if around.parity else [],
        _counts(night, before),
        _table(("step", "seconds"), [(step, f"{seconds:,.1f}") for step, seconds in around.seconds.items()]),
        [" · ".join(f"[{what}](/artifacts/key/{key})" for what, key in PAGES.items())],
        _table(("where", "path"), [(what, f"`{path}`") for what, path in around.places.items()]),
    )
    return "\n".join(line for part in parts if part for line in (*part, "")) + "\n"


def _counts(night: Figures, before: Figures | None) -> list[str]:
    was = _rows(before) if before else {}
    compared = [(what, f"{count:,}", _change(count, was.get(what, 0), before)) for what, count in _rows(night).items()]
    return _table(("customers", "this night", f"against {before.as_of}" if before else "against"), compared)


def _rows(night: Figures) -> dict[str, int]:
    rows = {"scored": night.scored, "set aside": night.quarantined, "on the list": night.listed}
    rows |= {f"risk {band}": count for band, count in night.bands.items()}
    return rows | {f"status {status}": count for status, count in night.statuses.items()}


def _change(count: int, was: int, before: Figures | None) -> str:
    if before is None:
        return "no night before"
    share = f" ({(count - was) / was:+.1%})" if was and count != was else ""
    return f"{count - was:+,}{share}" if count != was else "the same"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
