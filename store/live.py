"""One customer's row of the contract: as the last night kept it, and as the source tells it at this moment.

The night's own SQL makes both, of everybody or of one customer, so that they differ in nothing but what is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from churn.errors import SourceUnreachable
from churn.single_bucket import single_bucket
from churn.snapshot import CONTEXT_TABLES, customer_sql, empty_table_sql
from schemas.columns import Column, Role, Table
from schemas.contract import Contract
from store.decisions import snapshot_of
from store.lake import Lake, bucket_file
from store.one_row import Ask, Row, Step, one_row
from store.runs import shown_run
from store.service_database import CONNECT_SECONDS, STATEMENT_SECONDS
from store.settings import Settings
from store.tables import SCORED, session_options

DAYS_BEHIND = 2  # a base whose newest night is older than this may lack the months since
MOST_FACTS = 5_000  # of one customer in one table
_READ_ONLY = f"-c default_transaction_read_only=on -c statement_timeout={STATEMENT_SECONDS * 1000}"
_CONTEXT = "context"  # store/snapshots.py has the word, too, and brings DuckDB with it
_OF_CONTEXT = {"households": "household_id", "regions": "region"}  # each with what it tells of


def date_described(night: date, today: date) -> date:
    """The date that a live row is as of: tomorrow, so that what happened today counts.

    Not where tomorrow begins a month, of which the usage has not come yet; and of a base that is behind, or simulated,
    it is the night's own date, since no source is asked for months that it may not have.
    """
    if today - night > timedelta(days=DAYS_BEHIND):
        return night
    tomorrow = today + timedelta(days=1)
    return today if tomorrow.day == 1 else tomorrow


@dataclass(frozen=True)
class Kept:
    """What the last night knew: its snapshot in the lake, and what of it no single customer can know."""

    folder: Path
    contract: Contract
    ask: Ask = one_row

    def row(self, customer_id: str) -> Row | None:
        """The customer's row as it was scored; None where it is not there, or the files are gone by now.

        SourceMismatch where a file was changed.
        """
        buckets = len(list(self.folder.glob("bucket=*.parquet")))
        if not buckets:
            return None
        file = self.folder / bucket_file(single_bucket(customer_id, buckets))
        query = f'SELECT * FROM read_parquet(?) WHERE "{self.contract.key}" = ?'  # noqa: S608 - a contract's column
        found = None
        with suppress(SourceUnreachable):
            found = self.ask([Step(query, [str(file), customer_id])])
        return {name: found.get(name) for name in self.contract.customer.names} if found else None

    def context(self) -> Iterator[Step]:
        """What makes the context tables, with the rows of the one customer's household and region."""
        for name in CONTEXT_TABLES:
            file, told_of = self.folder / _CONTEXT / f"{name}.parquet", _OF_CONTEXT[name]
            rows = f"SELECT * FROM read_parquet(?) SEMI JOIN customers USING ({told_of})"  # noqa: S608 - names of ours
            yield Step(f"CREATE TABLE {name} AS {rows}", [str(file)])


def kept_snapshot(engine: Engine, settings: Settings, contract: Contract, night: date) -> Kept | None:
    """The snapshot of a published night; None where it is kept no longer."""
    shelf = _Shelf(engine, Lake(settings.lake))
    run = shown_run(shelf, contract.name, SCORED, night)
    folder = snapshot_of(run, shelf.lake) if run else None
    return Kept(folder, contract) if folder else None


@dataclass(frozen=True, slots=True)
class _Shelf:
    """No whole publisher, whose ways to publish are 14 MB that a worker of the service does without."""

    engine: Engine
    lake: Lake


@dataclass(frozen=True)
class LiveSource:
    """The source of a contract, asked for one customer by key; its tables want an index on that column."""

    url: str
    contract: Contract
    ask: Ask = one_row

    def row(self, customer_id: str, kept: Kept, as_of: date, now: datetime) -> Row | None:
        """The customer as of the date as far as it is known now; None where the source has no such live customer.

        SourceUnreachable where the source cannot be asked for one customer, or does not answer; SourceMismatch where
        its values are not of the contract's types.
        """
        facts = [step for table, rows in self._facts(customer_id) for step in _filled(table, rows)]
        customer = customer_sql(self.contract)
        if self.contract.flat:
            return self.ask([*facts, Step(customer)])
        return self.ask([*facts, *kept.context(), Step(customer, {"as_of": as_of, "known_at": now})])

    @cached_property
    def _engine(self) -> Engine:
        """Reads, and never writes; SourceUnreachable where there is no database."""
        if "://" not in self.url or self.contract.surrogate_key:
            raise SourceUnreachable("it is read as a whole, at night alone", to_do="Name a database with keys in it.")
        url = make_url(self.url)
        if url.get_backend_name() == "sqlite":
            file = f"sqlite:///file:{quote(str(Path(str(url.database)).resolve()))}?mode=ro&uri=true"
            return sa.create_engine(file, poolclass=NullPool)
        if url.get_backend_name() == "postgresql":
            patience = {"connect_timeout": CONNECT_SECONDS, "options": session_options(url, _READ_ONLY)}
            return sa.create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool, connect_args=patience)
        return sa.create_engine(url, poolclass=NullPool)

    def _facts(self, customer_id: str) -> list[tuple[Table, Sequence[Any]]]:
        """The customer's rows of each source table, at one moment; what fails repeats nothing of what they hold."""
        try:
            with self._engine.connect() as connection:
                return [(table, self._of_table(connection, table, customer_id)) for table in self.contract.sources]
        except SQLAlchemyError as failed:
            raise SourceUnreachable(f"it does not answer ({type(failed).__name__})") from None

    def _of_table(self, connection: Connection, table: Table, customer_id: str) -> Sequence[Any]:
        key: sa.ColumnElement[Any] = sa.column(table.column(self.contract.key).source_name)
        asked = sa.select(*map(_asked, table.columns)).select_from(sa.table(table.name))
        return connection.execute(asked.where(key == customer_id).limit(MOST_FACTS)).all()


def _asked(column: Column) -> sa.ColumnElement[Any]:
    """The column by the source's name for it; a label is what nobody knows yet."""
    return sa.null() if column.has(Role.LABEL) else sa.column(column.source_name)


def _filled(table: Table, facts: Sequence[Any]) -> Iterator[Step]:
    """What makes the table with these rows."""
    yield Step(empty_table_sql(table))
    if facts:
        one = f"({', '.join('?' * len(table.columns))})"
        rows = f'INSERT INTO "{table.name}" VALUES {", ".join([one] * len(facts))}'  # noqa: S608 - a contract's table
        yield Step(rows, [value for fact in facts for value in fact])
