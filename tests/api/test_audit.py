"""A score is shown once the look stands in the log, which nobody rewrites, nor reads without an entry of his own."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from api.app import create_app
from churn.errors import SettingsError
from schemas.users import Role, User
from store.access_tables import lookup_audit
from store.audit import Look, audit_key, hidden, read_audit
from store.migrations import bring_up_to_date
from store.registry import Version
from store.settings import Settings, read_settings
from store.tables import engine_for
from tests.api.service import TINY, Ask, admission, running
from tests.api.test_customers import FIRST, publish_scores

ROOT = Path(__file__).parent.parent.parent
CUSTOMER = "/api/v1/customers/C000003"
LOOK = Look("ada", "incoming call", b"k" * 32)


@pytest.fixture
def shown(settings: Settings, champion: Version) -> Settings:
    """Settings of a base with a published night."""
    publish_scores(settings, champion, FIRST)
    return settings


def looks(settings: Settings) -> list[tuple[str, str, str, str | None]]:
    """The log: who, what for, what, and the hash of whom."""
    table = lookup_audit.c
    query = sa.select(table.principal, table.purpose, table.what, table.customer).order_by(table.entry)
    with engine_for(settings.database_url).connect() as connection:
        return [tuple(row) for row in connection.execute(query)]


def test_a_look_up_stands_in_the_log_with_who_asked_and_what_for(ask: Ask, shown: Settings):
    assert ask("GET", CUSTOMER, headers={"x-purpose": "incoming call"}).status_code == 200
    hashed = hidden("C000003", audit_key(shown))
    assert looks(shown) == [("tests", "incoming call", "lookup", hashed)]
    assert len(hashed) == 64
    assert "C000003" not in hashed


@pytest.mark.parametrize("coding", ["utf-8", "latin-1"])
def test_a_purpose_stands_in_the_log_in_the_letters_it_was_sent_in(ask: Ask, shown: Settings, coding: str):
    ask("GET", CUSTOMER, headers={"x-purpose": "f\u00fcr R\u00fcckruf".encode(coding)})
    assert [purpose for _, purpose, *_ in looks(shown)] == ["f\u00fcr R\u00fcckruf"]


@pytest.mark.parametrize("purpose", ["", "  ", "no", "x" * 201])
def test_without_a_purpose_nobody_is_shown(ask: Ask, shown: Settings, purpose: str):
    answer = ask("GET", CUSTOMER, headers={"x-purpose": purpose})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, "X-Purpose")
    assert looks(shown) == []


def test_whoever_may_not_see_a_customer_learns_not_even_that_there_is_one(shown: Settings):
    app = create_app(shown, TINY.name)
    segment = of_segment(shown)
    with running(app, who=None) as ask:
        answers = {
            limits: ask("GET", CUSTOMER, headers=admission(app, User("ada", Role.AGENT, limits)))
            for limits in ((), (segment,), ("another",))
        }
        nobody = ask("GET", "/api/v1/customers/C999999", headers=admission(app, User("ada", Role.AGENT)))
    assert [answer.status_code for answer in answers.values()] == [200, 200, 404]
    assert answers[("another",)].json() == nobody.json()
    assert len(looks(shown)) == 2, "who was shown nothing has looked at nobody"


def of_segment(settings: Settings) -> str:
    database = sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))
    try:
        return str(database.execute("SELECT segment FROM score_current WHERE customer_id = 'C000003'").fetchone()[0])
    finally:
        database.close()


CHILD = f"""
import os, signal, sys
import sqlalchemy as sa
import uvicorn
from api.app import create_app
from store.settings import read_settings

home, port, moment = sys.argv[1:]
app = create_app(read_settings({{"CHURN_HOME": home, "CHURN_MODE": "development"}}), {TINY.name!r})

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def note(connection, cursor, statement, *_):
    if "INSERT INTO lookup_audit" in statement:
        connection.info["looked"] = True

def at_commit(connection):
    if connection.info.get("looked"):
        die()

