"""The end of a job is told, signed, to hosts alone that are named, and to no address inside by a name from outside."""

from __future__ import annotations

import hmac
import json
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from churn.errors import RequestError, SettingsError
from schemas.jobs import Given, State
from store.callbacks import SIGNATURE, TIMESTAMP, Callbacks, read_callbacks
from store.jobs import MOST_CALLS, Job

KEY = b"k" * 32
NAMED = {
    "CHURN_CALLBACK_HOSTS": "crm.example.com, inside.example.com:8443",
    "CHURN_CALLBACK_KEY": b64encode(KEY).decode(),
}
PRODUCTION = read_callbacks(NAMED)

ADDRESSES = [
    # address                                   may be called
    ("https://crm.example.com/done", True),
    ("https://CRM.example.com/done?job=1", True),
    ("https://crm.example.com:443/", True),
    ("https://inside.example.com:8443/", True),
    ("https://inside.example.com/", False),
    ("https://crm.example.com:8443/", False),
    ("http://crm.example.com/", False),
    ("https://crm.example.com.evil.com/", False),
    ("https://evil.com/?https://crm.example.com", False),
    ("https://evil.com#@crm.example.com/", False),
    ("https://crm.example.com@evil.com/", False),
    ("https://user:secret@crm.example.com/", False),
    ("https://crm.example.com:99999/", False),
    ("https://127.0.0.1/", False),
    ("file:///etc/passwd", False),
    ("//crm.example.com/", False),
    ("", False),
    ("https://[x", False),
    ("https://crm.example.com/\x00", False),
    ("https://crm.example.com/a\nb", False),
    ("https://crm.example.com/a b", False),
    ("https://exa\u2100mple.com/", False),
]
ANSWERS = [
    # status   told    worth another try
    (200, True, False),
    (204, True, False),
    (302, False, False),
    (404, False, False),
    (408, False, True),
    (425, False, True),
    (429, False, True),
    (500, False, True),
    (503, False, True),
]


@dataclass
class Heard:
    """What a program that is called hears, and how it answers."""

    url: str
    status: int = 200
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def crm() -> Iterator[Heard]:
    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            heard.requests.append((headers, self.rfile.read(int(headers["content-length"]))))
            self.send_response(heard.status)
            self.send_header("location", heard.url)
            self.end_headers()

        def log_message(self, *told: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        heard = Heard(f"http://localhost:{server.server_port}/done?of=ours")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield heard
        server.shutdown()
        thread.join()


def ended(url: str, calls: int = 1) -> Job:
    return Job(
        job="0" * 24,
        contract="tiny",
        owner="ada",
        given=Given.ROWS,
        models={},
        segments=(),
        regions=(),
        created_at=datetime(2026, 1, 1),  # noqa: DTZ001 - as the database has it
        state=State.DONE,
        holder=None,
        attempts=1,
        rows=3,
        done=3,
        as_of=None,
        ended_at=None,
        reason=None,
        result_sha256="x",
        callback=url,
        calls=calls,
        call_result=None,
    )


def allowing(url: str) -> Callbacks:
    return Callbacks(frozenset({url.split("/")[2]}), KEY, plain=True)


@pytest.mark.parametrize(("url", "allowed"), ADDRESSES)
def test_only_hosts_that_are_named_may_be_called(url: str, allowed: bool):
    if allowed:
        PRODUCTION.require_allowed(url)
    else:
        with pytest.raises(RequestError):
            PRODUCTION.require_allowed(url)
        assert not PRODUCTION.tell(ended(url)).worth_another


def test_the_call_is_signed_over_its_moment_and_its_body(crm: Heard):
    assert allowing(crm.url).tell(ended(crm.url)).told
    [(headers, body)] = crm.requests
    signed = headers[TIMESTAMP.lower()].encode() + b"." + body
    assert headers[SIGNATURE.lower()] == "sha256=" + hmac.digest(KEY, signed, "sha256").hex()
    assert json.loads(body) == {"job": "0" * 24, "state": "done", "rows": 3}
    assert headers["host"] == crm.url.split("/")[2]


@pytest.mark.parametrize(("status", "told", "worth_another"), ANSWERS)
def test_redirects_are_not_followed_and_only_what_may_pass_is_tried_again(
    crm: Heard, status: int, told: bool, worth_another: bool
):
    crm.status = status
    came = allowing(crm.url).tell(ended(crm.url))
    assert (came.told, came.told or came.worth_another) == (told, told or worth_another)
    assert came.says == f"answered {status}"
    assert len(crm.requests) == 1


def test_a_name_for_a_private_address_is_not_called_unless_it_is_named_with_its_port(crm: Heard):
    port = int(crm.url.split(":")[2].split("/")[0])
    by_name = replace(allowing(crm.url), hosts=frozenset({"localhost"}))
    assert "no host that" in by_name.tell(ended(crm.url)).says
    plain = ended("http://localhost/")
    assert by_name.tell(plain).says == "localhost is a private address: name it with its port"
    assert not crm.requests
    assert replace(by_name, hosts=frozenset({f"localhost:{port}"})).tell(ended(crm.url)).told


def test_who_answers_letter_by_letter_is_not_listened_to_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("store.callbacks.LONGEST", 0.3)
    ends = threading.Event()

    def drip() -> None:
        line, _ = talker.accept()
        with line:
            while not ends.wait(0.05):
                line.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as talker:
        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{talker.getsockname()[1]}/"
        began = time.monotonic()
        came = allowing(url).tell(ended(url))
        ends.set()
        thread.join()
    assert (came.told, came.worth_another) == (False, True)
    assert time.monotonic() - began < 3


def test_who_does_not_answer_is_tried_again_a_few_times_and_ever_later():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/"
        came = allowing(url).tell(ended(url))
    assert (came.told, came.says) == (False, "ConnectError")
    pauses = [came.again_after(calls) for calls in range(1, MOST_CALLS)]
    assert pauses == [timedelta(seconds=seconds) for seconds in (5, 30, 180, 1080)]


WRONG = [
    ({"CHURN_CALLBACK_HOSTS": "crm.example.com"}, "CHURN_CALLBACK_KEY"),
    (NAMED | {"CHURN_CALLBACK_KEY": "secret"}, "CHURN_CALLBACK_KEY"),
    (NAMED | {"CHURN_CALLBACK_HOSTS": "*"}, "CHURN_CALLBACK_HOSTS"),
    (NAMED | {"CHURN_CALLBACK_HOSTS": "https://crm.example.com"}, "CHURN_CALLBACK_HOSTS"),
]


@pytest.mark.parametrize(("env", "variable"), WRONG)
def test_half_a_setting_is_refused_by_its_name(env: dict[str, str], variable: str):
    with pytest.raises(SettingsError) as refused:
        read_callbacks(env)
    assert refused.value.where == variable
    assert "secret" not in str(refused.value)


def test_without_settings_nobody_is_called():
    assert read_callbacks({}) == Callbacks()
    assert "key" not in repr(PRODUCTION)
