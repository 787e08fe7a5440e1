"""A retraining trains, judges and promotes; what the gate refuses waits; any kind of model may then score a night."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from churn.errors import PolicyError
from store.gates import GATES
from store.registry import open_registry
from store.settings import current_settings
from tasks.night import Retraining
from tests.end_to_end.nights import Nights, published_rows, view_rows
from tests.end_to_end.telecom import FIRST_NIGHT, NEXT_NIGHT

QUICK = "logistic_regression"  # has no terms, which take seven seconds to draw
REASONS = [f"reason_{place}_feature" for place in (1, 2, 3)]


def retrained(nights: Nights, as_of: str = NEXT_NIGHT, **parameters: Any) -> Retraining:
    from flows.retraining import retraining

    return retraining(as_of=as_of, source=nights.source, **parameters)


def gate(folder: Path, *changes: tuple[str, str]) -> str:
    """The shipped gate with other limits."""
    text = (GATES / "default.yaml").read_text()
    for old, new in changes:
        text, found = re.subn(old, new, text)
        assert found == 1
    path = folder / "gate.yaml"
    path.write_text(text)
    return str(path)


def lenient(folder: Path) -> str:
    return gate(
        folder,
        (r"tolerance: 0.0  # EMPC", "tolerance: 50  # EMPC"),
        ("lead_of_other_kinds: true", "lead_of_other_kinds: false"),
        (r"slope_from: 0.8", "slope_from: 0.1"),
        (r"slope_to: 1.25", "slope_to: 9"),
        (r"level_within: 0.15", "level_within: 0.9"),
        (r"lift_10_from: 1.0", "lift_10_from: 0.0"),
        (r"tolerance: 0.0\n  - rule: probe", "tolerance: 50\n  - rule: probe"),
    )


def champions() -> dict[str, int]:
    return {segment: one.version for segment, one in open_registry(current_settings()).resolve_all("telco").items()}


def test_who_passes_waits_for_approval_where_it_was_asked_for_and_then_scores(nights: Nights, tmp_path: Path) -> None:
    from flows.promotion import promotion

    done = retrained(nights, promote="ask", gate=lenient(tmp_path))
    [candidate], [page] = done.candidates, done.pages
    assert {one.segment for one in done.fallbacks} == {"prepaid", "postpaid"}
    assert page.stem == candidate.digest
    assert f"version {candidate.version}" in page.read_text()
    assert candidate.verdict.passed
    said = open_registry(current_settings()).verdict("telco", candidate.version)
    assert said is not None
    assert (said.against_version, said.passed) == (1, True)
    assert (done.promoted, champions()) == ((), {"all": 1})

    promotion(who="Ada", why="better in July", version=candidate.version, expected=candidate.expected)
    assert champions() == {"all": candidate.version}
    summary = nights.run(NEXT_NIGHT)
    assert set(published_rows(summary.scores.folder, "scores")["model_version"].to_pylist()) == {candidate.version}


def test_who_is_refused_is_registered_and_told_why_and_changes_nothing(nights: Nights, tmp_path: Path) -> None:
    before = champions()
    wary = gate(tmp_path, ("auc_at_most: 0.97", "auc_at_most: 0.5"))
    done = retrained(nights, per_segment=False, estimator=QUICK, gate=wary)
    [candidate] = done.candidates
    refused = candidate.verdict.refused_by
    assert refused is not None
    assert refused.rule == "leakage"
    assert "out of time is above 0.5: it knows the future" in refused.says
    assert done.promoted == ()
    assert champions() == before
    said = open_registry(current_settings()).verdict("telco", candidate.version)
    assert said is not None
    assert (said.passed, said.rule, said.says) == (False, refused.rule, refused.says)


def test_who_passes_scores_in_the_shadow_first_where_the_gate_asks_for_nights(nights: Nights, tmp_path: Path) -> None:
    lenient(tmp_path)
    asks = (tmp_path / "gate.yaml").read_text().replace("shadow_nights: 0", "shadow_nights: 1")
    (tmp_path / "gate.yaml").write_text(asks)
    done = retrained(nights, per_segment=False, estimator=QUICK, gate=str(tmp_path / "gate.yaml"))
    [candidate] = done.candidates
    assert candidate.verdict.passed
    assert (done.promoted, champions()) == ((), {"all": 1})
    summary = nights.run(NEXT_NIGHT)
    listed = published_rows(summary.outreach.folder, "outreach")
    assert set(published_rows(summary.scores.folder, "scores")["model_version"].to_pylist()) == {1}
    assert candidate.digest not in listed["model_digest"].to_pylist()
    [night] = view_rows("shadow_comparison")
    assert (night["version"], night["red"], night["ending"]) == (candidate.version, None, "promoted")
    assert night["customers"] == summary.scores.rows
    assert champions() == {"all": candidate.version}


def test_another_kind_of_model_scores_a_night_and_explains_whom_the_list_names(nights: Nights, tmp_path: Path) -> None:
    done = retrained(nights, per_segment=False, estimator=QUICK, gate=lenient(tmp_path))
    [candidate] = done.candidates
    assert (done.promoted, champions()) == (("all",), {"all": candidate.version})
    summary = nights.run(NEXT_NIGHT)
    scores = published_rows(summary.scores.folder, "scores")
    listed = published_rows(summary.outreach.folder, "outreach")
    assert [scores[name].null_count for name in REASONS] == [len(scores)] * 3
    assert len(listed) > 0
    assert listed["reason_1_feature"].null_count == 0
    of_all = nights.run(NEXT_NIGHT, reasons="base")
    explained = published_rows(of_all.scores.folder, "scores")
    assert of_all.scores.new
    assert explained["reason_1_feature"].null_count < 0.01 * len(explained)
    assert explained["log_odds"].equals(scores["log_odds"])
    assert published_rows(of_all.outreach.folder, "outreach").select(REASONS).equals(listed.select(REASONS))


def test_a_gate_that_is_not_there_stops_a_retraining_before_any_work(nights: Nights) -> None:
    with pytest.raises(PolicyError, match="nowhere"):
        retrained(nights, FIRST_NIGHT, gate="nowhere")
