"""Turns customers into rows of the score table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from churn.errors import ArtifactRefused
from churn.estimators import Estimator, contributions, inputs_of, log_odds
from churn.few import score_few
from churn.lookup import Scored, score
from churn.metrics import probability
from churn.reasons import Reasons, input_reasons, no_reasons, reasons, strongest
from churn.scorecard import KINDS, Floats, Ints, Scorecard, one_array
from churn.segments import ALL
from schemas.columns import Role
from schemas.contract import Contract
from schemas.scores import REASONS_DOWN, REASONS_UP, SCORES

# Bands begin at these multiples of the base rate: someone in `high` is at least one and a half times as likely to
# leave as the average customer, whatever the season.
BANDS = {"low": 0.0, "medium": 0.5, "high": 1.5, "very high": 3.0}

PERCENTILES = 100
FEW = 16  # customers, whom the compiler is not worth its import


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every score of a run carries, and the contract that says which column is the key, segment and value."""

    as_of: date
    contract: Contract
    model_version: int
    model_digest: str


def require_features(model: Scorecard | Estimator, contract: Contract) -> None:
    """ArtifactRefused where the model looks at a feature that the contract lacks, or gives another kind of value."""
    kinds = {
        column.name: KINDS[column.logical_type] for column in contract.customer.columns if column.logical_type in KINDS
    }
    features = model.features if isinstance(model, Scorecard) else model.inputs
    unfit = [feature.name for feature in features if kinds.get(feature.name) is not feature.kind]
    if unfit:
        raise ArtifactRefused(
            f"the champion looks at features that the contract lacks or types otherwise: {', '.join(unfit)}",
            where=contract.name,
            to_do="Train a model for this contract, or go back to the contract that the champion knows.",
        )


def score_rows(model: Scorecard | Estimator, rows: pa.Table, stamp: Stamp, *, explain: bool = True) -> pa.Table:
    """The score table's rows for these customers, in their order, all columns but `percentile`.

    `rows` has the contract's customer columns. Percentiles need the whole base: see `with_percentile`.
    A scorecard's reasons come with its score; an estimator's cost far more than its score, and are null unless asked.
    """
    scored = _scored(model, rows, explain)
    chance = probability(scored.log_odds)
    columns = {
        "as_of": _repeated(stamp.as_of, pa.date32(), rows),
        "customer_id": rows[stamp.contract.key],
        "segment": _segment(rows, stamp.contract),
        "region": _region(rows, stamp.contract),
        "probability": chance,
        "log_odds": scored.log_odds,
        "band": bands(chance, model.base_rate),
        "customer_value": _value(rows, stamp.contract),
        **scored.reasons,
        "model_version": _repeated(stamp.model_version, pa.int64(), rows),
        "model_digest": _repeated(stamp.model_digest, pa.string(), rows),
        "contract_digest": _repeated(stamp.contract.digest, pa.string(), rows),
    }
    return pa.table({name: columns[name] for name in SCORES.names if name in columns})


def explained(model: Scorecard | Estimator, rows: pa.Table) -> pa.Table:
    """The score table's reason columns alone, for customers whose scores were drawn without."""
    return pa.table(dict(_scored(model, rows, explain=True).reasons))


def bands(chance: Floats, base_rate: float) -> pa.DictionaryArray:
    """The band of each probability against the base rate."""
    limits = base_rate * np.array(list(BANDS.values())[1:])
    places = np.searchsorted(limits, chance, side="right").astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(places), pa.array(BANDS))


def percentile_edges(log_odds: Iterable[Floats]) -> Floats:
    """Where percentiles 2 to 100 begin; from the log-odds of the whole base, in whatever parts and order they come.

    A customer's percentile is the share of the base at or below his risk, in whole percent rounded up.
    """
    base = np.sort(np.concatenate(list(log_odds)))
    if not len(base):
        return np.empty(0)
    # More than p percent are at or below a value once it reaches the one at this place.
    return np.asarray(base[np.arange(1, PERCENTILES) * len(base) // PERCENTILES])


def percentiles(log_odds: Floats, edges: Floats) -> Ints:
    """The percentile of each customer, 1 to 100; equal risks have equal percentiles."""
    return np.searchsorted(edges, log_odds, side="right") + 1


def with_percentile(scores: pa.Table, edges: Floats) -> pa.Table:
    """The whole score table's columns in order and in its types."""
    ranks = percentiles(one_array(scores, "log_odds").to_numpy(), edges)
    place = SCORES.names.index("percentile")
    return scores.add_column(place, "percentile", pa.array(ranks, pa.int64()))


def _repeated(value: object, kind: pa.DataType, rows: pa.Table) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), rows.num_rows)


def _segment(rows: pa.Table, contract: Contract) -> pa.ChunkedArray | pa.Array:
    column = contract.one(Role.SEGMENT)
    if column is None:
        return _repeated(ALL, pa.string(), rows)
    return rows[column.name].cast(pa.string()).fill_null(ALL)


def _region(rows: pa.Table, contract: Contract) -> pa.ChunkedArray | pa.Array:
    column = contract.one(Role.REGION)
    return rows[column.name].cast(pa.string()) if column else pa.nulls(rows.num_rows, pa.string())


def _value(rows: pa.Table, contract: Contract) -> pa.ChunkedArray | pa.Array:
    column = contract.one(Role.VALUE)
    if column is None:
        return pa.nulls(rows.num_rows, pa.float64())
    import pyarrow.compute as pc  # who asks for one customer does without its 8 MB

    return pc.multiply(rows[column.name].cast(pa.float64()), contract.value_months)


class _Scored(NamedTuple):
    log_odds: Floats
    reasons: Mapping[str, pa.Array]


def _scored(model: Scorecard | Estimator, rows: pa.Table, explain: bool) -> _Scored:
    if isinstance(model, Scorecard):
        scored = score(model, rows) if rows.num_rows > FEW else _score_few(model, rows)
        raising, lowering = ([reasons(model, cells) for cells in part] for part in (scored.raising, scored.lowering))
        return _Scored(scored.log_odds, _columns(raising, lowering))
    if not explain:
        nobody = no_reasons(rows.num_rows)
        return _Scored(log_odds(model, rows), _columns([nobody] * REASONS_UP, [nobody] * REASONS_DOWN))
    return _Scored(log_odds(model, rows), _estimator_reasons(model, rows))


def _score_few(card: Scorecard, rows: pa.Table) -> Scored:
    """To the same bit, without the compiler, which takes a service more memory than a request may."""
    return score_few(card, rows.select([feature.name for feature in card.features]).to_pylist())


def _estimator_reasons(model: Estimator, rows: pa.Table) -> dict[str, pa.Array]:
    addends, values = contributions(model, rows), inputs_of(rows, model.inputs)
    raising, lowering = strongest(addends, REASONS_UP), strongest(-addends, REASONS_DOWN)
    return _columns(
        *([input_reasons(model.inputs, values, addends, places) for places in part] for part in (raising, lowering))
    )


def _columns(raising: Iterable[Reasons], lowering: Iterable[Reasons]) -> dict[str, pa.Array]:
    return {**dict(_named("reason", raising)), **dict(_named("relief", lowering))}


def _named(prefix: str, places: Iterable[Reasons]) -> Iterator[tuple[str, pa.Array]]:
    for place, of_place in enumerate(places, start=1):
        for field, column in of_place._asdict().items():
            yield f"{prefix}_{place}_{field}", column
