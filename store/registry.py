"""The registry of record: which models there are, which one is champion, and who moved it there when and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from churn.errors import NoChampion, PromotionRefused, RegistryError
from churn.segments import ALL as ALL
from store.migrations import bring_up_to_date
from store.registry_tables import alias, alias_event, model_version
from store.registry_tables import verdict as verdict_table
from store.settings import Settings
from store.tables import alone, answering, engine_for

PROMOTION, ROLLBACK = "promotion", "rollback"


@dataclass(frozen=True, slots=True)
class Version:
    """A registered model; a deleted one keeps its row and has no artifact any more. Times are naive and in UTC."""

    contract: str
    version: int
    digest: str
    registered_at: datetime
    deleted_at: datetime | None = None
    deleted_by: str | None = None
    why_deleted: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One change of champion; `overridden` is the refusal that did not stop it. Times are naive and in UTC."""

    happened_at: datetime
    contract: str
    segment: str
    kind: str
    from_version: int | None
    to_version: int
    who: str
    why: str
    overridden: str | None = None


@dataclass(frozen=True, slots=True)
class VerdictEntry:
    """What the gate said of a version that wants to be a segment's champion, compared with `against_version`.

    `rule` is the first that refused, `says` the findings in sentences; the registry's clock gives `judged_at`.
    """

    contract: str
    version: int
    segment: str
    against_version: int | None
    gate: str
    gate_digest: str
    passed: bool
    rule: str | None
    says: str
    judged_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """A wish: `version` as champion of all of `segments` at once, where `expected` (or nobody) is champion now.

    `expected` is one version for every segment, or each segment's own; a segment that is not in it has nobody.
    `override` promotes against the gate's refusal, which the event then keeps.
    """

    contract: str
    version: int
    expected: Mapping[str, int | None] | int | None
    who: str
    why: str
    segments: tuple[str, ...] = (ALL,)
    override: bool = False

    def expected_in(self, segment: str) -> int | None:
        """Who is thought to be the segment's champion now."""
        return self.expected.get(segment) if isinstance(self.expected, Mapping) else self.expected


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Registry:
    """Versions and champions in one database; every change is one transaction."""

    engine: Engine
    clock: Callable[[], datetime] = _utc_now

    def register(self, contract: str, digest: str) -> int:
        """The number of the model of that digest, which is a new one only the first time it is registered.

        RegistryError where this very model was deleted.
        """
        with alone(self.engine) as connection:
            known = connection.execute(_versions(contract).where(model_version.c.digest == digest)).first()
            return _kept(_version(known)).version if known else self._add(connection, contract, digest)

    def resolve(self, contract: str, segment: str = ALL) -> Version:
        """The champion of the segment, or of all where the segment has none of its own; NoChampion if neither is."""
        found = self.resolve_all(contract)
        if segment not in found and ALL not in found:
            raise NoChampion("no model is champion", where=f"{contract}, segment {segment}", to_do="Train one first.")
        return found.get(segment) or found[ALL]

    def resolve_all(self, contract: str) -> Mapping[str, Version]:
        """The champion of each segment that has one of its own, and that of all; empty where nobody is champion."""
        query = sa.select(alias.c.segment, model_version).join_from(alias, model_version)
        with self.engine.connect() as connection:
            found = connection.execute(query.where(alias.c.contract == contract).order_by(alias.c.segment))
            return {row.segment: _version(row) for row in found}

    def versions(self, contract: str) -> tuple[Version, ...]:
        """All models of the contract, the deleted ones too, the oldest first."""
        with self.engine.connect() as connection:
            found = connection.execute(_versions(contract).order_by(model_version.c.version))
            return tuple(_version(row) for row in found)

    def version(self, contract: str, number: int) -> Version:
        """The model of that number; RegistryError where there is none, or where it was deleted."""
        with self.engine.connect() as connection:
            return _required(connection, contract, number)

    def promote(self, wish: Promotion) -> None:
        """Makes the version champion of all of the wish's segments, or of none; who is champion already stays it.

        Raises PromotionRefused where another than the expected version is champion, or where the gate's last verdict
        on the version was a refusal; RegistryError where the version is not registered, or deleted. A version that was
        never judged may be promoted: the first model of a base has nobody to be compared with.
        """
        with alone(self.engine) as connection:
            _required(connection, wish.contract, wish.version)
            for segment in wish.segments:
                now = _expected_champion(connection, wish, segment)
                overridden = _overridden(connection, wish, segment)
                if now != wish.version:
                    self._move(connection, self._promotion(wish, segment, overridden))

    def rollback(self, contract: str, segment: str = ALL, *, who: str, why: str, to: int | None = None) -> int:
        """Gives the place back to an earlier champion, whatever a gate said of it, and returns its number.

        It is `to`, or the one before the present champion was promoted. Raises NoChampion where there is no such
        one, RegistryError where it was deleted.
        """
        with alone(self.engine) as connection:
            now = _champion(connection, contract, segment)
            before = _champion_before(connection, contract, segment) if to is None else to
            _required(connection, contract, before)
            _require_earlier_champion(connection, contract, segment, before)
            self._move(connection, Event(self.clock(), contract, segment, ROLLBACK, now, before, who, why))
        return before

    def champion_before(self, contract: str, segment: str = ALL) -> Version:
        """To whom `rollback` would give the place, so that it can be verified first; raises what that raises."""
        with self.engine.connect() as connection:
            return _required(connection, contract, _champion_before(connection, contract, segment))

    def delete(self, contract: str, version: int, *, who: str, why: str) -> Version:
        """Gives a model up: its row stays, since the history refers to it, and its artifact may then be removed.

        Raises RegistryError where it is some segment's champion, where there is none such, or where it was deleted.
        """
        with alone(self.engine) as connection:
            _required(connection, contract, version)
            _require_no_champion(connection, contract, version)
            deletion = {"deleted_at": self.clock(), "deleted_by": who, "why_deleted": why}
            connection.execute(model_version.update().where(*_numbered(contract, version)).values(deletion))
            return _version(connection.execute(_versions(contract).where(*_numbered(contract, version))).one())

    def record_verdict(self, entry: VerdictEntry) -> None:
        """Keeps what the gate said; RegistryError where the version is not registered, or deleted."""
        with alone(self.engine) as connection:
            _required(connection, entry.contract, entry.version)
            values = {name: getattr(entry, name) for name in VerdictEntry.__slots__}
            connection.execute(verdict_table.insert().values(values | {"judged_at": self.clock()}))

    def verdict(self, contract: str, version: int, segment: str = ALL) -> VerdictEntry | None:
        """The gate's last verdict on the version for the segment; None where it was never judged."""
        with self.engine.connect() as connection:
            return _last_verdict(connection, contract, version, segment)

    def verdicts(self, contract: str) -> tuple[VerdictEntry, ...]:
        """Everything that the gate said of the contract's models, the oldest first."""
        query = _verdicts().where(verdict_table.c.contract == contract).order_by(verdict_table.c.verdict)
        with self.engine.connect() as connection:
            return tuple(VerdictEntry(*row) for row in connection.execute(query))

    def history(self, contract: str, segment: str | None = ALL) -> tuple[Event, ...]:
        """Every change of the segment's champion, or with None of every segment's, the oldest first."""
        query = sa.select(*(alias_event.c[name] for name in Event.__slots__)).order_by(alias_event.c.event)
        wanted = (alias_event.c.contract == contract,) if segment is None else _of(alias_event, contract, segment)
        with self.engine.connect() as connection:
            return tuple(Event(*row) for row in connection.execute(query.where(*wanted)))

    def champion_at(self, contract: str, segment: str, moment: datetime) -> int | None:
        """The number of the segment's own champion at a moment (naive, UTC); None if there was none."""
        return self.champions_at(contract, moment).get(segment)

    def champions_at(self, contract: str, moment: datetime) -> Mapping[str, int]:
        """The number of each segment's own champion at a moment (naive, UTC)."""
        past = (event for event in self.history(contract, None) if event.happened_at <= moment)
        return {event.segment: event.to_version for event in past}

    def _add(self, connection: Connection, contract: str, digest: str) -> int:
        newest = sa.select(sa.func.max(model_version.c.version)).where(model_version.c.contract == contract)
        version = (connection.scalar(newest) or 0) + 1
        values = {"contract": contract, "version": version, "digest": digest, "registered_at": self.clock()}
        connection.execute(model_version.insert().values(values))
        return version

    def _promotion(self, wish: Promotion, segment: str, overridden: str | None) -> Event:
        return Event(
            happened_at=self.clock(),
            contract=wish.contract,
            segment=segment,
            kind=PROMOTION,
            from_version=wish.expected_in(segment),
            to_version=wish.version,
            who=wish.who,
            why=wish.why,
            overridden=overridden,
        )

    def _move(self, connection: Connection, event: Event) -> None:
        place = {"contract": event.contract, "segment": event.segment}
        if event.from_version is None:
            connection.execute(alias.insert().values(**place, version=event.to_version))
        else:
            connection.execute(alias.update().where(*_of(alias, **place)).values(version=event.to_version))
        connection.execute(alias_event.insert().values({name: getattr(event, name) for name in Event.__slots__}))


