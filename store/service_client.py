"""Asks the service for scores over HTTP, as any other program does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from churn.errors import ServiceUnreachable, SettingsError
from store.service_settings import OFF, ON

if TYPE_CHECKING:
    import httpx

URL, CLIENT, SECRET, PARITY = "CHURN_API_URL", "CHURN_API_CLIENT", "CHURN_API_SECRET", "CHURN_PARITY"
SECONDS = 10.0  # for each answer
READY_SECONDS, AGAIN_SECONDS = 5.0, 0.1  # for a service that was just started
PATIENCE_SECONDS = 60.0  # for one that has answered as much as it may in a while
PURPOSE = "nightly parity"  # in the log of look-ups
AT_ONCE = 250  # customers of one request; a thousand of a wide contract would be more than it takes


@dataclass(frozen=True, slots=True)
class Service:
    """A service by its address, and the token that it lets us in with."""

    url: str
    token: str = field(repr=False)

    def contract(self) -> str:
        """Whose customers it scores, once it is ready; ServiceUnreachable where it does not become so in time."""
        until = time.monotonic() + READY_SECONDS
        while True:
            answer = _asked("GET", f"{self.url}/health/ready")
            if answer.is_success:
                return str(answer.json()["contract"])
            if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > until:
                raise _refused(answer, self.url)
            time.sleep(AGAIN_SECONDS)

    def predictions(self, customers: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Its answers for the customers, some hundred at a time: each counts those of its own from 0."""
        for first in range(0, len(customers), AT_ONCE):
            answer = _asked(
                "POST",
                f"{self.url}/api/v1/predictions/batch",
                json={"customers": customers[first : first + AT_ONCE]},
                headers={"authorization": f"Bearer {self.token}"},
            )
            if not answer.is_success:
                raise _refused(answer, self.url)
            yield answer.json()

    def each_alone(self, customers: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Its answer for each of the customers, asked one by one; of one whom it refuses, the problem."""
        path = f"{self.url}/api/v1/predictions"
        for answer in self._one_after_another("POST", ((path, {"json": customer}) for customer in customers)):
            if not answer.is_success and answer.status_code != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise _refused(answer, self.url)
            yield answer.json()

    def look_ups(self, keys: Iterable[str]) -> Iterator[dict[str, Any] | None]:
        """What it shows of each of these customers; None of one whom it does not know."""
        path = f"{self.url}/api/v1/customers"
        for answer in self._one_after_another("GET", ((f"{path}/{quote(key, safe='')}", {}) for key in keys)):
            if not answer.is_success and answer.status_code != HTTPStatus.NOT_FOUND:
                raise _refused(answer, self.url)
            yield answer.json() if answer.is_success else None

    def _one_after_another(
        self, method: str, asked: Iterable[tuple[str, Mapping[str, Any]]]
    ) -> Iterator[httpx.Response]:
        """The answers over one connection, since a hundred would take seconds to open."""
        import httpx  # see _answered

        headers = {"authorization": f"Bearer {self.token}", "x-purpose": PURPOSE}
        with httpx.Client(timeout=SECONDS, headers=headers) as client:
            for url, more in asked:
                yield _asked(method, url, client.request, **more)


@dataclass(frozen=True, slots=True)
class Access:
    """Which service a night is held against, and as which program; without an address it starts one of its own.

    `wanted` is False where nights are held against none.
    """

    url: str = ""
    client: str = ""
    secret: str = field(default="", repr=False)
    wanted: bool = True

    def let_in(self) -> Service:
        """The service, which knows the program; ServiceUnreachable where it does not, or does not answer."""
        form = {"grant_type": "client_credentials", "client_id": self.client, "client_secret": self.secret}
        answer = _asked("POST", f"{self.url}/api/v1/token", data=form)
        if not answer.is_success:
            raise _refused(answer, self.url)
        return Service(self.url, answer.json()["access_token"])


def read_access(env: Mapping[str, str]) -> Access:
    """What `env` says; SettingsError where it names a service, and not all that it takes to be let in."""
    wanted, url = env.get(PARITY) or ON, env.get(URL, "").rstrip("/")
    if wanted not in (ON, OFF):
        raise SettingsError(f"{wanted!r} is neither {ON} nor {OFF}", where=PARITY, to_do=f"Say {ON} or {OFF}.")
    if not url:
        return Access(wanted=wanted == ON)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise SettingsError("it is no address of a service", where=URL, to_do="Write https://churn.example.com.")
    for name in (CLIENT, SECRET):
        if not env.get(name):
            raise SettingsError(
                f"it is not set, and {URL} is",
                where=name,
                to_do="`churn user add NAME --role service` makes a program.",
            )
    return Access(url, env[CLIENT], env[SECRET], wanted=wanted == ON)


def current_access() -> Access:
    """What this process's environment says."""
    return read_access(os.environ)


def _asked(method: str, url: str, request: Callable[..., httpx.Response] | None = None, **more: Any) -> httpx.Response:
    """The answer; where we have asked too much, that of the time when we may ask again, if it comes soon."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = _answered(method, url, request, **more)
        if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS or time.monotonic() > until:
            return answer
        time.sleep(_seconds_until_again(answer))


def _answered(
    method: str, url: str, request: Callable[..., httpx.Response] | None = None, **more: Any
) -> httpx.Response:
    import httpx  # 20 MB that no look-up needs

    try:
        return (request or httpx.request)(method, url, timeout=SECONDS, **more)
    except httpx.HTTPError as failed:
        raise ServiceUnreachable(
            f"the service does not answer: {type(failed).__name__}", where=url, to_do=f"Start it, or mend {URL}."
        ) from None


def _seconds_until_again(answer: httpx.Response) -> float:
    """As the answer says; a proxy may write a date, or nothing, and is asked again in a second."""
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isdecimal() else 1.0


def _refused(answer: httpx.Response, url: str) -> ServiceUnreachable:
    return ServiceUnreachable(
        f"the service answered {answer.status_code}: {_detail(answer)}",
        where=url,
        to_do="See its log, or GET /health/ready.",
    )


def _detail(answer: httpx.Response) -> str:
    """What the problem says; of what a service is not ready for, each in its own words."""
    try:
        problem = answer.json()
        return " ".join(map(str, problem.get("missing", {}).values())) or str(problem["detail"])
    except (ValueError, KeyError, AttributeError):
        return "it says nothing more"
