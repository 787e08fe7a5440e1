"""The page of a watched night is whole by itself, says what is an estimate, and lets no name become markup."""

from __future__ import annotations

import re
from datetime import date

import pyarrow as pa

from churn.contract import arrow_schema
from churn.monitoring_page import history_svg, night_html, night_markdown
from schemas.columns import LogicalType, Table
from schemas.monitoring import ALARMS, BACKTEST, DECISIONS, FEATURES, SCORE_SPREADS

NIGHT = date(2026, 1, 5)
KINDS = {LogicalType.STRING: "word", LogicalType.NUMBER: 0.5, LogicalType.INTEGER: 1, LogicalType.DATE: NIGHT}


def rows(schema: Table, *given: dict[str, object]) -> pa.Table:
    ordinary = {column.name: KINDS.get(column.logical_type) for column in schema.columns}
    return pa.Table.from_pylist([ordinary | each for each in given], schema=arrow_schema(schema))


def tables(*alarms: dict[str, object]) -> dict[str, pa.Table]:
    return {
        FEATURES.name: rows(FEATURES, {"feature": "usage <b>"}, {"feature": "bill", "forgone": None, "ks": None}),
        SCORE_SPREADS.name: rows(SCORE_SPREADS, {"segment": "all"}),
        DECISIONS.name: rows(DECISIONS, {"before_as_of": None, "lift": None}),
        ALARMS.name: rows(ALARMS, *alarms),
        BACKTEST.name: rows(BACKTEST, {"feature": "all", "value": "all", "diagnosis": "sound"}),
    }


def test_the_page_asks_no_network_and_escapes_what_it_quotes() -> None:
    page = night_html(tables({"kind": "drift", "subject": "usage <b>"}))
    assert "<b>" not in page
    assert "drift: usage &lt;b&gt;" in page
    assert not re.search(r"(src|href)=|<script|https?://(?!www\.w3\.org/2000/svg)", page)
    assert "rate by EM (estimate)" in page


def test_a_quiet_night_says_so() -> None:
    assert "Nothing that changes decisions." in night_html(tables())
    assert "Nothing that changes decisions." in night_markdown(tables())


def test_every_alarm_is_a_row_of_the_artifact_that_a_bar_in_a_sentence_does_not_break() -> None:
    told = night_markdown(tables({"kind": "drift", "subject": "usage", "says": "one | two", "muted_by": None}))
    assert "| drift: usage | word | 0.50 | one / two | word |" in told


def test_the_history_is_drawn_also_before_any_night_has_matured() -> None:
    assert "no night has matured yet" in history_svg(rows(BACKTEST))
    assert "2026-01-05: 0.50, sound" in history_svg(tables()[BACKTEST.name])