def open_registry(settings: Settings) -> Registry:
    """The registry in the settings' database, its tables brought to the shape that this code asks for.

    StoreUnreachable where the database does not answer, RegistryError where it is of a newer release.
    """
    registry = Registry(engine_for(settings.database_url))
    with answering(registry.engine):
        bring_up_to_date(registry.engine)
    return registry


def _required(connection: Connection, contract: str, number: int) -> Version:
    found = connection.execute(_versions(contract).where(*_numbered(contract, number))).first()
    if found is None:
        raise RegistryError(f"there is no version {number}", where=contract, to_do="Register the model first.")
    return _kept(_version(found))


def _kept(version: Version) -> Version:
    if version.deleted_at is not None:
        raise RegistryError(
            f"version {version.version} was deleted at {version.deleted_at:%Y-%m-%d %H:%M} UTC"
            f" by {version.deleted_by}: {version.why_deleted}",
            where=version.contract,
            to_do="Use another version, or train a new one.",
        )
    return version


def _require_no_champion(connection: Connection, contract: str, number: int) -> None:
    held = sa.select(alias.c.segment).where(alias.c.contract == contract, alias.c.version == number)
    segments = connection.scalars(held.order_by(alias.c.segment)).all()
    if segments:
        raise RegistryError(
            f"version {number} is champion of {', '.join(segments)}",
            where=contract,
            to_do="Promote another version there first.",
        )


