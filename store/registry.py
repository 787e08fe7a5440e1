"""The registry of record: which models there are, which one is champion, and who moved it there when and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from churn.errors import NoChampion, PromotionRefused, RegistryError
from store.settings import Settings
from store.tables import alone, answering, engine_for

ALL = "all"  # the segment whose champion also serves every segment that has none of its own

registry_metadata = sa.MetaData()

model_version = sa.Table(
    "model_version",
    registry_metadata,
    sa.Column("contract", sa.String(100), primary_key=True, comment="Name of the contract the model is for"),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False, comment="1, 2, ... within the contract"),
    sa.Column("digest", sa.String(64), nullable=False, comment="sha256 that names the artifact"),
    sa.Column("registered_at", sa.DateTime, nullable=False, comment="When, in UTC"),
    sa.UniqueConstraint("contract", "digest"),
    comment="Every model ever registered",
)

_IS_A_VERSION = ["model_version.contract", "model_version.version"]

alias = sa.Table(
    "alias",
    registry_metadata,
    sa.Column("contract", sa.String(100), primary_key=True, comment="Name of the contract"),
    sa.Column("segment", sa.String(100), primary_key=True, comment="Segment that the champion scores, or all"),
    sa.Column("version", sa.Integer, nullable=False, comment="The champion; it cannot be deleted while it is"),
    sa.ForeignKeyConstraint(["contract", "version"], _IS_A_VERSION),
    comment="The champion of each segment now",
)

alias_event = sa.Table(
    "alias_event",
    registry_metadata,
    sa.Column("event", sa.Integer, primary_key=True, comment="1, 2, ... in the order in which they happened"),
    sa.Column("happened_at", sa.DateTime, nullable=False, comment="When, in UTC"),
    sa.Column("contract", sa.String(100), nullable=False, comment="Name of the contract"),
    sa.Column("segment", sa.String(100), nullable=False, comment="Segment whose champion changed"),
    sa.Column("kind", sa.String(20), nullable=False, comment="promotion or rollback"),
    sa.Column("from_version", sa.Integer, comment="Champion before; null if there was none"),
    sa.Column("to_version", sa.Integer, nullable=False, comment="Champion from then on"),
    sa.Column("who", sa.String(200), nullable=False, comment="Person or flow that moved it"),
    sa.Column("why", sa.Text, nullable=False, comment="The reason given"),
    sa.ForeignKeyConstraint(["contract", "to_version"], _IS_A_VERSION),
    comment="Every change of champion; rows are only ever added",
)

PROMOTION, ROLLBACK = "promotion", "rollback"


@dataclass(frozen=True, slots=True)
class Version:
    """A registered model."""

    contract: str
    version: int
    digest: str
    registered_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One change of champion; times are naive and in UTC."""

    happened_at: datetime
    contract: str
    segment: str
    kind: str
    from_version: int | None
    to_version: int
    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Promotion:
    """A wish: `version` as champion of all of `segments` at once, where `expected` (or nobody) is champion now."""

    contract: str
    version: int
    expected: int | None
    who: str
    why: str
    segments: tuple[str, ...] = (ALL,)


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Registry:
    """Versions and champions in one database; every change is one transaction."""

    engine: Engine
    clock: Callable[[], datetime] = _utc_now

    def create_tables(self) -> None:
        """Makes the registry's tables where they are not there yet."""
        with alone(self.engine) as connection:
            registry_metadata.create_all(connection)

    def register(self, contract: str, digest: str) -> int:
        """The number of the model of that digest, which is a new one only the first time it is registered."""
        with alone(self.engine) as connection:
            known = connection.scalar(_number(contract, digest))
            return known if known is not None else self._add(connection, contract, digest)

    def resolve(self, contract: str, segment: str = ALL) -> Version:
        """The champion of the segment, or of all where the segment has none of its own; NoChampion if neither is."""
        query = (
            sa.select(model_version, alias.c.segment)
            .join_from(alias, model_version)
            .where(alias.c.contract == contract, alias.c.segment.in_({segment, ALL}))
        )
        with self.engine.connect() as connection:
            found = {row.segment: row for row in connection.execute(query)}
        if not found:
            raise NoChampion("no model is champion", where=f"{contract}, segment {segment}", to_do="Train one first.")
        return _version(found.get(segment) or found[ALL])

    def versions(self, contract: str) -> tuple[Version, ...]:
        """All models of the contract, the oldest first."""
        query = sa.select(model_version).where(model_version.c.contract == contract).order_by(model_version.c.version)
        with self.engine.connect() as connection:
            return tuple(_version(row) for row in connection.execute(query))

    def promote(self, wish: Promotion) -> None:
        """Makes the version champion of all of the wish's segments, or of none.

        Raises PromotionRefused where another than the expected version is champion, RegistryError where the
        version is not registered.
        """
        with alone(self.engine) as connection:
            self._require(connection, wish.contract, wish.version)
            for segment in wish.segments:
                _require_expected(connection, wish, segment)
                self._move(connection, wish, segment, PROMOTION)

    def rollback(self, contract: str, segment: str = ALL, *, who: str, why: str) -> int:
        """Gives the place back to the champion before the present one was promoted, and returns its number."""
        with alone(self.engine) as connection:
            now = _champion(connection, contract, segment)
            before = connection.scalar(_predecessor(contract, segment, now))
            if before is None:
                raise NoChampion("nobody was champion before", where=f"{contract}, segment {segment}")
            self._move(connection, Promotion(contract, before, now, who, why), segment, ROLLBACK)
        return before

    def history(self, contract: str, segment: str = ALL) -> tuple[Event, ...]:
        """Every change of the segment's champion, the oldest first."""
        columns = [alias_event.c[name] for name in Event.__slots__]
        query = sa.select(*columns).where(*_of(alias_event, contract, segment)).order_by(alias_event.c.event)
        with self.engine.connect() as connection:
            return tuple(Event(**row._mapping) for row in connection.execute(query))

    def champion_at(self, contract: str, segment: str, moment: datetime) -> int | None:
        """The number of the segment's champion at a moment (naive, UTC); None if there was none."""
        past = [event.to_version for event in self.history(contract, segment) if event.happened_at <= moment]
        return past[-1] if past else None

    def _add(self, connection: Connection, contract: str, digest: str) -> int:
        newest = sa.select(sa.func.max(model_version.c.version)).where(model_version.c.contract == contract)
        version = (connection.scalar(newest) or 0) + 1
        values = {"contract": contract, "version": version, "digest": digest, "registered_at": self.clock()}
        connection.execute(model_version.insert().values(values))
        return version

    def _require(self, connection: Connection, contract: str, version: int) -> None:
        there = sa.select(model_version.c.version).where(
            model_version.c.contract == contract, model_version.c.version == version
        )
        if connection.scalar(there) is None:
            raise RegistryError(f"there is no version {version}", where=contract, to_do="Register the model first.")

    def _move(self, connection: Connection, wish: Promotion, segment: str, kind: str) -> None:
        place = {"contract": wish.contract, "segment": segment}
        if wish.expected is None:
            connection.execute(alias.insert().values(**place, version=wish.version))
        else:
            connection.execute(alias.update().where(*_of(alias, **place)).values(version=wish.version))
        event = Event(
            happened_at=self.clock(),
            **place,
            kind=kind,
            from_version=wish.expected,
            to_version=wish.version,
            who=wish.who,
            why=wish.why,
        )
        connection.execute(alias_event.insert().values({name: getattr(event, name) for name in Event.__slots__}))


