"""Turns customers into rows of the score table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.errors import ArtifactRefused
from churn.lookup import Cells, score
from churn.metrics import probability
from churn.reasons import reasons
from churn.scorecard import KINDS, Floats, Ints, Scorecard, one_array
from schemas.columns import Role
from schemas.contract import Contract
from schemas.scores import SCORES

# Bands begin at these multiples of the base rate: someone in `high` is at least one and a half times as likely to
# leave as the average customer, whatever the season.
BANDS = {"low": 0.0, "medium": 0.5, "high": 1.5, "very high": 3.0}

EVERYBODY = "all"  # the segment where the contract names none, or a customer has none
PERCENTILES = 100


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every score of a run carries, and the contract that says which column is the key, segment and value."""

    as_of: date
    contract: Contract
    model_version: int
    model_digest: str


def require_features(card: Scorecard, contract: Contract) -> None:
    """ArtifactRefused where the card looks at a feature that the contract lacks, or gives another kind of value."""
    kinds = {
        column.name: KINDS[column.logical_type] for column in contract.customer.columns if column.logical_type in KINDS
    }
    unfit = [feature.name for feature in card.features if kinds.get(feature.name) is not feature.kind]
    if unfit:
        raise ArtifactRefused(
            f"the champion looks at features that the contract lacks or types otherwise: {', '.join(unfit)}",
            where=contract.name,
            to_do="Train a model for this contract, or go back to the contract that the champion knows.",
        )


def score_rows(card: Scorecard, rows: pa.Table, stamp: Stamp) -> pa.Table:
    """The score table's rows for these customers, in their order, all columns but `percentile`.

    `rows` has the contract's customer columns. Percentiles need the whole base: see `with_percentile`.
    """
    scored = score(card, rows)
    chance = probability(scored.log_odds)
    columns = {
        "as_of": _repeated(stamp.as_of, pa.date32(), rows),
        "customer_id": rows[stamp.contract.key],
        "segment": _segment(rows, stamp.contract),
        "probability": chance,
        "log_odds": scored.log_odds,
        "band": bands(chance, card.base_rate),
        "customer_value": _value(rows, stamp.contract),
        **dict(_reason_columns(card, "reason", scored.raising)),
        **dict(_reason_columns(card, "relief", scored.lowering)),
        "model_version": _repeated(stamp.model_version, pa.int64(), rows),
        "model_digest": _repeated(stamp.model_digest, pa.string(), rows),
        "contract_digest": _repeated(stamp.contract.digest, pa.string(), rows),
    }
    return pa.table({name: columns[name] for name in SCORES.names if name in columns})


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
        return _repeated(EVERYBODY, pa.string(), rows)
    return pc.fill_null(rows[column.name].cast(pa.string()), EVERYBODY)


def _value(rows: pa.Table, contract: Contract) -> pa.ChunkedArray | pa.Array:
    column = contract.one(Role.VALUE)
    if column is None:
        return pa.nulls(rows.num_rows, pa.float64())
    return pc.multiply(rows[column.name].cast(pa.float64()), contract.value_months)


def _reason_columns(card: Scorecard, prefix: str, cells: Cells) -> Iterator[tuple[str, pa.Array]]:
    for place, of_place in enumerate(cells, start=1):
        for field, column in reasons(card, of_place)._asdict().items():
            yield f"{prefix}_{place}_{field}", column