def _expected_champion(connection: Connection, wish: Promotion, segment: str) -> int | None:
    now, expected = _champion(connection, wish.contract, segment), wish.expected_in(segment)
    if now != expected:
        raise PromotionRefused(
            f"{_named(now)} is champion, not {_named(expected)}",
            where=f"{wish.contract}, segment {segment}",
            to_do="Look at who was promoted meanwhile, and decide again.",
        )
    return now


def _overridden(connection: Connection, wish: Promotion, segment: str) -> str | None:
    """The refusal that the wish overrides; None where the gate refused nothing, PromotionRefused where it stands."""
    last = _last_verdict(connection, wish.contract, wish.version, segment)
    if last is None or last.passed:
        return None
    refusal = f"the gate {last.gate} refused version {wish.version} by its rule {last.rule}: {last.says}"
    if not wish.override:
        raise PromotionRefused(
            refusal,
            where=f"{wish.contract}, segment {segment}",
            to_do="Promote another version, or override the gate and say why.",
        )
    return refusal


def _require_earlier_champion(connection: Connection, contract: str, segment: str, number: int) -> None:
    was = sa.select(alias_event.c.event).where(*_of(alias_event, contract, segment), alias_event.c.to_version == number)
    is_now = number == _champion(connection, contract, segment)
    if is_now or connection.scalar(was.limit(1)) is None:
        raise NoChampion(
            f"version {number} {'is champion now' if is_now else 'was never champion'}",
            where=f"{contract}, segment {segment}",
            to_do="Name an earlier champion, or promote this version.",
        )


def _named(version: int | None) -> str:
    return f"version {version}" if version else "nobody"


def _champion(connection: Connection, contract: str, segment: str) -> int | None:
    return connection.scalar(sa.select(alias.c.version).where(*_of(alias, contract, segment)))


def _champion_before(connection: Connection, contract: str, segment: str) -> int:
    """Who was champion when the present one was promoted; going back twice goes back two champions."""
    events = alias_event.c
    promotions = (
        sa.select(events.from_version)
        .where(*_of(alias_event, contract, segment), events.kind == PROMOTION)
        .where(events.to_version == _champion(connection, contract, segment))
        .where(events.from_version.is_distinct_from(events.to_version))  # earlier releases wrote those down, too
    )
    before = connection.scalar(promotions.order_by(events.event.desc()).limit(1))
    if before is None:
        raise NoChampion("nobody was champion before", where=f"{contract}, segment {segment}")
    return int(before)


def _last_verdict(connection: Connection, contract: str, version: int, segment: str) -> VerdictEntry | None:
    judged = _verdicts().where(*_of(verdict_table, contract, segment), verdict_table.c.version == version)
    found = connection.execute(judged.order_by(verdict_table.c.verdict.desc()).limit(1)).first()
    return VerdictEntry(*found) if found else None


def _verdicts() -> sa.Select[Any]:
    return sa.select(*(verdict_table.c[name] for name in VerdictEntry.__slots__))


def _versions(contract: str) -> sa.Select[Any]:
    return sa.select(model_version).where(model_version.c.contract == contract)


def _numbered(contract: str, number: int) -> tuple[sa.ColumnElement[bool], ...]:
    return model_version.c.contract == contract, model_version.c.version == number


def _of(table: sa.Table, contract: str, segment: str) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.contract == contract, table.c.segment == segment


def _version(row: Row[Any]) -> Version:
    return Version(*(getattr(row, name) for name in Version.__slots__))
