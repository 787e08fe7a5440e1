"""A body has its time, its size and its depth; what exceeds them is refused by its exact status, and never begun."""

from __future__ import annotations

import json

import anyio
import pytest
from fastapi import FastAPI, Request

from api.deadline import DEEPEST, LARGEST_BODY, BodyLimits, WholeBody, is_too_deep
from api.problems import OversizeAsProblem
from tests.api.service import Ask, running

LARGER = 2 * LARGEST_BODY


@pytest.fixture
def ask():
    app = FastAPI()

    @app.post("/one")
    @app.post("/many")
    async def size(request: Request) -> int:
        return len(await request.body())

    app.add_middleware(WholeBody, seconds=0.1)
    app.add_middleware(BodyLimits, larger={"/many": LARGER})
    app.add_middleware(OversizeAsProblem)
    with running(app) as asked:
        yield asked


async def slowly(*parts: bytes):
    for part in parts:
        yield part
        await anyio.sleep(0.3)


def test_a_body_in_several_parts_arrives_whole(ask: Ask):
    async def parts():
        for _ in range(5):
            yield b"x" * 1_000

    assert ask("POST", "/one", content=parts()).json() == 5_000


def test_a_sender_who_takes_too_long_is_told_so_and_his_connection_ends(ask: Ask):
    answer = ask("POST", "/one", content=slowly(b"a", b"b"))
    assert (answer.status_code, answer.headers["content-type"]) == (408, "application/problem+json")
    assert answer.headers["connection"] == "close"


SIZES = [
    # path     bytes             status
    ("/one", LARGEST_BODY, 200),
    ("/one", LARGEST_BODY + 1, 413),
    ("/many", LARGER, 200),
    ("/many", LARGER + 1, 413),
    ("/nowhere", LARGEST_BODY + 1, 413),
]


@pytest.mark.parametrize(("path", "size", "status"), SIZES)
def test_each_path_has_its_limit(ask: Ask, path: str, size: int, status: int):
    assert ask("POST", path, content=b"x" * size).status_code == status


DEEP = [
    # body                                               too deep
    (b"{}", False),
    (b"[" * DEEPEST + b"]" * DEEPEST, False),
    (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), True),
    (b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1), True),
    (b'{"a":[' * 40 + b"]}" * 40, True),
    (json.dumps([{"plan": "P1"}] * 1_000).encode(), False),
    (json.dumps({"text": "[" * 100 + "]" * 100}).encode(), False),
    (json.dumps({"text": '\\"' + "[{" * 50 + "}]" * 50}).encode(), False),
    (b"[" * 5_000, False),  # no JSON: its parser says so
]


@pytest.mark.parametrize(("body", "deep"), DEEP, ids=range(len(DEEP)))
def test_levels_are_counted_outside_of_texts(ask: Ask, body: bytes, deep: bool):
    assert is_too_deep(body) is deep
    assert ask("POST", "/one", content=body).status_code == (400 if deep else 200)
