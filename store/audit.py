"""The log of looks at customers: who saw whom, and what for, written in the same transaction as the look itself."""

from __future__ import annotations

import hmac
import logging
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from churn.errors import RequestError, SettingsError
from store.access_tables import lookup_audit
from store.claims import database_now
from store.keyring import make_once
from store.settings import Settings, is_raw_key
from store.tables import answering

VARIABLE = "CHURN_AUDIT_KEY"
KEY_BYTES = 32
ALARM, READING = "alarm", "audit"  # what else than looks at customers stands in the log
MOST_ENTRIES = 1_000  # that one reading shows

log = logging.getLogger("churn.trust")


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody who looks at customers for a purpose; customers stand in the log by their hash under the key alone.

    `counted` is told how many he is shown.
    """

    principal: str
    purpose: str
    key: bytes = field(repr=False)
    counted: Callable[[int], None] | None = field(default=None, repr=False, compare=False)

    def record(self, connection: Connection, what: str, *customers: str) -> None:
        """Writes an entry per customer into the connection's transaction: commit it before you answer.

        What is written and not yet committed when a process dies was not shown to anybody.
        """
        _write(connection, self, what, [hidden(customer, self.key) for customer in customers])
        if self.counted:
            self.counted(len(customers))


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log."""

    happened_at: datetime
    principal: str
    purpose: str
    what: str
    customer: str | None


def hidden(customer: str, key: bytes) -> str:
    """The customer's hash: whoever lacks the key can neither undo it nor try all customers."""
    return hmac.digest(key, customer.encode(), "sha256").hex()


def record_alarm(engine: Engine, principal: str, says: str) -> None:
    """Notes what somebody should look into, in the log of look-ups and in that of the program."""
    log.warning("alarm: %s: %s", principal, says)
    with answering(engine), engine.begin() as connection:
        _write(connection, Look(principal, says, b""), ALARM, [None])


def read_audit(engine: Engine, look: Look, *, customer: str | None = None, principal: str | None = None) -> list[Entry]:
    """The newest entries, the youngest first, of one customer or by one principal; this reading is an entry itself."""
    table = lookup_audit.c
    query = sa.select(*(table[name] for name in Entry.__dataclass_fields__)).order_by(table.entry.desc())
    if customer is not None:
        query = query.where(table.customer == hidden(customer, look.key))
    if principal is not None:
        query = query.where(table.principal == principal)
    with answering(engine), engine.begin() as connection:
        entries = [Entry(*row) for row in connection.execute(query.limit(MOST_ENTRIES))]
        _write(connection, look, READING, [None if customer is None else hidden(customer, look.key)])
    return entries


def require_purpose(purpose: str) -> str:
    """The purpose in one line; RequestError where it says nothing."""
    told = " ".join(purpose.split())
    if not told:
        raise RequestError("it says nothing", where="--why", to_do="Say what you look for.")
    return told


def audit_key(settings: Settings) -> bytes:
    """The key that hides customers; SettingsError where the environment names none.

    In development one is made in data/, and said aloud.
    """
    key = settings.audit_key
    if not key and settings.development:
        key = _key_of_development(settings.data / "keys" / "audit")
    if not is_raw_key(key):
        raise SettingsError(
            "it is not 32 bytes in base64" if key else "no key is named, so nobody could be looked up",
            where=VARIABLE,
            to_do="Make one with `openssl rand -base64 32`, and keep it: with another, old entries are found no more.",
        )
    return b64decode(key)


@cache
def _key_of_development(path: Path) -> str:
    """Once per process."""
    log.warning("development mode: customers are hidden in the log of look-ups by %s, made by this machine", path)
    make_once(path, b64encode(secrets.token_bytes(KEY_BYTES)).decode())
    return path.read_text(encoding="ascii").strip()


def _write(connection: Connection, look: Look, what: str, customers: Sequence[str | None]) -> None:
    entry: dict[str, Any] = {"principal": look.principal, "purpose": look.purpose, "what": what}
    entry["happened_at"] = database_now(connection)
    connection.execute(sa.insert(lookup_audit), [entry | {"customer": customer} for customer in customers])
