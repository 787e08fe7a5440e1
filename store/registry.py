"""The registry of record: which models there are, which one is champion, and who moved it there when and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from churn.errors import NoChampion, RegistryError
from churn.segments import ALL as ALL
from store import moves
from store.claims import database_now
from store.migrations import migrated_engine
from store.registry_entries import Event as Event
from store.registry_entries import Promotion as Promotion
from store.registry_entries import Rollback as Rollback
from store.registry_entries import VerdictEntry as VerdictEntry
from store.registry_entries import Version as Version
from store.registry_queries import (
    champions,
    last_verdict,
    numbered,
    of,
    required,
    verdicts,
    version_in,
    versions_of,
)
from store.registry_tables import alias, alias_event, model_version
from store.registry_tables import verdict as verdict_table
from store.settings import Settings
from store.tables import alone


@dataclass(frozen=True, slots=True)
class Registry:
    """Versions and champions in one database; every change is one transaction, at a moment of the database's clock."""

    engine: Engine
    clock: Callable[[Connection], datetime] = database_now

    def register(self, contract: str, digest: str) -> int:
        """The number of the model of that digest, which is a new one only the first time it is registered.

        A model that was deleted gets another number: the old one stays a deleted one for ever.
        """
        same = versions_of(contract).where(model_version.c.digest == digest, model_version.c.deleted_at.is_(None))
        with alone(self.engine) as connection:
            known = connection.execute(same).first()
            return version_in(known).version if known else self._add(connection, contract, digest)

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
            return {row.segment: version_in(row) for row in found}

    def versions(self, contract: str) -> tuple[Version, ...]:
        """All models of the contract, the deleted ones too, the oldest first."""
        with self.engine.connect() as connection:
            found = connection.execute(versions_of(contract).order_by(model_version.c.version))
            return tuple(version_in(row) for row in found)

    def version(self, contract: str, number: int) -> Version:
        """The model of that number; RegistryError where there is none, or where it was deleted."""
        with self.engine.connect() as connection:
            return required(connection, contract, number)

    def promote(self, *wishes: Promotion) -> None:
        """Grants all wishes in one transaction, or none; who is champion already stays it.

        Raises PromotionRefused where another than the expected version is champion, and, but for an override, where the
        gate's last verdict on the version was a refusal or compared it with another than who scores the segment now, or
        where there is no verdict. The first model of a base needs none: it has nobody to be compared with.
        RegistryError where the version is not registered, or deleted.
        """
        with alone(self.engine) as connection:
            self._move(connection, moves.promotions(connection, wishes, self.clock(connection)))

    def rollback(self, wish: Rollback) -> Mapping[str, int]:
        """Gives all the wish's places back to earlier champions, or none, whatever a gate said of them; tells to whom.

        Asked again with the `expected` and `to` of a wish that was granted, it changes nothing more. Raises NoChampion
        where there is no such earlier champion, RegistryError where it was deleted, PromotionRefused where another
        than the expected version is champion.
        """
        with alone(self.engine) as connection:
            self._move(connection, moves.rollbacks(connection, wish, self.clock(connection)))
            held = champions(connection)
            return {segment: held[wish.contract, segment] for segment in wish.segments}

    def way_back(self, wish: Rollback) -> Rollback:
        """The wish with every place's champion now and then by number, so that they can be verified before the move.

        Raises what `rollback` raises.
        """
        with self.engine.connect() as connection:
            return moves.way_back(connection, wish)

    def delete(self, contract: str, version: int, *, who: str, why: str) -> Version:
        """Gives a model up: its row stays, since the history refers to it, and its artifact may then be removed.

        Raises RegistryError where it is some segment's champion, where there is none such, or where it was deleted.
        """
        with alone(self.engine) as connection:
            required(connection, contract, version)
            _require_no_champion(connection, contract, version)
            deletion = {"deleted_at": self.clock(connection), "deleted_by": who, "why_deleted": why}
            connection.execute(model_version.update().where(*numbered(contract, version)).values(deletion))
            return version_in(connection.execute(versions_of(contract).where(*numbered(contract, version))).one())

    def record_verdict(self, entry: VerdictEntry) -> None:
        """Keeps what the gate said; RegistryError where the version is not registered, or deleted."""
        with alone(self.engine) as connection:
            required(connection, entry.contract, entry.version)
            values = {name: getattr(entry, name) for name in VerdictEntry.__slots__}
            connection.execute(verdict_table.insert().values(values | {"judged_at": self.clock(connection)}))

    def verdict(self, contract: str, version: int, segment: str = ALL) -> VerdictEntry | None:
        """The gate's last verdict on the version for the segment, or else for its own; None where there is none."""
        with self.engine.connect() as connection:
            return last_verdict(connection, contract, version, segment)

    def verdicts(self, contract: str) -> tuple[VerdictEntry, ...]:
        """Everything that the gate said of the contract's models, the oldest first."""
        query = verdicts().where(verdict_table.c.contract == contract).order_by(verdict_table.c.verdict)
        with self.engine.connect() as connection:
            return tuple(VerdictEntry(*row) for row in connection.execute(query))

    def history(self, contract: str, segment: str | None = ALL) -> tuple[Event, ...]:
        """Every change of the segment's champion, or with None of every segment's, the oldest first."""
        query = sa.select(*(alias_event.c[name] for name in Event.__slots__)).order_by(alias_event.c.event)
        wanted = (alias_event.c.contract == contract,) if segment is None else of(alias_event, contract, segment)
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
        values = {"contract": contract, "version": version, "digest": digest, "registered_at": self.clock(connection)}
        connection.execute(model_version.insert().values(values))
        return version

    def _move(self, connection: Connection, changes: Iterable[Event]) -> None:
        for event in changes:
            place = {"contract": event.contract, "segment": event.segment}
            connection.execute(alias_event.insert().values({name: getattr(event, name) for name in Event.__slots__}))
            if event.from_version is None:
                connection.execute(alias.insert().values(**place, version=event.to_version))
            else:
                connection.execute(alias.update().where(*of(alias, **place)).values(version=event.to_version))


def open_registry(settings: Settings) -> Registry:
    """The registry in the settings' database, its tables brought to the shape that this code asks for.

    StoreUnreachable where the database does not answer, RegistryError where it is of a newer release; see
    `store.migrations.migrated_engine`.
    """
    return Registry(migrated_engine(settings))


def _require_no_champion(connection: Connection, contract: str, number: int) -> None:
    held = sorted(
        place for (base, place), version in champions(connection).items() if (base, version) == (contract, number)
    )
    if held:
        raise RegistryError(
            f"version {number} is champion of {', '.join(held)}",
            where=contract,
            to_do="Promote another version there first.",
        )
