"""Who may publish what: the rows that claims leave in the database, the fence between them, and the pointers."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.exc import SQLAlchemyError

from churn.errors import AlreadyRunning, Fenced, PublicationError
from store.tables import FENCE, IN_FLIGHT, LAPSED, MOST_BASES, current_pointer, night_pointer, publication

# A run that is silent for so long is dead. Whoever works under a claim does so inside `keeping`, which renews the
# lease at every beat, and may miss several of them without losing it.
LEASE = timedelta(minutes=10)
BEAT = timedelta(minutes=2)


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
    """The right to publish a unit, for as long as no younger fence has taken it over.

    One that was `forced` is published even where its rows are those that readers see already.
    """

    unit: Unit
    run_id: str
    fence: int
    content_key: str
    forced: bool = False


def shown_from(connection: Connection, unit: Unit, content_key: str) -> Row[Any] | None:
    """The run that readers of the unit's night see, if it is made of that content.

    An earlier revision does not count: where A was published, then B, then A comes again, readers see B.
    """
    shown = sa.select(publication).join(night_pointer, night_pointer.c.run_id == publication.c.run_id)
    same = shown.where(_is_of(unit), publication.c.content_key == content_key)
    return connection.execute(same).one_or_none()


def new_claim(connection: Connection, unit: Unit, content: Content, lease: timedelta, *, forced: bool = False) -> Claim:
    """A claim with the youngest fence of all; AlreadyRunning if another run holds the unit and is alive."""
    abandon_dead(connection)
    _take_over(connection, unit)
    _require_place(connection, unit)
    now = database_now(connection)
    made_of = {"content_key": content.key, "extract_digest": content.extract}
    run = _new_run(connection, unit, state="claimed", claimed_at=now, lease_until=now + lease, **made_of)
    return Claim(unit, run["run_id"], run[FENCE], content.key, forced)


def new_failure(connection: Connection, unit: Unit, state: str, reason: str) -> None:
    """A run that ended before it claimed the night, so that `night_status` tells of it.

    Where another run holds the night and is alive, nothing is noted: that one will tell what became of the night.
    """
    now, holder = database_now(connection), _holder(connection, unit)
    if holder is None or holder.lease_until <= now:
        _new_run(connection, unit, state=state, claimed_at=now, lease_until=now, ended_at=now, reason=reason)


def _new_run(connection: Connection, unit: Unit, **facts: Any) -> dict[str, Any]:
    """Adds a run with the youngest fence of all."""
    fence = 1 + (connection.scalar(sa.select(sa.func.max(publication.c.fence))) or 0)
    name = {"run_id": f"{fence:06d}-{secrets.token_hex(4)}", FENCE: fence}
    night = {"contract": unit.contract, "kind": unit.kind, "as_of": unit.as_of, "known_at": unit.known_at}
    run = name | night | facts
    connection.execute(sa.insert(publication).values(run))
    return run


@dataclass(frozen=True, slots=True)
class Keeping:
    """A claim that is renewed in the background for as long as somebody works under it."""

    claim: Claim
    ended: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Fenced if the claim was lost, so that long work need not go on to its end."""
        if self.gone.is_set():
            raise lost(self.claim)

    def beat(self, engine: Engine, lease: timedelta, pause: timedelta) -> None:
        """Renews the claim after every pause, until the work has ended or the claim is lost."""
        while not self.gone.is_set() and not self.ended.wait(pause.total_seconds()):
            # A database that stays away is met by whoever works, and the lease outlives a few beats.
            with suppress(SQLAlchemyError):
                self.renew(engine, lease)

    def renew(self, engine: Engine, lease: timedelta) -> None:
        """Renews the claim once, or remembers why that could not be."""
        try:
            renew(engine, self.claim, lease)
        except Fenced:
            # A claim that was used has ended, too, and nobody who still tidies up behind it has lost anything.
            (self.ended if _was_published(engine, self.claim) else self.gone).set()


@contextmanager
def keeping(engine: Engine, claim: Claim, *, lease: timedelta = LEASE, beat: timedelta = BEAT) -> Iterator[Keeping]:
    """Renews the claim now, and while the work inside goes on; Fenced, now or at its end, if the claim was lost."""
    renew(engine, claim, lease)
    kept = Keeping(claim)
    renewal = threading.Thread(target=kept.beat, args=(engine, lease, beat), name=f"keeps {claim.run_id}", daemon=True)
    renewal.start()
    try:
        yield kept
    except Exception:
        with suppress(SQLAlchemyError):
            kept.renew(engine, lease)
        kept.check()  # what fails once the night was taken over fails for that reason
        raise
    finally:
        kept.ended.set()
        renewal.join()
    kept.check()


def renew(engine: Engine, claim: Claim, lease: timedelta = LEASE) -> None:
    """Keeps the claim for another while, by the database's clock; Fenced if it was lost."""
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            change_held(connection, claim, lease_until=database_now(connection) + lease)
        return
    # The server ends the transaction by itself: a process that stood still before it did would hold the row for ever.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(sa.select(sa.func.renew_run(claim.run_id, lease.total_seconds()))):
            raise lost(claim)


def still_held(claim: Claim, dialect: str) -> sa.Select[Any]:
    """Finds the claim's run while the claim holds; in PostgreSQL nobody takes it over before the commit then."""
    if dialect == "sqlite":
        return sa.select(publication.c.run_id).where(_is_held(claim))
    return sa.select(sa.func.hold_run(claim.run_id).column_valued("run_id"))


