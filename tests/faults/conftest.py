"""A base of the test's own, once on SQLite and once on PostgreSQL, whose first night is published."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from tests import postgres_server
from tests.faults.nights import Base, night, publish
from tests.memory import quick_folder


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def first(request: pytest.FixtureRequest) -> Iterator[Base]:
    """Whose first night is published; it is copied for each test, and never changed."""
    server = request.getfixturevalue("postgres_server_url") if request.param == "postgres" else None
    with _folder() as home, _database(home, server) as url:
        base = Base(home, url)
        publish(base.publisher(), night(0))
        yield base


@pytest.fixture
def base(first: Base, request: pytest.FixtureRequest) -> Iterator[Base]:
    """Whose readers see the first night."""
    url = make_url(first.database_url)
    server = None if url.get_backend_name() == "sqlite" else request.getfixturevalue("postgres_server_url")
    with _folder() as home, _database(home, server, template=str(url.database)) as own:
        shutil.copytree(first.home, home, dirs_exist_ok=True)
        yield Base(home, own)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="churn-faults-", dir=quick_folder()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _database(home: Path, server: URL | None, template: str = "template0") -> Iterator[str]:
    """The URL of a database of SQLite in the home, or of a copy of the template on the server."""
    if server is None:
        yield f"sqlite:///{home / 'churn.db'}"
    else:
        with postgres_server.database(server, template) as url:
            yield url
