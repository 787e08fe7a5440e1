"""No single request makes a worker grow by more than 20 MB, the first of its kind included.

What is counted is the worker's resident memory, pages of libraries that it shares with other processes among them. The
process beside a worker, which reads the lake and the source for it, is none of the worker's: it has its own limit, and
ends when nobody has asked for a while, see api/desk.py.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import httpx
import pytest

from store.settings import Settings
from tests import cards
from tests.api.service import TINY, promoted
from tests.api.snapshots import publish_with_snapshot
from tests.api.test_jobs import as_csv, as_parquet
from tests.api.test_live import NIGHT, ROWS
from tests.api.test_server import eventually
from tests.faults.long.api_service import JSON, Standing, environment, serving

MOST_GROWTH = 20.0  # MB
CUSTOMER = "/api/v1/customers/C000003"
MANY = cards.customers(1_000)
FORM = "application/x-www-form-urlencoded"

REQUESTS = [
    # path                           body                                                        its type  status
    # What takes libraries that no other request needs comes first, since the next would find them there.
    (f"{CUSTOMER}?live=true", b"", JSON, 200),
    (f"{CUSTOMER}?live=true", b"", JSON, 200),  # the first may be told that the reader has just been started
    (f"{CUSTOMER}/what-if", b'{"changes": {"tenure": 3}}', JSON, 200),
    (f"{CUSTOMER}/receipt", b"", JSON, 200),
    ("/api/v1/jobs", as_parquet(MANY), "application/vnd.apache.parquet", 202),
    ("/api/v1/jobs", as_csv(MANY), "text/csv", 202),
    ("/api/v1/jobs", json.dumps({"rows": MANY.to_pylist()}).encode(), JSON, 202),
    ("/api/v1/predictions/batch", json.dumps({"customers": MANY.to_pylist()}).encode(), JSON, 200),
    ("/api/v1/token", b"grant_type=password&username=ada&password=wrong", FORM, 401),
    ("/openapi.json", b"", JSON, 200),
    ("/docs", b"", JSON, 200),
    (f"{CUSTOMER}/history", b"", JSON, 200),
    ("/api/v1/models/all/history", b"", JSON, 200),
    ("/api/v1/outreach", b"", JSON, 404),
    ("/metrics", b"", JSON, 200),
]


@pytest.fixture
def home(settings: Settings) -> Path:
    """A base with a night whose snapshot is kept, and a source that knows the same customers."""
    publish_with_snapshot(settings, promoted(settings), ROWS, NIGHT)
    source = settings.data / "source" / "telco.db"
    source.parent.mkdir()
    database = sqlite3.connect(source)
    names = ROWS.column_names
    database.execute(f"CREATE TABLE customers ({', '.join(names)})")
    places = ", ".join("?" * len(names))
    database.executemany(f"INSERT INTO customers VALUES ({places})", [list(row.values()) for row in ROWS.to_pylist()])
    database.commit()
    database.close()
    return settings.data.parent


def test_no_request_makes_a_worker_grow_by_more_than_it_may(home: Path):
    with serving(environment(home), TINY.name) as service, asked(service) as client:
        assert eventually(lambda: is_ready(client))
        grown = growths(service, client)
    assert {what: by for what, by in grown.items() if by > MOST_GROWTH} == {}


def asked(service: Standing) -> httpx.Client:
    admitted = {"authorization": f"Bearer {service.token}", "x-purpose": "tests"}
    return httpx.Client(base_url=f"http://127.0.0.1:{service.port}", headers=admitted, timeout=30.0)


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def growths(service: Standing, client: httpx.Client) -> dict[str, float]:
    """By how many megabytes the worker grew with each request, which is answered as it should be."""
    found: dict[str, float] = {}
    for path, body, kind, status in REQUESTS:
        before = service.memory()
        answer = client.request("POST" if body else "GET", path, content=body, headers={"content-type": kind})
        assert answer.status_code == status, (path, answer.text[:300])
        found[f"{len(found)} {path} {kind}"] = round(service.memory() - before, 1)
    return found