def lease_functions() -> Iterator[str]:
    """The statements that make `renew_run` and `hold_run`, which are all that a loader may do to the row of a run.

    He keeps its claim alive for one lease more at most, and keeps others from taking it over while he writes. He can
    neither shorten a lease, which would give another's night away, nor have one that never ends.
    """
    in_flight = ", ".join(f"'{state}'" for state in IN_FLIGHT)
    # The states are constants of ours.
    held = f"run_id = run AND state IN ({in_flight})"
    longest = LEASE.total_seconds()
    renewed = f"timezone('utc', clock_timestamp()) + make_interval(secs => least(seconds, {longest:.0f}))"
    yield f"""
CREATE OR REPLACE FUNCTION renew_run(run text, seconds double precision) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE publication SET lease_until = greatest(lease_until, {renewed}) WHERE {held};
    RETURN FOUND;
END
$$"""  # noqa: S608
    yield f"""
CREATE OR REPLACE FUNCTION hold_run(run text) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT run_id FROM publication WHERE {held} FOR SHARE
$$"""  # noqa: S608


def change_held(connection: Connection, claim: Claim, **values: Any) -> None:
    """Changes the claim's row; Fenced if the claim no longer holds."""
    if not _changed(connection, claim, values):
        raise lost(claim)


def end(connection: Connection, claim: Claim, state: str, reason: str) -> None:
    """Ends the claim's run unpublished; one that had ended before stays as it was."""
    _changed(connection, claim, {"state": state, "reason": reason, "ended_at": database_now(connection)})


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


def abandon_dead(connection: Connection) -> None:
    """Abandons the runs of all units whose lease ran out, since nobody may ever ask for their nights again.

    One that writes rows at this moment, or stands still while it does, is left to the next time.
    """
    run = publication.c
    dead = sa.select(run.run_id).where(run.state.in_(IN_FLIGHT), run.lease_until <= database_now(connection))
    for run_id in connection.scalars(dead.with_for_update(skip_locked=True)).all():
        _abandon(connection, run_id)


def under_way(connection: Connection) -> list[Row[Any]]:
    """The runs that somebody works on: in flight, and their lease has not run out."""
    run = publication.c
    alive = sa.select(publication).where(run.state.in_(IN_FLIGHT), run.lease_until > database_now(connection))
    return list(connection.execute(alive))


def _take_over(connection: Connection, unit: Unit) -> None:
    """Abandons the unit's run in flight if its lease ran out."""
    holder = _holder(connection, unit)
    if holder is None:
        return
    if holder.lease_until > database_now(connection):
        raise AlreadyRunning(
            f"run {holder.run_id} holds it, until {holder.lease_until:%Y-%m-%d %H:%M:%S} UTC unless it asks for more",
            where=str(unit),
            to_do="Wait for that run to end, or for its lease to run out.",
        )
    _abandon(connection, holder.run_id)


def _abandon(connection: Connection, run_id: str) -> None:
    abandoned = {"state": "abandoned", "reason": LAPSED, "ended_at": database_now(connection)}
    connection.execute(sa.update(publication).where(publication.c.run_id == run_id).values(abandoned))


def _require_place(connection: Connection, unit: Unit) -> None:
    """Refuses one base more than the current views can show, before anything is scored for it."""
    shown = sa.select(current_pointer.c.contract).where(current_pointer.c.kind == unit.kind)
    bases = set(connection.scalars(shown)) | {unit.contract}
    if len(bases) > MOST_BASES:
        raise PublicationError(
            f"the current views show {MOST_BASES} bases already, and no more",
            where=str(unit),
            to_do="Publish this base to a database of its own: name one in CHURN_DATABASE_URL.",
        )


def _is_of(unit: Unit) -> sa.ColumnElement[bool]:
    run = publication.c
    return sa.and_(run.contract == unit.contract, run.kind == unit.kind, run.as_of == unit.as_of)


def _is_held(claim: Claim) -> sa.ColumnElement[bool]:
    return sa.and_(publication.c.run_id == claim.run_id, publication.c.state.in_(IN_FLIGHT))


def _was_published(engine: Engine, claim: Claim) -> bool:
    run = sa.select(publication.c.state).where(publication.c.run_id == claim.run_id)
    with engine.connect() as connection:
        return connection.scalar(run) == "published"


def _changed(connection: Connection, claim: Claim, values: dict[str, Any]) -> bool:
    return connection.execute(sa.update(publication).where(_is_held(claim)).values(values)).rowcount == 1


def _holder(connection: Connection, unit: Unit) -> Row[Any] | None:
    """The unit's run in flight, alive or not; an index lets it be one at most."""
    run = sa.select(publication).where(_is_of(unit), publication.c.state.in_(IN_FLIGHT))
    return connection.execute(run).one_or_none()


def _moved(connection: Connection, pointer: sa.Table, which: dict[str, Any], shown: dict[str, Any]) -> bool:
    """Moves a pointer on, never to an older fence nor to an older date; whether it now shows the run."""
    place = sa.and_(*(pointer.c[name] == value for name, value in which.items()))
    if connection.execute(sa.select(pointer.c.run_id).where(place)).one_or_none() is None:
        connection.execute(sa.insert(pointer).values(which | shown))
        return True
    onward = sa.and_(place, pointer.c[FENCE] < shown[FENCE], pointer.c.as_of <= shown["as_of"])
    return connection.execute(sa.update(pointer).where(onward).values(shown)).rowcount == 1
