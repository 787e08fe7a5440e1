"""Keeps which lists were sent, since what a team works from is never altered."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from churn.errors import PublicationError, RequestError
from store.claims import Unit, database_now
from store.intervention_tables import handover, intervention
from store.migrations import bring_up_to_date
from store.tables import LISTED, alone, answering, night_pointer


def hand_over(engine: sa.Engine, unit: Unit, run_id: str) -> None:
    """Writes down, once, that the run's list leaves the house; nobody alters it from then on.

    RequestError where readers of the night see another run's by now.
    """
    with answering(engine):
        bring_up_to_date(engine)
    with alone(engine) as connection:  # no other list takes its place before this is written down
        _require_shown(connection, unit, run_id)
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        left = {"contract": unit.contract, "as_of": unit.as_of, "run_id": run_id}
        row = left | {"recorded_at": database_now(connection)}
        connection.execute(dialect.insert(handover).values(row).on_conflict_do_nothing())


def waves_sent(connection: Connection) -> set[tuple[str, date]]:
    """The base and the date of every list that was sent: it was handed over, or something of it was written back."""
    waves = [sa.select(table.c.contract, table.c.as_of) for table in _there(connection)]
    return {(wave.contract, wave.as_of) for wave in connection.execute(sa.union(*waves))} if waves else set()


def was_sent(connection: Connection, unit: Unit) -> bool:
    """Whether the unit's list was."""
    waves = (
        sa.exists().where(table.c.contract == unit.contract, table.c.as_of == unit.as_of)
        for table in _there(connection)
    )
    return any(connection.scalar(sa.select(wave)) for wave in waves)


def require_unsent(connection: Connection, unit: Unit) -> None:
    """PublicationError where the unit is a list that was sent, whoever wants to put another in its place, and how."""
    if unit.kind == LISTED and was_sent(connection, unit):
        raise PublicationError(
            "it was sent, and no other takes its place",
            where=str(unit),
            to_do="Nothing: the list stays as it was sent. Decide that of another night.",
        )


def _there(connection: Connection) -> list[sa.Table]:
    """The tables that tell of lists in use; a database that never had any contact has neither."""
    inspector = sa.inspect(connection)
    return [table for table in (handover, intervention) if inspector.has_table(table.name)]


def _require_shown(connection: Connection, unit: Unit, run_id: str) -> None:
    night = (night_pointer.c[name] == getattr(unit, name) for name in ("contract", "kind", "as_of"))
    if connection.scalar(sa.select(night_pointer.c.run_id).where(*night)) != run_id:
        raise RequestError(
            "another list took its place just now", where=str(unit), to_do="Hand that one over: ask again."
        )
