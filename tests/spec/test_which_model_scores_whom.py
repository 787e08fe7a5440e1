"""Which model scores whom: the champion of the customer's segment, and that of all where the segment has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from churn.contract import arrow_schema
from churn.errors import NoChampion
from schemas.quarantine import QUARANTINE
from store.lake import bucket_file, read_parquet, write_parquet
from store.registry import Promotion, Registry, Rollback, open_registry
from store.settings import Settings, current_settings
from tasks import scoring
from tasks.night import Night
from tests import cards
from tests.api.service import TINY, registered
from tests.end_to_end.nights import living_in

CUSTOMERS = {"Ann": "prepaid", "Bob": "postpaid", "Cid": None, "Dee": "hybrid"}  # nobody has heard of hybrid

WHO_SCORES = [
    # what was decided, in this order                                         Ann      Bob       Cid   Dee
    # (a version for a segment)                                               prepaid  postpaid  none  unknown
    (["1 for all"], (1, 1, 1, 1)),
    (["1 for all", "2 for all"], (2, 2, 2, 2)),
    (["1 for all", "2 for prepaid"], (2, 1, 1, 1)),
    (["1 for all", "2 for prepaid", "3 for postpaid"], (2, 3, 1, 1)),
    (["1 for all", "2 for prepaid", "3 for all"], (2, 3, 3, 3)),
    (["1 for all", "2 for prepaid", "3 for prepaid", "prepaid back"], (2, 1, 1, 1)),
    (["1 for all", "2 for all", "3 for postpaid", "all back"], (1, 3, 1, 1)),
    (["1 for all", "1 for prepaid", "2 for all"], (1, 2, 2, 2)),
]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with living_in(tmp_path):
        yield current_settings()


@pytest.fixture
def night(settings: Settings, tmp_path: Path) -> Night:
    """A night of these four customers, checked and ready to be scored."""
    contract, snapshot = tmp_path / "tiny.yaml", tmp_path / "snapshot"
    contract.write_text(TINY.text)
    rows = cards.customers(len(CUSTOMERS))
    for name, values in {"customer_id": list(CUSTOMERS), "segment": list(CUSTOMERS.values())}.items():
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values, pa.string()))
    write_parquet(rows, snapshot / bucket_file(0))
    write_parquet(arrow_schema(QUARANTINE).empty_table(), snapshot / scoring.QUARANTINE)
    known_at = datetime.combine(cards.AS_OF, datetime.min.time())
    return Night(str(contract), TINY.name, cards.AS_OF, known_at, tmp_path, "", snapshot, buckets=1)


@pytest.fixture
def registry(settings: Settings) -> Registry:
    """A registry with three models, none of which is champion."""
    for version in (1, 2, 3):
        assert registered(settings, replace(cards.card(), intercept=-float(version))) == version
    return open_registry(settings)


def decide(registry: Registry, decision: str) -> None:
    match decision.split():
        case [version, "for", segment]:
            now = registry.resolve_all(TINY.name).get(segment)
            expected = now.version if now else None
            registry.promote(Promotion(TINY.name, int(version), expected, "Ada", "better", (segment,), override=True))
        case [segment, "back"]:
            registry.rollback(Rollback(TINY.name, "Ada", "worse after all", (segment,)))


@pytest.mark.parametrize(("decisions", "versions"), WHO_SCORES, ids=[", ".join(case[0]) for case in WHO_SCORES])
def test_each_customer_is_scored_by(registry, night, tmp_path, decisions, versions) -> None:
    for decision in decisions:
        decide(registry, decision)
    scoring.score_bucket.fn(scoring.pin_champions.fn(night), night, tmp_path, 0)
    scores = read_parquet([tmp_path / bucket_file(0)])
    assert scores["customer_id"].to_pylist() == list(CUSTOMERS)
    assert tuple(scores["model_version"].to_pylist()) == versions
    digests = [version.digest for version in registry.versions(TINY.name)]
    assert scores["model_digest"].to_pylist() == [digests[version - 1] for version in versions]


def test_a_night_keeps_the_champions_that_it_was_pinned_to(registry, night, tmp_path) -> None:
    decide(registry, "1 for all")
    pinned = scoring.pin_champions.fn(night)
    decide(registry, "2 for prepaid")
    scoring.score_bucket.fn(pinned, night, tmp_path, 0)
    assert read_parquet([tmp_path / bucket_file(0)], ["model_version"])["model_version"].to_pylist() == [1, 1, 1, 1]


def test_nobody_is_scored_while_there_is_no_champion_of_all(registry, night) -> None:
    decide(registry, "2 for prepaid")
    with pytest.raises(NoChampion, match="segment all"):
        scoring.pin_champions.fn(night)
