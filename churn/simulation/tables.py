"""The shapes of the simulated source tables, and how arrays become their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.simulation.scenario import Flags, Ints

ACTIONS = ("plan_recommendation", "discount", "device_upgrade", "service_call")
SEGMENTS = ("prepaid", "postpaid")
METHODS = ("autopay", "card", "voucher", "transfer")
CATEGORIES = ("billing", "network", "service", "device")
PLANS = tuple(f"P{number}" for number in range(1, 9))
GENDERS = ("female", "male", "unknown")
CHANNELS = ("phone", "sms", "email")
KINDS = ("voluntary", "unpreventable")

_STRING, _INTEGER, _NUMBER = pa.string(), pa.int64(), pa.float64()
_FLAG, _DAY, _MOMENT = pa.bool_(), pa.date32(), pa.timestamp("us")
_RECORDED = ("recorded_at", _MOMENT)

SOURCE_SCHEMAS: Mapping[str, pa.Schema] = {
    "customers": pa.schema(
        [
            ("customer_id", _STRING),
            ("household_id", _STRING),
            ("joined_on", _DAY),
            ("segment", _STRING),
            ("region", _STRING),
            ("birth_year", _INTEGER),
            ("gender", _STRING),
            ("marketing_consent", _FLAG),
            ("do_not_contact", _FLAG),
            ("preferred_channel", _STRING),
            _RECORDED,
        ]
    ),
    "contracts": pa.schema(
        [
            ("contract_id", _STRING),
            ("customer_id", _STRING),
            ("plan_code", _STRING),
            ("starts_on", _DAY),
            ("ends_on", _DAY),
            ("monthly_price", _NUMBER),
            ("allowance_gb", _NUMBER),
            ("allowance_minutes", _NUMBER),
            ("handset_since", _DAY),
            ("effective_on", _DAY),
            _RECORDED,
        ]
    ),
    "usage_monthly": pa.schema(
        [
            ("customer_id", _STRING),
            ("month", _DAY),
            ("minutes", _NUMBER),
            ("sms", _INTEGER),
            ("data_gb", _NUMBER),
            ("overage_amount", _NUMBER),
            ("roaming_amount", _NUMBER),
            ("calls", _INTEGER),
            ("dropped_calls", _INTEGER),
            _RECORDED,
        ]
    ),
    "payments": pa.schema(
        [
            ("payment_id", _STRING),
            ("customer_id", _STRING),
            ("due_on", _DAY),
            ("paid_on", _DAY),
            ("amount", _NUMBER),
            ("method", _STRING),
            _RECORDED,
        ]
    ),
    "tickets": pa.schema(
        [
            ("ticket_id", _STRING),
            ("customer_id", _STRING),
            ("opened_on", _DAY),
            ("closed_on", _DAY),
            ("category", _STRING),
            ("is_complaint", _FLAG),
            _RECORDED,
        ]
    ),
    "churn_events": pa.schema([("customer_id", _STRING), ("churned_on", _DAY), ("kind", _STRING), _RECORDED]),
}
TRUTH_SCHEMA: pa.Schema = pa.schema(
    [
        ("customer_id", _STRING),
        ("month", _DAY),
        ("p0", _NUMBER),
        *((f"p1_{action}", _NUMBER) for action in ACTIONS),
        ("u", _NUMBER),
        ("churned_untouched", _FLAG),
        *((f"churned_{action}", _FLAG) for action in ACTIONS),
    ]
)
SCHEMAS: Mapping[str, pa.Schema] = {**SOURCE_SCHEMAS, "truth": TRUTH_SCHEMA}

Columns = Mapping[str, pa.Array]


def table(name: str, columns: Columns) -> pa.Table:
    """The columns as the table of that name, in its order and types."""
    schema = SCHEMAS[name]
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def days(values: Ints, unknown: Flags | None = None) -> pa.Array:
    """Dates from days since 1970-01-01, null where `unknown`."""
    return pa.array(values.astype(np.int32), mask=unknown).view(_DAY)


def moments(day: Ints, hour: int | Ints) -> pa.Array:
    """Timestamps at that hour of the days since 1970-01-01."""
    return pa.array((day * 24 + hour) * 3_600_000_000).view(_MOMENT)


def names(codes: np.ndarray, values: Sequence[str]) -> pa.Array:
    """The name of each code."""
    return pa.array(values, _STRING).take(pa.array(codes))


def keys(prefix: str, *parts: tuple[Ints, int], unknown: Flags | None = None) -> pa.Array:
    """Keys such as C000000042: the prefix, then each number padded with zeros to its width."""
    rows = len(parts[0][0])
    width = len(prefix) + sum(digits for _, digits in parts)
    letters = np.empty((rows, width), np.uint8)
    letters[:, : len(prefix)] = np.frombuffer(prefix.encode(), np.uint8)
    place = len(prefix)
    for numbers, digits in parts:
        _write_digits(letters[:, place : place + digits], numbers)
        place += digits
    offsets = np.arange(0, (rows + 1) * width, width, dtype=np.int32)
    array = pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(letters))
    return array if unknown is None else pc.if_else(pa.array(~unknown), array, pa.scalar(None, _STRING))


def _write_digits(letters: np.ndarray, numbers: Ints) -> None:
    rest = numbers.astype(np.uint32)
    for place in reversed(range(letters.shape[1])):
        rest, digit = np.divmod(rest, np.uint32(10))
        letters[:, place] = digit + ord("0")
