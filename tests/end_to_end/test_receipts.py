"""Receipts of whole nights are recomputed from storage, whatever model or policy came since, or say what is gone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from churn.estimators import Estimator
from churn.scorecard import Scorecard
from churn.training import TrainingPlan
from churn.training.additive import fit
from churn.training.estimators import fit_estimator
from schemas.receipt import Receipt
from store.artifacts import model_of, save_model
from store.contracts import read_contract
from store.decisions import Decision, decision_of
from store.lake import read_parquet
from store.policies import POLICIES
from store.publication import open_publisher
from store.receipts import receipts_of
from store.registry import Promotion, open_registry
from store.settings import current_settings
from tests.end_to_end.nights import Nights, published_rows
from tests.end_to_end.telecom import FIRST_NIGHT
from tests.models import trained

FIRST, SECOND, THIRD = FIRST_NIGHT, "2024-08-02", "2024-08-03"
DRAWS = 10_000


def receipts(customers: Sequence[str], as_of: str = FIRST) -> tuple[Receipt, ...]:
    return receipts_of(current_settings(), read_contract("telco"), customers, date.fromisoformat(as_of))


def decision(as_of: str = FIRST) -> Decision:
    return decision_of(open_publisher(current_settings()), "telco", date.fromisoformat(as_of))


def customers_of(as_of: str = FIRST, *statuses: str) -> list[str]:
    """The keys of a night's scored customers, or of those with one of the statuses."""
    listed = decision(as_of).list
    assert listed is not None
    rows = published_rows(listed.folder, "outreach_status").select(["customer_id", "status"]).to_pylist()
    return [row["customer_id"] for row in rows if not statuses or row["status"] in statuses]


def succeeded_by(kind: str) -> None:
    """Trains a model of another kind on the first night's customers, and makes it champion."""
    settings, contract, first = current_settings(), read_contract("telco"), decision()
    assert first.snapshot is not None
    rows = read_parquet(sorted(first.snapshot.glob("bucket=*.parquet")))
    labels = (np.random.default_rng(3).random(rows.num_rows) < 0.1).astype(np.int64)
    plan = TrainingPlan(kind=kind, jobs=1, outer_bags=1, max_rounds=50)
    model: Scorecard | Estimator
    model = (fit if kind == "scorecard" else fit_estimator)(rows, labels, contract.features, plan)
    probe = rows.slice(0, 20).select([column.name for column in contract.features])
    digest = save_model(model_of(trained(model, probe), contract, "1"), settings)
    registry = open_registry(settings)
    version, now = registry.register("telco", digest), registry.resolve("telco").version
    registry.promote(Promotion("telco", version, expected=now, who="Ada", why="it is newer", override=True))


def other_policy(folder: Path) -> Path:
    """The telecom's policy with fewer places, dearer calls and a larger holdout."""
    text = (POLICIES / "telco.yaml").read_text()
    for old, new in (
        ("capacity: 100", "capacity: 40"),
        ("contact_cost: 2.0", "contact_cost: 3.0"),
        ("share: 0.1", "share: 0.2"),
    ):
        assert old in text
        text = text.replace(old, new)
    path = folder / "other.yaml"
    path.write_text(text)
    return path


def added_up(receipt: Receipt) -> float:
    total = receipt.score.intercept
    assert total is not None
    for term in receipt.score.terms:
        total += term.log_odds
    return total


def test_ten_thousand_receipts_are_recomputed_after_two_retrainings_and_a_change_of_policy(
    nights: Nights, tmp_path: Path
) -> None:
    succeeded_by("scorecard")
    nights.run(SECOND)
    succeeded_by("logistic_regression")
    policy = other_policy(tmp_path)
    nights.run(THIRD, policy=str(policy))
    policy.unlink()

    dice = np.random.default_rng(7)
    drawn = {as_of: dice.choice(customers_of(as_of), DRAWS // 3 + 1).tolist() for as_of in (FIRST, SECOND, THIRD)}
    made = [receipt for as_of, customers in drawn.items() for receipt in receipts(customers, as_of)]
    decisions = [receipt.decision for receipt in made if receipt.decision]
    assert len(made) == len(decisions) > DRAWS
    assert {receipt.missing for receipt in made} == {()}
    assert {receipt.score.model_version for receipt in made} == {1, 2, 3}
    assert len({decision.policy_digest for decision in decisions}) == 2
    assert {"listed", "held_out", "no_action", "do_not_contact"} <= {decision.status for decision in decisions}
    assert all(added_up(receipt) == receipt.score.log_odds for receipt in made if receipt.score.model_version < 3)
    assert all(abs(added_up(receipt) - receipt.score.log_odds) < 1e-9 for receipt in made)
