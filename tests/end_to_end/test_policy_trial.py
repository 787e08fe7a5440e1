"""A policy is tried on a night that is published: it shows what would have been, and changes nothing."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from churn.errors import RequestError
from store.policies import POLICIES
from tasks.policy_trial import tried_on
from tests.command import churn_here
from tests.end_to_end.nights import Nights, view_rows
from tests.end_to_end.telecom import FIRST_NIGHT

NIGHT = date.fromisoformat(FIRST_NIGHT)


@pytest.fixture
def small(tmp_path: Path) -> str:
    """The telecom's policy with two places for each team."""
    file = tmp_path / "small.yaml"
    file.write_text(re.sub(r"capacity: 100", "capacity: 2", (POLICIES / "telco.yaml").read_text()))
    return str(file)


def test_the_policy_in_force_gives_the_list_that_is_published(nights: Nights) -> None:
    before = nights.files()
    trial = tried_on("telco", "telco", NIGHT)
    listed = {str(row["customer_id"]) for row in view_rows("outreach_current")}
    assert trial.in_force is not None
    assert trial.tried.customers == trial.in_force.customers == listed
    assert trial.in_both == len(listed) > 4
    assert trial.tried.money == pytest.approx(trial.in_force.money)
    assert trial.gained == pytest.approx(0.0, abs=0.01)
    assert nights.files() == before


def test_another_policy_is_shown_beside_the_one_in_force(nights: Nights, small: str) -> None:
    trial = tried_on("telco", small, NIGHT)
    assert trial.in_force is not None
    assert len(trial.tried.customers) == 4
    assert trial.tried.customers <= trial.in_force.customers
    assert 0 < trial.tried.money < trial.in_force.money


def test_a_policy_that_believes_more_of_its_actions_does_not_thereby_earn_more(nights: Nights, tmp_path: Path) -> None:
    file = tmp_path / "hopeful.yaml"
    text = (POLICIES / "telco.yaml").read_text()
    hopeful = re.sub(r"(keeps|keep_probability): 0\.(\d+)", _doubled, text)
    assert hopeful != text
    file.write_text(hopeful)
    trial = tried_on("telco", str(file), NIGHT)
    assert trial.in_force is not None
    assert trial.tried.money > 1.5 * trial.in_force.money, "it says so of itself"
    assert trial.gained is not None
    assert trial.gained < trial.tried.money - trial.in_force.money, "it believes as much of the list in force"


def _doubled(found: re.Match[str]) -> str:
    return f"{found[1]}: {min(2.0 * float(f'0.{found[2]}'), 0.9)}"


def test_the_command_prints_overlap_and_money(nights: Nights, small: str) -> None:
    done = churn_here("policy", "dry-run", small, "--as-of", FIRST_NIGHT, home=nights.home)
    assert done.returncode == 0, done.stderr
    said = r"4 customers are on both lists\. By its own beliefs this policy earns \S+ less than the one in force"
    assert re.search(said, " ".join(done.stdout.split()))


def test_a_night_that_is_not_published_cannot_be_tried(nights: Nights) -> None:
    with pytest.raises(RequestError, match="its scores are not published"):
        tried_on("telco", "telco", date(2020, 1, 1))
