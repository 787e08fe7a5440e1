"""A night that was killed goes on where it died: what it had finished is found, and its end is that of any other."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect.settings import PREFECT_API_URL

from store import snapshots
from store.claims import database_now
from store.fault_points import VARIABLE
from store.settings import current_settings
from store.tables import engine_for, publication
from tasks import scoring
from tasks.night import Summary
from tests.command import churn
from tests.end_to_end.nights import BUCKETS, KINDS, Nights
from tests.end_to_end.telecom import NEXT_NIGHT


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many buckets this process builds and scores."""
    done: Counter[str] = Counter()

    def counted(module: object, name: str) -> None:
        work = getattr(module, name)

        def wrapped(*arguments: object) -> object:
            done[name] += 1
            return work(*arguments)

        monkeypatch.setattr(module, name, wrapped)

    counted(snapshots, "build_bucket")
    counted(scoring, "_scores")
    return done


def killed_at(point: str, nights: Nights) -> None:
    """A night of its own process, which dies at the point; its lease is over at once, as ten minutes later."""
    served = {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "CHURN_BUCKETS": str(BUCKETS), VARIABLE: point}
    died = churn("night", "--as-of", NEXT_NIGHT, "--source", nights.source, home=nights.home, **served)
    assert died.returncode == -9, died.stderr
    with engine_for(current_settings().database_url).begin() as connection:
        gone = database_now(connection) - timedelta(seconds=1)
        connection.execute(sa.update(publication).values(lease_until=gone))


def digests(summary: Summary) -> list[str]:
    """What the files of the published scores and list are, to the byte."""
    folders: list[Path] = [getattr(summary, kind).folder for kind in KINDS]
    return [(folder / "manifest.json").read_text().split('"digest": "')[1][:64] for folder in folders]


def test_a_night_killed_after_scoring_scores_no_bucket_twice_and_ends_like_any_other(
    nights: Nights, work: Counter[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    killed_at("described", nights)
    left = sorted(path.name for path in (nights.home / "data/lake/snapshots").rglob("drafts/*/bucket=*.parquet"))
    assert len(left) == BUCKETS
    resumed = nights.run(NEXT_NIGHT)
    assert not work
    assert not list((nights.home / "data/lake/snapshots").rglob("drafts/*/*"))
    assert digests(nights.run(NEXT_NIGHT, force=True)) == digests(resumed)
    assert work == {"_scores": BUCKETS}
