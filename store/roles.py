"""The roles that share the work in PostgreSQL, so that none of them can do what is another's; SQLite has no roles.

loader     makes, fills and attaches the partition of a run that somebody claimed, keeps that claim alive meanwhile,
           and moves no pointer
publisher  claims nights, ends runs and moves pointers, and writes no row of theirs; keeps what watching them, their
           shadows and their lots told, and promotes nobody
reader     asks the views and the data dictionary, which show whole published nights
auditor    asks which runs there were, who moved what and who was contacted, but no run's rows, and writes nothing; the
           log of looks at customers is read by `churn user audit`, which writes down that it was
service    answers for the API: asks what it shows, writes down who looked, what was asked, what teams wrote back and
           which lists left, adds users, and changes nothing of what was published, promoted or written down

Roles do not log in by themselves: grant each of them to the users of the database that shall have it. What is older
than a night's work, such as sweeping what dead runs left, stays with the owner of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from churn.errors import SettingsError
from store.migrated_views import MIGRATED_VIEWS
from store.tables import TABLES_OF, alone, database_role, permitted
from store.views import views

LOADER, PUBLISHER, READER, AUDITOR, SERVICE = ROLES = ("loader", "publisher", "reader", "auditor", "service")

_LOADED = tuple(table.name for tables in TABLES_OF.values() for table in tables)
_POINTERS = ("night_pointer", "current_pointer")
# What a night asks to be pinned to its champions, and to the effects of actions that have been told.
_CHAMPIONS = ("model_version", "alias", "alembic_version", "uplift")
# What is kept of nights once they are published.
_TOLD_OF_NIGHTS = (
    "monitoring_feature", "monitoring_score", "monitoring_decision", "monitoring_backtest", "alarm", "parity",
    "shadow", "shadow_night", "shadow_score", "lift", "uplift",
)  # fmt: skip
_CONTACTS = ("intervention", "handover")  # whom a list leaves alone for a while, and whether one was sent
_ALL_BUT_ROWS = "*"  # every table that holds no run's rows, whatever release or migration made it
# But these: hashes of passwords, a log that nobody reads unseen, and answers that tell of customers.
_CLOSED = {"service_user", "lookup_audit", "answered_request"}
_VIEWS = (*(view.name for view in views("postgresql")), *MIGRATED_VIEWS)
_ANSWERS = ("publication", *_POINTERS, *_LOADED, "alias_event", "verdict", "lift", "data_dictionary")
_REQUESTS = ("rate_bucket", "answered_request", "job")  # what was asked of the API, until it is worked off
_NUMBERS_OF_LOOKS = "lookup_audit_entry_seq"

# What each role may do with which tables and views.
GRANTS: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = MappingProxyType(
    {
        LOADER: (("SELECT", ("publication", "structure", "database_role", *_CHAMPIONS)),),
        PUBLISHER: (
            ("SELECT", (*_LOADED, "structure", *_CHAMPIONS, *_CONTACTS)),
            ("SELECT, INSERT, UPDATE", ("publication", *_POINTERS)),
            ("SELECT, INSERT, UPDATE, DELETE", _TOLD_OF_NIGHTS),
            ("SELECT", ("mute",)),
            ("INSERT", ("handover",)),
        ),
        READER: (("SELECT", (*_VIEWS, "data_dictionary")),),
        AUDITOR: (("SELECT", (_ALL_BUT_ROWS, "night_status", "night_alerts")),),
        SERVICE: (
            ("SELECT", (*_VIEWS, *_ANSWERS, "structure", *_CHAMPIONS, *_CONTACTS, "service_user")),
            ("INSERT", ("lookup_audit", "service_user", *_CONTACTS)),
            ("SELECT (entry)", ("lookup_audit",)),  # an insertion gives its number back
            ("SELECT, INSERT, UPDATE, DELETE", _REQUESTS),
        ),
    }
)

# The functions that do for a role what it may not do to the tables themselves: see store/claims.py and partitions.py.
FUNCTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {LOADER: ("attach_run", "renew_run", "hold_run"), PUBLISHER: ("renew_run",)}
)
OF_ROLES = frozenset(name for names in FUNCTIONS.values() for name in names)


def grant_roles(engine: Engine, prefix: str = "churn") -> dict[str, str]:
    """Makes the roles `<prefix>_loader` and so on with their rights and no others; gives the name of each.

    It may be repeated. What a release makes later is granted as it is made. SettingsError in SQLite, and where the
    database's user may make no roles.
    """
    if engine.dialect.name == "sqlite":
        raise SettingsError("SQLite has no roles", where="CHURN_DATABASE_URL", to_do="Use PostgreSQL, or no roles.")
    names = {role: f"{prefix}_{role}" for role in ROLES}
    with permitted(), alone(engine) as connection:
        for role, name in names.items():
            _make(connection, name)
            _remember(connection, role, name)
        grant_again(connection)
    return names


def grant_again(connection: Connection) -> None:
    """Gives every role that was made its rights on the tables and views of now, and takes away all others."""
    if connection.dialect.name == "sqlite" or not sa.inspect(connection).has_table(database_role.name):
        return
    there = sa.text("name IN (SELECT rolname FROM pg_roles)")
    given = sa.select(database_role).where(there).order_by(database_role.c.name)
    for name, role in connection.execute(given).all():
        _grant(connection, role, _quoted(connection, name))


def _remember(connection: Connection, role: str, name: str) -> None:
    connection.execute(sa.delete(database_role).where(database_role.c.name == name))
    connection.execute(sa.insert(database_role).values(name=name, role=role))


def _make(connection: Connection, name: str) -> None:
    there = connection.scalar(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name})
    if not there:
        connection.exec_driver_sql(f"CREATE ROLE {_quoted(connection, name)} NOLOGIN")


def _grant(connection: Connection, role: str, name: str) -> None:
    schema = _quoted(connection, connection.scalar(sa.text("SELECT current_schema()")))
    for sort in ("TABLES", "SEQUENCES", "FUNCTIONS"):
        connection.exec_driver_sql(f"REVOKE ALL ON ALL {sort} IN SCHEMA {schema} FROM {name}")
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    for rights, relations in GRANTS[role]:
        found = _found(connection, relations)
        if found:  # what a later migration makes is granted with it
            connection.exec_driver_sql(f"GRANT {rights} ON {', '.join(found)} TO {name}")
    for function in FUNCTIONS.get(role, ()):
        connection.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION {function} TO {name}")
    if role == LOADER:
        connection.exec_driver_sql(f"GRANT CREATE ON SCHEMA {schema} TO {name}")
        # The owner takes a partition over when it is attached, and may only take from roles that he is a member of.
        connection.exec_driver_sql(f"GRANT {name} TO CURRENT_USER")

    if role == SERVICE and sa.inspect(connection).has_sequence(_NUMBERS_OF_LOOKS):
        connection.exec_driver_sql(f"GRANT USAGE ON SEQUENCE {_NUMBERS_OF_LOOKS} TO {name}")


def _found(connection: Connection, relations: Iterable[str]) -> list[str]:
    """Those of the tables and views that are there."""
    there = sa.inspect(connection)
    tables, wanted = set(there.get_table_names()), set(relations)
    if _ALL_BUT_ROWS in wanted:
        wanted |= {name for name in tables if name.partition("_run_")[0] not in _LOADED} - _CLOSED
    return sorted(wanted & (tables | set(there.get_view_names())))


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
