"""How fast a night's scores get into PostgreSQL and SQLite, and what readers of the night before notice of it.

The server is a private one that waits for the disk as a real one does. `load` is from sealed Parquet to rows that are
complete, indexed and attached; `step` adds the seal before it, and the audit and the pointer after it. The readers ask
for one customer of the newest night, over and over, while a long query holds the same tables open: `before` the
publication, and beside it. SQLite's look-ups are those of the service, which writes each into its log, in the same file
that the night is loaded into: `refused` are those that found it locked for a second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from churn.scoring import Stamp, percentile_edges, score_rows, with_percentile
from schemas.quarantine import QUARANTINE
from store.claims import Claim, Content, Unit
from store.lake import bucket_file, write_parquet
from store.publication import Publisher, open_publisher
from store.settings import read_settings
from tests import cards, postgres_server
from tests.faults.look_ups import looking_up
from tests.faults.nights import Base

FIRST = Unit("telco", "scores", date(2026, 1, 1), datetime.fromisoformat("2026-01-02T04:00:00"))
BUCKETS = 16
DURABLE = {"fsync": "on", "max_wal_size": "4GB"}
FIRST_CUSTOMER = "C0000000000"
ONE_CUSTOMER = f"SELECT probability FROM score_current WHERE contract = 'telco' AND customer_id = '{FIRST_CUSTOMER}'"
SECONDS_BEFORE = 5  # of look-ups beside the long query alone, to tell its cost from that of the publication
TEXTS_TO_SORT = 30_000_000
PAUSE = 0.005  # seconds between two look-ups
# Sorts texts made of all the scores: as slow as a report that nobody has tuned.
LONG_QUERY = """
SELECT count(*) FROM (
    SELECT md5(s.customer_id || n) AS word, percent_rank() OVER (ORDER BY md5(s.customer_id || n)) AS place
    FROM score_current s, generate_series(1, {times}) n
) ranked WHERE place > 0.5
"""


def main() -> None:
    """Publishes the same night twice to each database, and shows what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-publish-") as folder, postgres_server.server(**DURABLE) as server:
        rows = Path(folder) / "rows"
        write_scores(rows, chosen.customers)
        with postgres_server.database(server) as url:
            figures = _postgres(_publisher(Path(folder), url), rows, chosen.customers)
        figures |= _sqlite(_publisher(Path(folder), f"sqlite:///{folder}/churn.db"), rows, chosen.customers)
        _show(figures, chosen.customers)


