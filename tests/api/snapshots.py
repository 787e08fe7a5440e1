"""A night whose snapshot is kept, as receipts and what-ifs ask for it."""

from __future__ import annotations

from datetime import date

import pyarrow as pa

from churn.contract import arrow_schema
from churn.scoring import Stamp, percentile_edges, score_rows, with_percentile
from churn.snapshot import midnight
from schemas.contract import Contract
from schemas.quarantine import QUARANTINE
from store.lake import Lake, describe, write_manifest, write_parquet
from store.registry import Version
from store.settings import Settings
from tests import cards
from tests.api.service import TINY, publish


def publish_with_snapshot(
    settings: Settings, champion: Version, rows: pa.Table, as_of: date, contract: Contract = TINY
) -> None:
    """Keeps the customers' rows as the night's snapshot, and publishes their scores by the contract."""
    ordered = rows.sort_by("customer_id")
    keep_snapshot(settings, ordered, as_of)
    scores = score_rows(cards.card(), ordered, Stamp(as_of, contract, champion.version, champion.digest))
    whole = with_percentile(scores, percentile_edges([scores["log_odds"].to_numpy()]))
    nobody = arrow_schema(QUARANTINE).empty_table()
    publish(settings, "scores", as_of, scores=whole, quarantine=nobody)


def keep_snapshot(settings: Settings, rows: pa.Table, as_of: date) -> None:
    """The rows as the customers of that date, known at its beginning."""
    folder = Lake(settings.lake).snapshot(TINY.name, as_of, midnight(as_of), "")
    write_parquet(rows, folder / "bucket=00.parquet")
    write_manifest(describe(folder, {"extract": ""}), folder)
