from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from churn.alarms import Mute
from churn.contract import arrow_schema
from churn.errors import RequestError
from cli.alarm import LONGEST_MUTE, app
from schemas.monitoring import ALARMS
from store.monitoring import keep_night, mutes_of
from store.settings import current_settings
from tests.end_to_end.nights import living_in

NIGHT = date(2026, 1, 5)


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[None]:
    with living_in(tmp_path):
        yield


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_an_alarm_is_shown_with_its_money_and_the_first_thing_to_do() -> None:
    row = {"contract": "telco", "as_of": NIGHT, "kind": "drift", "subject": "usage", "place": "all", "run_id": "r"}
    said = {"state": "raised", "size": 9.0, "money": 1234.0, "says": "usage: it is gone", "to_do": "Ask for it."}
    rows = pa.Table.from_pylist([row | said], schema=arrow_schema(ALARMS))
    keep_night(current_settings(), "telco", NIGHT, {ALARMS.name: rows})
    shown = run("list", "--since", "2026-01-01")
    assert "2026-01-05 raised: drift usage, 1,234 a list\n  usage: it is gone\n  Ask for it.\n" in shown
    assert run("list", "--since", "2026-01-06") == "No alarm of telco since 2026-01-06.\n"


def test_an_alarm_is_muted_until_a_date_by_somebody_with_a_reason() -> None:
    until = datetime.now(current_settings().zone).date() + timedelta(days=7)
    said = run("mute", "usage", "--until", str(until), "--who", "Ada", "--why", "the feed moves house")
    assert said == f"usage of telco is muted until {until} by Ada.\n"
    assert mutes_of(current_settings(), "telco") == (Mute("usage", until, "Ada"),)
    assert "Ada" in run("mutes")


@pytest.mark.parametrize("until", ["for ever", str(date.max), str(date.today() + LONGEST_MUTE * 2)])  # noqa: DTZ011
def test_nothing_is_muted_for_ever(until: str) -> None:
    with pytest.raises(RequestError):
        run("mute", "usage", "--until", until, "--who", "Ada", "--why", "it is loud")