def write_scores(folder: Path, customers: int) -> None:
    """Scores of so many customers, with reasons, in a file for each bucket."""
    stamp = Stamp(FIRST.as_of, cards.contract(), 3, "a" * 64)
    parts = []
    for bucket in range(BUCKETS):
        base = cards.customers(customers // BUCKETS, seed=bucket)
        keys = pa.array([f"C{bucket:02d}{number:08d}" for number in range(len(base))])
        parts.append(score_rows(cards.card(), base.set_column(0, "customer_id", keys), stamp))
    edges = percentile_edges(part["log_odds"].to_numpy() for part in parts)
    for bucket, part in enumerate(parts):
        write_parquet(with_percentile(part, edges), folder / bucket_file(bucket))


def _publisher(home: Path, url: str) -> Publisher:
    return open_publisher(read_settings({"CHURN_HOME": str(home / url.partition(":")[0]), "CHURN_DATABASE_URL": url}))


def _postgres(publisher: Publisher, rows: Path, customers: int) -> dict[str, float]:
    published(publisher, rows, 0)
    _vacuumed(publisher)
    alone = published(publisher, rows, 1)
    with _long_query(publisher, customers) as report, _reads(publisher) as waits:
        time.sleep(SECONDS_BEFORE)
        before = len(waits)
        beside = published(publisher, rows, 2)
        outlived = report.is_alive()
    return {
        "postgres_rows_per_s": customers / alone["load"],
        "postgres_step_rows_per_s": customers / sum(alone.values()),
        "swap_ms": 1000 * alone["swap"],
        "swap_beside_ms": 1000 * beside["swap"],
        "seconds_beside": sum(beside.values()),
        "long_query_outlived_it": outlived,
        **_waits("reader_before", waits[:before]),
        **_waits("reader", waits[before:]),
    }


def _waits(who: str, seconds: list[float]) -> dict[str, float]:
    return {f"{who}_p99_ms": 1000 * float(np.quantile(seconds, 0.99)), f"{who}_max_wait_ms": 1000 * max(seconds)}


def _sqlite(publisher: Publisher, rows: Path, customers: int) -> dict[str, float]:
    alone = published(publisher, rows, 0)
    base = Base(publisher.lake.root.parent.parent, publisher.engine.url.render_as_string(hide_password=False))
    with looking_up(base, FIRST_CUSTOMER) as looks:
        beside = published(publisher, rows, 1)
    return {
        "sqlite_rows_per_s": customers / alone["load"],
        "sqlite_rows_per_s_beside_look_ups": customers / beside["load"],
        "sqlite_swap_ms": 1000 * alone["swap"],
        "sqlite_lookup_p99_ms": float(np.quantile(looks.milliseconds, 0.99)),
        "sqlite_lookup_max_wait_ms": max(looks.milliseconds),
        "sqlite_lookups": len(looks.milliseconds),
        "sqlite_lookups_refused": looks.refused,
    }


def published(publisher: Publisher, rows: Path, day: int) -> dict[str, float]:
    """Publishes the rows as the night so many days after the first; the seconds of each step."""
    unit = replace(FIRST, as_of=FIRST.as_of + timedelta(days=day))
    claim = publisher.claim(unit, Content(str(day), str(day)))
    assert isinstance(claim, Claim)
    folder = publisher.stage(claim)
    shutil.copytree(rows, folder / "scores", dirs_exist_ok=True)
    nobody = {column.name: pa.array([], pa.string()) for column in QUARANTINE.columns}
    write_parquet(pa.table(nobody), folder / "quarantine" / "rows.parquet")
    steps: tuple[tuple[str, Callable[[Claim], object]], ...] = (
        ("seal", publisher.seal),
        ("load", publisher.load),
        ("audit", publisher.audit),
        ("swap", publisher._swap),  # the pointer's transaction alone
        ("rest", publisher.publish),
    )
    return {name: _seconds(step, claim) for name, step in steps}


def _seconds(step: Callable[[Claim], object], claim: Claim) -> float:
    began = time.perf_counter()
    step(claim)
    return time.perf_counter() - began


@contextmanager
def _long_query(publisher: Publisher, customers: int) -> Iterator[threading.Thread]:
    """A report on the scores that runs in a thread of its own, and is cut off when it is no longer needed."""
    with publisher.engine.connect() as connection:
        backend = connection.scalar(sa.select(sa.func.pg_backend_pid()))
        times = TEXTS_TO_SORT // customers
        report = threading.Thread(target=_ask, args=(connection, LONG_QUERY.format(times=times)))
        report.start()
        time.sleep(1)
        try:
            yield report
        finally:
            with publisher.engine.connect() as another:
                another.execute(sa.select(sa.func.pg_cancel_backend(backend)))
            report.join()


def _ask(connection: sa.Connection, query: str) -> None:
    with suppress(sa.exc.OperationalError):  # it is cut off
        connection.exec_driver_sql(query)


@contextmanager
def _reads(publisher: Publisher) -> Iterator[list[float]]:
    """The seconds that each look-up took while the block ran."""
    seconds: list[float] = []
    done = threading.Event()
    reader = threading.Thread(target=_read, args=(publisher, seconds, done))
    reader.start()
    try:
        yield seconds
    finally:
        done.set()
        reader.join()


def _read(publisher: Publisher, seconds: list[float], done: threading.Event) -> None:
    engine = publisher.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        while not done.wait(PAUSE):
            began = time.perf_counter()
            connection.exec_driver_sql(ONE_CUSTOMER).one()
            seconds.append(time.perf_counter() - began)


def _vacuumed(publisher: Publisher) -> None:
    """What autovacuum would have done since the last night."""
    with publisher.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
        connection.exec_driver_sql("CHECKPOINT")


def _show(figures: dict[str, float], customers: int) -> None:
    table = Table(title=f"Publishing {customers:,} scores; load {os.getloadavg()[0]:.1f}")
    table.add_column("what")
    table.add_column("figure", justify="right")
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), f"{value:,.1f}")
    Console().print(table)
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
