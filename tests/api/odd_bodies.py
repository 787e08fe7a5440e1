"""Thirty-eight bodies that no customer's desk sends, and what each of them is answered by; none of them is scored."""

from __future__ import annotations

import json
from dataclasses import dataclass

JSON = "application/json"
CUSTOMER = {"customer_id": "C1", "bill": 31.5, "tenure": 12, "dropped": 0.03, "in_contract": False, "plan": "P2"}


@dataclass(frozen=True, slots=True)
class OddBody:
    """A body, what it says it is, and the status of its answer."""

    name: str
    status: int
    body: bytes
    kind: str | None = JSON


def but(**fields: object) -> bytes:
    """A usual customer but for these fields."""
    return json.dumps(CUSTOMER | fields).encode()


def raw(field: str, value: str) -> bytes:
    """A usual customer with a value as no JSON library would write it."""
    return but(**{field: "VALUE"}).replace(b'"VALUE"', value.encode())


WHOLE = but()

ODD_BODIES = (
    #       what it is                             status  body
    OddBody("nothing at all", 400, b""),
    OddBody("blanks", 400, b"   \r\n\t"),
    OddBody("half an object", 400, WHOLE[:-5]),
    OddBody("two objects", 400, WHOLE + WHOLE),
    OddBody("an object and more", 400, WHOLE + b"]"),
    OddBody("a form", 400, b"tenure=1&plan=P2"),
    OddBody("a page", 400, b"<html><body>12</body></html>"),
    OddBody("a word", 400, b"undefined"),
    OddBody("single quotes", 400, b"{'customer_id': 'C1'}"),
    OddBody("a comma too many", 400, b'{"customer_id": "C1",}'),
    OddBody("a comment", 400, b'{"customer_id": "C1" /* ours */}'),
    OddBody("bytes that are no UTF-8", 400, b'{"customer_id": "\xff\xfe"}'),
    OddBody("UTF-16", 400, WHOLE.decode().encode("utf-16")),
    OddBody("a byte order mark", 400, b"\xef\xbb\xbf" + WHOLE),
    OddBody("zeros", 400, bytes(100)),
    OddBody("half of a character", 400, b'{"customer_id": "\\ud800"}'),
    OddBody("lists in lists", 400, b"[" * 5_000 + b"]" * 5_000),
    OddBody("objects in objects", 400, b'{"plan":' * 5_000 + b"1" + b"}" * 5_000),
    OddBody("more than 64 KiB", 413, but(customer_id="C" * 70_000)),
    OddBody("a hundred thousand empty objects", 413, b"[" + b"{}," * 99_999 + b"{}]"),
    OddBody("JSON that does not say so", 415, WHOLE, None),
    OddBody("JSON that says it is text", 415, WHOLE, "text/plain"),
    OddBody("JSON that says it is a form", 415, WHOLE, "application/x-www-form-urlencoded"),
    OddBody("a list of customers", 422, b"[" + WHOLE + b"]"),
    OddBody("twenty thousand empty objects", 422, b"[" + b"{}," * 19_999 + b"{}]"),
    OddBody("null", 422, b"null"),
    OddBody("a number", 422, b"42"),
    OddBody("a text", 422, b'"C1"'),
    OddBody("fields that nobody asked for", 422, but(**{f"{number:03d}{'x' * 200}": 1 for number in range(250)})),
    OddBody("a number as text", 422, but(tenure="12")),
    OddBody("true for a number", 422, but(tenure=True)),
    OddBody("less than nothing", 422, but(tenure=-5)),
    OddBody("half a month", 422, but(tenure=12.5)),
    OddBody("no number", 422, raw("dropped", "NaN")),
    OddBody("a number without end", 422, raw("dropped", "-Infinity")),
    OddBody("a number of 400 digits", 422, raw("tenure", "1" + "0" * 400)),
    OddBody("an object for a text", 422, but(plan={"$gt": ""})),
    OddBody("a text of no letters", 422, but(customer_id="")),
)
