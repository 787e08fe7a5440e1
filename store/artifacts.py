"""Models as folders of data, named by their content: read back to the same bits or refused, never executed."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from churn.errors import ArtifactRefused
from churn.lookup import score_one
from churn.scorecard import Feature, Kind, Scorecard, Term
from schemas.contract import Contract
from schemas.manifest import CardEntry, FeatureEntry, ModelManifest, TermEntry, TrainingEntry
from store.lake import sync
from store.settings import Settings

if TYPE_CHECKING:
    from churn.training import Trained

SUMS = "SHA256SUMS"
MANIFEST, CUTS, BINS, CELLS, PROBE = "model.json", "cuts.npy", "bins.npy", "cells.npy", "probe.arrow"
FILES = (MANIFEST, CUTS, BINS, CELLS, PROBE)
PROBED = "log_odds"  # the probe's column of exact scores, beside its features

NOT_TRUSTED = "Do not use it: train and register again, or restore the folder from a copy with the same digest."


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model with what is known of it. `digest` names its artifact, and is empty until it is saved."""

    model: Scorecard
    manifest: ModelManifest
    probe: pa.Table
    digest: str = ""

    @property
    def card(self) -> Scorecard:
        """The model where it is a scorecard; ArtifactRefused where it is none."""
        return self.model


def model_of(trained: Trained, contract: Contract, code_version: str) -> Model:
    """The model that a training gave, ready to be saved."""
    training = TrainingEntry(
        split=trained.split,
        fit_as_ofs=trained.fit_as_ofs,
        test_as_of=trained.test_as_of,
        rows=trained.rows,
        churners=trained.churners,
        duplicates=trained.duplicates,
        constants=trained.constants,
        sampling_rate=trained.sampling_rate,
        slope=trained.calibration.slope,
        shift=trained.calibration.shift,
        data_digest=trained.data_digest,
    )
    manifest = ModelManifest(
        contract=contract.name,
        contract_digest=contract.digest,
        contract_text=contract.text,
        code_version=code_version,
        training=training,
        metrics=asdict(trained.test),
        reference={name: tuple(shares) for name, shares in trained.reference.items()},
        card=_card_entry(trained.card),
    )
    return Model(trained.card, manifest, trained.probe)


def save_model(model: Model, settings: Settings) -> str:
    """Writes the model's folder whole or not at all and returns its digest; the same model is written once."""
    contents = _contents(model)
    sums = "".join(f"{_sum_line(name, content)}\n" for name, content in sorted(contents.items())).encode()
    digest = _sha256(sums)
    folder = model_folder(digest, settings)
    if not folder.exists():
        _write_folder(folder, {**contents, SUMS: sums})
    return digest