class AtAnswer:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def dying(message):
            if "customers" in scope["path"]:
                die()
            await send(message)
        await self.app(scope, receive, dying if scope["type"] == "http" else send)

if moment == "before the commit":
    sa.event.listen(app.state.engine, "after_cursor_execute", note)
    sa.event.listen(app.state.engine, "commit", at_commit)
if moment == "after the commit":
    app = AtAnswer(app)
uvicorn.run(app, port=int(port), log_level="critical")
"""


@contextmanager
def served(settings: Settings, moment: str) -> Iterator[str]:
    """The address of a process that serves, and dies at that moment of its first look-up."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(settings.data.parent), str(port), moment], cwd=ROOT)
    try:
        address = f"http://127.0.0.1:{port}"
        until_it_lives(address)
        yield address
    finally:
        child.kill()
        child.wait(10)


def until_it_lives(address: str) -> None:
    for _ in range(300):
        try:
            httpx.get(f"{address}/health/live")
            return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail("the service does not start", pytrace=False)


KILLS = [
    # moment               entries in the log
    ("before the commit", 0),
    ("after the commit", 1),
    ("never", 1),
]


@pytest.mark.parametrize(("moment", "entries"), KILLS)
def test_no_score_is_delivered_that_is_not_in_the_log(shown: Settings, moment: str, entries: int):
    headers = admission(create_app(shown, TINY.name), User("ada", Role.AGENT))
    with served(shown, moment) as address:
        try:
            delivered = httpx.get(f"{address}{CUSTOMER}", headers=headers, timeout=60).status_code == 200
        except httpx.TransportError:
            delivered = False
    assert (delivered, len(looks(shown))) == (moment == "never", entries)


CHANGES = {
    "sqlite": (
        "UPDATE lookup_audit SET principal = 'eve'",
        "DELETE FROM lookup_audit",
        "INSERT OR REPLACE INTO lookup_audit SELECT entry, happened_at, 'eve', purpose, what, NULL FROM lookup_audit",
    ),
    "postgresql": (
        "UPDATE lookup_audit SET principal = 'eve'",
        "DELETE FROM lookup_audit",
        "TRUNCATE lookup_audit",
    ),
}


def test_the_log_is_never_rewritten(database_url: str):
    engine = engine_for(database_url)
    bring_up_to_date(engine)
    with engine.begin() as connection:
        LOOK.record(connection, "lookup", "C1", "C2")
    for change in CHANGES[engine.dialect.name]:
        with pytest.raises(DBAPIError, match="only ever added"), engine.begin() as connection:
            connection.exec_driver_sql(change)
    assert [entry.principal for entry in read_audit(engine, LOOK)] == ["ada", "ada"]


def test_reading_the_log_is_an_entry_of_it(database_url: str):
    engine = engine_for(database_url)
    bring_up_to_date(engine)
    with engine.begin() as connection:
        LOOK.record(connection, "lookup", "C1", "C2")
    anna = replace(LOOK, principal="anna", purpose="a complaint")
    assert [entry.customer for entry in read_audit(engine, anna, customer="C2")] == [hidden("C2", LOOK.key)]
    assert [(one.principal, one.what) for one in read_audit(engine, anna)] == [
        ("anna", "audit"),
        ("ada", "lookup"),
        ("ada", "lookup"),
    ]


def test_in_production_nothing_starts_without_a_key(tmp_path: Path):
    place = {"CHURN_HOME": str(tmp_path)}
    with pytest.raises(SettingsError, match="CHURN_AUDIT_KEY: no key is named"):
        audit_key(read_settings(place))
    with pytest.raises(SettingsError, match="CHURN_AUDIT_KEY: it is not 32 bytes") as refused:
        audit_key(read_settings(place | {"CHURN_AUDIT_KEY": "hunter2"}))
    assert "hunter2" not in str(refused.value)


def test_development_makes_a_key_that_stays(settings: Settings):
    assert audit_key(settings) == audit_key(settings)
    assert (settings.data / "keys" / "audit").stat().st_mode & 0o077 == 0
