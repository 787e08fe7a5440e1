"""Makes the tables and views in a database, and writes into it what each of them and of their columns is.

All that is made is a list of statements, so that one digest says whether a database has the shape that this release
asks for. Where it has not, views and descriptions are made anew, and tables take their rows along: what they hold
follows from the schemas, and so does their shape. What people wrote follows from nothing: the registry's tables and the
interventions change by written steps, see store/migrations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement, SetColumnComment, SetTableComment

from store import (
    access_tables,
    intervention_tables,
    monitoring_tables,
    parity_tables,
    registry_tables,
    shadow_tables,
)
from store.claims import lease_functions
from store.migrated_views import migrated_views
from store.migrations import HEAD, migrate
from store.partitions import attach_function
from store.reshaping import make_tables
from store.roles import OF_ROLES, grant_again
from store.tables import TABLES_OF, alone, data_dictionary, metadata, structure
from store.views import View, of_ours_alone, views

_DIGESTS: MutableMapping[str, str] = {}  # by dialect, since each engine has a dialect of its own


def create_all(engine: Engine) -> None:
    """Gives the database the tables and views of this release, however many processes ask for it at once.

    PublicationError where a newer release made tables that this one does not know, or where somebody's own view stands
    on one of ours; RegistryError where a newer release changed the tables of the migrations. It is done whole or not at
    all: whoever dies at it leaves the database as it was.
    """
    wanted = _digest(engine.dialect)
    with engine.connect() as connection:
        if _stored(connection) == wanted:
            return
    with alone(engine) as connection, of_ours_alone():
        if _stored(connection) != wanted:
            migrate(connection)
            _make(connection)
            connection.execute(sa.delete(structure))
            connection.execute(sa.insert(structure).values(digest=wanted))


def missing_views(connection: Connection) -> list[View]:
    """The views of this release that somebody dropped, or never made."""
    found = set(sa.inspect(connection).get_view_names())
    return [view for view in _all_views(connection.dialect) if view.name not in found]


def make_missing_views(engine: Engine) -> None:
    """Makes the views that somebody dropped; who does not own the tables leaves that to who does."""
    with engine.connect() as connection:
        if not missing_views(connection):
            return
    with suppress(ProgrammingError), alone(engine) as connection:
        for view in missing_views(connection):
            _execute(connection, view.statements(connection.dialect))
        grant_again(connection)


def table_statements(dialect: Dialect) -> list[str]:
    """The statements that make the tables, with their indices and, where the database keeps them, their comments."""
    return [text for table in metadata.sorted_tables for text in _table_statements(table, dialect)]


def view_statements(dialect: Dialect) -> list[str]:
    """The statements that make the views, with their comments where the database keeps them."""
    return [text for view in _all_views(dialect) for text in view.statements(dialect)]


def function_statements(dialect: Dialect) -> list[str]:
    """The statements that make the functions, which PostgreSQL alone has."""
    if dialect.name == "sqlite":
        return []
    # So that nobody's temporary table stands in for one of ours.
    safe = "SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)"
    loaded = (table for tables in TABLES_OF.values() for table in tables)
    made = [attach_function(loaded), *lease_functions()]
    return [safe, *made, f"REVOKE ALL ON FUNCTION {', '.join(sorted(OF_ROLES))} FROM PUBLIC"]


def _table_statements(table: sa.Table, dialect: Dialect) -> Iterator[str]:
    parts: list[DDLElement] = [CreateTable(table), *(CreateIndex(index) for index in _by_name(table.indexes))]
    if dialect.supports_comments:
        parts += [SetTableComment(table), *(SetColumnComment(column) for column in table.columns)]
    yield from (str(part.compile(dialect=dialect)).strip() for part in parts)


def _by_name(indices: Iterable[sa.Index]) -> list[sa.Index]:
    return sorted(indices, key=lambda index: str(index.name))


def _all_views(dialect: Dialect) -> tuple[View, ...]:
    return (*views(dialect.name), *migrated_views())


def _digest(dialect: Dialect) -> str:
    """Worked out once a process: it follows from the code alone, and costs as much as a small query."""
    if dialect.name not in _DIGESTS:
        _DIGESTS[dialect.name] = _digest_of_all(dialect)
    return _DIGESTS[dialect.name]


def _digest_of_all(dialect: Dialect) -> str:
    statements = [*table_statements(dialect), *view_statements(dialect), *function_statements(dialect)]
    words = [f"{said['relation']} {said['name']} {said['description']}" for said in _descriptions(dialect)]
    return hashlib.sha256("\n".join([HEAD, *statements, *words]).encode()).hexdigest()


def _stored(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(structure.name):
        return None
    return connection.scalar(sa.select(structure.c.digest))


def _make(connection: Connection) -> None:
    dialect = connection.dialect
    for name in set(sa.inspect(connection).get_view_names()) & {view.name for view in _all_views(dialect)}:
        connection.exec_driver_sql(f"DROP VIEW {name}")
    make_tables(connection)
    _execute(connection, view_statements(dialect))
    _execute(connection, function_statements(dialect))
    _describe(connection)
    grant_again(connection)


def _execute(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _describe(connection: Connection) -> None:
    """Fills the data dictionary, which BI can ask in databases that keep no comments, too."""
    connection.execute(sa.delete(data_dictionary))
    connection.execute(sa.insert(data_dictionary), list(_descriptions(connection.dialect)))


def _descriptions(dialect: Dialect) -> Iterator[dict[str, str | int]]:
    for table in (*metadata.sorted_tables, *_migrated()):
        columns = {column.name: str(column.comment) for column in table.columns}
        yield from _described("table", table.name, str(table.comment), columns)
    for view in _all_views(dialect):
        yield from _described("view", view.name, view.description, view.described())


def _migrated() -> list[sa.Table]:
    """The tables of the migrations, whoever of them this process uses: else the digest would differ by process."""
    modules = (access_tables, intervention_tables, monitoring_tables, parity_tables, registry_tables, shadow_tables)
    found = {table.name: table for module in modules for table in vars(module).values() if isinstance(table, sa.Table)}
    return [found[name] for name in sorted(found)]


def _described(kind: str, name: str, description: str, columns: dict[str, str]) -> Iterator[dict[str, str | int]]:
    yield {"relation": name, "place": 0, "kind": kind, "name": name, "description": description}
    for place, (column, said) in enumerate(columns.items(), start=1):
        yield {"relation": name, "place": place, "kind": "column", "name": column, "description": said}
