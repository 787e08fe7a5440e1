"""The figures of a comparison of listed and held-out customers: as a row of a table, as a line and in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import hypot
from typing import Any, NamedTuple

import pyarrow as pa

from churn.contract import arrow_schema
from schemas.lift import LIFT, Scope, Verdict

# What people see of a comparison.
COLUMNS = ("waves", "action", "listed", "held out", "left", "left of held out", "effect, points", "money", "verdict")


MODEL_SCOPES = (Scope.CHAMPION, Scope.CHALLENGER)
DEALT = 1_000  # what was saved of one customer of a base a night is too little to read


class Heads(NamedTuple):
    """How many customers were listed and held out, and what became of them."""

    listed: int
    held_out: int
    listed_churned: int
    held_out_churned: int
    contacted: int
    accepted: int
    leaked: int

    @property
    def both(self) -> int:
        """Listed and held out together."""
        return self.listed + self.held_out


class CustomersDealt(NamedTuple):
    """How many customers of the base the lot dealt to either model, over the nights of all waves."""

    champion: int
    challenger: int


class Figure(NamedTuple):
    """A figure with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


class Size(NamedTuple):
    """How many customers a comparison needs, and in how many weeks so many will be there; None where nobody knows."""

    needed: int | None
    weeks_more: int | None


@dataclass(frozen=True, slots=True)
class Lift:
    """The comparison of one wave, or of all waves, for one action or for all: a row of schemas/lift.py."""

    scope: Scope
    first_as_of: date
    last_as_of: date
    action: str
    heads: Heads
    effect: Figure | None
    saved: Figure | None
    spent: float
    sample_ratio_p: float | None
    size: Size
    verdict: Verdict
    alarm: str | None
    says: str

    @property
    def dates(self) -> str:
        """The date of the wave, or the first and the last of several; and by whose model, if by one of two."""
        return f"{self._dates}, {self.scope}" if self.scope in MODEL_SCOPES else self._dates

    @property
    def _dates(self) -> str:
        if self.first_as_of == self.last_as_of:
            return str(self.first_as_of)
        return f"{self.first_as_of} to {self.last_as_of}"


def lift_rows(found: Sequence[Lift], contract: str, known_at: datetime) -> pa.Table:
    """The rows of LIFT for these comparisons, measured with what was known at a moment."""
    rows = [_row(one) | {"contract": contract, "known_at": known_at} for one in found]
    return pa.Table.from_pylist(rows, schema=arrow_schema(LIFT))


def lift_markdown(found: Sequence[Lift]) -> str:
    """The comparisons as a table, under each alarm and verdict of all waves in a sentence."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    lines += [f"| {' | '.join(cells(one))} |" for one in found]
    said = [f"**{one.action}**: {one.says}" for one in found if one.scope is Scope.WAVES or one.scope in MODEL_SCOPES]
    alarms = [f"**Alarm** ({one.dates}, {one.action}): {one.alarm}" for one in found if one.alarm]
    return "\n\n".join([*alarms, *said, "\n".join(lines)]) + "\n"


def cells(one: Lift) -> tuple[str, ...]:
    """A comparison as a line of a table for people, under COLUMNS."""
    heads = one.heads
    return (
        one.dates,
        one.action,
        f"{heads.listed:,}",
        f"{heads.held_out:,}",
        f"{heads.listed_churned:,}",
        f"{heads.held_out_churned:,}",
        _points(one.effect) if one.effect else "",
        _money(one.saved) if one.saved else "",
        f"{one.verdict}, {_weeks(one.size.weeks_more)}" if one.size.weeks_more else one.verdict.value,
    )


def in_words(verdict: Verdict, heads: Heads, size: Size, effect: Figure | None, saved: Figure | None) -> str:
    """What the comparison shows, in a sentence or three."""
    if not heads.held_out or not heads.listed or effect is None:
        return f"Nothing to compare yet: {heads.listed:,} listed and {heads.held_out:,} held out."
    said = (
        f"Of {heads.listed:,} listed {heads.listed_churned / heads.listed:.1%} left, of {heads.held_out:,} held out"
        f" {heads.held_out_churned / heads.held_out:.1%}; over strata {_points(effect)} points"
    )
    money = f", money {_money(saved)}" if saved else ", money not known"
    match verdict:
        case Verdict.NOT_YET if size.weeks_more:
            return f"Not yet, {_weeks(size.weeks_more)}: {heads.both:,} of {size.needed:,} customers. {said}{money}."
        case Verdict.NOT_YET if size.needed and size.weeks_more is None:
            return f"Not yet, too small alone: {heads.both:,} of {size.needed:,} customers. {said}{money}."
        case Verdict.NOT_TRUSTED:
            return f"Not to be trusted, the split was no lot. {said}{money}."
        case _:
            return f"{verdict.capitalize()}. {said}{money}."


def which_saved_more(champion: Lift, challenger: Lift, dealt: CustomersDealt | None) -> str:
    """Which model saved more money of the customers that it was dealt, in a sentence.

    Not of those it listed: a model whose scores are low lists fewer and better ones, and leaves the others to leave.
    """
    unsure = {Verdict.NOT_YET, Verdict.NOT_TRUSTED} & {champion.verdict, challenger.verdict}
    if unsure or dealt is None or champion.saved is None or challenger.saved is None:
        return "Whether champion or challenger saves more is not known yet."
    theirs, ours = _of_each(challenger.saved, dealt.challenger), _of_each(champion.saved, dealt.champion)
    value, low, high = apart = _apart(theirs, ours)
    told = "{:+,.2f} ({:+,.2f} to {:+,.2f}) a night of each {:,} customers dealt to it".format(*apart, DEALT)
    told += ", challenger less champion"
    if low <= 0.0 <= high:
        return f"Between champion and challenger no difference is seen: {told}."
    return f"The {'challenger' if value > 0.0 else 'champion'} saves more: {told}."


def _of_each(saved: Figure, customers: int) -> Figure:
    """What was saved a night of each DEALT customers."""
    return Figure(*(end / customers * DEALT for end in saved))


def _apart(one: Figure, other: Figure) -> Figure:
    """By how much one figure exceeds another that comes of other customers, so that their errors add in squares."""
    value = one.value - other.value
    below = hypot(one.value - one.low, other.high - other.value)
    above = hypot(one.high - one.value, other.value - other.low)
    return Figure(value, value - below, value + above)


def _weeks(more: int) -> str:
    return f"{more} more week{'s' * (more != 1)}"


def _points(effect: Figure) -> str:
    value, low, high = (100.0 * each for each in effect)
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _money(saved: Figure) -> str:
    return f"{saved.value:,.0f} ({saved.low:,.0f} to {saved.high:,.0f})"


def _row(one: Lift) -> dict[str, Any]:
    figures = {name: _ends(name, figure) for name, figure in (("effect", one.effect), ("saved", one.saved))}
    same = ("scope", "first_as_of", "last_as_of", "action", "spent", "sample_ratio_p", "verdict", "alarm", "says")
    return (
        {name: getattr(one, name) for name in same}
        | one.heads._asdict()
        | one.size._asdict()
        | figures["effect"]
        | figures["saved"]
    )


def _ends(name: str, figure: Figure | None) -> dict[str, float | None]:
    value, low, high = figure or (None, None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}
