"""What came of a fault that was tried many times over, and the table and the sums that are printed of all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.table import Table

from tests.faults.readers import Reads

SUMS = ("tries", "landed", "reads", "partial", "lost", "leftovers")


@dataclass(slots=True)
class Tally:
    """One fault on one database; `landed` counts the tries that met a run between its claim and its end.

    `reads` are those that had an answer, which a killed server gives nobody.
    `partial`, `lost` and `leftovers` are what went wrong, and `broken` what else was promised and not kept.
    """

    fault: str
    database: str
    tries: int = 0
    landed: int = 0
    reads: int = 0
    unanswered: int = 0
    partial: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    remark: str = ""

    def saw(self, reads: Reads) -> None:
        """Adds what readers met meanwhile."""
        self.reads += reads.looks - reads.unanswered
        self.unanswered += reads.unanswered
        self.partial += reads.partial
        self.lost += reads.lost

    @property
    def wrong(self) -> list[str]:
        return [*self.partial, *self.lost, *self.leftovers, *self.broken]

    def figures(self) -> dict[str, int]:
        counted = {"partial": len(self.partial), "lost": len(self.lost), "leftovers": len(self.leftovers)}
        return {"tries": self.tries, "landed": self.landed, "reads": self.reads, **counted}


def sums(tallies: Iterable[Tally]) -> dict[str, int]:
    """The figures of all faults together."""
    all_of_them = [tally.figures() for tally in tallies]
    return {name: sum(figures[name] for figures in all_of_them) for name in SUMS}


def last_line(tallies: Sequence[Tally]) -> str:
    return json.dumps(sums(tallies))


def as_table(tallies: Sequence[Tally], title: str) -> Table:
    table = Table(title=title)
    for name in ("fault", "database"):
        table.add_column(name)
    for name in ("tries", "mid-run hits", "reads", "partial reads", "lost nights", "leftovers"):
        table.add_column(name, justify="right")
    table.add_column("remark", overflow="fold")
    for tally in tallies:
        silence = f"{tally.unanswered:,} looks had no answer" if tally.unanswered else ""
        remark = "; ".join(filter(None, (tally.remark, silence)))
        table.add_row(tally.fault, tally.database, *(f"{n:,}" for n in tally.figures().values()), remark)
    table.add_section()
    table.add_row("all", "", *(f"{n:,}" for n in sums(tallies).values()), "")
    return table
