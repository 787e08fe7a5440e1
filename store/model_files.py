"""A model as files and back: a manifest, its numbers as plain arrays, and rows with what they score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from churn.estimators import Estimator, log_odds
from churn.lookup import score_one
from churn.scorecard import Feature, Floats, Kind, Scorecard, Term
from schemas.contract import Contract
from schemas.manifest import (
    CampaignEntry,
    CardEntry,
    EstimatorEntry,
    FeatureEntry,
    InputEntry,
    ModelManifest,
    TermEntry,
    TrainingEntry,
)
from store.arrays import array_bytes, read_array
from store.estimators import fitted_bytes, read_fitted

if TYPE_CHECKING:
    from churn.training import Trained

MANIFEST, PROBE = "model.json", "probe.arrow"
CUTS, BINS, CELLS = "cuts.npy", "bins.npy", "cells.npy"
FITTED, BACKGROUND = "estimator.skops", "background.npy"
SCORECARD_FILES = (MANIFEST, CUTS, BINS, CELLS, PROBE)
ESTIMATOR_FILES = (MANIFEST, FITTED, BACKGROUND, PROBE)

PROBED = "log_odds"  # the probe's column of scores, beside its features
NEARLY = 1e-9  # how far an estimator's log-odds may lie from the probe's: libraries add up in an order of their own


class WrongFile(Exception):
    """The file of that name has not the content that it should have."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(name, what)
        self.name = name
        self.what = what


def manifest_of(trained: Trained, contract: Contract, code_version: str) -> ModelManifest:
    """What is known of the model that a training gave."""
    model = trained.model
    return ModelManifest(
        kind=trained.kind,
        segment=trained.segment,
        contract=contract.name,
        contract_digest=contract.digest,
        contract_text=contract.text,
        code_version=code_version,
        training=_training(trained),
        metrics=asdict(trained.test),
        figures=dict(trained.figures),
        campaign=CampaignEntry(**asdict(trained.campaign)),
        slices=trained.slices,
        calibration=trained.calibration_points,
        gains=trained.gains,
        reference={name: tuple(shares) for name, shares in trained.reference.items()},
        card=card_entry(model) if isinstance(model, Scorecard) else None,
        estimator=_estimator_entry(model) if isinstance(model, Estimator) else None,
    )


def files_of(model: Scorecard | Estimator, manifest: ModelManifest, probe: pa.Table) -> dict[str, bytes]:
    """Every file's content by its name, the probe with what it scores; WrongFile where one could not be read back."""
    return {
        MANIFEST: manifest.model_dump_json(indent=1).encode(),
        **(_card_files(model) if isinstance(model, Scorecard) else _estimator_files(model)),
        PROBE: _ipc(probe.append_column(PROBED, pa.array(_scores(model, probe), pa.float64()))),
    }


def read_files(contents: Mapping[str, bytes]) -> tuple[Scorecard | Estimator, ModelManifest, pa.Table]:
    """What `files_of` was given.

    Raises WrongFile, also where a probe row does not score what it did: to the bit for a scorecard, to 1e-9 for an
    estimator. A probe without rows would prove nothing.
    """
    with _reading(MANIFEST):
        manifest = ModelManifest.model_validate_json(contents[MANIFEST])
    model = _estimator(manifest, contents) if FITTED in contents else _card(manifest, contents)
    with _reading(PROBE):
        probe = _table(contents[PROBE])
        differing = _first_that_differs(model, probe)
    if not probe.num_rows:
        raise WrongFile(PROBE, "it has no rows, so that it proves nothing")
    if differing is not None:
        raise WrongFile(PROBE, f"row {differing} does not score what it did when the model was saved")
    return model, manifest, probe.drop_columns([PROBED])


