"""Nobody comes in without a token, nobody gets one without a secret, and each may what his role says."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
import sqlalchemy as sa
from starlette.types import ASGIApp, Receive, Scope, Send

from api.attempts import ATTEMPTS_BY_ADDRESS, ATTEMPTS_BY_NAME, Attempts
from api.log_in import NOT_KNOWN
from api.security import ASK_THEM, may_see
from churn.errors import StoreUnreachable
from schemas.users import Role, User
from store.access_tables import rate_bucket
from store.rate_limits import Lease, Rate, open_buckets
from store.settings import Settings
from store.tables import engine_for
from store.users import open_users
from tests.api.doors import PASSWORD, add_users, door
from tests.api.service import Ask, running

ADA, OPAL = User("ada", Role.AGENT, ("prepaid",)), User("opal", Role.OPERATOR)
ANNA, CRM = User("anna", Role.ANALYST), User("crm", Role.SERVICE)
PATH = "/api/v1/token"


@pytest.fixture
def ask(settings: Settings) -> Iterator[Ask]:
    add_users(settings, ADA, OPAL, ANNA, CRM)
    app = door(settings)
    app.add_middleware(SentFrom)
    with running(app, who=None) as asked:
        yield asked


class SentFrom:
    """Takes the address of whoever asks from a header, as the server does that stands behind a proxy."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if address := dict(scope.get("headers", ())).get(b"x-from"):
            scope["client"] = (address.decode(), 1)
        await self.app(scope, receive, send)


OFFICE = {"x-from": "192.0.2.7"}


def logged_in(ask: Ask, name: str, password: str = PASSWORD, **headers: str) -> httpx.Response:
    form = {"grant_type": "password", "username": name, "password": password}
    return ask("POST", PATH, data=form, headers=headers)


def admitted(ask: Ask, user: User) -> dict[str, str]:
    form = {"grant_type": "password", "username": user.name, "password": PASSWORD}
    if user.role is Role.SERVICE:
        form = {"grant_type": "client_credentials", "client_id": user.name, "client_secret": PASSWORD}
    answer = ask("POST", PATH, data=form)
    assert answer.status_code == 200, answer.text
    assert answer.json()["token_type"] == "bearer"
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_password_gives_a_token_that_says_who_asks(ask: Ask):
    answer = ask("GET", "/who", headers=admitted(ask, ADA))
    assert answer.json() == {"name": "ada", "role": "agent", "segments": ["prepaid"]}


def test_a_program_shows_its_secret_as_http_basic_has_it(ask: Ask):
    told = b64encode(f"crm:{PASSWORD}".encode()).decode()
    answer = ask("POST", PATH, data={"grant_type": "client_credentials"}, headers={"authorization": f"Basic {told}"})
    assert answer.status_code == 200
    assert answer.json()["expires_in"] == 900


@pytest.mark.parametrize("way", [str, quote_plus], ids=["as it stands", "encoded"])
def test_a_secret_may_stand_in_http_basic_as_it_is_or_as_libraries_encode_it(ask: Ask, settings: Settings, way):
    secret = "p+s%w rd:with&signs"
    open_users(settings).add(User("dialler", Role.SERVICE), secret, "tests")
    told = b64encode(f"dialler:{way(secret)}".encode()).decode()
    answer = ask("POST", PATH, data={"grant_type": "client_credentials"}, headers={"authorization": f"Basic {told}"})
    assert answer.status_code == 200


KNOCKS = [
    # what is sent in the header Authorization
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer not-a-token",
    f"Basic {b64encode(b'ada:correct horse battery').decode()}",
    "bearer \x80\xff",
]


@pytest.mark.parametrize("header", KNOCKS)
def test_without_a_good_token_nobody_comes_in(ask: Ask, header: str | None):
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    answer = ask("GET", "/who", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"] == "Bearer"


NOT_LET_IN: list[dict[str, str]] = [
    {"grant_type": "password", "username": "ada", "password": "wrong"},
    {"grant_type": "password", "username": "nobody", "password": PASSWORD},
    {"grant_type": "password", "username": "ada"},
    {"grant_type": "password"},
    {"grant_type": "password", "username": "crm", "password": PASSWORD},
    {"grant_type": "client_credentials", "client_id": "ada", "client_secret": PASSWORD},
    {"grant_type": "client_credentials", "client_id": "crm", "client_secret": "wrong"},
    {"grant_type": "client_credentials"},
]


@pytest.mark.parametrize("form", NOT_LET_IN, ids=str)
def test_whoever_is_not_known_is_told_nothing_but_that(ask: Ask, form: dict[str, str]):
    answer = ask("POST", PATH, data=form)
    assert (answer.status_code, answer.json()["detail"]) == (
        401,
        NOT_KNOWN,
    )
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("told", ["crm", "%%%", b64encode(b"crm").decode(), b64encode(b"\xff:\xff").decode()])
def test_http_basic_that_cannot_be_read_is_nobody(ask: Ask, told: str):
    headers = {"authorization": f"Basic {told}"}
    assert ask("POST", PATH, data={"grant_type": "client_credentials"}, headers=headers).status_code == 401


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "implicit"},
        {},
        {"grant_type": "password", "username": "a\x00b", "password": PASSWORD},
        {"grant_type": "password", "username": "ada", "password": "x" * 257},
    ],
    ids=str,
)
def test_what_can_be_no_log_in_is_refused_without_a_word_of_it(ask: Ask, form: dict[str, str]):
    answer = ask("POST", PATH, data=form)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert PASSWORD not in answer.text


def test_who_was_disabled_gets_no_token(ask: Ask, settings: Settings):
    open_users(settings).disable("ada", "tests")
    assert logged_in(ask, "ada").status_code == 401


