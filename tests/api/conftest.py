"""What the tests of the service ask for: a champion, and the service that answers with it."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.app import create_app
from store.registry import Version
from store.settings import Settings
from tests.api.service import TINY, Ask, promoted, running
from tests.homes import Homes


@pytest.fixture(scope="session", autouse=True)
def nothing_stays_frozen() -> None:
    """A service freezes what it starts with; left so, DuckDB tells of it as leaks of its own when the tests end."""
    atexit.register(gc.unfreeze)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    return Homes(tmp_path_factory.mktemp("homes"))


@pytest.fixture
def before_the_first_night(settings: Settings) -> None:
    """Takes the tables away, of which the first night makes its own."""
    Path(settings.database_url.removeprefix("sqlite:///")).unlink()


@pytest.fixture
def champion(settings: Settings) -> Version:
    return promoted(settings)


@pytest.fixture
def ask(settings: Settings, champion: Version) -> Iterator[Ask]:
    with running(create_app(settings, TINY.name)) as asked:
        yield asked
