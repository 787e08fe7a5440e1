"""What `churn backfill` and `catch-up` show of the nights that they score, however it ends."""

from __future__ import annotations

from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from churn.errors import PublicationError
from cli.app import app
from cli.upkeep import _nights_shown
from tasks.backfill import Outcome
from tasks.night import Result
from tasks.progress import LOGGER, begun

SECOND, THIRD = date(2026, 1, 2), date(2026, 1, 3)
SCORES = Result("scores", "000007-1a2b3c4d", revision=2, rows=19_549, folder=Path("somewhere"), new=True)
LIST = Result("outreach", "000008-1a2b3c4d", revision=1, rows=200, folder=Path("somewhere"), new=True)


@pytest.fixture
def console() -> Console:
    return Console(record=True, width=100, file=StringIO(), markup=False)  # as the terminal is


def told(console: Console) -> list[list[str]]:
    """The words of each line that was printed, without what frames the table."""
    lines = console.export_text().replace("┃", "|").replace("│", "|").splitlines()
    return [[word.strip() for word in line.strip("|").split("|")] for line in lines if line[:1] not in "┏┡└"]


def became(outcome: Outcome) -> None:
    """As the flow tells of a night."""
    LOGGER.info("%s: %s", outcome.as_of, outcome.state, extra={"outcome": outcome})


def test_each_night_has_a_line_and_the_missing_ones_are_named_first(console: Console) -> None:
    with _nights_shown(console):
        begun("see which nights were missed")
        LOGGER.info("telco: %s are missing", "2026-01-02, 2026-01-03", extra={"missing": (1,)})
        became(Outcome(SECOND, "published", SCORES))
        became(Outcome(THIRD, "published", SCORES, LIST))
    assert told(console) == [
        ["telco: 2026-01-02, 2026-01-03 are missing"],
        ["night", "scores", "revision", "customers", "list", "why"],
        ["2026-01-02", "published", "2", "19,549", "", ""],
        ["2026-01-03", "published", "2", "19,549", "200", ""],
    ]


def test_the_table_is_shown_where_a_night_failed_and_the_error_goes_on(console: Console) -> None:
    def failing() -> None:
        with _nights_shown(console):
            became(Outcome(SECOND, "failed", reason="QualityError telco: [segment] is none of 2"))
            became(Outcome(THIRD, "kept", reason="revision 2 knows more"))
            raise PublicationError("1 of 2 nights failed")

    with pytest.raises(PublicationError, match="1 of 2"):
        failing()
    assert told(console)[1:] == [
        ["2026-01-02", "failed", "", "", "", "QualityError telco: [segment] is none of 2"],
        ["2026-01-03", "kept", "", "", "", "revision 2 knows more"],
    ]


def test_nobody_listens_any_more_afterwards(console: Console) -> None:
    before = list(LOGGER.handlers)
    with _nights_shown(console):
        assert len(LOGGER.handlers) == len(before) + 1
    assert LOGGER.handlers == before


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("backfill", ("--from", "--to", "--contract", "--known-at", "--source", "--model", "--lists", "--force")),
        ("catch-up", ("--contract", "--until", "--source", "--policy")),
        ("verify", ("--contract", "--rebuild")),
        ("gc", ("--dry-run", "--retention")),
    ],
)
def test_help_explains_each_option(command: str, options: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).stdout
    for option in options:
        line = next(line for line in shown.splitlines() if f" {option} " in line)
        assert len(line.replace(option, "").strip("│ ")) > 20


def test_a_backfill_without_a_range_is_refused() -> None:
    assert CliRunner().invoke(app, ["backfill", "--from", "2026-01-01"]).exit_code == 2