def test_a_name_that_there_is_not_takes_as_long_as_a_wrong_password(ask: Ask):
    def cost(name: str) -> float:
        begin = time.process_time()
        assert logged_in(ask, name, "wrong").status_code == 401
        return time.process_time() - begin

    for name in ("ada", "nobody"):
        cost(name)
    known, unknown = (sorted(cost(name) for _ in range(5))[2] for name in ("ada", "nobody"))
    assert 0.5 < known / unknown < 2


def test_who_tries_passwords_is_held_up_and_others_are_not(ask: Ask):
    tries = [logged_in(ask, "ada", f"wrong {number}") for number in range(14)]
    assert [answer.status_code for answer in tries[:10]] == [401] * 10
    refused = tries[10:]
    assert {answer.status_code for answer in refused} == {429}
    assert 1 <= int(refused[0].headers["retry-after"]) <= 30
    assert logged_in(ask, "ada").status_code == 429, "not even with the right password"
    assert logged_in(ask, "opal").status_code == 200


def test_a_stranger_locks_nobody_out(ask: Ask):
    assert {logged_in(ask, "ada", "wrong").status_code for _ in range(14)} == {401, 429}
    assert logged_in(ask, "ada", **OFFICE).status_code == 200


def test_a_name_that_is_tried_from_everywhere_is_held_up(ask: Ask, settings: Settings):
    tried = ATTEMPTS_BY_NAME.burst
    assert open_buckets(settings).lease("name:ada", tried, ATTEMPTS_BY_NAME).granted == tried
    tries = [logged_in(ask, "ada", "wrong", **{"x-from": f"192.0.2.{number}"}).status_code for number in range(10)]
    assert 429 in tries


def test_who_gets_it_right_is_never_held_up(ask: Ask):
    assert {logged_in(ask, "ada").status_code for _ in range(13)} == {200}


def test_an_address_that_tries_names_is_held_up(ask: Ask, settings: Settings):
    tried = ATTEMPTS_BY_ADDRESS.burst
    assert open_buckets(settings).lease("address:127.0.0.1", tried, ATTEMPTS_BY_ADDRESS).granted == tried
    tries = [logged_in(ask, f"name{number}", "wrong").status_code for number in range(10)]
    assert 429 in tries
    bucket = rate_bucket.c.bucket
    with engine_for(settings.database_url).connect() as connection:
        names = connection.scalars(sa.select(bucket).where(bucket.like("name:name% 127.0.0.1"))).all()
    assert len(names) == tries.count(401), "whoever is refused leaves nothing behind"


def test_people_log_in_while_redis_is_away_and_who_tries_passwords_is_held_up_all_the_same(settings: Settings):
    add_users(settings, ADA, OPAL)
    app = door(replace(settings, redis_url="redis://127.0.0.1:1/0"))
    with running(app, who=None) as ask:
        assert logged_in(ask, "ada").status_code == 200
        assert {logged_in(ask, "ada", "wrong").status_code for _ in range(14)} == {401, 429}
        assert logged_in(ask, "opal").status_code == 200


class Away:
    """Buckets that do not answer, until they do."""

    def __init__(self) -> None:
        self.asked = 0

    def lease(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        self.asked += 1
        raise StoreUnreachable("nobody there")


def test_buckets_that_are_away_are_not_waited_for_again_and_again():
    away = Away()
    attempts = Attempts(away, beside_users=False)
    assert [attempts.begin("ada", "192.0.2.7") for _ in range(3)] == [0.0] * 3
    assert away.asked == 1


def test_where_the_users_are_away_with_them_nobody_is_counted():
    with pytest.raises(StoreUnreachable):
        Attempts(Away(), beside_users=True).begin("ada", "192.0.2.7")


ROLES = [
    # user  may operate
    (ADA, 403),
    (OPAL, 200),
    (ANNA, 403),
    (CRM, 403),
]


@pytest.mark.parametrize(("user", "status"), ROLES, ids=lambda value: getattr(value, "name", str(value)))
def test_operating_needs_the_role(ask: Ask, user: User, status: int):
    answer = ask("GET", "/operators", headers=admitted(ask, user))
    assert answer.status_code == status
    if status == 403:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"] == f"This is for the role operator; yours is {user.role}. {ASK_THEM}"


SEEN = [
    # segments                 regions     segment     region   seen
    ((), (), "prepaid", "R01", True),
    ((), (), None, None, True),
    (("prepaid",), (), "prepaid", None, True),
    (("prepaid",), (), "postpaid", None, False),
    (("prepaid",), (), None, None, False),
    ((), ("R01",), "prepaid", "R01", True),
    ((), ("R01",), "prepaid", None, False),
    (("prepaid", "postpaid"), ("R01", "R02"), "postpaid", "R02", True),
    (("prepaid", "postpaid"), ("R01", "R02"), "postpaid", "R03", False),
]


@pytest.mark.parametrize(("segments", "regions", "segment", "region", "seen"), SEEN)
def test_segments_and_regions_limit_whom_somebody_sees(
    segments: Any, regions: Any, segment: str | None, region: str | None, seen: bool
):
    assert may_see(User("ada", Role.AGENT, segments, regions), segment, region) is seen


def test_the_openapi_document_says_how_to_get_in(ask: Ask):
    document = ask("GET", "/openapi.json").json()
    flows = document["components"]["securitySchemes"]["AccessToken"]["flows"]
    assert {flow["tokenUrl"] for flow in flows.values()} == {PATH}
    assert set(flows) == {"password", "clientCredentials"}
    assert document["paths"]["/who"]["get"]["security"] == [{"AccessToken": []}]
