"""A model comes back to the same bits, or is refused with the name of the file that is not what was saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from churn.campaign import Campaign
from churn.errors import ArtifactRefused
from churn.estimators import ESTIMATORS, LOGISTIC_REGRESSION, contributions, log_odds
from churn.lookup import score, score_one
from schemas.manifest import CalibrationPoint, FallbackEntry, Figure, GainsPoint, SliceEntry
from store import artifacts
from store.artifacts import (
    Model,
    delete_model,
    load_model,
    model_folder,
    model_of,
    save_model,
    sweep_models,
    verify_model,
)
from store.settings import Settings
from store.signatures import new_key_pair
from tests import cards, models
from tests.store.forgery import forged, saved


@pytest.fixture(scope="module")
def model() -> Model:
    return models.scorecard()


def test_a_model_comes_back_to_the_same_bits(model: Model, settings: Settings):
    loaded = load_model(save_model(model, settings), settings)
    rows = cards.customers(1_000)
    before, after = score(model.card, rows), score(loaded.card, rows)
    assert np.array_equal(before.log_odds, after.log_odds)
    assert np.array_equal(before.raising, after.raising)
    assert loaded.manifest == model.manifest
    assert loaded.probe.equals(model.probe)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_an_estimator_comes_back_with_the_same_scores_and_contributions(kind: str, settings: Settings):
    model = models.estimator(kind)
    loaded = load_model(save_model(model, settings), settings)
    rows = cards.customers(500)
    np.testing.assert_allclose(log_odds(loaded.model, rows), log_odds(model.model, rows), rtol=0, atol=1e-12)
    np.testing.assert_allclose(contributions(loaded.model, rows), contributions(model.model, rows), atol=1e-12)
    assert loaded.manifest == model.manifest
    assert loaded.manifest.kind == kind


@pytest.mark.parametrize("name", [".staged-0123", ".deleted-0123"])
def test_what_a_killed_save_or_deletion_left_goes_a_day_later(model: Model, settings: Settings, name: str):
    left = settings.artifacts / "models" / name
    left.mkdir(parents=True)
    (left / "model.json").touch()
    save_model(model, settings)
    assert left.is_dir(), "somebody may still be writing there"
    yesterday = time.time() - 25 * 60 * 60
    os.utime(left, (yesterday, yesterday))
    assert (sweep_models(settings), sweep_models(settings)) == (1, 0)
    assert not left.exists()


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_an_estimator_has_the_same_digest_whenever_it_is_saved(kind: str, settings: Settings):
    digest = save_model(models.estimator(kind), settings)
    assert save_model(models.estimator(kind), settings) == digest


def test_an_estimator_gives_no_card(settings: Settings):
    loaded = load_model(save_model(models.estimator(LOGISTIC_REGRESSION), settings), settings)
    with pytest.raises(ArtifactRefused, match="it is a logistic_regression, not a scorecard"):
        _ = loaded.card


def test_an_estimator_that_scores_otherwise_by_more_than_rounding_is_refused(settings: Settings):
    model = models.estimator(LOGISTIC_REGRESSION)
    shifted = [model.manifest.model_dump(mode="json") for _ in range(2)]
    for manifest, much in zip(shifted, (1e-13, 1e-6), strict=True):
        manifest["estimator"]["shift"] += much
    nearly, otherwise = (forged(settings, model, "model.json", json.dumps(one).encode()) for one in shifted)
    verify_model(nearly, settings)
    with pytest.raises(ArtifactRefused, match=r"probe\.arrow: row 0 does not score what it did"):
        verify_model(otherwise, settings)


def test_the_manifest_says_all_that_the_training_did(settings: Settings):
    trained = replace(
        models.trained(cards.card()),
        segment="prepaid",
        source_sampling_rate=0.5,
        campaign=Campaign(customer_value=360.0, capacity=0.3),
        embargo_days=30,
        strongest_alone=("tenure", 0.7),
        fallbacks=(FallbackEntry(segment="hybrid", churners=3, needed=200),),
        figures={"auc": Figure(value=0.7, low=0.6, high=0.8)},
        slices=(SliceEntry(by="month", name="2026-01", rows=10, churners=1, figures={}),),
        calibration_points=(CalibrationPoint(predicted=0.1, observed=0.2, rows=5),),
        gains=(GainsPoint(customers=0.1, churners=0.3),),
    )
    manifest = load_model(save_model(model_of(trained, cards.contract(), "0.1.0"), settings), settings).manifest
    assert (manifest.kind, manifest.segment) == ("scorecard", "prepaid")
    said = manifest.training
    assert (said.source_sampling_rate, said.embargo_days, said.strongest_alone) == (0.5, 30, ("tenure", 0.7))
    assert said.fallbacks == trained.fallbacks
    assert manifest.campaign is not None
    assert (manifest.campaign.customer_value, manifest.campaign.capacity) == (360.0, 0.3)
    assert (manifest.figures, manifest.slices) == (trained.figures, trained.slices)
    assert (manifest.calibration, manifest.gains) == (trained.calibration_points, trained.gains)


def test_saving_again_mends_a_folder_that_was_harmed(model: Model, settings: Settings):
    folder = saved(model, settings)
    (folder / "cells.npy").write_bytes(b"harmed")
    verify_model(save_model(model, settings), settings)


def test_a_model_that_could_not_be_read_back_is_not_saved(
    model: Model, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(artifacts, "LARGEST_FILE", 1_000)
    with pytest.raises(ArtifactRefused, match=r"model\.json: it would have .* bytes, more than the 1,000"):
        save_model(model, settings)
    assert not (settings.artifacts / "models").exists()


def test_an_estimator_made_of_what_is_not_on_the_list_is_not_saved(settings: Settings):
    model = models.estimator(LOGISTIC_REGRESSION)
    foreign = Pipeline([("step", FunctionTransformer(np.log1p))])
    with pytest.raises(ArtifactRefused, match=r"estimator\.skops: .* is not allowed in it"):
        save_model(replace(model, model=replace(model.model, fitted=foreign)), settings)
    assert not (settings.artifacts / "models").exists()


def test_development_leaves_the_signature_of_a_model_alone(model: Model, settings: Settings):
    signed = saved(model, replace(settings, development=False, signing_key=new_key_pair().signing))
    signature = (signed / "SIGNATURE").read_bytes()
    assert saved(model, settings) == signed
    assert (signed / "SIGNATURE").read_bytes() == signature


def test_a_deleted_model_leaves_nothing_behind(model: Model, settings: Settings):
    folder = saved(model, settings)
    delete_model(folder.name, settings)
    delete_model(folder.name, settings)
    assert list(folder.parent.iterdir()) == []


def test_what_a_killed_deletion_left_goes_with_the_next(model: Model, settings: Settings):
    folder = saved(model, settings)
    folder.rename(folder.with_name(".deleted-0123"))
    delete_model(folder.name, settings)
    assert list(folder.parent.iterdir()) == []


def test_the_same_model_has_the_same_digest_and_is_written_once(model: Model, settings: Settings):
    digest = save_model(model, settings)
    written = model_folder(digest, settings).stat().st_mtime_ns
    assert save_model(model, settings) == digest
    assert model_folder(digest, settings).stat().st_mtime_ns == written
    assert [path.name for path in (settings.artifacts / "models").iterdir()] == [digest], "nothing half-written stays"


def test_another_model_has_another_digest(model: Model, settings: Settings):
    other = replace(model, model=replace(model.card, intercept=model.card.intercept + 1e-12))
    assert save_model(other, settings) != save_model(model, settings)


@pytest.mark.parametrize("name", ["model.json", "cuts.npy", "bins.npy", "cells.npy", "probe.arrow", "SHA256SUMS"])
@pytest.mark.parametrize("harm", ["one bit turned", "cut short", "gone"])
def test_a_harmed_file_is_refused_by_its_name(model: Model, settings: Settings, name: str, harm: str):
    digest = save_model(model, settings)
    file = model_folder(digest, settings) / name
    content = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        turned = bytes([content[len(content) // 2] ^ 1])
        middle = len(content) // 2
        file.write_bytes(content[:middle] + (turned + content[middle + 1 :] if harm == "one bit turned" else b""))
    with pytest.raises(ArtifactRefused, match=name):
        load_model(digest, settings)


def test_a_file_that_is_no_part_of_the_model_is_refused(model: Model, settings: Settings):
    digest = save_model(model, settings)
    (model_folder(digest, settings) / "model.pkl").write_bytes(b"")
    with pytest.raises(ArtifactRefused, match=r"model\.pkl: it is no part of the model"):
        load_model(digest, settings)


def test_one_model_in_the_place_of_another_is_refused(model: Model, settings: Settings):
    digest = save_model(model, settings)
    other = save_model(replace(model, model=replace(model.card, intercept=0.5)), settings)
    folder = model_folder(digest, settings)
    folder.rename(folder.with_name("away"))
    model_folder(other, settings).rename(folder)
    with pytest.raises(ArtifactRefused, match="not the list of files that the digest stands for"):
        load_model(digest, settings)


def test_what_scores_otherwise_than_when_it_was_saved_is_refused_though_every_checksum_agrees(
    model: Model, settings: Settings
):
    manifest = json.loads(model.manifest.model_dump_json())
    manifest["card"]["intercept"] += 1e-12
    digest = forged(settings, model, "model.json", json.dumps(manifest).encode())
    with pytest.raises(ArtifactRefused, match=r"probe\.arrow: row 0 does not score what it did"):
        load_model(digest, settings)


def test_a_term_that_points_outside_its_table_is_refused_though_every_checksum_agrees(
    model: Model, settings: Settings, tmp_path: Path
):
    bins = np.concatenate([axis for term in model.card.terms for axis in term.bins])
    np.save(tmp_path / "bins.npy", np.where(np.arange(len(bins)) == 3, 10**6, bins))
    digest = forged(settings, model, "bins.npy", (tmp_path / "bins.npy").read_bytes())
    with pytest.raises(ArtifactRefused, match="does not fit its table"):
        load_model(digest, settings)


@pytest.mark.parametrize("digest", ["../../etc", "", "A" * 64, "f" * 63])
def test_what_can_be_no_digest_is_refused(digest: str, settings: Settings):
    with pytest.raises(ArtifactRefused, match="is no sha256"):
        load_model(digest, settings)


def test_loading_and_the_first_score_need_no_learning_library_and_no_compiler(model: Model, settings: Settings):
    digest = save_model(model, settings)
    program = f"""
import sys
from store import artifacts
from store.artifacts import load_model
from store.settings import current_settings
from churn.estimators import ESTIMATORS, LOGISTIC_REGRESSION, contributions, log_odds
from churn.lookup import score_one
model = load_model({digest!r}, current_settings())
print(repr(score_one(model.card, {{"tenure": 2, "dropped": None, "in_contract": True, "plan": "P1"}}).log_odds))
print(sorted({{"sklearn", "interpret", "pandas", "numba", "skops", "cryptography"}} & set(sys.modules)))
"""
    home = os.environ | {"CHURN_ARTIFACTS": str(settings.artifacts)}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=home)
    row = {"tenure": 2, "dropped": None, "in_contract": True, "plan": "P1"}
    assert run.stdout.splitlines() == [repr(score_one(model.card, row).log_odds), "[]"]
