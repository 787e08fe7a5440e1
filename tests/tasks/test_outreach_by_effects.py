"""A list goes by the effects that were told by its night's moment: who would be driven away is not contacted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.outreach import TONIGHT, in_force, night_of, scores_of, write_base
from churn.off_policy import Value
from churn.scorecard import Feature, Kind, Scorecard, Term
from churn.snapshot import midnight
from churn.training.uplift_trial import Drawn, Trial
from churn.uplift import Cards
from schemas.outreach import OUTREACH, TEAMS
from store.contracts import read_contract
from store.lake import read_parquet
from store.settings import current_settings
from store.uplift_trials import Told, keep_uplift
from tasks.outreach import decision, write_decision
from tests.end_to_end.nights import living_in

AGREED = Feature("marketing_consent", Kind.YES_NO, "marketing consent", cuts=np.array([0.5]))
LEFT_ALONE = Scorecard(-3.0, (AGREED,), (Term((0,), (np.arange(3),), np.array([0.0, 0.1, -0.1])),), base_rate=0.05)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A base of two thousand, scored, whose list of yesterday is published."""
    with living_in(tmp_path):
        write_base(tmp_path, 2_000)
        yield tmp_path


def listed(home: Path, name: str) -> tuple[pa.Table, pa.Table]:
    """Tonight's list and how its teams' places were used."""
    night, scores = night_of(home, TONIGHT), scores_of(home)
    write_decision(night, scores, decision(night, scores, in_force(home)), home / name)
    return tuple(read_parquet(sorted((home / name / table.name).glob("*"))) for table in (OUTREACH, TEAMS))  # type: ignore[return-value]


def told_that_it_drives_away(action: str, known_at: datetime) -> str:
    members = pa.table(
        {
            "as_of": [TONIGHT - timedelta(days=60)] * 4,
            "action": [action] * 4,
            "held_out": [False, False, True, True],
            "label": [1, 0, 0, 1],
            "marketing_consent": [True, False, True, None],
        }
    )
    cards = Cards(treated=replace(LEFT_ALONE, intercept=-2.0), held_out=LEFT_ALONE)
    trial = Trial(action, Drawn(20_000, 20_000, 1_000, 500), Value(2.0, 1.0, 3.0), cards)
    rows = keep_uplift(current_settings(), Told(read_contract("telco"), known_at, "code", members, [trial]))
    return str(rows["uplift_digest"][0])


def test_whom_an_action_would_drive_away_is_not_on_the_list_for_it(home: Path) -> None:
    believed, teams = listed(home, "believed")
    [(action, count), *_] = Counter(believed["action"].to_pylist()).most_common()
    assert count > 10
    assert set(teams["uplift_digest"].to_pylist()) == {None}

    digest = told_that_it_drives_away(action, midnight(TONIGHT - timedelta(days=1)))
    told, teams = listed(home, "told")
    assert action not in told["action"].to_pylist()
    assert set(teams["uplift_digest"].to_pylist()) == {digest}
    others = set(believed["action"].to_pylist()) - {action}
    assert set(told["action"].to_pylist()) == others, "what no lot has told of goes by the belief"


def test_what_was_told_after_the_night_s_moment_changes_nothing(home: Path) -> None:
    believed, _ = listed(home, "believed")
    told_that_it_drives_away(believed["action"][0].as_py(), midnight(TONIGHT + timedelta(days=1)))
    again, _ = listed(home, "again")
    assert again.equals(believed)