def card_entry(card: Scorecard) -> CardEntry:
    """The scorecard without its arrays, as a manifest describes it."""
    return CardEntry(
        intercept=card.intercept,
        base_rate=card.base_rate,
        features=tuple(FeatureEntry(**_described(feature), cuts=len(feature.cuts)) for feature in card.features),
        terms=tuple(TermEntry(features=term.features, shape=term.table.shape) for term in card.terms),
    )


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Says of which file an error within is."""
    try:
        yield
    except Exception as error:  # libraries take what is in a file as it comes, and fail in any way on a wrong one
        raise WrongFile(name, f"its content is not a model's ({type(error).__name__}: {error})") from None


def _scores(model: Scorecard | Estimator, rows: pa.Table) -> Floats:
    if isinstance(model, Estimator):
        return log_odds(model, rows)
    return np.array([score_one(model, row).log_odds for row in rows.to_pylist()], np.float64)


def _first_that_differs(model: Scorecard | Estimator, probe: pa.Table) -> int | None:
    """The first row of the probe that does not score what it did when the model was saved."""
    allowed = NEARLY if isinstance(model, Estimator) else 0.0
    saved = np.array(probe[PROBED].to_pylist(), np.float64)  # to_numpy would import pandas
    differs = ~(np.abs(_scores(model, probe) - saved) <= allowed)
    return int(differs.argmax()) if differs.any() else None


def _training(trained: Trained) -> TrainingEntry:
    return TrainingEntry(
        split=trained.split,
        fit_as_ofs=trained.fit_as_ofs,
        test_as_of=trained.test_as_of,
        rows=trained.rows,
        churners=trained.churners,
        duplicates=trained.duplicates,
        constants=trained.constants,
        sampling_rate=trained.sampling_rate,
        source_sampling_rate=trained.source_sampling_rate,
        slope=trained.calibration.slope,
        shift=trained.calibration.shift,
        embargo_days=trained.embargo_days,
        strongest_alone=trained.strongest_alone,
        fallbacks=trained.fallbacks,
        treatment=trained.treatment,
        data_digest=trained.data_digest,
    )


def _card_files(card: Scorecard) -> dict[str, bytes]:
    axes = [axis for term in card.terms for axis in term.bins]
    return {
        CUTS: array_bytes(np.concatenate([np.empty(0), *(feature.cuts for feature in card.features)])),
        BINS: array_bytes(np.concatenate([np.empty(0, np.int64), *axes])),
        CELLS: array_bytes(card.cells),
    }


def _card(manifest: ModelManifest, contents: Mapping[str, bytes]) -> Scorecard:
    arrays = {name: _array(name, contents) for name in (CUTS, BINS, CELLS)}
    with _reading(MANIFEST):
        if manifest.kind != "scorecard" or manifest.card is None:
            raise ValueError("it describes no scorecard")
        return _assembled(manifest.card, arrays)


def _assembled(entry: CardEntry, arrays: Mapping[str, Any]) -> Scorecard:
    """The card again; ValueError where the arrays are not exactly as long as the entry says."""
    cuts = _parts(arrays[CUTS], [feature.cuts for feature in entry.features])
    features = tuple(_feature(*described) for described in zip(entry.features, cuts, strict=True))
    bins = iter(_parts(arrays[BINS], [features[place].bins for term in entry.terms for place in term.features]))
    cells = _parts(arrays[CELLS], [prod(term.shape) for term in entry.terms])
    terms = tuple(
        Term(term.features, tuple(next(bins) for _ in term.features), table.reshape(term.shape))
        for term, table in zip(entry.terms, cells, strict=True)
    )
    return Scorecard(entry.intercept, features, terms, entry.base_rate)


def _parts(array: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    limits = np.cumsum([0, *sizes])
    if array.ndim != 1 or len(array) != limits[-1]:
        raise ValueError(f"an array of shape {array.shape} where {limits[-1]} numbers belong")
    return [array[start:end] for start, end in pairwise(limits)]


def _estimator_files(estimator: Estimator) -> dict[str, bytes]:
    with _reading(FITTED):
        fitted = fitted_bytes(estimator.fitted, estimator.kind)
    return {FITTED: fitted, BACKGROUND: array_bytes(estimator.background)}


def _estimator_entry(estimator: Estimator) -> EstimatorEntry:
    return EstimatorEntry(
        base_rate=estimator.base_rate,
        slope=estimator.slope,
        shift=estimator.shift,
        inputs=tuple(InputEntry(**_described(feature)) for feature in estimator.inputs),
    )


def _estimator(manifest: ModelManifest, contents: Mapping[str, bytes]) -> Estimator:
    entry = manifest.estimator
    if manifest.kind == "scorecard" or entry is None:
        raise WrongFile(MANIFEST, "it describes no estimator")
    with _reading(FITTED):
        fitted = read_fitted(contents[FITTED], manifest.kind)
    background = _array(BACKGROUND, contents)
    with _reading(MANIFEST):
        inputs = tuple(_feature(described) for described in entry.inputs)
        return Estimator(manifest.kind, inputs, fitted, entry.slope, entry.shift, entry.base_rate, background)


def _described(feature: Feature) -> dict[str, Any]:
    return {
        "name": feature.name,
        "kind": feature.kind.value,
        "title": feature.title,
        "unit": feature.unit,
        "minimum": feature.minimum,
        "categories": feature.categories,
        "labels": dict(feature.labels),
    }


def _feature(entry: FeatureEntry | InputEntry, cuts: Floats | None = None) -> Feature:
    return Feature(
        name=entry.name,
        kind=Kind(entry.kind),
        title=entry.title,
        unit=entry.unit,
        minimum=entry.minimum,
        cuts=np.empty(0) if cuts is None else cuts,
        categories=entry.categories,
        labels=entry.labels,
    )


def _array(name: str, contents: Mapping[str, bytes]) -> Any:
    with _reading(name):
        return read_array(contents[name])


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table.combine_chunks())
    return bytes(sink.getvalue())


def _table(content: bytes) -> pa.Table:
    table = pa.ipc.open_file(content).read_all()
    table.validate(full=True)  # Arrow takes offsets as they come, and would follow a wrong one out of the file
    return table
