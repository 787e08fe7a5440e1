"""The database as the service asks it: few connections, little patience; and what it says of the last night."""

from __future__ import annotations

import sqlite3
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from churn.errors import StoreUnreachable
from store.tables import address_of, engine_for, session_options

CONNECTIONS = 4  # as many as threads look up
MORE_CONNECTIONS = 8  # that other kinds of work may have opened for a while, so that look-ups need not wait for theirs
STATEMENT_SECONDS = 1
CONNECT_SECONDS = 2  # the least that PostgreSQL's library knows

_NEWEST = sa.text("SELECT as_of, age_hours, stale FROM score_current WHERE contract = :contract LIMIT 1").columns(
    as_of=sa.Date, age_hours=sa.Double, stale=sa.Boolean
)


@dataclass(frozen=True, slots=True)
class NightShown:
    """The night that readers see: how long ago it was published, and whether a newer one is due."""

    as_of: date
    age_hours: float
    stale: bool


@dataclass(slots=True)
class Heard:
    """Whether the database has answered anything since `listen` was called, by whatever thread that led to."""

    answered: bool = False


_heard: ContextVar[Heard | None] = ContextVar("heard", default=None)


def listen() -> Heard:
    """What is to be heard of the database from now on, in this task and in the threads that it waits for."""
    heard = Heard()
    _heard.set(heard)
    return heard


def service_engine(url: str) -> Engine:
    """An engine that gives up after a second, where a night would wait for as long as it takes; see `listen`, too."""
    engine = _impatient(url)
    sa.event.listen(engine, "after_cursor_execute", _hear)
    return engine


def _hear(*_: Any) -> None:
    if heard := _heard.get():
        heard.answered = True


def _impatient(url: str) -> Engine:
    address = address_of(url)
    if address.get_backend_name() == "sqlite":
        engine = engine_for(url)
        sa.event.listen(engine, "connect", lambda opened, entry: opened.execute(_BUSY))
        return engine
    return sa.create_engine(
        address,
        pool_size=CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
        pool_timeout=STATEMENT_SECONDS,
        pool_pre_ping=True,  # after the server was restarted all connections of the pool are dead
        connect_args={
            "connect_timeout": CONNECT_SECONDS,
            "options": session_options(address, f"-c statement_timeout={STATEMENT_SECONDS * 1000}"),
            "tcp_user_timeout": STATEMENT_SECONDS * 1000,  # a line that swallows everything
        },
    )


_BUSY = f"PRAGMA busy_timeout = {STATEMENT_SECONDS * 1000}"


def night_shown(engine: Engine, contract: str) -> NightShown | None:
    """The newest published night; None before the first. DBAPIError where the database does not answer."""
    try:
        with engine.connect() as connection:
            found = connection.execute(_NEWEST, {"contract": contract}).one_or_none()
    except DBAPIError as failed:
        if is_outage(failed):
            raise
        return None  # there are no views before the first night
    return NightShown(*found) if found else None


def is_outage(error: Exception) -> bool:
    """Whether the database is away or too slow, and not only asked for something that it does not have."""
    if isinstance(error, StoreUnreachable | NoFreeConnection):
        return True
    if not isinstance(error, OperationalError):
        return isinstance(error, DBAPIError) and error.connection_invalidated
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code != sqlite3.SQLITE_ERROR  # by which SQLite means a statement about tables that are not there
