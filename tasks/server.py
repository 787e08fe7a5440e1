"""Asks the orchestrator's server in plain words of its HTTP API, for those who set it up and clean it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

from churn.errors import OrchestratorUnreachable, SettingsError
from store.source_names import source_name

PAGE = 200  # of what a filter finds; the server gives no more at a time
PATIENCE = 120.0  # seconds in which a server that was just started may come up on a busy machine
PAUSE = 0.5
BUSY = httpx.codes.SERVICE_UNAVAILABLE  # what the server says while another writer holds its SQLite
NO_ADDRESS = (httpx.InvalidURL, httpx.UnsupportedProtocol)
AGAIN_AFTER = (0.5, 1, 2, 4, 8)


@dataclass(frozen=True, slots=True)
class Server:
    """The server that stands at PREFECT_API_URL."""

    client: httpx.Client

    def found(self, path: str, asked: dict[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """All that a filter finds, page by page."""
        offset = 0
        while page := self.post(f"{path}/filter", (asked or {}) | {"limit": PAGE, "offset": offset}):
            yield from page
            offset += len(page)

    def post(self, path: str, body: Any) -> Any:
        """What the server answers to a body; OrchestratorUnreachable where it does not, or not well."""
        return self._asked("POST", path, body)

    def make(self, path: str, body: Any) -> bool:
        """Makes something, which may be there already, also by another who makes it now; whether it was not."""
        return self._asked("POST", path, body, unless=httpx.codes.CONFLICT) is not None

    def put(self, path: str, body: Any) -> Any:
        """The same for what replaces something."""
        return self._asked("PUT", path, body)

    def get(self, path: str) -> Any:
        """What the server has under a path."""
        return self._asked("GET", path)

    def delete(self, path: str) -> None:
        """Removes something, which may be gone already."""
        self._asked("DELETE", path, unless=httpx.codes.NOT_FOUND)

    def wait_until_it_answers(self) -> None:
        """Waits while the server comes up; OrchestratorUnreachable where it takes too long, or another one answers."""
        until = time.monotonic() + PATIENCE
        while not self._is_healthy():
            if time.monotonic() > until:
                raise _unreachable(self.client, f"it was not healthy within {PATIENCE:.0f} seconds")
            time.sleep(PAUSE)

    def _is_healthy(self) -> bool:
        try:
            health = self.client.get("/health")
        except NO_ADDRESS as failure:
            raise _unreachable(self.client, str(failure)) from None
        except httpx.HTTPError:
            return False
        return health.is_success and bool(self._content(health))

    def _asked(self, method: str, path: str, body: Any = None, *, unless: int | None = None) -> Any:
        answer = self._answer(method, path, body)
        for pause in AGAIN_AFTER:
            if answer.status_code != BUSY:
                break
            time.sleep(pause)
            answer = self._answer(method, path, body)
        if answer.status_code == unless:
            return None
        if not answer.is_success:
            raise _unreachable(self.client, f"{method} {path} came back with {answer.status_code}: {answer.text[:500]}")
        return self._content(answer) if answer.content else None

    def _answer(self, method: str, path: str, body: Any) -> httpx.Response:
        try:
            return self.client.request(method, path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as failure:
            raise _unreachable(self.client, str(failure)) from None

    def _content(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise _unreachable(self.client, "what answers there is no Prefect API") from None


@contextmanager
def open_server() -> Iterator[Server]:
    """The standing server; SettingsError where PREFECT_API_URL names none."""
    url, login = PREFECT_API_URL.value(), PREFECT_API_AUTH_STRING.value()
    if not url:
        raise SettingsError(
            "it names no server", where="PREFECT_API_URL", to_do="Start one with `make up`, or give its address."
        )
    name, _, password = login.get_secret_value().partition(":") if login else ("", "", "")
    try:
        client = httpx.Client(base_url=url, auth=(name, password) if login else None, timeout=30)
    except httpx.InvalidURL as failure:
        raise SettingsError(str(failure), where="PREFECT_API_URL", to_do="Give http://127.0.0.1:4200/api.") from None
    with client:
        yield Server(client)


def _unreachable(client: httpx.Client, what: str) -> OrchestratorUnreachable:
    return OrchestratorUnreachable(
        what, where=f"PREFECT_API_URL {source_name(str(client.base_url))}", to_do="See whether it runs: `make up`."
    )
