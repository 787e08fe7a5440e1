"""Tells another program that a job has ended: signed, and to hosts alone that the settings name."""

from __future__ import annotations

import hmac
import json
import os
import re
import socket
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from threading import Thread
from typing import Any
from urllib.parse import SplitResult, urlsplit

from churn.errors import RequestError, SettingsError
from store.jobs import Job
from store.settings import DEVELOPMENT, is_raw_key

HOSTS, KEY = "CHURN_CALLBACK_HOSTS", "CHURN_CALLBACK_KEY"
SECONDS = 5.0  # to connect, and for each part of what is sent and answered
LONGEST = 15.0  # seconds for all of it
LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
FIRST_PAUSE = timedelta(seconds=5)
LONGER = 6  # each pause against the one before: 5 s, 30 s, 3 min, 18 min
PORTS = {"https": 443, "http": 80}
_PRINTED = re.compile(r"[\x21-\x7e]+")
TIMESTAMP, SIGNATURE = "X-Churn-Timestamp", "X-Churn-Signature"


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a call, in words."""

    told: bool
    says: str
    worth_another: bool = True

    def again_after(self, calls: int) -> timedelta | None:
        """How long to wait after so many calls; None where another would be as vain."""
        return FIRST_PAUSE * LONGER ** (calls - 1) if self.worth_another else None


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Who may be called: hosts, each with a port where it stands beside a private address; and the key of signatures.

    `plain` lets development call without TLS.
    """

    hosts: frozenset[str] = frozenset()
    key: bytes = field(default=b"", repr=False)
    plain: bool = False

    def require_allowed(self, url: str) -> None:
        """RequestError where the address is not of a host that the settings name."""
        self._address(url)

    def tell(self, ended: Job) -> Came:
        """Posts the job's end, once; redirects are not followed, and the answer's body is not read.

        A host that answers letter by letter is not listened to for longer than the job is the caller's to tell of.
        """
        came: Future[Came] = Future()
        Thread(target=_settle, args=(came, partial(self._post, ended)), daemon=True, name="callback").start()
        try:
            return came.result(LONGEST)
        except TimeoutError:
            return Came(told=False, says=f"no answer within {LONGEST:.0f} seconds")

    def _post(self, ended: Job) -> Came:
        import httpx  # 20 MB that no look-up needs

        body = json.dumps({"job": ended.job, "state": ended.state, "rows": ended.rows}, sort_keys=True).encode()
        try:
            to = self._address(ended.callback or "")
            request = _request(to, self._resolved(to), self._headers(body))
            # No proxy of the environment: it would look the name up again.
            with (
                httpx.Client(timeout=SECONDS, trust_env=False) as client,
                client.stream("POST", content=body, **request) as answer,
            ):
                status = answer.status_code
        except RequestError as refused:
            return Came(told=False, says=refused.what, worth_another=False)
        except (httpx.HTTPError, OSError) as failed:
            return Came(told=False, says=type(failed).__name__)
        told = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
        may_pass = status in LATER or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return Came(told, f"answered {status}", worth_another=may_pass)

    def _address(self, url: str) -> SplitResult:
        to = _split(url)
        schemes = ("https", "http") if self.plain else ("https",)
        if to.scheme not in schemes or not to.hostname or to.username or to.password or to.fragment:
            raise _refused(f"a callback is an address that begins with {schemes[0]}://, and names nobody")
        if _with_port(to) not in self.hosts and not self._is_named_alone(to):
            raise _refused(f"{to.hostname} is no host that {HOSTS} names, or that is another port")
        return to

    def _is_named_alone(self, to: SplitResult) -> bool:
        return to.hostname in self.hosts and _port(to) == PORTS[to.scheme]

    def _resolved(self, to: SplitResult) -> str:
        """The address to call: the very one that was looked at, since the next look-up may give another."""
        found = socket.getaddrinfo(to.hostname, _port(to), type=socket.SOCK_STREAM)
        addresses = [str(each[4][0]) for each in found]
        private = [address for address in addresses if not ip_address(address).is_global]
        if private and _with_port(to) not in self.hosts:
            raise _refused(f"{to.hostname} is a private address: name it with its port")
        return addresses[0]

    def _headers(self, body: bytes) -> dict[str, str]:
        moment = str(int(time.time()))
        signature = hmac.digest(self.key, moment.encode() + b"." + body, "sha256").hex()
        return {"content-type": "application/json", TIMESTAMP: moment, SIGNATURE: f"sha256={signature}"}


def read_callbacks(env: Mapping[str, str]) -> Callbacks:
    """What `env` says of callbacks; SettingsError where hosts are named and no key is."""
    hosts = frozenset(part.strip().lower() for part in env.get(HOSTS, "").split(",") if part.strip())
    key = env.get(KEY, "")
    if wrong := sorted(host for host in hosts if "/" in host or "*" in host):
        raise SettingsError(f"{wrong[0]!r} is no host", where=HOSTS, to_do="Name hosts such as crm.example.com.")
    if hosts and not is_raw_key(key):
        raise SettingsError(
            "it is not 32 bytes in base64", where=KEY, to_do="Make one with `openssl rand -base64 32`, for both ends."
        )
    return Callbacks(hosts, b64decode(key) if hosts else b"", plain=env.get("CHURN_MODE") == DEVELOPMENT)


def current_callbacks() -> Callbacks:
    """What this process's environment says."""
    return read_callbacks(os.environ)


def _settle(came: Future[Came], post: Callable[[], Came]) -> None:
    try:
        came.set_result(post())
    except Exception as failed:  # raised again where it is waited for
        came.set_exception(failed)


def _request(to: SplitResult, address: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Asks the address, and says and checks the host's name all the same."""
    numbers = f"[{address}]" if ":" in address else address
    path = f"{to.path or '/'}{'?' if to.query else ''}{to.query}"
    return {
        "url": f"{to.scheme}://{numbers}:{_port(to)}{path}",
        "headers": {**headers, "host": to.netloc},
        "extensions": {"sni_hostname": to.hostname},
        "follow_redirects": False,
    }


def _split(url: str) -> SplitResult:
    # Python's parser leaves control characters out or in, as they come, and httpx takes none.
    if not _PRINTED.fullmatch(url):
        raise _refused("a callback is written in printable ASCII alone")
    try:
        return urlsplit(url)
    except ValueError:
        raise _refused("a callback is an address, and this is none") from None


def _with_port(to: SplitResult) -> str:
    return f"{to.hostname}:{_port(to)}"


def _port(to: SplitResult) -> int:
    try:
        return to.port or PORTS[to.scheme]
    except ValueError:
        raise _refused("its port is none") from None


def _refused(what: str) -> RequestError:
    return RequestError(what, where="callback", to_do="Ask the operators to name the host, or fetch the result.")
