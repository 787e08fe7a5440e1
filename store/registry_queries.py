"""What the registry asks its tables, on a connection whose transaction the caller holds."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from churn.errors import RegistryError
from store.registry_entries import VerdictEntry, Version
from store.registry_tables import alias, model_version
from store.registry_tables import verdict as verdict_table

Place = tuple[str, str]  # a contract, and one of its segments


def champions(connection: Connection) -> dict[Place, int]:
    """The number of the champion of each place that has one."""
    held = connection.execute(sa.select(alias.c.contract, alias.c.segment, alias.c.version))
    return {(row.contract, row.segment): row.version for row in held}


def required(connection: Connection, contract: str, number: int) -> Version:
    """The model of that number; RegistryError where there is none, or where it was deleted."""
    found = connection.execute(versions_of(contract).where(*numbered(contract, number))).first()
    if found is None:
        raise _unknown(connection, contract, number)
    version = version_in(found)
    if version.deleted_at is not None:
        raise RegistryError(
            f"version {version.version} was deleted at {version.deleted_at:%Y-%m-%d %H:%M} UTC"
            f" by {version.deleted_by}: {version.why_deleted}",
            where=version.contract,
            to_do="Use another version, or train a new one.",
        )
    return version


def _unknown(connection: Connection, contract: str, number: int) -> RegistryError:
    if connection.execute(versions_of(contract)).first() is None:
        advice = f"Train one with `churn train --contract {contract}`, or name another contract."
        return RegistryError("no model is registered", where=contract, to_do=advice)
    advice = f"`churn model list --contract {contract}` shows the versions."
    return RegistryError(f"there is no version {number}", where=contract, to_do=advice)


def versions_of(contract: str) -> sa.Select[Any]:
    """Every model of the contract."""
    return sa.select(model_version).where(model_version.c.contract == contract)


def numbered(contract: str, number: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Narrows what is asked of versions to one."""
    return model_version.c.contract == contract, model_version.c.version == number


def version_in(row: Row[Any]) -> Version:
    """The version that a row of `versions_of` holds."""
    return Version(*(getattr(row, name) for name in Version.__slots__))


def verdicts() -> sa.Select[Any]:
    """Everything that a gate said."""
    return sa.select(*(verdict_table.c[name] for name in VerdictEntry.__slots__))


def last_verdict(connection: Connection, contract: str, version: int, segment: str) -> VerdictEntry | None:
    """What the gate said last of the version for that segment, or where it was never asked, for the version's own."""
    judged = verdicts().where(verdict_table.c.contract == contract, verdict_table.c.version == version)
    elsewhere = verdict_table.c.segment != segment
    found = connection.execute(judged.order_by(elsewhere, verdict_table.c.verdict.desc()).limit(1)).first()
    return VerdictEntry(*found) if found else None


def of(table: sa.Table, contract: str, segment: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Narrows what is asked of the table to one place."""
    return table.c.contract == contract, table.c.segment == segment
