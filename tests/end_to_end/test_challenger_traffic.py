"""A challenger whose first night in the shadow went well decides about its share from the night after on."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import pytest

from churn.training import TrainingPlan
from churn.training.additive import fit
from store.artifacts import model_of, save_model
from store.contracts import read_contract
from store.decisions import decision_of
from store.lake import read_parquet
from store.policies import POLICIES
from store.publication import open_publisher
from store.receipts import receipts_of
from store.registry import open_registry
from store.settings import current_settings
from store.shadows import Wish, in_shadow, send_into_shadow
from tasks.night import Summary
from tests.end_to_end.nights import Nights, published_rows, view_rows
from tests.end_to_end.telecom import FIRST_NIGHT
from tests.models import trained

SECOND, THIRD = "2024-08-02", "2024-08-03"


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The telecom's policy, by which a challenger decides about three customers of ten."""
    path = tmp_path_factory.mktemp("policy") / "challenged.yaml"
    path.write_text((POLICIES / "telco.yaml").read_text() + "challenger_traffic: {share: 0.3, valid_days: 90}\n")
    return str(path)


@pytest.fixture(scope="module")
def challenger(shared_nights: Nights) -> str:
    """A second card, learnt from labels of chance, that waits in the shadow."""
    settings, contract = current_settings(), read_contract("telco")
    first = decision_of(open_publisher(settings), "telco", date.fromisoformat(FIRST_NIGHT))
    assert first.snapshot is not None
    rows = read_parquet(sorted(first.snapshot.glob("bucket=*.parquet")))
    labels = (np.random.default_rng(3).random(rows.num_rows) < 0.05).astype(np.int64)
    card = fit(rows, labels, contract.features, TrainingPlan(jobs=1, outer_bags=1, max_rounds=50))
    probe = rows.slice(0, 20).select([column.name for column in contract.features])
    digest = save_model(model_of(trained(card, probe), contract, "1"), settings)
    version = open_registry(settings).register("telco", digest)
    send_into_shadow(settings, [Wish("telco", "all", version, 1, 9, "default", "Ada", "it may be better")])
    return digest


def statuses(as_of: str) -> list[dict[str, object]]:
    listed = decision_of(open_publisher(current_settings()), "telco", date.fromisoformat(as_of)).list
    assert listed is not None
    rows: list[dict[str, object]] = published_rows(listed.folder, "outreach_status").to_pylist()
    return rows


@pytest.fixture(scope="module")
def third(shared_nights: Nights, challenger: str, policy: str) -> Summary:
    """The night after the challenger's first one in the shadow."""
    shared_nights.run(SECOND, policy=policy)
    return shared_nights.run(THIRD, policy=policy)


def test_on_its_first_night_in_the_shadow_it_decides_about_nobody(third: Summary) -> None:
    assert {row["model_arm"] for row in statuses(SECOND)} == {None}, "a night must have shown that it is sound"


def test_it_decides_about_its_share_and_the_published_scores_stay_the_champions(
    third: Summary, challenger: str
) -> None:
    arms = Counter((row["model_arm"], row["model_digest"] == challenger) for row in statuses(THIRD))
    assert set(arms) == {("champion", False), ("challenger", True)}
    assert arms["challenger", True] / sum(arms.values()) == pytest.approx(0.3, abs=0.05)
    assert challenger not in {row["model_digest"] for row in view_rows("score_current")}
    listed = {row["customer_id"]: row["model_digest"] for row in view_rows("outreach_current")}
    decided = {row["customer_id"]: row["model_digest"] for row in statuses(THIRD) if row["status"] == "listed"}
    assert listed == decided
    assert challenger in set(listed.values())


def test_every_receipt_is_recomputed_by_the_model_that_decided(third: Summary) -> None:
    asked = [str(row["customer_id"]) for row in statuses(THIRD)]
    made = receipts_of(current_settings(), read_contract("telco"), asked, date.fromisoformat(THIRD))
    assert {receipt.missing for receipt in made} == {()}
    assert {"status.status", "status.expected_value", "status.model_arm"} <= set(made[0].recomputed)


def test_a_rerun_is_the_same_list_whatever_becomes_of_the_challenger(
    shared_nights: Nights, third: Summary, policy: str
) -> None:
    assert shared_nights.run(THIRD, policy=policy).outreach.run_id == third.outreach.run_id
    settings = current_settings()
    [wish] = in_shadow(settings, "telco")
    send_into_shadow(settings, [Wish("telco", "all", 1, None, 9, "default", "Ada", "another wants the place")])
    assert wish not in in_shadow(settings, "telco")
    before = {row["customer_id"]: (row["status"], row["model_digest"]) for row in statuses(THIRD)}
    shared_nights.run(THIRD, policy=policy)
    assert {row["customer_id"]: (row["status"], row["model_digest"]) for row in statuses(THIRD)} == before
