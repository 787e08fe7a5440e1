"""Databases that have this release's tables already: to make them anew would cost each test a tenth of a second."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from store.migrations import bring_up_to_date
from store.structure import create_all
from store.tables import engine_for


def make_tables(url: str) -> None:
    """Makes all tables of this release in an empty database."""
    engine = engine_for(url)
    create_all(engine)
    bring_up_to_date(engine)


def tables_in(place: Path) -> Path:
    """Puts a database of SQLite with all tables and no rows there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(_with_tables())
    return place


@cache
def _with_tables() -> bytes:
    with TemporaryDirectory() as folder:
        made = Path(folder) / "made.db"
        make_tables(f"sqlite:///{made}")
        return made.read_bytes()  # its log is empty: the last connection to close leaves all in the database
