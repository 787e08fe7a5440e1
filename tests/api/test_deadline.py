"""A body has its time, its size and its depth; what exceeds them is refused by its exact status, and never begun."""

from __future__ import annotations

import json
import time
import tracemalloc

import anyio
import pytest
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient, Response

from api.deadline import DEEPEST, LARGEST_BATCH, LARGEST_BODY, BodyLimits, WholeBody, is_too_deep
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

    app.add_middleware(WholeBody, knows=lambda scope: True, seconds=0.1)
    app.add_middleware(BodyLimits, larger={"/many": LARGER})
    app.add_middleware(OversizeAsProblem)
    with running(app) as asked:
        yield asked


async def slowly(*parts: bytes):
    for part in parts:
        yield part
        await anyio.sleep(0.3)


def test_more_than_the_usual_is_read_of_those_alone_who_are_known():
    app = FastAPI()
    app.add_middleware(WholeBody, knows=lambda scope: (b"x-known", b"yes") in scope["headers"])

    @app.post("/many")
    async def size(request: Request) -> int:
        return len(await request.body())

    with running(app) as ask:
        assert ask("POST", "/many", content=b"x" * LARGEST_BODY).status_code == 200
        stranger = ask("POST", "/many", content=b"x" * LARGER)
        assert (stranger.status_code, stranger.headers["www-authenticate"]) == (401, "Bearer")
        assert ask("POST", "/many", content=b"x" * LARGER, headers={"x-known": "yes"}).json() == LARGER


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        (("application/json",), 400),
        (("text/csv",), 200),
        (("text/csv; charset=utf-8",), 200),
        (("application/json", "text/csv"), 400),
        (("text/csv", "application/json"), 400),
        ((), 400),
    ],
)
def test_brackets_mean_nothing_in_a_file_and_what_is_said_to_be_json_too_is_none(ask: Ask, kinds, status: int):
    sent = ask("POST", "/one", content=b"[" * (DEEPEST + 1), headers=[("content-type", kind) for kind in kinds])
    assert sent.status_code == status


def test_no_more_is_held_at_once_than_there_is_room_for():
    app = FastAPI()
    app.add_middleware(WholeBody, knows=lambda scope: True, most_held=3 * LARGER // 2)
    begun, end = anyio.Event(), anyio.Event()

    @app.post("/many")
    async def size(request: Request) -> int:
        body = await request.body()
        begun.set()
        await end.wait()
        return len(body)

    async def ask(content: bytes) -> Response:
        async with AsyncClient(transport=ASGITransport(app), base_url="http://churn") as client:
            return await client.post("/many", content=content)

    async def at_once() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, b"x" * LARGER)
            await begun.wait()
            refused = await ask(b"x" * LARGER)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            end.set()
            assert (await ask(b"x" * LARGEST_BODY)).status_code == 200
        assert (await ask(b"x" * LARGER)).json() == LARGER

    anyio.run(at_once)


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
    (json.dumps(["\\\\" * 3 + '"[' * 50] * DEEPEST).encode(), False),
    (b"[" * DEEPEST + json.dumps("\\\\").encode() + b"[" + b"]" * (DEEPEST + 1), True),
    (b'"[",' * 20_000 + b"[" * DEEPEST + b'"' + b"[" * 30_000 + b'"[', True),
    (b'"[",' * 20_000 + b"[" * DEEPEST + b'"' + b"[" * 30_000, False),  # no JSON: its parser says so
    (b"[" * DEEPEST + b'"' + b'\\"' * 50, False),
]


@pytest.mark.parametrize(("body", "deep"), DEEP, ids=range(len(DEEP)))
def test_levels_are_counted_outside_of_texts(ask: Ask, body: bytes, deep: bool):
    assert is_too_deep(body) is deep
    assert ask("POST", "/many", content=body).status_code == (400 if deep else 200)


HOSTILE = {
    "escapes in a text without end": b"[" * 17 + b'"' + b'\\"' * (LARGEST_BATCH // 2),
    "a long text": b"[" * 17 + b'"' + b"a" * LARGEST_BATCH,
    "texts of no letters": b"[" * 17 + b'""' * (LARGEST_BATCH // 2),
    "texts of a bracket": b'["' * (LARGEST_BATCH // 2),
    "lists of nothing": b"[]," * (LARGEST_BATCH // 3),
    "levels again and again": (b"[" * DEEPEST + b"]" * DEEPEST) * (LARGEST_BATCH // (2 * DEEPEST)),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_whatever_is_in_a_body_its_levels_are_counted_at_once_and_in_little_memory(body: bytes):
    tracemalloc.start()
    began = time.perf_counter()
    is_too_deep(body)
    took, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 1.0  # a twentieth of it on an idle machine
    assert peak < 4 * len(body)
