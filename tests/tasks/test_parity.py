"""A night is held against the service as it really runs: equal, or broken, named by column, kept and told."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa

from churn.errors import SettingsError
from schemas.messages import example_of
from schemas.parity import ParityState
from schemas.users import Role, User
from store.parity import kept_parity
from store.private_service import private_service
from store.publication import open_publisher
from store.registry import Promotion, open_registry
from store.runs import shown_run
from store.service_client import Access, Service, read_access
from store.settings import Settings, current_settings
from store.tables import engine_for
from store.users import open_users
from tasks.night import Night, Result
from tasks.parity import held, hold_against_service
from tasks.scoring import base_rows
from tests.end_to_end.nights import living_in
from tests.watched_nights import KEY, MINOR, contract, customers, publish_night, save_card

AS_OF = date(2026, 1, 1)
OWN = Access()
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with living_in(tmp_path_factory.mktemp("home"), CHURN_PARITY="on", CHURN_RATES="lookups=60000"):
        yield current_settings()


@pytest.fixture(scope="module")
def champion(settings: Settings) -> str:
    digest = save_card(settings)
    crown(settings, digest)
    return digest


@pytest.fixture(scope="module")
def night(settings: Settings, champion: str) -> Night:
    return publish_night(settings, AS_OF, whole(customers()), champion)


@pytest.fixture
def scores(settings: Settings, night: Night) -> Iterator[Result]:
    """The night's scores, which nobody has held against anything yet."""
    run = shown_run(open_publisher(settings), "telco", "scores", AS_OF)
    assert run is not None
    with engine_for(settings.database_url).begin() as connection:
        if sa.inspect(connection).has_table("parity"):
            connection.execute(sa.text("DELETE FROM parity"))
    return Result("scores", run.run_id, run.revision, run.rows, run.folder, new=True)


def crown(settings: Settings, digest: str, after: int | None = None) -> None:
    """Makes the model champion, in the place of the version that is so by then."""
    registry = open_registry(settings)
    version = registry.register("telco", digest)
    registry.promote(Promotion("telco", version, after, who="tests", why="a test", override=True))


def whole(rows: pa.Table) -> pa.Table:
    """The rows, in which no customer lacks what the service asks for."""
    for column in contract().customer.columns:
        if rows[column.name].null_count == rows.num_rows and column.required:
            values = pa.array([example_of(column)] * rows.num_rows).cast(rows[column.name].type)
            rows = rows.set_column(rows.column_names.index(column.name), column.name, values)
    return rows


def with_column(rows: pa.Table, name: str, values: object) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, values)


@pytest.fixture(scope="module")
def standing(settings: Settings, night: Night) -> Iterator[Access]:
    """A service that knows the night as a program of its users, and may be asked by several tests."""
    open_users(settings).add(User("night", Role.SERVICE), PASSWORD, who="tests")
    with private_service("telco") as started:
        yield Access(started().url, "night", PASSWORD)


def test_a_night_and_the_service_of_its_own_agree(settings: Settings, night: Night, scores: Result):
    found = hold_against_service.fn(night, scores)
    assert str(found) == "1,000 compared, equal"
    assert kept_parity(settings, scores.run_id) == found


def spelt_otherwise(rows: pa.Table) -> pa.Table:
    return with_column(rows, "region", pc.utf8_lower(rows["region"].cast(pa.string())))


def in_other_units(rows: pa.Table) -> pa.Table:
    return with_column(rows, KEY, pc.multiply(rows[KEY], 60.0))


def with_nothing_for_missing(rows: pa.Table) -> pa.Table:
    return with_column(rows, MINOR, pa.nulls(rows.num_rows, pa.int64()))


def beyond_the_contract(rows: pa.Table) -> pa.Table:
    return with_column(rows, "tickets_30d", pa.array([-1] * rows.num_rows))


SKEWS = [
    (spelt_otherwise, "region"),
    (in_other_units, KEY),
    (with_nothing_for_missing, MINOR),
    (beyond_the_contract, "tickets_30d"),
]


@pytest.mark.parametrize(("skew", "column"), SKEWS)
def test_a_planted_skew_is_named_by_its_column_flagged_and_told(
    skew, column, settings, night, scores, standing, caplog
):
    caplog.set_level(logging.INFO, "churn.events")
    found = held(night, scores, standing, lambda night, bucket: skew(base_rows(night, bucket)))
    assert (found.state, found.columns) == (ParityState.BROKEN, (column,))
    assert found.unequal > 0.5 * found.compared
    assert flags(settings) == [("telco", "2026-01-01", "broken", column)]
    assert "churn.parity.broken about telco" in caplog.text
    assert f"in {column}" in caplog.text
    with engine_for(settings.database_url).connect() as connection:
        alerts = connection.execute(sa.text("SELECT alert, kind, run_id, sentence FROM night_alerts")).all()
    assert alerts == [("parity broken", "scores", scores.run_id, found.says)]