def load_model(digest: str, settings: Settings) -> Model:
    """The model of that digest.

    Raises ArtifactRefused, naming the file, where a file is missing, added or changed, where the arrays do not fit
    the manifest, or where a probe row does not score to the bit what it scored when the model was saved.
    """
    folder = model_folder(digest, settings)
    contents = _verified(folder, digest)
    try:
        manifest = ModelManifest.model_validate_json(contents[MANIFEST])
        if manifest.card is None:
            raise ValueError("a scorecard's manifest without a card")
        card = _card(manifest.card, {name: _array(contents[name]) for name in (CUTS, BINS, CELLS)})
        probe = _table(contents[PROBE])
        _check_probe(card, probe, folder / PROBE)
    except (ValidationError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise _refused(folder, f"its content is no scorecard ({type(error).__name__}: {error})") from None
    return Model(card, manifest, probe.drop_columns([PROBED]), digest)


def model_folder(digest: str, settings: Settings) -> Path:
    """Where the model of that digest lies; ArtifactRefused if this can be no digest."""
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ArtifactRefused(f"{digest!r} is no sha256", where="model digest", to_do="Take it from the registry.")
    return settings.artifacts / "models" / digest


def _verified(folder: Path, digest: str) -> dict[str, bytes]:
    """The files' bytes, read once, so that what was checked is what is used."""
    sums = _read(folder / SUMS)
    if _sha256(sums) != digest:
        raise _refused(folder / SUMS, "it is not the list of files that the digest stands for")
    extra = sorted({path.name for path in folder.iterdir()} - {*FILES, SUMS})
    if extra:
        raise _refused(folder / extra[0], "it is no part of the model")
    contents = {name: _read(folder / name) for name in FILES}
    expected = sums.decode().splitlines()
    for name, content in contents.items():
        if _sum_line(name, content) not in expected:
            raise _refused(folder / name, "its sha256 is not the one it was saved with")
    return contents


def _check_probe(card: Scorecard, probe: pa.Table, where: Path) -> None:
    for place, row in enumerate(probe.to_pylist()):
        if score_one(card, row).log_odds != row[PROBED]:
            raise _refused(where, f"row {place} does not score what it did when the model was saved")


def _contents(model: Model) -> dict[str, bytes]:
    card = model.card
    axes = [axis for term in card.terms for axis in term.bins]
    exact = [score_one(card, row).log_odds for row in model.probe.to_pylist()]
    return {
        MANIFEST: model.manifest.model_dump_json(indent=1).encode(),
        CUTS: _npy(np.concatenate([np.empty(0), *(feature.cuts for feature in card.features)])),
        BINS: _npy(np.concatenate([np.empty(0, np.int64), *axes])),
        CELLS: _npy(card.cells),
        PROBE: _ipc(model.probe.append_column(PROBED, pa.array(exact, pa.float64()))),
    }


def _card_entry(card: Scorecard) -> CardEntry:
    return CardEntry(
        intercept=card.intercept,
        base_rate=card.base_rate,
        features=tuple(_feature_entry(feature) for feature in card.features),
        terms=tuple(TermEntry(features=term.features, shape=term.table.shape) for term in card.terms),
    )


def _feature_entry(feature: Feature) -> FeatureEntry:
    return FeatureEntry(
        name=feature.name,
        kind=feature.kind.value,
        title=feature.title,
        unit=feature.unit,
        minimum=feature.minimum,
        cuts=len(feature.cuts),
        categories=feature.categories,
        labels=dict(feature.labels),
    )


def _card(entry: CardEntry, arrays: Mapping[str, np.ndarray]) -> Scorecard:
    """The card again; ValueError where the arrays are not exactly as long as the entry says."""
    cuts = _parts(arrays[CUTS], [feature.cuts for feature in entry.features])
    features = tuple(_feature(*described) for described in zip(entry.features, cuts, strict=True))
    bins = iter(_parts(arrays[BINS], [features[place].bins for term in entry.terms for place in term.features]))
    cells = _parts(arrays[CELLS], [int(np.prod(term.shape)) for term in entry.terms])
    terms = tuple(
        Term(term.features, tuple(next(bins) for _ in term.features), table.reshape(term.shape))
        for term, table in zip(entry.terms, cells, strict=True)
    )
    return Scorecard(entry.intercept, features, terms, entry.base_rate)


def _feature(entry: FeatureEntry, cuts: np.ndarray) -> Feature:
    return Feature(
        name=entry.name,
        kind=Kind(entry.kind),
        title=entry.title,
        unit=entry.unit,
        minimum=entry.minimum,
        cuts=cuts,
        categories=entry.categories,
        labels=entry.labels,
    )


def _parts(array: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    limits = np.cumsum([0, *sizes])
    if array.ndim != 1 or len(array) != limits[-1]:
        raise ValueError(f"an array of shape {array.shape} where {limits[-1]} numbers belong")
    return [array[start:end] for start, end in pairwise(limits)]


def _write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=".staged-", dir=folder.parent))
    try:
        for name, content in contents.items():
            (staged / name).write_bytes(content)
            sync(staged / name)
        staged.chmod(0o755)  # a temporary folder is its owner's alone, a model is for all who score
        sync(staged)
        _rename(staged, folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _rename(staged: Path, folder: Path) -> None:
    try:
        staged.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process has just written the same content
            raise


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _refused(path, f"it cannot be read ({error.strerror})") from None


def _refused(where: Path, what: str) -> ArtifactRefused:
    return ArtifactRefused(what, where=str(where), to_do=NOT_TRUSTED)


def _sum_line(name: str, content: bytes) -> str:
    """A line as `sha256sum --check` reads it."""
    return f"{_sha256(content)}  {name}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _npy(array: np.ndarray) -> bytes:
    sink = BytesIO()
    np.save(sink, array, allow_pickle=False)
    return sink.getvalue()


def _array(content: bytes) -> Any:
    return np.load(BytesIO(content), allow_pickle=False)


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table.combine_chunks())
    return bytes(sink.getvalue())


def _table(content: bytes) -> pa.Table:
    return pa.ipc.open_file(content).read_all()
