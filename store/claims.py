"""Who may publish what: the rows that claims leave in the database, the fence between them, and the pointers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from churn.errors import AlreadyRunning, Fenced
from store.tables import FENCE, IN_FLIGHT, current_pointer, night_pointer, publication

# A run that is silent for so long is dead. From the seal on every step and every loaded file renews the lease; between
# the claim and the seal whoever writes the files has to call `Publisher.renew`.
LEASE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Unit:
    """What is published as a whole: one kind, `scores` or `outreach`, of one base for one date."""

    contract: str
    kind: str
    as_of: date
    known_at: datetime

    def __str__(self) -> str:
        return f"{self.kind} of {self.contract} as of {self.as_of}"


@dataclass(frozen=True, slots=True)
class Content:
    """What a run's rows are made of: `key` digests all that decides them, `extract` is the digest of the source."""

    key: str
    extract: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to publish a unit, for as long as no younger fence has taken it over."""

    unit: Unit
    run_id: str
    fence: int
    content_key: str


def shown_from(connection: Connection, unit: Unit, content_key: str) -> Row[Any] | None:
    """The run that readers of the unit's night see, if it is made of that content.

    An earlier revision does not count: where A was published, then B, then A comes again, readers see B.
    """
    shown = sa.select(publication).join(night_pointer, night_pointer.c.run_id == publication.c.run_id)
    same = shown.where(_is_of(unit), publication.c.content_key == content_key)
    return connection.execute(same).one_or_none()


def new_claim(connection: Connection, unit: Unit, content: Content, lease: timedelta) -> Claim:
    """A claim with the youngest fence of all; AlreadyRunning if another run holds the unit and is alive."""
    _take_over(connection, unit)
    fence = 1 + (connection.scalar(sa.select(sa.func.max(publication.c.fence))) or 0)
    claim = Claim(unit, f"{fence:06d}-{secrets.token_hex(4)}", fence, content.key)
    moment = database_now(connection)
    run = {
        "run_id": claim.run_id,
        "contract": unit.contract,
        "kind": unit.kind,
        "as_of": unit.as_of,
        "known_at": unit.known_at,
        "content_key": content.key,
        "extract_digest": content.extract,
        FENCE: fence,
        "state": "claimed",
        "claimed_at": moment,
        "lease_until": moment + lease,
    }
    connection.execute(sa.insert(publication).values(run))
    return claim


def still_held(claim: Claim) -> sa.Select[Any]:
    """Finds the claim's run while the claim holds; in PostgreSQL nobody takes it over before the commit then."""
    return sa.select(publication.c.run_id).where(_is_held(claim)).with_for_update(read=True)


def change_held(connection: Connection, claim: Claim, **values: Any) -> None:
    """Changes the claim's row; Fenced if the claim no longer holds."""
    if not _changed(connection, claim, values):
        raise lost(claim)


def end(connection: Connection, claim: Claim, state: str, reason: str) -> None:
    """Ends the claim's run unpublished; one that had ended before keeps its state, and is to be swept once more."""
    if not _changed(connection, claim, {"state": state, "reason": reason}):
        swept = sa.update(publication).where(publication.c.run_id == claim.run_id)
        connection.execute(swept.values(swept_at=None))  # it may have written since, not knowing that it had ended


def lost(claim: Claim) -> Fenced:
    """The error of a claim that no longer holds."""
    return Fenced(
        f"run {claim.run_id} no longer holds it: it ended, or its lease ran out and another run took over",
        where=str(claim.unit),
        to_do="Nothing: readers see the last whole night.",
    )


def latest_revision(connection: Connection, unit: Unit) -> int:
    """How often the night was published so far."""
    return connection.scalar(sa.select(sa.func.max(publication.c.revision)).where(_is_of(unit))) or 0


def move_pointers(connection: Connection, claim: Claim) -> None:
    """Shows the run to the readers of its night, and to those of the newest night unless a newer one is published."""
    unit = claim.unit
    which = {"contract": unit.contract, "kind": unit.kind}
    shown = {"as_of": unit.as_of, "run_id": claim.run_id, FENCE: claim.fence}
    if not _moved(connection, night_pointer, which | {"as_of": unit.as_of}, shown):
        raise lost(claim)
    _moved(connection, current_pointer, which, shown)


def database_now(connection: Connection) -> datetime:
    """The database's clock in UTC, since those of the machines may differ."""
    if connection.dialect.name == "sqlite":
        text: str = connection.exec_driver_sql("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')").scalar_one()
        return datetime.fromisoformat(text)
    clock = sa.func.timezone("utc", sa.func.clock_timestamp(), type_=sa.DateTime)
    return connection.execute(sa.select(clock)).scalar_one()


def _take_over(connection: Connection, unit: Unit) -> None:
    """Abandons the unit's run in flight if its lease ran out."""
    holder = _youngest(connection, sa.and_(_is_of(unit), publication.c.state.in_(IN_FLIGHT)))
    if holder is None:
        return
    if holder.lease_until > database_now(connection):
        raise AlreadyRunning(
            f"run {holder.run_id} holds it, until {holder.lease_until:%Y-%m-%d %H:%M:%S} UTC unless it asks for more",
            where=str(unit),
            to_do="Wait for that run to end, or for its lease to run out.",
        )
    abandoned = sa.update(publication).where(publication.c.run_id == holder.run_id)
    connection.execute(abandoned.values(state="abandoned", reason="its lease ran out"))


def _is_of(unit: Unit) -> sa.ColumnElement[bool]:
    run = publication.c
    return sa.and_(run.contract == unit.contract, run.kind == unit.kind, run.as_of == unit.as_of)


def _is_held(claim: Claim) -> sa.ColumnElement[bool]:
    return sa.and_(publication.c.run_id == claim.run_id, publication.c.state.in_(IN_FLIGHT))


def _changed(connection: Connection, claim: Claim, values: dict[str, Any]) -> bool:
    return connection.execute(sa.update(publication).where(_is_held(claim)).values(values)).rowcount == 1


def _youngest(connection: Connection, which: sa.ColumnElement[bool]) -> Row[Any] | None:
    runs = sa.select(publication).where(which).order_by(publication.c.fence.desc()).limit(1)
    return connection.execute(runs).one_or_none()


def _moved(connection: Connection, pointer: sa.Table, which: dict[str, Any], shown: dict[str, Any]) -> bool:
    """Moves a pointer on, never to an older fence nor to an older date; whether it now shows the run."""
    place = sa.and_(*(pointer.c[name] == value for name, value in which.items()))
    if connection.execute(sa.select(pointer.c.run_id).where(place)).one_or_none() is None:
        connection.execute(sa.insert(pointer).values(which | shown))
        return True
    onward = sa.and_(place, pointer.c[FENCE] < shown[FENCE], pointer.c.as_of <= shown["as_of"])
    return connection.execute(sa.update(pointer).where(onward).values(shown)).rowcount == 1
