"""How long the quality checks of a base take: the import in the child, the checks themselves, the quarantine's SQL."""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table as Printed

from churn.quality import input_checks
from churn.quarantine import violations_sql
from schemas.columns import Column, LogicalType, Role, Table
from schemas.contract import Contract
from store.lake import bucket_file, duck, write_parquet
from tasks.inspection import Inspector, Request

BUCKETS = 16
T = TypeVar("T")

NUMBERS, COUNTS, WORDS, FLAGS = 34, 4, 4, 2
COLUMNS = (
    Column("customer_id", LogicalType.STRING, "Key", roles=(Role.KEY,), required=True, unique=True),
    *(
        Column(f"number_{n}", LogicalType.NUMBER, "", roles=(Role.FEATURE,), required=n % 3 > 0, minimum=0, maximum=700)
        for n in range(NUMBERS)
    ),
    *(
        Column(f"count_{n}", LogicalType.INTEGER, "", roles=(Role.FEATURE,), required=True, minimum=0, maximum=99)
        for n in range(COUNTS)
    ),
    *(
        Column(f"word_{n}", LogicalType.STRING, "", roles=(Role.FEATURE,), required=True, allowed=("a", "b", "c"))
        for n in range(WORDS)
    ),
    *(Column(f"flag_{n}", LogicalType.BOOLEAN, "", roles=(Role.FEATURE,), required=True) for n in range(FLAGS)),
)
CUSTOMERS = Table("customers", "Made-up customers", COLUMNS, ("customer_id",))
CONTRACT = Contract("benchmark", "1.0.0", "", "", (CUSTOMERS,), CUSTOMERS, flat=True)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--cores", type=int, default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Inspector() as inspector:
        files = tuple(_write(Path(folder), bucket, chosen.customers) for bucket in range(BUCKETS))
        _show(_measured(inspector, files, chosen.cores) | {"customers": chosen.customers, "columns": len(COLUMNS)})


def _write(folder: Path, bucket: int, customers: int) -> str:
    rng = np.random.default_rng(bucket)
    keys = np.arange(bucket, customers, BUCKETS)
    rows = len(keys)
    columns = [pa.array([f"C{key:09d}" for key in keys])]
    columns += [pa.array(rng.gamma(2, 50, rows), mask=(rng.random(rows) < 0.01) & (n % 3 == 0)) for n in range(NUMBERS)]
    columns += [pa.array(rng.integers(0, 100, rows)) for _ in range(COUNTS)]
    columns += [pa.array(np.array(["a", "b", "c"])[rng.integers(0, 3, rows)]) for _ in range(WORDS)]
    columns += [pa.array(rng.random(rows) < 0.5) for _ in range(FLAGS)]
    path = folder / bucket_file(bucket)
    write_parquet(pa.table(columns, names=list(CUSTOMERS.names)), path)
    return str(path)


def _measured(inspector: Inspector, files: tuple[str, ...], cores: int) -> dict[str, float]:
    checks = input_checks(CONTRACT)
    request = Request("benchmark customers", files, checks, cores)
    tiny = Request("benchmark customers", files[:1], checks[:2], cores)
    _, start = _timed(lambda: inspector.check(tiny))
    report, checking = _timed(lambda: inspector.check(request))
    broken = [result.check for result in report.results if result.check.quarantines and not result.passed]
    with duck(cores) as connection:
        sql = violations_sql(broken, key=CONTRACT.key, files=files)
        found, aside = _timed(lambda: connection.sql(sql).to_arrow_table())
    inspector.close()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "checks": len(checks),
        "checks_broken": len(broken),
        "violations": found.num_rows,
        "seconds_start": start,
        "seconds_checks": checking,
        "seconds_quarantine": aside,
        "child_cpu_seconds": round(spent.ru_utime + spent.ru_stime, 2),
        "child_peak_mb": spent.ru_maxrss // 1024,
    }


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    result = work()
    return result, round(time.perf_counter() - begun, 2)


def _show(facts: dict[str, float]) -> None:
    table = Printed("what", "measured", title="Quality checks of a base")
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), f"{value:,}")
    Console().print(table)
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
