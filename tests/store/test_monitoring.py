"""What watching nights found is kept whole by night, and given back: alarms as they stood, mutes until they end."""

from __future__ import annotations

from datetime import date, timedelta

import pyarrow as pa
import pytest

from churn.alarms import Mute, Standing
from churn.contract import arrow_schema
from churn.errors import RequestError
from schemas.columns import LogicalType, Table
from schemas.monitoring import ALARMS, BACKTEST, DECISIONS, AlarmState
from store import monitoring
from store.settings import Settings

NIGHT = date(2026, 1, 5)


def row(schema: Table, **given: object) -> pa.Table:
    ordinary = {LogicalType.STRING: "word", LogicalType.NUMBER: 0.5, LogicalType.INTEGER: 1, LogicalType.DATE: NIGHT}
    values = {column.name: ordinary.get(column.logical_type) for column in schema.columns}
    return pa.Table.from_pylist([values | {"contract": "telco"} | given], schema=arrow_schema(schema))


def keep(settings: Settings, as_of: date, state: AlarmState, raised: date | None) -> None:
    alarm = row(ALARMS, as_of=as_of, kind="drift", subject="usage", place="all", state=state, raised_as_of=raised)
    found = {DECISIONS.name: row(DECISIONS, as_of=as_of), ALARMS.name: alarm}
    monitoring.keep_night(settings, "telco", as_of, found)


def test_a_night_that_is_watched_again_takes_the_place_of_what_was_found_before(settings: Settings) -> None:
    for places in (100, 200):
        monitoring.keep_night(settings, "telco", NIGHT, {DECISIONS.name: row(DECISIONS, places=places)})
    assert monitoring.kept_night(settings, DECISIONS, "telco")["places"].to_pylist() == [200]
    assert monitoring.kept_night(settings, DECISIONS, "other").num_rows == 0


def test_what_another_watch_of_the_night_told_meanwhile_is_not_told_twice(settings: Settings) -> None:
    raised = row(ALARMS, as_of=NIGHT, kind="drift", state=AlarmState.RAISED, raised_as_of=NIGHT, remedy="people")
    monitoring.keep_night(settings, "telco", NIGHT, {ALARMS.name: raised})
    monitoring.keep_told(settings, "telco", monitoring.untold(settings, "telco", NIGHT))
    monitoring.keep_night(settings, "telco", NIGHT, {ALARMS.name: raised})
    assert monitoring.untold(settings, "telco", NIGHT) == ()


def test_an_alarm_stands_as_the_last_night_before_left_it(settings: Settings) -> None:
    keep(settings, NIGHT - timedelta(days=2), AlarmState.RAISED, NIGHT - timedelta(days=2))
    keep(settings, NIGHT - timedelta(days=1), AlarmState.GOING_ON, NIGHT - timedelta(days=2))
    keep(settings, NIGHT, AlarmState.GOING_ON, NIGHT - timedelta(days=2))
    past = monitoring.past_of(settings, "telco", NIGHT)
    key = ("drift", "usage", "all")
    assert past.night_before == NIGHT - timedelta(days=1)
    expected = Standing(key, NIGHT - timedelta(days=1), AlarmState.GOING_ON, NIGHT - timedelta(days=2))
    assert past.standings == {key: expected}


def test_the_last_wish_of_a_subject_holds(settings: Settings) -> None:
    monitoring.mute(settings, "telco", Mute("usage", NIGHT, "Ada"), "known to be late")
    monitoring.mute(settings, "telco", Mute("usage", NIGHT + timedelta(days=7), "Grace"), "it is late still")
    assert monitoring.mutes_of(settings, "telco") == (Mute("usage", NIGHT + timedelta(days=7), "Grace"),)


@pytest.mark.parametrize(("who", "why"), [("", "it is known"), ("Ada", "  ")])
def test_nobody_mutes_without_a_name_and_a_reason(settings: Settings, who: str, why: str) -> None:
    with pytest.raises(RequestError, match="nobody says who mutes it, or why"):
        monitoring.mute(settings, "telco", Mute("usage", NIGHT, who), why)


def test_what_became_of_a_night_is_kept_once(settings: Settings) -> None:
    for run in ("first", "second"):
        monitoring.keep_backtest(settings, row(BACKTEST, run_id=run))
    assert monitoring.backtested_runs(settings, "telco") == {"second": None}
    assert monitoring.kept_backtest(settings, "telco", NIGHT).num_rows == 1
    assert monitoring.kept_backtest(settings, "telco", NIGHT - timedelta(days=1)).num_rows == 0
