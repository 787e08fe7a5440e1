"""How long it takes to build the customers as of a night from an extract: what buckets share, then the buckets."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from churn.buckets import bucket_of
from churn.simulator import SOURCE_SCHEMAS, Simulation, blocks
from churn.snapshot import Moment
from schemas.contract import Contract
from store.contracts import read_contract
from store.lake import bucket_file, parquet_writer
from store.snapshots import build_bucket, build_context, latest_as_of

BUCKETS = 16


def main() -> None:
    """Simulates, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--cores", type=int, default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        extract = Path(folder) / "extract"
        _write_extract(extract, Simulation(chosen.customers, chosen.months))
        _show({"customers": chosen.customers, "months": chosen.months} | _measured(extract, Path(folder), chosen.cores))


def _measured(extract: Path, folder: Path, cores: int) -> dict[str, float]:
    contract = read_contract("telco")
    when = Moment.at(latest_as_of(extract, contract))
    began, cpu_began = time.perf_counter(), time.process_time()
    build_context(extract, contract, when, folder)
    shared = time.perf_counter()
    rows = _build_buckets(extract, contract, when, folder, cores)
    ended = time.perf_counter()
    return {
        "rows": rows,
        "columns": len(contract.customer.columns),
        "cores": cores,
        "seconds_context": shared - began,
        "seconds_buckets": ended - shared,
        "seconds_total": ended - began,
        "cpu_seconds": time.process_time() - cpu_began,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _build_buckets(extract: Path, contract: Contract, when: Moment, folder: Path, cores: int) -> int:
    with ThreadPoolExecutor(cores) as threads:
        return sum(threads.map(lambda bucket: build_bucket(extract, contract, when, bucket, folder), range(BUCKETS)))


def _write_extract(folder: Path, simulation: Simulation) -> None:
    with ExitStack() as stack:
        writers = {}
        for name, schema in SOURCE_SCHEMAS.items():
            (folder / name).mkdir(parents=True)
            writers[name] = [
                stack.enter_context(parquet_writer(folder / name / bucket_file(bucket), schema))
                for bucket in range(BUCKETS)
            ]
        for block in blocks(simulation):
            for name, tables in writers.items():
                for writer, part in zip(tables, _parted(block[name]), strict=True):
                    writer.write_table(part)


def _parted(table: pa.Table) -> list[pa.Table]:
    places = bucket_of(table["customer_id"], BUCKETS)
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], np.arange(BUCKETS + 1))
    ordered = table.take(pa.array(order))
    return [ordered.slice(start, end - start) for start, end in pairwise(ends)]


def _show(figures: dict[str, float]) -> None:
    rounded = {name: round(value, 3) for name, value in figures.items()}
    printed = Table("what", "value", title="Building the snapshot")
    for name, value in rounded.items():
        printed.add_row(name.replace("_", " "), f"{value:,}")
    Console(file=sys.stdout).print(printed)
    print(json.dumps(rounded))


if __name__ == "__main__":
    main()
