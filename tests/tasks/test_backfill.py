"""Which nights are caught up with, by what was published and by today's date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from churn.errors import RequestError
from store.publication import Publisher, open_publisher
from store.settings import current_settings
from tasks import backfill
from tasks.night import Night
from tests.end_to_end.nights import living_in
from tests.store.small_runs import publish


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    with living_in(tmp_path):
        yield open_publisher(current_settings())


def ago(days: int) -> date:
    return datetime.now(current_settings().zone).date() - timedelta(days=days)


def plan(until: date | None = None) -> backfill.Plan:
    return backfill.nights_missed_by.fn("telco", str(until) if until else None)


def test_a_gap_between_published_nights_is_missing_and_todays_alone_gets_a_list(publisher: Publisher) -> None:
    for days in (4, 1):
        publish(publisher, ago(days))
    missed = plan()
    assert missed.nights == (ago(3), ago(2), ago(0))
    assert missed.listed == (ago(0),)


def test_no_list_is_made_for_a_night_before_todays(publisher: Publisher) -> None:
    publish(publisher, ago(4))
    missed = plan(until=ago(2))
    assert missed.nights == (ago(3), ago(2))
    assert missed.listed == ()


def test_todays_night_is_due_until_it_has_its_list(publisher: Publisher) -> None:
    publish(publisher, ago(0))
    assert (plan().nights, plan().listed) == ((ago(0),), (ago(0),))
    publish(publisher, ago(0), kind="outreach")
    assert (plan().nights, plan().listed) == ((), ())


def test_a_night_that_is_kept_no_longer_was_published_all_the_same(publisher: Publisher) -> None:
    for days in (2, 1):
        publish(publisher, ago(days))
    with publisher.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM night_pointer WHERE fence = 1"))
        connection.execute(sa.text("UPDATE publication SET folder = NULL WHERE fence = 1"))
    assert plan(until=ago(1)).nights == ()


def test_who_never_had_a_night_has_missed_none(publisher: Publisher) -> None:
    with pytest.raises(RequestError, match="no night is published yet"):
        plan()


@pytest.mark.parametrize(("days", "todays"), [(0, True), (1, False)])
def test_teams_work_off_todays_night_alone(publisher: Publisher, days: int, todays: bool) -> None:
    night = Night("telco", "telco", ago(days), datetime.combine(ago(0), time()), Path(), "", Path(), 1)
    assert backfill.is_todays(night) is todays
