"""Opens a source of any kind, and says what is wrong with one that cannot be read, never with a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import adbc_driver_manager.dbapi as adbc
import pyarrow as pa
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from churn.errors import SourceMismatch, SourceUnreachable
from schemas.columns import Table
from store.database_readers import database_reader
from store.file_readers import file_reader
from store.masking import without_password
from store.source_names import is_url, source_name, source_url

_UNREACHABLE = (adbc.Error, SQLAlchemyError, OSError, ImportError)


class Reader(Protocol):
    """Reads tables from one source, by the source's own column names."""

    def schema(self, table: Table) -> pa.Schema:
        """The columns that the source has for the table; SourceMismatch where it has no such table."""

    def blocks(self, table: Table) -> Iterator[pa.Table]:
        """The table's rows, in any order."""


@dataclass(frozen=True, slots=True)
class _Told:
    """Passes on what a reader reads, and its failures as errors that name the source and hold no secret."""

    reader: Reader
    source: str

    def schema(self, table: Table) -> pa.Schema:
        with _failures_told(self.source):
            return self.reader.schema(table)

    def blocks(self, table: Table) -> Iterator[pa.Table]:
        with _failures_told(self.source):
            yield from self.reader.blocks(table)


def open_source(source: str) -> Reader:
    """The reader of a SQLAlchemy URL, of a .csv or .parquet file, or of a folder of <table>.parquet files.

    SourceUnreachable, at once or while reading, says why the source cannot be read.
    """
    with _failures_told(source):
        return _Told(database_reader(source_url(source)) if is_url(source) else file_reader(Path(source)), source)


@contextmanager
def _failures_told(source: str) -> Iterator[None]:
    try:
        yield
    except pa.ArrowInvalid as failed:
        raise SourceMismatch(str(failed), where=source_name(source), to_do="Correct the file.") from None
    except NoSuchModuleError:
        raise _unreachable("no driver for this kind of database is installed", source) from None
    except _UNREACHABLE as failed:
        raise _unreachable(_first_line(failed), source) from None


def _unreachable(reason: str, source: str) -> SourceUnreachable:
    advice = "Check that the source is there, is what its name says, and lets this user read it."
    told = without_password(reason, source_url(source)) if is_url(source) else reason
    return SourceUnreachable(told, where=source_name(source), to_do=advice)


def _first_line(failed: BaseException) -> str:
    reason = getattr(failed, "orig", None) or failed
    return str(reason).partition("\n")[0]
