"""Look-ups as the service makes them, read and logged in one transaction, one after the other beside what is tried."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from sqlalchemy.exc import OperationalError

from store.audit import Look
from store.lookups import newest_score
from store.registry import open_registry
from store.service_database import service_engine
from tests.faults.nights import CONTRACT, Base
from tests.faults.processes import start

PAUSE = 0.01
LOOK = Look("an agent", "tests", b"k" * 32)


@dataclass(slots=True)
class Looks:
    """The milliseconds that each look-up took, and how many found the database busy for too long."""

    milliseconds: list[float] = field(default_factory=list)
    refused: int = 0


@contextmanager
def looking_up(base: Base, customer_id: str) -> Iterator[Looks]:
    """Looks the customer of the newest night up while the block runs; what came of it is there when it has ended."""
    open_registry(base.settings)  # whose tables hold the log
    process, looks = start(look_on, base, customer_id), Looks()
    assert process.told.recv() == "begins"
    try:
        yield looks
    finally:
        seen = process.stop()
        looks.milliseconds, looks.refused = seen.milliseconds, seen.refused


def look_on(base: Base, customer_id: str, told: Connection) -> None:
    """The process of the look-ups."""
    engine, looks = service_engine(base.database_url), Looks()
    told.send("begins")
    while not looks.milliseconds or not told.poll(PAUSE):
        began = time.perf_counter()
        try:
            with engine.begin() as connection:
                assert newest_score(connection, CONTRACT, customer_id)
                LOOK.record(connection, "lookup", customer_id)
        except OperationalError:
            looks.refused += 1
        looks.milliseconds.append(1_000 * (time.perf_counter() - began))
    told.send(looks)
