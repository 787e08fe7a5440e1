"""No route stands open but those that say why, and no secret leaves the service by an answer or a line of its log."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Route

from api import door
from api.app import create_app
from api.tokens import issue_token
from schemas.users import Role, User
from store.keyring import Keyring, add_key
from store.registry import Version
from store.settings import Settings
from store.users import open_users
from tests.api.doors import PASSWORD
from tests.api.service import TINY, Ask, admission, running
from tests.api.test_server import eventually

ADA = User("ada", Role.AGENT)
OPEN = {
    "/health/live": "whoever restarts processes has no token",
    "/health/ready": "nor has whoever sends requests to those that are ready",
    "/health": "it says what the service stands on, and nothing of customers",
    "/metrics": "Prometheus reads counts and times, and nothing of customers",
    "/api/v1/token": "it gives tokens",
    "/openapi.json": "in development alone, or where CHURN_DOCS says so",
    "/docs": "as the document that it shows",
    "/docs/start.js": "the page loads it",
    "/docs/swagger-ui-bundle.js": "the page loads it",
    "/docs/swagger-ui.css": "the page loads it",
}


@pytest.fixture
def app(settings: Settings, champion: Version) -> FastAPI:
    return create_app(settings, TINY.name)


@pytest.fixture
def ask(app: FastAPI) -> Iterator[Ask]:
    with running(app, who=None) as asked:
        yield asked


def closed(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of every route that must not stand open."""
    routes = [route for route in flat(app.routes) if route.path not in OPEN]
    return [(method, route.path) for route in routes for method in sorted((route.methods or set()) - {"HEAD"})]


def flat(routes: Iterable[BaseRoute]) -> Iterator[Route]:
    """The routes, and those of the routers among them, which FastAPI keeps as they were included."""
    for route in routes:
        if isinstance(route, Route):
            yield route
        else:
            yield from flat(route.original_router.routes)


def test_no_route_opens_without_a_good_token(app: FastAPI, ask: Ask, settings: Settings):
    another = settings.data / "another"
    add_key(another)
    tokens = {
        "none": {},
        "of another system's key": {"authorization": f"Bearer {issue_token(ADA, Keyring(another))}"},
        "unsigned": {"authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
        "a password": {"authorization": f"Basic {b64encode(b'ada:secret').decode()}"},
    }
    assert len(closed(app)) >= 2
    answers = {
        (method, path, kind): ask(method, path.replace("{", "").replace("}", ""), headers=headers).status_code
        for method, path in closed(app)
        for kind, headers in tokens.items()
    }
    assert set(answers.values()) == {401}, {asked: status for asked, status in answers.items() if status != 401}


def test_who_has_a_token_is_not_sent_away(app: FastAPI, ask: Ask):
    answer = ask("POST", "/api/v1/predictions", json={"customer_id": "C1"}, headers=admission(app, ADA))
    assert answer.status_code == 200


CANARY = "canary-7f3a9c"


@pytest.mark.usefixtures("before_the_first_night")
def test_no_secret_is_in_an_answer_or_in_the_log(
    settings: Settings, champion: Version, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    caplog.set_level(logging.DEBUG)
    open_users(settings).add(ADA, f"{CANARY}-right", "tests")
    key = b64encode(CANARY.ljust(32, "x").encode()).decode()
    app = create_app(replace(settings, audit_key=key, redis_url=f"redis://:{CANARY}@127.0.0.1:1/0"), TINY.name)
    sqlite = create_app(replace(settings, audit_key=key), TINY.name)
    said = [answer for each in (app, sqlite) for answer in every_way_to_fail(each, key)]
    log = caplog.text + "".join(capfd.readouterr())
    secrets = (CANARY, key, (settings.data / "keys" / "tokens").read_text().strip())
    assert [secret for secret in secrets if secret in log or any(secret in answer for answer in said)] == []


def every_way_to_fail(app: FastAPI, key: str) -> list[str]:
    """What is answered to log-ins, look-ups and predictions that go wrong with secrets in them."""
    headers = admission(app, ADA)
    with running(app, raise_errors=False, who=None) as ask:
        forms = [
            {"grant_type": "password", "username": "ada", "password": f"{CANARY}-wrong"},
            {"grant_type": CANARY, "username": CANARY, "password": CANARY * 40},
            {"grant_type": "client_credentials", "client_id": "ada", "client_secret": f"{CANARY}-right"},
        ]
        answers = [ask("POST", "/api/v1/token", data=form) for form in forms]
        answers.append(ask("GET", "/api/v1/customers/C1", headers={"authorization": f"Bearer {CANARY}"}))
        answers.append(ask("GET", "/api/v1/customers/C1", headers=headers))
        answers.append(ask("POST", "/api/v1/predictions", json={CANARY: key}, headers={"authorization": CANARY}))
    assert {answer.status_code for answer in answers} <= {401, 404, 422, 503}
    return [f"{answer.headers} {answer.text}" for answer in answers]


def test_a_token_opens_nothing_soon_after_its_holder_was_disabled(
    app: FastAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(door, "LOOK_AGAIN_SECONDS", 0.05)
    bob = User("bob", Role.AGENT)
    users = open_users(settings)
    for user in (ADA, bob):
        users.add(user, "correct horse battery", "tests")
    with running(app, who=None) as ask:

        def status(user: User) -> int:
            return ask(
                "POST", "/api/v1/predictions", json={"customer_id": "C1"}, headers=admission(app, user)
            ).status_code

        assert (status(ADA), status(bob)) == (200, 200)
        users.disable("ada", "tests")
        assert eventually(lambda: status(ADA) == 401)
        assert status(bob) == 200


def test_a_token_from_before_a_change_opens_nothing_and_the_next_one_what_is_allowed_by_then(
    app: FastAPI, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(door, "LOOK_AGAIN_SECONDS", 0.05)
    users = open_users(settings)
    users.add(User("opal", Role.OPERATOR), PASSWORD, "tests")
    with running(app, who=None) as ask:

        def logged_in() -> dict[str, str]:
            form = {"grant_type": "password", "username": "opal", "password": PASSWORD}
            return {"authorization": f"Bearer {ask('POST', '/api/v1/token', data=form).json()['access_token']}"}

        before = logged_in()
        assert ask("GET", "/api/v1/models", headers=before).status_code == 200
        users.change(User("opal", Role.AGENT), "tests")
        assert eventually(lambda: ask("GET", "/api/v1/models", headers=before).status_code == 401)
        assert ask("GET", "/api/v1/models", headers=logged_in()).status_code == 403, "an agent's own token"
        users.disable("opal", "tests")
        users.enable("opal", "tests")
        assert ask("GET", "/api/v1/models", headers=logged_in()).status_code == 403


def test_a_worker_looks_for_the_changed_as_often_as_the_command_says():
    assert door.LOOK_AGAIN_SECONDS <= 10
