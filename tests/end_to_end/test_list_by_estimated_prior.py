"""Where the policy believes the estimated share of churners, lists go by it, and receipts are recomputed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from schemas.receipt import Receipt
from store.contracts import read_contract
from store.policies import POLICIES, read_policy
from store.priors import kept_prior
from store.receipts import receipts_of
from store.settings import current_settings
from tests.end_to_end.nights import Nights, view_rows
from tests.end_to_end.telecom import FIRST_NIGHT


def test_no_policy_believes_it_unless_it_says_so() -> None:
    assert [file.stem for file in POLICIES.glob("*.yaml") if read_policy(file.stem).policy.prior_by_em] == []


def test_a_list_goes_by_the_estimated_share_and_its_receipts_are_recomputed(
    nights: Nights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound, of_a_small_telecom in (("FEWEST_EXPECTED", 1), ("MOST_TIMES", 1e6)):
        monkeypatch.setattr(f"churn.score_spread.{bound}", of_a_small_telecom)
    scores, before = (view_rows(name) for name in ("score_current", "outreach_status_current"))
    policy = tmp_path / "estimated.yaml"
    policy.write_text((POLICIES / "telco.yaml").read_text() + "prior_by_em: true\n")
    nights.run(FIRST_NIGHT, policy=str(policy))

    [digest] = {row["prior_digest"] for row in view_rows("outreach_team_current")}
    prior = kept_prior(current_settings(), digest)
    assert prior is not None
    assert {row["model_digest"] for row in scores} == set(prior.odds)
    assert all(odds not in (0.0, 1.0) for odds in prior.odds.values())
    assert [row["probability"] for row in view_rows("score_current")] == [row["probability"] for row in scores]
    worth = [[row["expected_value"] for row in rows] for rows in (before, view_rows("outreach_status_current"))]
    assert worth[0] != worth[1]

    asked = [row["customer_id"] for row in view_rows("outreach_current")][:3]
    for made in _receipts(asked):
        assert {"status.expected_value", "status.status", "list.rank"} <= set(made.recomputed)
        assert made.missing == ()
    next((current_settings().artifacts / "texts").glob(f"{digest}*")).unlink()
    for made in _receipts(asked):
        assert f"the share of churners {digest} that was believed" in made.missing[0]
        assert "status.expected_value" not in made.recomputed


def _receipts(asked: list[str]) -> tuple[Receipt, ...]:
    return receipts_of(current_settings(), read_contract("telco"), asked, date.fromisoformat(FIRST_NIGHT))
