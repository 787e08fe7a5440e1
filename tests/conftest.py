"""What tests ask for: settings on a folder of their own, and fresh databases."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url

from store import loading
from store.settings import Settings, read_settings
from tests import postgres_server, sharing
from tests.databases import make_tables, tables_in
from tests.memory import folder_of_this_run

# Each process of a run has one core, and threads that wait for each other take the other's by turning on the spot.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(scope="session", autouse=True)
def unsigned_models_will_do() -> Iterator[None]:
    """Who reads this process's settings finds development mode; tests of signatures make settings of their own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CHURN_MODE", "development")
        yield


@pytest.fixture(scope="session", autouse=True)
def loaded_as_csv() -> Iterator[None]:
    """PostgreSQL takes small nights as CSV: ADBC reads the types of all tables first, and twice for each table.

    What goes by ADBC all the same: whole nights, and the runs that faults meet in processes of their own.
    """
    with pytest.MonkeyPatch.context() as here:
        here.setattr(loading, "best_way", lambda: loading.Way.CSV)
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose data, artifacts and database lie in the test's own folder; its tables are there already."""
    tables_in(tmp_path / "data" / "churn.db")
    home = {"CHURN_HOME": str(tmp_path), "CHURN_MODE": "development"}
    plenty = {"CHURN_RATES": "lookups=60000"}  # a test asks more quickly than a person, unless it is about that
    return read_settings({**home, **plenty, "CHURN_CORES": "2", "CHURN_BUCKETS": "4"})


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[URL]:
    """The one PostgreSQL server of the session, started when the first test asks for it."""
    with postgres_server.server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server_url: URL) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database."""
    with postgres_server.database(postgres_server_url) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh, empty database, once SQLite and once PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fresh.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="session")
def postgres_template(postgres_server_url: URL) -> Iterator[str]:
    """The name of a PostgreSQL database with all tables and no rows, to be copied."""
    with postgres_server.database(postgres_server_url) as url:
        make_tables(url)
        yield str(make_url(url).database)


@pytest.fixture
def postgres_with_tables(postgres_server_url: URL, postgres_template: str) -> Iterator[str]:
    """The URL of a PostgreSQL database of the test's own, with all tables and no rows."""
    with postgres_server.database(postgres_server_url, postgres_template) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_with_tables(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with all tables and no rows, once SQLite and once PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tables_in(tmp_path / 'fresh.db')}"
    return str(request.getfixturevalue("postgres_with_tables"))


@pytest.hookimpl(tryfirst=True)  # before pytest settles where the folders of tests are
def pytest_configure(config: pytest.Config) -> None:
    """Has the tests' folders in memory, and gone at the end; who wants to look at them says `--basetemp`."""
    _keep_bytecode()
    os.environ.update(ONE_THREAD)
    if config.option.basetemp is None and (folder := folder_of_this_run()):
        config.option.basetemp = folder
        config.add_cleanup(partial(shutil.rmtree, folder, ignore_errors=True))


def _keep_bytecode() -> None:
    """Lets this process and all that it starts keep what they compile, also where the environment forbids it.

    Great Expectations and Prefect are more than 2,000 files each, and the tests start them a hundred times.
    """
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(optionalhook=True)  # of xdist, which `-p no:xdist` leaves out
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> sharing.ByWhatIsShared:
    """Whatever `--dist` says."""
    return sharing.ByWhatIsShared(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts long files first, and marks what needs a PostgreSQL server, so that `-m "not postgres"` leaves it out."""
    items.sort(key=sharing.place_of)
    for item in items:
        if {"postgres_url", "postgres_with_tables"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.postgres)
