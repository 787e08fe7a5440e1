"""The roles that share the work in PostgreSQL, so that none of them can do what is another's; SQLite has no roles.

loader     makes, fills and attaches the partition of a run that somebody claimed, and moves no pointer
publisher  claims nights, ends runs and moves pointers, and writes no row of theirs
reader     asks the views and the data dictionary, which show whole published nights
auditor    asks which runs there were and who moved what, and writes nothing

Roles do not log in by themselves: grant each of them to the users of the database that shall have it. What is older
than a night's work, such as sweeping what dead runs left, stays with the owner of the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from churn.errors import SettingsError
from store.tables import TABLES_OF, alone
from store.views import views

LOADER, PUBLISHER, READER, AUDITOR = ROLES = ("loader", "publisher", "reader", "auditor")

_LOADED = tuple(table.name for tables in TABLES_OF.values() for table in tables)
_POINTERS = ("night_pointer", "current_pointer")
_REGISTRY = ("model_version", "alias", "alias_event")
_VIEWS = tuple(view.name for view in views("postgresql"))

# What each role may do with which tables and views. A claim is renewed, and held against others, by its lease.
GRANTS: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = MappingProxyType(
    {
        LOADER: (("SELECT", ("publication", "structure")), ("UPDATE (lease_until)", ("publication",))),
        PUBLISHER: (
            ("SELECT", (*_LOADED, "structure")),
            ("SELECT, INSERT, UPDATE", ("publication", *_POINTERS)),
        ),
        READER: (("SELECT", (*_VIEWS, "data_dictionary")),),
        AUDITOR: (("SELECT", ("publication", *_POINTERS, "night_status", "data_dictionary", *_REGISTRY)),),
    }
)


def grant_roles(engine: Engine, prefix: str = "churn") -> dict[str, str]:
    """Makes the roles `<prefix>_loader` and so on with their rights and no others; gives the name of each.

    It may be repeated, and has to be after a release that added tables or views. SettingsError in SQLite.
    """
    if engine.dialect.name == "sqlite":
        raise SettingsError("SQLite has no roles", where="CHURN_DATABASE_URL", to_do="Use PostgreSQL, or no roles.")
    names = {role: f"{prefix}_{role}" for role in ROLES}
    with alone(engine) as connection:
        for role, name in names.items():
            _make(connection, name)
            _grant(connection, role, _quoted(connection, name))
    return names


def _make(connection: Connection, name: str) -> None:
    there = connection.scalar(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name})
    if not there:
        connection.exec_driver_sql(f"CREATE ROLE {_quoted(connection, name)} NOLOGIN")


def _grant(connection: Connection, role: str, name: str) -> None:
    there = sa.inspect(connection)
    found = {*there.get_table_names(), *there.get_view_names()}
    connection.exec_driver_sql(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {name}")
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {name}")
    for rights, relations in GRANTS[role]:
        named = ", ".join(relation for relation in relations if relation in found)
        connection.exec_driver_sql(f"GRANT {rights} ON {named} TO {name}")
    if role == LOADER:
        connection.exec_driver_sql(f"GRANT CREATE ON SCHEMA public TO {name}")
        connection.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION attach_run TO {name}")
        # The owner takes a partition over when it is attached, and may only take from roles that he is a member of.
        connection.exec_driver_sql(f"GRANT {name} TO CURRENT_USER")


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
