"""`churn backfill` and `catch-up`: score past nights, and tell what became of each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from churn.backfill import caught_up_until, nights_between
from cli.nights import (
    CONNECT,
    LOAD,
    Contract,
    Force,
    KnownAt,
    Policy,
    Reasons,
    Source,
    failures_in_words,
    kept_apart,
    look_over,
)
from cli.terminal import terminal
from store.contracts import read_contract
from store.policies import policy_asked_for
from store.settings import current_settings
from tasks.progress import LOGGER, Progress, begun

if TYPE_CHECKING:
    from tasks.backfill import Outcome  # Prefect takes seconds to import, and --help needs none of it

_COLOURS = {"published": "green", "failed": "red"}


def backfill(
    first: Annotated[str, typer.Option("--from", help="Oldest night to score.")],
    last: Annotated[str, typer.Option("--to", help="Newest night to score, yesterday at most.")],
    contract: Contract = "telco",
    known_at: KnownAt = None,
    source: Source = None,
    model: Annotated[
        Literal["then", "now"],
        typer.Option(help="Who scores a night that is published already: its own champions, or those of today."),
    ] = "then",
    lists: Annotated[bool, typer.Option("--lists", help="Also decide a list for nights that never had one.")] = False,
    policy: Policy = None,
    force: Force = False,
    reasons: Reasons = "list",
) -> None:
    """Score past nights, the oldest first; newer nights and lists that were sent stay as they are."""
    nights_between(first, last, today=_today())
    policy_asked_for(read_contract(contract), policy)
    look_over(contract, source)
    with _nights_shown(terminal()):
        from flows.backfill import backfill as fill

        begun(CONNECT)
        fill(first, last, contract, known_at, kept_apart(source), model, lists, policy, force, reasons)


def catch_up(
    contract: Contract = "telco",
    until: Annotated[str | None, typer.Option(help="Newest night to catch up with. Default: today.")] = None,
    source: Source = None,
    policy: Policy = None,
    reasons: Reasons = "list",
) -> None:
    """Score the nights that were missed while nothing ran; only today's gets an outreach list, as others are stale."""
    caught_up_until(until, today=_today())
    policy_asked_for(read_contract(contract), policy)
    look_over(contract, source)
    console = terminal()
    with _nights_shown(console):
        from flows.catch_up import catch_up as follow

        begun(CONNECT)
        outcomes = follow(contract, until, kept_apart(source), policy, reasons)
    if not outcomes:
        console.print("Nothing is missing: every night is published.")
    elif any(outcome.outreach is None for outcome in outcomes):
        console.print("The lists of nights before today's would be stale, and are not made.")


def _today() -> date:
    return datetime.now(current_settings().zone).date()


@contextmanager
def _nights_shown(console: Console) -> Iterator[None]:
    """Says what is being done, and at the end, however it came, what became of each night."""
    with console.status(LOAD) as status:
        listener = _Listener(status.update, lambda text: console.print(text, highlight=False))
        LOGGER.addHandler(listener)
        LOGGER.setLevel(logging.INFO)
        try:
            with failures_in_words(listener.published):
                yield
        finally:
            LOGGER.removeHandler(listener)
            status.stop()
            if listener.outcomes:
                console.print(_table(listener.outcomes))


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table()
    for head in ("night", "scores", "revision", "customers", "list", "why"):
        table.add_column(head, justify="right" if head in ("revision", "customers", "list") else "left")
    for outcome in outcomes:
        scores, listed = outcome.scores, outcome.outreach
        table.add_row(
            str(outcome.as_of),
            Text(outcome.state, style=_COLOURS.get(outcome.state, "yellow")),
            str(scores.revision) if scores else "",
            f"{scores.rows:,}" if scores else "",
            f"{listed.rows:,}" if listed else "",
            outcome.reason,
        )
    return table


class _Listener(logging.Handler):
    """Hears which step has begun, which nights are missing, and what became of each."""

    def __init__(self, show: Callable[[Text], None], say: Callable[[str], None]) -> None:
        super().__init__()
        self.outcomes: list[Outcome] = []
        self.published: list[str] = []
        self._show = show
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        progress, outcome = getattr(record, "progress", None), getattr(record, "outcome", None)
        if isinstance(progress, Progress):
            self._show(Text(progress.step))
        if outcome is not None:
            self.outcomes.append(outcome)
            if outcome.state == "published":
                self.published.append(f"the night of {outcome.as_of}")
        if hasattr(record, "missing"):
            self._say(record.getMessage())
