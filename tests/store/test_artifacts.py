"""A model comes back to the same bits, or is refused with the name of the file that is not what was saved."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from churn.errors import ArtifactRefused
from churn.lookup import score, score_one
from store.artifacts import Model, delete_model, load_model, model_folder, save_model, verify_model
from store.settings import Settings
from tests import cards, models


@pytest.fixture(scope="module")
def model() -> Model:
    return models.scorecard()


def forged(settings: Settings, model: Model, file: str, content: bytes) -> str:
    """The digest of a copy of the model in which one file has another content, and all checksums agree with it."""
    folder = model_folder(save_model(model, settings), settings)
    (folder / file).write_bytes(content)
    names = sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    sums = "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names).encode()
    (folder / "SHA256SUMS").write_bytes(sums)
    digest = hashlib.sha256(sums).hexdigest()
    folder.rename(folder.with_name(digest))
    return digest


def test_a_model_comes_back_to_the_same_bits(model: Model, settings: Settings):
    loaded = load_model(save_model(model, settings), settings)
    rows = cards.customers(1_000)
    before, after = score(model.card, rows), score(loaded.card, rows)
    assert np.array_equal(before.log_odds, after.log_odds)
    assert np.array_equal(before.raising, after.raising)
    assert loaded.manifest == model.manifest
    assert loaded.probe.equals(model.probe)


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


class Payload:
    """What a pickle would run when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.marker,))


def test_an_array_that_would_run_code_is_refused_before_it_does(model: Model, settings: Settings, tmp_path: Path):
    marker = tmp_path / "ran"
    np.save(tmp_path / "cells.npy", np.array([Payload(marker)], dtype=object), allow_pickle=True)
    digest = forged(settings, model, "cells.npy", (tmp_path / "cells.npy").read_bytes())
    with pytest.raises(ArtifactRefused, match=r"cells\.npy: .* pickled objects"):
        load_model(digest, settings)
    assert not marker.exists()


@pytest.mark.parametrize("digest", ["../../etc", "", "A" * 64, "f" * 63])
def test_what_can_be_no_digest_is_refused(digest: str, settings: Settings):
    with pytest.raises(ArtifactRefused, match="is no sha256"):
        load_model(digest, settings)


def test_loading_and_the_first_score_need_no_learning_library_and_no_compiler(model: Model, settings: Settings):
    digest = save_model(model, settings)
    program = f"""
import sys
from store.artifacts import load_model
from store.settings import current_settings
from churn.lookup import score_one
model = load_model({digest!r}, current_settings())
print(repr(score_one(model.card, {{"tenure": 2, "dropped": None, "in_contract": True, "plan": "P1"}}).log_odds))
print(sorted({{"sklearn", "interpret", "pandas", "numba", "skops", "cryptography"}} & set(sys.modules)))
"""
    home = os.environ | {"CHURN_ARTIFACTS": str(settings.artifacts)}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=home)
    row = {"tenure": 2, "dropped": None, "in_contract": True, "plan": "P1"}
    assert run.stdout.splitlines() == [repr(score_one(model.card, row).log_odds), "[]"]
