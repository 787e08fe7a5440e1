"""Lets challengers score the night in the shadow of the champions: compared and kept, and never listed."""

from __future__ import annotations

import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.contract import arrow_schema
from churn.errors import RegistryError
from churn.metrics import probability
from churn.scorecard import one_array
from churn.scoring import require_features
from churn.segments import places_of
from churn.shadow import Beside, beside
from churn.training.calibration import Model, log_odds_of
from schemas.scores import SCORES
from schemas.shadow import SHADOW_SCORES, Ending
from store.contracts import read_contract
from store.lake import bucket_file, read_parquet
from store.policies import policy_for, read_policy
from store.registry import open_registry
from store.settings import current_settings
from store.shadows import Wish, in_shadow, keep_shadow_night, settle
from tasks.afterwards import told_where_it_fails
from tasks.events import MODEL_PROMOTED, tell
from tasks.night import Night, Result
from tasks.scoring import base_rows, model_of
from tasks.step import step

BY_CHAMPION = "champion_log_odds"
NOBODY = np.empty(0, np.int64)

log = logging.getLogger(__name__)


@step("score {night.as_of} in the shadow")
def run_in_shadow(night: Night, scores: Result) -> dict[int, str]:
    """Lets each challenger that waits score the night, keeps how it went, and promotes those whose nights are over.

    Says by version how the waiting of those ended whose waiting did. A night is counted once, however often it runs; it
    is published, and stays so whatever becomes of its shadow.
    """
    with told_where_it_fails(night, "challengers could not score it"):
        return _run(night, scores)
    return {}


def _run(night: Night, scores: Result) -> dict[int, str]:
    settings = current_settings()
    for wish in in_shadow(settings, night.base):
        rows, found = _night_of(wish, night, scores)
        told = found._asdict() | {"red": found.red or None, "as_of": night.as_of, "run_id": scores.run_id}
        keep_shadow_night(settings, wish, told, rows)
        log.info("version %d in the shadow for %s: %s", wish.version, wish.segment, found.red or "nothing is wrong")
    ended = settle(settings, night.base)
    for wish, ending in ended.items():
        _say(wish, ending)
    return {wish.version: ending.value for wish, ending in ended.items()}


def _say(wish: Wish, ending: Ending) -> None:
    if ending is not Ending.PROMOTED:
        log.warning("version %d is out of the shadow for %s: %s", wish.version, wish.segment, ending.value)
        return
    said = {"contract": wish.contract, "segment": wish.segment, "version": wish.version, "why": wish.why}
    tell(MODEL_PROMOTED, about=f"{wish.contract}.{wish.segment}", payload=said)


def _night_of(wish: Wish, night: Night, scores: Result) -> tuple[pa.Table, Beside]:
    """The challenger's scores of the night, rows of SHADOW_SCORES, and how they lie beside the champion's."""
    contract, registry = read_contract(night.contract), open_registry(current_settings())
    try:
        model = model_of(registry.version(night.base, wish.version).digest)
        require_features(model, contract)
    except RegistryError as refused:  # what is gone or cannot be read becomes no champion
        return arrow_schema(SHADOW_SCORES).empty_table(), Beside.impossible(f"it cannot score: {refused.what}")
    places = {*registry.resolve_all(night.base), wish.segment}
    rows = pa.concat_tables(
        _bucket(wish, model, _theirs(night, bucket, places, wish), _champions(scores, bucket), key=contract.key)
        for bucket in night.every_bucket
    )
    ours, champion = (rows[name].to_numpy() for name in ("log_odds", BY_CHAMPION))
    capacity = read_policy(policy_for(contract.name)).policy.capacity
    return rows.drop_columns([BY_CHAMPION]), beside(ours, champion, model.base_rate, capacity)


def _theirs(night: Night, bucket: int, places: set[str], wish: Wish) -> pa.Table:
    """The customers of the bucket whom the challenger would score, were it champion."""
    rows = base_rows(night, bucket)
    return rows.take(pa.array(places_of(rows, read_contract(night.contract), places).get(wish.segment, NOBODY)))


def _champions(scores: Result, bucket: int) -> pa.Table:
    return read_parquet([scores.folder / SCORES.name / bucket_file(bucket)], ["as_of", "customer_id", "log_odds"])


def _bucket(wish: Wish, model: Model, customers: pa.Table, champions: pa.Table, *, key: str) -> pa.Table:
    """Rows of SHADOW_SCORES with BY_CHAMPION; `champions` are of the published scores."""
    keys = one_array(customers, key)
    place = pc.index_in(keys.cast(pa.string()), value_set=one_array(champions, "customer_id").cast(pa.string()))
    ours, theirs = log_odds_of(model, customers), champions["log_odds"].take(place).to_numpy()
    columns = {
        "contract": pa.repeat(wish.contract, len(keys)),
        "segment": pa.repeat(wish.segment, len(keys)),
        "version": pa.repeat(wish.version, len(keys)),
        "as_of": champions["as_of"].take(place),
        "customer_id": keys,
        "log_odds": ours,
        "probability": probability(ours),
        "champion_probability": probability(theirs),
    }
    rows = pa.table(columns).cast(arrow_schema(SHADOW_SCORES))
    return rows.append_column(BY_CHAMPION, pa.array(theirs))
