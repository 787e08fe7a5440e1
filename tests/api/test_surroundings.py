"""What stands around every answer: its headers, its line in the log, its place in the figures."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.headers import Headers
from api.metrics import Metrics
from api.request_log import RequestLog
from schemas.users import Role, User
from store.keyring import add_key
from store.registry import Version
from store.service_settings import ServiceSettings
from store.settings import Settings
from tests.api.service import TINY, Ask, running

ROOT = Path(__file__).parent.parent.parent
DESK = "https://desk.example.com"
BURST = "tenure months of Mrs Jones"
KEY = b64encode(b"k" * 32).decode()
AGENT = User("ada", Role.AGENT)

HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.fixture
def failing() -> Iterator[Ask]:
    """A route that fails in a way that nobody foresaw."""
    app = FastAPI()

    @app.get("/customers/{customer_id}")
    async def fail(customer_id: str) -> None:
        raise ZeroDivisionError(BURST)

    app.add_middleware(RequestLog, metrics=Metrics())
    app.add_middleware(Headers)
    with running(app) as ask:
        yield ask


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/nowhere", "/api/v1/customers/C1"])
def test_every_answer_carries_these_headers_and_its_number(ask: Ask, path: str):
    headers = ask("GET", path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert headers["x-request-id"]
    assert "server" not in headers


NUMBERS = [
    # sent                 taken over
    ("call-4711", True),
    ("A" * 64, True),
    ("A" * 65, False),
    ("a b", False),
    ('"}{"', False),
    ("", False),
]


@pytest.mark.parametrize(("sent", "taken_over"), NUMBERS)
def test_a_sane_number_of_the_callers_own_is_kept(ask: Ask, sent: str, taken_over: bool):
    answered = ask("GET", "/health/live", headers={"x-request-id": sent}).headers["x-request-id"]
    assert (answered == sent) is taken_over


def test_an_unforeseen_error_is_found_by_its_number_and_tells_nobody_what_was_sent(failing: Ask, capsys):
    answer = failing("GET", "/customers/C123?name=Jones", headers={"x-request-id": "call-1"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["instance"] == "urn:request:call-1"
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    logged = capsys.readouterr().out
    assert "call-1" in logged
    assert "ZeroDivisionError" in logged
    assert not [secret for secret in ("C123", "Jones", BURST) if secret in logged + answer.text]


def test_the_log_has_a_line_of_json_for_each_answer_that_names_the_route_and_no_customer(settings: Settings, champion):
    """In a process of its own, since a log is set up once in each."""
    code = f"""
import logging
from api.logs import log_as_json
from api.app import create_app
from store.settings import read_settings
from tests.api.service import running
settings = read_settings({{"CHURN_HOME": {str(settings.data.parent)!r}, "CHURN_MODE": "development"}})
app = create_app(settings, {TINY.name!r})
log_as_json()
with running(app) as ask:
    ask("POST", "/api/v1/predictions?name=Jones", json={{"customer_id": "C123"}})
    ask("GET", "/api/v1/customers/C123?name=Jones")
    ask("GET", "/customers/C123")
try:
    raise ValueError("Jones")
except ValueError:
    logging.getLogger("library").exception("it failed")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    answered = [line for line in lines if line["event"] == "answered"]
    assert [(line["method"], line["route"], line["status"]) for line in answered] == [
        ("POST", "/api/v1/predictions", 200),
        ("GET", "/api/v1/customers/{customer_id}", 404),
        ("GET", "none", 404),
    ]
    assert (answered[0]["principal"], answered[0]["model"]) == ("tests", champion.digest)
    assert answered[0]["ms"] > 0
    assert lines[-1]["error"] == "ValueError"
    assert not [secret for secret in ("C123", "Jones", str(settings.artifacts)) if secret in done.stdout]


