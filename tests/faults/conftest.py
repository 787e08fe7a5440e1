"""A base of the test's own, once on SQLite and once on PostgreSQL, whose first night is published."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.nights import Base, night, publish

MEMORY = Path("/dev/shm")  # a killed process leaves there what it would leave on a disk, and nobody waits for one


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="churn-faults-", dir=MEMORY if MEMORY.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def base(request: pytest.FixtureRequest, home: Path) -> Base:
    """Whose readers see the first night."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{home / 'churn.db'}"
    base = Base(home, url)
    publish(base.publisher(), night(0))
    return base