def open_registry(settings: Settings) -> Registry:
    """The registry in the settings' database, its tables made where they are not there yet.

    StoreUnreachable where the database does not answer.
    """
    registry = Registry(engine_for(settings.database_url))
    with answering(registry.engine):
        registry.create_tables()
    return registry


def _require_expected(connection: Connection, wish: Promotion, segment: str) -> None:
    now = _champion(connection, wish.contract, segment)
    if now != wish.expected:
        there, expected = (f"version {one}" if one else "nobody" for one in (now, wish.expected))
        raise PromotionRefused(
            f"{there} is champion, not {expected}",
            where=f"{wish.contract}, segment {segment}",
            to_do="Look at who was promoted meanwhile, and decide again.",
        )


def _champion(connection: Connection, contract: str, segment: str) -> int | None:
    return connection.scalar(sa.select(alias.c.version).where(*_of(alias, contract, segment)))


def _number(contract: str, digest: str) -> sa.Select[tuple[int]]:
    return sa.select(model_version.c.version).where(
        model_version.c.contract == contract, model_version.c.digest == digest
    )


def _predecessor(contract: str, segment: str, version: int | None) -> sa.Select[tuple[int | None]]:
    """Who was champion when the version was last promoted; going back twice goes back two champions."""
    return (
        sa.select(alias_event.c.from_version)
        .where(*_of(alias_event, contract, segment), alias_event.c.to_version == version)
        .where(alias_event.c.kind == PROMOTION)
        .order_by(alias_event.c.event.desc())
        .limit(1)
    )


def _of(table: sa.Table, contract: str, segment: str) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.contract == contract, table.c.segment == segment


def _version(row: Row[Any]) -> Version:
    return Version(row.contract, row.version, row.digest, row.registered_at)
