"""What tests ask for: settings on a folder of their own, and fresh databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from store.settings import Settings, read_settings
from tests import postgres_server


@pytest.fixture(scope="session", autouse=True)
def unsigned_models_will_do() -> Iterator[None]:
    """Who reads this process's settings finds development mode; tests of signatures make settings of their own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CHURN_MODE", "development")
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose data, artifacts and database lie in the test's own folder."""
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs a PostgreSQL server, so that `-m "not postgres"` leaves it out."""
    for item in items:
        if "postgres_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.postgres)
