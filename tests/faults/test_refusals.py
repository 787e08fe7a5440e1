"""A night that is not good enough is refused: readers keep the last one, and are told why and how old it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa

from churn.errors import AuditFailed, ChurnError, QualityError
from churn.quality import verdict
from store import lake
from store.claims import Claim
from store.publication import Publisher
from store.tables import FENCE, scores
from tasks import publishing
from tasks.checks import inspect_scores
from tests.faults.damage import flip_a_byte
from tests.faults.nights import BUCKETS, CUSTOMERS, Base, left_over, made_of, night, scores_of, unit_of, whole, write
from tests.faults.readers import seen_in_files, seen_in_tables, undisturbed

Work = Callable[[Publisher, Claim, Path], None]

TONIGHT = night(1)
BASE_RATE = whole(TONIGHT)[2]


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with the score rows, and words of the refusal."""

    what: str
    change: Callable[[pa.Table], pa.Table]
    told: str

    def __str__(self) -> str:
        return self.what


def with_nulls(rows: pa.Table) -> pa.Table:
    null = pa.array(np.arange(len(rows)) % 20 == 0)
    probability = pc.if_else(null, pa.scalar(None, pa.float64()), rows["probability"])
    return rows.set_column(rows.column_names.index("probability"), "probability", probability)


def with_less_risk(rows: pa.Table) -> pa.Table:
    lower = pc.divide(rows["probability"], 10)
    return rows.set_column(rows.column_names.index("probability"), "probability", lower)


FLAWS = [
    Flaw("one score in twenty is null", with_nulls, "probability has a value: broken in"),
    Flaw("three customers in ten are missing", lambda rows: rows.slice(len(rows) * 3 // 10), "the number of rows is"),
    Flaw("the risk is a tenth of what it was", with_less_risk, "the mean of probability"),
]


@pytest.fixture(autouse=True)
def _of_this_process(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHURN_HOME", str(base.home))
    monkeypatch.setenv("CHURN_DATABASE_URL", base.database_url)


@pytest.mark.parametrize("flaw", FLAWS, ids=str)
def test_scores_that_are_not_good_enough_are_refused(base: Base, flaw: Flaw) -> None:
    def work(publisher: Publisher, claim: Claim, folder: Path) -> None:
        write(publisher, claim)
        for bucket in range(BUCKETS):
            rows = flaw.change(scores_of(TONIGHT, bucket))
            lake.write_parquet(rows, folder / "scores" / lake.bucket_file(bucket))
        verdict(inspect_scores(folder / "scores", base.settings, rows=CUSTOMERS, base_rate=BASE_RATE))

    assert_refused(base, work, QualityError, flaw.told)


def loses_a_row(publisher: Publisher, claim: Claim) -> None:
    some = sa.select(sa.func.min(scores.c.customer_id)).where(scores.c[FENCE] == claim.fence).scalar_subquery()
    with publisher.engine.begin() as connection:
        connection.execute(sa.delete(scores).where(scores.c[FENCE] == claim.fence, scores.c.customer_id == some))


def changes_a_file(publisher: Publisher, claim: Claim) -> None:
    unit = claim.unit
    run = publisher.lake.run(unit.contract, unit.kind, unit.as_of, claim.run_id)
    flip_a_byte(run / "scores" / lake.bucket_file(0))


@pytest.mark.parametrize(
    ("damage", "told"),
    [(loses_a_row, "table scores holds 1999 rows and the files 2000"), (changes_a_file, "is not as it was written")],
)
def test_copies_that_differ_are_refused(base: Base, damage: Callable[[Publisher, Claim], None], told: str) -> None:
    def work(publisher: Publisher, claim: Claim, folder: Path) -> None:
        write(publisher, claim)
        publisher.seal(claim)
        publisher.load(claim)
        damage(publisher, claim)
        publisher.publish(claim)

    assert_refused(base, work, AuditFailed, told)


def assert_refused(base: Base, work: Work, error: type[ChurnError], told: str) -> None:
    """The night's state says so and why, what readers see is old and says so, and nothing of the run is left."""
    yesterday = seen_in_tables(base)
    with undisturbed(base), pytest.raises(error, match=told) as refused:
        run(base, work)
    tonight = night_status(base)
    assert (tonight["last_state"], tonight["run_id"]) == ("rejected", None)
    assert refused.value.what in tonight["reason"]
    assert alerts(base) == [("rejected", tonight["reason"])]
    assert (str(tonight["shown_as_of"]), bool(tonight["stale"])) == (str(night(0)), True)
    assert seen_in_tables(base) == seen_in_files(base) == yesterday
    assert left_over(base) == set()
    assert refused.value.exit_code > 0


def run(base: Base, work: Work) -> None:
    publisher = base.publisher()
    claim = publisher.claim(unit_of(TONIGHT), made_of("first"))
    assert isinstance(claim, Claim)
    with publishing.held(claim) as folder:
        work(publisher, claim, folder)


def alerts(base: Base) -> list[tuple[str, str]]:
    with base.publisher().engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text("SELECT alert, sentence FROM night_alerts"))]


def night_status(base: Base) -> dict[str, Any]:
    query = sa.text("SELECT * FROM night_status WHERE as_of = :as_of")
    with base.publisher().engine.connect() as connection:
        row = connection.execute(query.bindparams(sa.bindparam("as_of", TONIGHT, sa.Date))).one()
    return dict(row._mapping)