def test_json_in_the_log_brings_no_coloured_tracebacks_along():
    code = "import sys, api.app; print([name for name in ('rich', 'pygments') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_figures_count_answers_by_route_and_are_for_operators_and_programs(settings: Settings, champion: Version):
    app = create_app(settings, TINY.name)
    with running(app) as ask:
        for customer in ("C1", "C2"):
            ask("GET", f"/api/v1/customers/{customer}")
        ask("GET", "/stranger")
        figures = ask("GET", "/metrics").text
    counted = 'churn_requests_total{method="GET",route="/api/v1/customers/{customer_id}",status="404"} 2.0'
    assert counted in figures
    assert 'route="none"' in figures
    assert 'churn_champion_version{segment="all"} 1.0' in figures
    assert "C1" not in figures
    with running(create_app(settings, TINY.name), who=AGENT) as ask:
        assert [ask("GET", path).status_code for path in ("/metrics", "/health")] == [403, 403]


def test_figures_of_several_workers_add_up(tmp_path: Path):
    count = "from api.metrics import Metrics; m = Metrics(); m.answered('/r', 'GET', 200, 0.01); m.champion('all', {})"
    for version in (3, 4):
        told(tmp_path, count.format(version))
    figures = told(tmp_path, "from api.metrics import Metrics; print(Metrics().text().decode())")
    assert 'churn_requests_total{method="GET",route="/r",status="200"} 2.0' in figures
    assert 'churn_champion_version{segment="all"} 4.0' in figures


def told(folder: Path, code: str) -> str:
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_details_name_every_champion_lane_and_worry(ask: Ask, champion: Version):
    details = ask("GET", "/health").json()
    assert details["models"] == {"all": {"version": 1, "digest": champion.digest}}
    assert details["lanes"]["look-ups"] == {"taken": 0, "slots": 16, "cut_off": False}
    assert (details["night"], set(details["wrong"])) == (None, {"scores"})


def test_only_the_pages_that_are_named_may_call_from_a_browser(settings: Settings, champion: Version):
    with running(create_app(settings, TINY.name, ServiceSettings(origins=(DESK,)))) as ask:
        theirs, others = (ask("GET", "/health/live", headers={"origin": o}) for o in (DESK, "https://elsewhere.test"))
        asked = {"origin": DESK, "access-control-request-method": "POST"}
        assert ask("OPTIONS", "/api/v1/predictions", headers=asked).status_code == 200
    assert theirs.headers["access-control-allow-origin"] == DESK
    assert theirs.headers["access-control-expose-headers"] == "Location, Retry-After, X-Request-Id"
    assert "access-control-allow-origin" not in others.headers


def test_without_a_list_no_page_may_call(ask: Ask):
    assert "access-control-allow-origin" not in ask("GET", "/health/live", headers={"origin": DESK}).headers


def test_only_large_answers_are_packed(ask: Ask):
    packed = {"accept-encoding": "gzip"}
    document, alive = (ask("GET", path, headers=packed) for path in ("/openapi.json", "/health/live"))
    assert document.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in alive.headers


SHOWN = [
    # mode          CHURN_DOCS   /docs
    (True, None, 200),
    (True, False, 404),
    (False, None, 404),
    (False, True, 200),
]


@pytest.mark.parametrize(("development", "switch", "status"), SHOWN)
def test_the_documentation_is_shown_in_development_or_where_it_is_asked_for(
    settings: Settings, tmp_path: Path, development: bool, switch: bool | None, status: int
):
    add_key(tmp_path / "keys")
    keyed = replace(settings, development=development, token_keys=tmp_path / "keys", audit_key=KEY)
    with running(create_app(keyed, TINY.name, ServiceSettings(docs=switch))) as ask:
        assert ask("GET", "/docs").status_code == ask("GET", "/openapi.json").status_code == status


def test_the_documentation_loads_nothing_from_elsewhere(ask: Ask):
    page = ask("GET", "/docs")
    policy = page.headers["content-security-policy"]
    assert "http" not in page.text.replace("<!doctype html>", "")
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert f'"docs/{asset}"' in page.text
        assert ask("GET", f"/docs/{asset}").status_code == 200
