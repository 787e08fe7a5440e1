"""What the service needs before it lets anybody in: keys, users, limits, and the log of look-ups."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from fastapi import FastAPI
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from api.attempts import Attempts
from api.harvest import Harvest
from api.limits import Limiter
from api.security import Principal
from api.tokens import LONGEST_LIFE, TokenReader
from churn.errors import StoreUnreachable
from store.audit import audit_key, record_alarm
from store.keyring import open_keyring
from store.rate_limits import open_buckets
from store.service_database import service_engine
from store.settings import Settings
from store.users import Users

HARVESTED = "lookups"
LOOK_AGAIN_SECONDS = 8.0  # after which a worker learns who was disabled or changed meanwhile


def guard(app: FastAPI, settings: Settings) -> None:
    """Hangs it all up in the app's state; SettingsError where a key is missing, so that nothing starts without."""
    # An engine of its own: its connections are not those that look-ups wait for.
    app.state.door_engine = engine = service_engine(settings.database_url)
    app.state.keyring = open_keyring(settings)
    app.state.tokens = TokenReader(app.state.keyring)
    app.state.audit_key = audit_key(settings)
    app.state.users = Users(engine)
    app.state.buckets = open_buckets(settings, engine)
    app.state.attempts = Attempts(app.state.buckets, beside_users=not settings.redis_url)
    app.state.limiter = Limiter(app.state.buckets, settings.rates, partial(_notice_harvest, engine))
    app.state.harvest = Harvest(app.state.buckets, partial(record_alarm, engine))


async def watch(app: FastAPI) -> None:
    """Refuses tokens that were given before their holder was disabled or changed, until it is cancelled.

    While the database does not answer, whoever was shut out stays out, and nobody waits for it.
    """
    users: Users = app.state.users
    tokens: TokenReader = app.state.tokens
    changed = partial(users.changed_within, 2 * LONGEST_LIFE)
    loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1, "door")
    try:
        while True:
            with suppress(StoreUnreachable, SQLAlchemyError):
                tokens.shut_out(await loop.run_in_executor(thread, changed))
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
    finally:
        thread.shutdown(wait=False, cancel_futures=True)


def leave(app: FastAPI) -> None:
    """Gives back what `guard` took, when the app ends."""
    limiter: Limiter = app.state.limiter
    limiter.close()
    harvest: Harvest = app.state.harvest
    harvest.close()
    app.state.door_engine.dispose()


def _notice_harvest(engine: Engine, kind: str, principal: Principal) -> None:
    """Writes down for the auditor who wants to see more customers than anybody can talk to."""
    if kind == HARVESTED:
        record_alarm(engine, principal.name, "looks up more customers than one person talks to")
