"""A night from source to outreach list: what is published adds up, and doing it again changes nothing."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from prefect.client.orchestration import get_client

from churn.scorecard import Floats, Scorecard, binned
from store.artifacts import load_model
from store.lake import read_manifest
from store.policies import POLICIES
from store.registry import Promotion, open_registry
from store.settings import current_settings
from tasks.night import Summary
from tests.end_to_end.nights import Nights, living_in, published_rows, snapshot_rows, view_rows
from tests.end_to_end.telecom import FIRST_NIGHT, NEXT_NIGHT, delivered, replaced, simulated, some_of, tables

STRANGE = (("segment", "hybrid"), ("region", "R99"))
STRANGE_CUSTOMERS = 20  # of 2,000: few enough for the night to go on


@pytest.fixture(scope="module")
def summary(shared_nights: Nights, tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A night on a feed in which a few customers have a segment, and more a region, that the contract does not know."""
    few = some_of(tables()["customers"], STRANGE_CUSTOMERS)
    feed = replaced(tables(), "customers", "segment", "hybrid", few)
    feed = replaced(feed, "customers", "region", "R99", some_of(feed["customers"], 2 * STRANGE_CUSTOMERS))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CHURN_PARITY", "on")
        return shared_nights.run(NEXT_NIGHT, delivered(feed, tmp_path_factory.mktemp("feed")))


def test_the_service_scores_the_night_s_customers_as_the_table_does(summary: Summary) -> None:
    assert summary.parity == "1,000 compared, equal"
    [row] = [row for row in view_rows("night_parity") if row["run_id"] == summary.scores.run_id]
    assert (row["state"], row["service"], row["worst"]) == ("equal", "", 0.0)


@pytest.mark.usefixtures("summary")
def test_the_page_of_a_night_says_how_long_each_step_took() -> None:
    with get_client(sync_client=True) as client:
        [page] = [str(artifact.data) for artifact in client.read_latest_artifacts() if artifact.key == "night"]
    assert re.search(r"\| score bucket \| \d+\.\d \|", page), page


def test_a_night_adds_up(summary: Summary) -> None:
    scores = published_rows(summary.scores.folder, "scores")
    statuses = published_rows(summary.outreach.folder, "outreach_status")
    listed = published_rows(summary.outreach.folder, "outreach")
    aside = published_rows(summary.scores.folder, "quarantine")

    base = set(snapshot_rows(summary)["customer_id"].to_pylist())
    set_aside = set(aside["key"].to_pylist())
    scored = scores["customer_id"].to_pylist()
    assert 0 < len(set_aside) <= STRANGE_CUSTOMERS
    assert {(row["column"], row["rule"]) for row in aside.to_pylist()} == {("segment", "among")}
    assert len(scored) == len(set(scored)) == summary.scores.rows
    assert set(scored) == base - set_aside
    assert summary.quarantined == len(set_aside)

    assert sorted(statuses["customer_id"].to_pylist()) == sorted(scored)
    assert Counter(statuses["status"].to_pylist()) == summary.statuses
    assert sum(summary.statuses.values()) == sum(summary.bands.values()) == summary.scores.rows
    assert summary.statuses["listed"] == len(listed) == summary.outreach.rows
    assert "beyond_capacity" not in summary.statuses  # so the list is everybody who is worth a contact
    assert listed["rank"].to_pylist() == list(range(1, len(listed) + 1))


def test_a_value_never_seen_sets_the_row_aside_or_is_scored_as_unknown_as_the_contract_says(summary: Summary) -> None:
    rows = snapshot_rows(summary)
    scored = published_rows(summary.scores.folder, "scores")
    hybrid, beyond = (
        set(rows.filter(pc.equal(rows[name], value))["customer_id"].to_pylist()) for name, value in STRANGE
    )
    assert hybrid.isdisjoint(scored["customer_id"].to_pylist())
    assert beyond - hybrid <= set(scored["customer_id"].to_pylist())
    assert len(beyond - hybrid) > 5


def keys(rows: pa.Table) -> set[str]:
    return set(rows["customer_id"].to_pylist())


