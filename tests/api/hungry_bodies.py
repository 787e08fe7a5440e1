"""Bodies of the size that a route takes, made to cost whoever reads them much more: time by the minute, or memory."""

from __future__ import annotations

from dataclasses import dataclass

from api.deadline import DEEPEST, LARGEST_BATCH, MOST_VALUES
from schemas.jobs import LARGEST_JSON

PREDICTIONS, BATCH = "/api/v1/predictions", "/api/v1/predictions/batch"
JOBS, INTERVENTIONS = "/api/v1/jobs", "/api/v1/interventions"
RATES = "predictions=60000000,lookups=60000000,batch=6000,jobs=6000,changes=6000"  # none of them is one too many
TOO_DEEP = b"[" * (DEEPEST + 1)


@dataclass(frozen=True, slots=True)
class HungryBody:
    """A body, where it is sent, and the status of its answer."""

    name: str
    path: str
    status: int
    body: bytes


def listed(begin: bytes, each: bytes, end: bytes, times: int = MOST_VALUES - 10) -> bytes:
    """So many of these in a list."""
    return begin + b",".join([each] * times) + end


def fields(times: int, value: bytes) -> bytes:
    """An object of so many fields."""
    return b"{" + b",".join(b'"%05x":%b' % (number, value) for number in range(times)) + b"}"


# A reader who goes back at each of them is still seen within seconds: twice as many take him four times as long.
ESCAPES = HungryBody("escapes in a text without end", PREDICTIONS, 400, TOO_DEEP + b'"' + b'\\"' * 32_000)

HUNGRY_BODIES = (
    #          what it is                           path           status  body
    ESCAPES,
    HungryBody("a long text", BATCH, 400, TOO_DEEP + b'"' + b"a" * (LARGEST_BATCH - 40) + b'"' + b"]" * (DEEPEST + 1)),
    HungryBody("texts of no letters", BATCH, 400, TOO_DEEP + b'""' * (LARGEST_BATCH // 2 - 40)),
    HungryBody("a long text for a job", JOBS, 413, TOO_DEEP + b'"' + b"a" * (4 * LARGEST_JSON - 40) + b'"'),
    HungryBody("more lists than a batch may have", BATCH, 413, listed(b"[", b"[]", b"]", LARGEST_BATCH // 3)),
    HungryBody("objects in a list", BATCH, 422, listed(b"[", b"{}", b"]")),
    HungryBody("objects for customers", BATCH, 422, listed(b'{"customers":[', b"{}", b"]}")),
    HungryBody("lists for a value", BATCH, 200, listed(b'{"customers":[{"bill":[', b"[]", b"]}]}")),
    HungryBody("fields that nobody asked for", BATCH, 200, b'{"customers":[' + fields(MOST_VALUES - 10, b"1") + b"]}"),
    HungryBody("a job of objects", JOBS, 422, listed(b'{"rows":[', b"{}", b"]}")),
    HungryBody("a job of one row", JOBS, 422, b'{"rows":[' + fields(70_000, b"[]") + b"]}"),
    HungryBody("a job of wrong rows", JOBS, 422, listed(b'{"rows":[', fields(7, b"[]"), b"]}", 9_000)),
    HungryBody("lists for events", INTERVENTIONS, 422, listed(b'{"interventions":[', b"[]", b"]}")),
    HungryBody("fields of one event", INTERVENTIONS, 422, b'{"interventions":[' + fields(35_000, b"1") + b"]}"),
)