def test_what_only_the_table_of_look_ups_has_otherwise_is_told(settings, night, scores, standing, monkeypatch):
    look_ups = Service.look_ups

    def by_a_hair(service: Service, keys: Iterable[str]) -> Iterator[dict[str, Any] | None]:
        first, *others = look_ups(service, keys)
        yield first and first | {"probability": first["probability"] + 1e-9}
        yield None
        yield from others[1:]

    monkeypatch.setattr(Service, "look_ups", by_a_hair)
    found = held(night, scores, standing)
    assert (found.state, found.unequal, found.columns) == (ParityState.BROKEN, 2, ("customer_id",))
    assert found.says == "1,000 compared, equal; looked up: 50 compared, 2 differ, by up to 1e-09 in customer_id"


def test_what_only_the_single_route_tells_otherwise_is_told(settings, night, scores, standing, monkeypatch):
    each_alone = Service.each_alone

    def with_a_skew(service: Service, customers: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        return each_alone(service, (customer | {KEY: 60.0 * customer[KEY]} for customer in customers))

    monkeypatch.setattr(Service, "each_alone", with_a_skew)
    found = held(night, scores, standing)
    assert (found.state, found.columns) == (ParityState.BROKEN, (KEY,))
    assert "1,000 compared, equal; one by one: 50 compared" in found.says


def flags(settings: Settings) -> list[tuple[str, ...]]:
    with engine_for(settings.database_url).connect() as connection:
        rows = connection.execute(sa.text("SELECT contract, as_of, state, differs_in FROM night_parity"))
        return [tuple(map(str, row)) for row in rows]


def test_a_service_that_stands_already_is_asked_as_a_program_of_its_users(night, scores, standing, settings):
    assert str(held(night, scores, standing)) == "1,000 compared, equal"
    away = Access("http://127.0.0.1:9", "night", PASSWORD)
    assert held(night, scores, away).state == "equal", "what was compared is not compared again"


def test_a_service_that_is_away_is_no_broken_parity_and_is_asked_again(night, scores, standing, caplog):
    away = held(night, scores, Access("http://127.0.0.1:9", "night", PASSWORD))
    assert str(away).startswith("not compared: http://127.0.0.1:9/api/v1/token: the service does not answer")
    assert "churn.parity.broken" not in caplog.text
    assert held(night, scores, standing).state == "equal"


def test_a_service_of_other_customers_or_that_lets_nobody_in_is_not_compared(night, scores, standing):
    elsewhere = held(replace(night, base="energy"), scores, standing)
    assert str(elsewhere) == "not compared: the service scores the customers of telco"
    stranger = held(night, scores, replace(standing, secret="a wrong password"))
    assert "the service answered 401" in str(stranger)


def test_a_champion_that_moved_is_no_broken_parity(settings, night, scores, champion, caplog):
    crown(settings, save_card(settings, intercept=-1.0), after=1)
    assert str(held(night, scores, OWN)) == "not compared: the champion moved"
    assert "churn.parity.broken" not in caplog.text
    crown(settings, champion, after=2)


def test_a_night_that_cannot_be_held_stays_published_and_says_so(night, scores, tmp_path, caplog):
    gone = replace(scores, folder=tmp_path)
    assert hold_against_service.fn(night, gone) is None
    assert "The night is published, and could not be held against the service: " in caplog.text


def test_where_nobody_wants_it_nothing_is_asked_or_kept(settings, night, scores, monkeypatch):
    monkeypatch.setenv("CHURN_PARITY", "off")
    assert hold_against_service.fn(night, scores) is None
    assert kept_parity(settings, scores.run_id) is None


WRONG = [
    # what the environment says                                                      the variable that is wrong
    ({"CHURN_PARITY": "maybe"}, "CHURN_PARITY"),
    ({"CHURN_API_URL": "churn.example.com"}, "CHURN_API_URL"),
    ({"CHURN_API_URL": "https://night:secret@churn.example.com"}, "CHURN_API_URL"),
    ({"CHURN_API_URL": "https://churn.example.com"}, "CHURN_API_CLIENT"),
    ({"CHURN_API_URL": "https://churn.example.com", "CHURN_API_CLIENT": "night"}, "CHURN_API_SECRET"),
]


@pytest.mark.parametrize(("env", "variable"), WRONG)
def test_a_service_that_is_half_named_is_refused_by_the_variable(env: dict[str, str], variable: str):
    with pytest.raises(SettingsError) as refused:
        read_access(env)
    assert refused.value.where == variable
    assert "secret" not in str(refused.value)
