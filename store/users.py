"""Who may ask the service: added, changed and disabled by operators, known by a password that nobody can read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError

from churn.errors import RequestError
from schemas.users import LONGEST_NAME, NAME_PATTERN, Role, User
from store.access_tables import service_user
from store.claims import database_now
from store.migrations import migrated_engine
from store.settings import Settings
from store.tables import answering

if TYPE_CHECKING:
    from pwdlib import PasswordHash

LEAST_LETTERS, MOST_LETTERS = 12, 256  # of a password

# argon2id with 12 MiB and three passes, one of the settings that OWASP holds equal and enough. pwdlib's default takes
# 64 MiB, and no request may grow the service by more than 20 MB; so only one hashes at a time, too. It takes 30 ms.
MEMORY_KIB, PASSES, LANES = 12 * 1024, 3, 1
_ONE_AT_A_TIME = Lock()


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user, since when there is one of that name, and since when no token is given."""

    user: User
    created_at: datetime
    created_by: str
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Users:
    """The users of a database."""

    engine: Engine

    def add(self, user: User, password: str, who: str) -> None:
        """Adds the user; RequestError where the name is taken or impossible, or the password too short or too long."""
        _require_name(user.name)
        _require_password(password)
        row = {"name": user.name, "role": user.role.value, "password_hash": _hashed(password), "created_by": who}
        try:
            with answering(self.engine), self.engine.begin() as connection:
                now = database_now(connection)
                connection.execute(sa.insert(service_user).values(row | _limits(user) | {"created_at": now}))
        except IntegrityError:
            raise RequestError(
                f"there is a user {user.name} already", where="NAME", to_do="Take another name: it stays in the log."
            ) from None

    def of(self, name: str) -> User:
        """The user of that name, disabled or not; RequestError where there is none."""
        for known in self.all():
            if known.user.name == name:
                return known.user
        raise _nobody(name)

    def change(self, user: User, who: str) -> None:
        """Gives the user of that name this role and these limits; RequestError where there is no such user."""
        self._change(user.name, {"role": user.role.value, **_limits(user)}, who)

    def change_password(self, name: str, password: str, who: str) -> None:
        """Replaces the password; RequestError as `add`, and where there is no such user."""
        _require_password(password)
        self._change(name, {"password_hash": _hashed(password)}, who)

    def disable(self, name: str, who: str) -> None:
        """Gives the user no token from now on; RequestError where there is no such user."""
        self._change(name, {"disabled_at": self._now(), "disabled_by": who}, who)

    def enable(self, name: str, who: str) -> None:
        """Gives the user tokens again; RequestError where there is no such user."""
        self._change(name, {"disabled_at": None, "disabled_by": None}, who)

    def changed_within(self, last: timedelta) -> Mapping[str, int]:
        """The edition of each user who was changed so lately, by name: tokens of earlier ones are good no more."""
        table = service_user.c
        with answering(self.engine), self.engine.connect() as connection:
            since = database_now(connection) - last
            lately = connection.execute(sa.select(table.name, table.edition).where(table.changed_at > since))
            return {row.name: row.edition for row in lately}

    def all(self) -> Sequence[KnownUser]:
        """Every user, by name."""
        with answering(self.engine), self.engine.connect() as connection:
            rows = connection.execute(sa.select(service_user).order_by(service_user.c.name)).mappings().all()
        return [KnownUser(_user(row), row["created_at"], row["created_by"], row["disabled_at"]) for row in rows]

    def recognised(self, name: str, password: str) -> User | None:
        """The user of that name and password who is not disabled; None, after the same work, for everybody else."""
        with answering(self.engine), self.engine.connect() as connection:
            query = sa.select(service_user).where(service_user.c.name == name)
            row = connection.execute(query).mappings().one_or_none()
        known = row is not None and row["disabled_at"] is None
        fits = _fits(password, row["password_hash"] if row and known else _hash_of_nobody())
        return _user(row) if row and known and fits else None

    def _change(self, name: str, values: dict[str, Any], who: str) -> None:
        """Whatever it is, the service soon refuses the tokens that were given before."""
        table = service_user.c
        counted = {"edition": table.edition + 1, "changed_at": self._now(), "changed_by": who}
        of_name = sa.update(service_user).where(table.name == name)
        with answering(self.engine), self.engine.begin() as connection:
            changed = connection.execute(of_name.values(values | counted)).rowcount
        if not changed:
            raise _nobody(name)

    def _now(self) -> datetime:
        with answering(self.engine), self.engine.connect() as connection:
            return database_now(connection)


def open_users(settings: Settings) -> Users:
    """The users in the settings' database; raises as `store.registry.open_registry`."""
    return Users(migrated_engine(settings))


def _user(row: Any) -> User:
    return User(row["name"], Role(row["role"]), tuple(row["segments"]), tuple(row["regions"]), row["edition"])


def _limits(user: User) -> dict[str, list[str]]:
    return {"segments": list(user.segments), "regions": list(user.regions)}


def _nobody(name: str) -> RequestError:
    return RequestError(f"there is no user {name}", where="NAME", to_do="See `churn user list`.")


def _require_name(name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > LONGEST_NAME:
        raise RequestError(
            f"{name!r} cannot be a name", where="NAME", to_do=f"Take up to {LONGEST_NAME} letters, digits and . _ @ -"
        )


def _require_password(password: str) -> None:
    if not LEAST_LETTERS <= len(password) <= MOST_LETTERS:
        raise RequestError(
            f"it has {len(password)} letters", where="password", to_do=f"Take {LEAST_LETTERS} to {MOST_LETTERS}."
        )


def _hashed(password: str) -> str:
    with _ONE_AT_A_TIME:
        return _hasher().hash(password)


def _fits(password: str, password_hash: str) -> bool:
    with _ONE_AT_A_TIME:
        return _hasher().verify(password, password_hash)


@cache
def _hasher() -> PasswordHash:
    from pwdlib import PasswordHash  # only who logs in, or is added, needs it
    from pwdlib.hashers.argon2 import Argon2Hasher

    return PasswordHash((Argon2Hasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES),))


@cache
def _hash_of_nobody() -> str:
    """What the password of a name that there is not is compared with, so that it takes as long as of one there is."""
    return _hashed("nobody's")