def test_terms_add_up_to_the_log_odds_and_reasons_are_the_strongest_of_them(summary: Summary) -> None:
    scores = published_rows(summary.scores.folder, "scores").sort_by("customer_id")
    rows = snapshot_rows(summary).sort_by("customer_id")
    rows = rows.filter(pc.is_in(rows["customer_id"], scores["customer_id"]))
    card = load_model(scores["model_digest"][0].as_py(), current_settings()).card
    terms = term_values(card, rows)
    log_odds = scores["log_odds"].to_numpy()

    np.testing.assert_allclose(card.intercept + terms.sum(axis=1), log_odds, rtol=0, atol=1e-12)
    np.testing.assert_allclose(1 / (1 + np.exp(-log_odds)), scores["probability"].to_numpy(), rtol=1e-12)
    strongest = np.sort(terms, axis=1)[:, ::-1]
    for place in (1, 2, 3):
        reason = scores[f"reason_{place}_log_odds"].to_numpy(zero_copy_only=False)
        np.testing.assert_array_equal(np.nan_to_num(reason), np.maximum(strongest[:, place - 1], 0))
    relief = scores["relief_1_log_odds"].to_numpy(zero_copy_only=False)
    np.testing.assert_array_equal(np.nan_to_num(relief), np.minimum(strongest[:, -1], 0))
    first = np.array(card.term_names)[terms.argmax(axis=1)]
    assert (first == np.array(scores["reason_1_feature"].to_pylist())).mean() > 0.99  # equal terms may change places


def term_values(card: Scorecard, rows: pa.Table) -> Floats:
    """The log-odds of each term, of shape (rows, terms), looked up without the kernel that scored the night."""
    bins = binned(card, rows)
    columns = [
        term.table[tuple(axis[bins[place]] for place, axis in zip(term.features, term.bins, strict=True))]
        for term in card.terms
    ]
    return np.stack(columns, axis=1)


def test_the_views_show_what_the_files_hold(summary: Summary) -> None:
    for view, table, folder in (
        ("score_current", "scores", summary.scores.folder),
        ("outreach_current", "outreach", summary.outreach.folder),
        ("outreach_status_current", "outreach_status", summary.outreach.folder),
    ):
        written = published_rows(folder, table)
        shown = view_rows(view)
        assert by_customer(shown, written.column_names) == by_customer(written.to_pylist(), written.column_names)


def by_customer(rows: list[dict[str, object]], columns: list[str]) -> dict[object, dict[str, object]]:
    assert all(column in rows[0] for column in columns)
    return {row["customer_id"]: {name: in_json(row[name]) for name in columns} for row in rows}


def in_json(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value


def test_the_list_is_exactly_as_long_as_the_capacity(nights: Nights, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(re.sub(r"capacity: \d+", "capacity: 7", (POLICIES / "telco.yaml").read_text()))
    summary = nights.run(FIRST_NIGHT, policy=str(policy))
    statuses = published_rows(summary.outreach.folder, "outreach_status")
    listed = statuses.filter(pc.equal(statuses["status"], "listed"))
    passed_over = statuses.filter(pc.equal(statuses["status"], "beyond_capacity"))
    assert summary.outreach.rows == len(listed) == 7
    assert pc.min(listed["expected_value"]).as_py() >= pc.max(passed_over["expected_value"]).as_py()
    assert (summary.scores.new, summary.outreach.new) == (False, True)  # another policy scores nobody anew


def test_a_second_run_of_the_same_night_does_nothing_and_says_so(nights: Nights) -> None:
    before, shown = nights.files(), nights.shown()
    again = nights.run(FIRST_NIGHT)
    assert (again.scores.new, again.outreach.new) == (False, False)
    assert {again.scores.run_id, again.outreach.run_id} == {row["run_id"] for row in view_rows("night_status")}
    assert nights.files() == before
    assert nights.shown() == shown


def test_a_night_from_postgres_to_postgres_gives_the_same_bytes(
    nights: Nights, postgres_url: str, tmp_path: Path
) -> None:
    here = nights.run(FIRST_NIGHT)
    shown = without_run(view_rows("score_current"))
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(nights.home / "artifacts", elsewhere / "artifacts")
    simulated(postgres_url, truth=tmp_path / "truth")
    with living_in(elsewhere, CHURN_DATABASE_URL=postgres_url, CHURN_SOURCE_URL=postgres_url):
        crown(str(published_rows(here.scores.folder, "scores")["model_digest"][0]))
        there = Nights(elsewhere, postgres_url).run(FIRST_NIGHT)
        assert without_run(view_rows("score_current")) == shown
    assert there.scores.new
    for result in ("scores", "outreach"):
        ours, theirs = (read_manifest(getattr(summary, result).folder) for summary in (here, there))
        assert theirs.files == ours.files


def crown(digest: str) -> None:
    """Makes the model champion in a registry that has none."""
    registry = open_registry(current_settings())
    version = registry.register("telco", digest)
    registry.promote(Promotion("telco", version, None, who="the test", why="the other night's champion"))


def without_run(rows: list[dict[str, object]]) -> dict[object, dict[str, object]]:
    columns = [name for name in rows[0] if name not in ("run_id", "published_at")]
    return by_customer([row | {"known_at": str(row["known_at"])[:19]} for row in rows], columns)
