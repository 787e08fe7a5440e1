"""The score table: one row per customer and night, flat and typed for BI."""

from __future__ import annotations

from schemas.columns import Column, LogicalType, Table

REASONS_UP = 3
REASONS_DOWN = 1

_STRING, _NUMBER, _INTEGER, _DATE = (
    LogicalType.STRING,
    LogicalType.NUMBER,
    LogicalType.INTEGER,
    LogicalType.DATE,
)


def _reason(prefix: str, effect: str) -> tuple[Column, ...]:
    return (
        Column(f"{prefix}_feature", _STRING, f"Feature (or pair of features) that {effect}; null where none does"),
        Column(f"{prefix}_value", _STRING, f"What the customer has there, in words, where it {effect}"),
        Column(f"{prefix}_log_odds", _NUMBER, f"How much it {effect}, in log-odds against the average customer"),
    )


def _columns() -> tuple[Column, ...]:
    ups = tuple(
        column
        for place in range(1, REASONS_UP + 1)
        for column in _reason(f"reason_{place}", f"raises the risk in place {place}")
    )
    return (
        Column("as_of", _DATE, "Date that the customer's row describes", required=True),
        Column("customer_id", _STRING, "Key of the customer", required=True, unique=True),
        Column("segment", _STRING, "Segment of the customer", required=True),
        Column("region", _STRING, "Region of the customer, whose agents may see him; null where none is known"),
        Column(
            "probability",
            _NUMBER,
            "Calibrated probability of leaving within the horizon",
            required=True,
            minimum=0.0,
            maximum=1.0,
        ),
        Column("log_odds", _NUMBER, "Natural log-odds of the probability; intercept plus all terms", required=True),
        Column(
            "band",
            _STRING,
            "Risk band of the probability against the base rate",
            required=True,
            allowed=("low", "medium", "high", "very high"),
        ),
        Column(
            "percentile",
            _INTEGER,
            "Share of the night's base at or below this risk, 1 to 100",
            required=True,
            minimum=1,
            maximum=100,
        ),
        Column("customer_value", _NUMBER, "Value of keeping the customer over the policy's months, in money"),
        *ups,
        *_reason("relief_1", "lowers the risk most"),
        Column("model_version", _INTEGER, "Number of the model in the registry", required=True),
        Column("model_digest", _STRING, "sha256 of the model's artifact", required=True),
        Column("contract_digest", _STRING, "sha256 of the contract", required=True),
    )


SCORES = Table(
    name="scores",
    description="Churn scores with reasons, one row per customer and night",
    columns=_columns(),
    primary_key=("as_of", "customer_id"),
)
