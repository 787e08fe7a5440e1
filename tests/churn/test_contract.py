from __future__ import annotations

from datetime import date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.casting import arrow_type, cast_table
from churn.contract import arrow_schema, conform
from churn.dictionary import dictionary_page
from churn.errors import SourceMismatch
from schemas.columns import Column, LogicalType, Role, Table
from schemas.contract import Contract

KEY = Column("customer_id", LogicalType.STRING, "Key.", physical_name="id", roles=(Role.KEY,))
LABEL = Column("churned", LogicalType.INTEGER, "Left.", physical_name="Gone", roles=(Role.LABEL,), minimum=0, maximum=1)


def table_of(*columns: Column) -> Table:
    return Table("customers", "One row per customer.", columns, primary_key=("customer_id",))


def column_of(logical_type: str, **facts: object) -> Column:
    return Column("fact", LogicalType(logical_type), "A fact.", physical_name="Fact", **facts)


def cast(column: Column, values: list[object] | pa.Array) -> list[object]:
    found = pa.table({"id": [f"C{row}" for row in range(len(values))], "Fact": values})
    return cast_table(found, table_of(KEY, column), "shop.csv")["fact"].to_pylist()


READABLE = [
    # the contract's type, what the source holds, what becomes of it
    ("string", [" DSL ", "", "  ", None], ["DSL", None, None, None]),
    ("string", [1, 2], ["1", "2"]),
    ("string", pa.array(["a", "b", "c"])[1:], ["b", "c"]),
    ("integer", ["7", "7.0", "-3", " "], [7, 7, -3, None]),
    ("integer", [7.0, float("nan")], [7, None]),
    ("number", ["29.85", "1e3", "+5", ".5", ""], [29.85, 1000.0, 5.0, 0.5, None]),
    ("number", [1, 2], [1.0, 2.0]),
    ("number", [1.5, float("nan")], [1.5, None]),
    ("boolean", ["Yes", "no", "TRUE", "f", "1", "0", ""], [True, False, True, False, True, False, None]),
    ("boolean", [0, 1], [False, True]),
    ("boolean", [0.0, 1.0, None], [False, True, None]),
    ("date", ["2026-01-31", "2026-02-01 00:00:00", ""], [date(2026, 1, 31), date(2026, 2, 1), None]),
    ("date", [datetime(2026, 1, 31)], [date(2026, 1, 31)]),  # noqa: DTZ001 - business-local, as all moments here
    ("timestamp", ["2026-01-31 23:00:00"], [datetime(2026, 1, 31, 23)]),  # noqa: DTZ001
    ("timestamp", ["2026-01-31T23:00", "2026-02-01"], [datetime(2026, 1, 31, 23), datetime(2026, 2, 1)]),  # noqa: DTZ001
    ("timestamp", [date(2026, 1, 31)], [datetime(2026, 1, 31)]),  # noqa: DTZ001
    ("date", pa.nulls(2), [None, None]),
    ("date", pa.array([None, None], pa.int64()), [None, None]),  # what SQLite's driver calls an empty column
]

UNREADABLE = [
    # the contract's type, what the source holds, what is said of it
    ("integer", ["7", "seven", "7.5"], "2 of 3 values are not whole numbers, such as 'seven' (C1), '7.5' (C2)"),
    ("integer", [7.5, 1.0], "1 of 2 values are not whole numbers, such as 7.5 (C0)"),
    ("number", ["1,5", "2"], "1 of 2 values are not numbers, such as '1,5' (C0)"),
    ("number", [float("inf")], "1 of 1 values are not numbers, such as inf (C0)"),
    ("number", ["nan", "inf"], "2 of 2 values are not numbers"),
    ("boolean", ["yes", "perhaps"], "1 of 2 values are not yes or no, such as 'perhaps' (C1)"),
    ("boolean", [0, 2], "1 of 2 values are not yes or no, such as 2 (C1)"),
    ("date", ["2026-02-31", "31.01.2026"], "2 of 2 values are not dates"),
    ("date", ["2026-01-31 08:00:00"], "1 of 1 values are not dates"),
    ("timestamp", ["2026-01-31 25:00:00", "2026-01-31 23:00:00"], "1 of 2 values are not moments"),
    ("timestamp", ["2026-01-31 23:00:00Z"], "1 of 1 values are not moments"),
    ("date", [20260131], "1 of 1 values are not dates"),
    ("string", ["DSL", None, "D\0L"], "1 of 3 values are not text without zero bytes, such as 'D\\x00L' (C2)"),
    ("number", ["a", "b", "c", "d"], "4 of 4 values are not numbers, such as 'a' (C0), 'b' (C1), 'c' (C2)"),
]


@pytest.mark.parametrize(("logical_type", "values", "expected"), READABLE)
def test_what_a_source_holds_becomes_the_contracts_type(logical_type, values, expected):
    column = column_of(logical_type)
    assert cast(column, values) == expected


@pytest.mark.parametrize(("logical_type", "values", "said"), UNREADABLE)
def test_what_cannot_be_read_is_counted_and_shown_with_its_keys(logical_type, values, said):
    with pytest.raises(SourceMismatch) as refused:
        cast(column_of(logical_type), values)
    assert refused.value.where == "shop.csv, column Fact"
    assert refused.value.what.startswith(said)


def test_a_label_is_kept_as_0_and_1_however_it_is_written():
    for values in (["No", "Yes"], [False, True], [0, 1], ["0", "1"]):
        found = pa.table({"id": ["C0", "C1"], "Gone": values})
        label = cast_table(found, table_of(KEY, LABEL), "shop.csv")["churned"]
        assert (label.type, label.to_pylist()) == (pa.int64(), [0, 1])


def test_a_contract_may_have_its_own_words_for_yes_and_no():
    column = column_of("boolean", positive="Left", negative="Stayed")
    assert cast(column, ["left", "STAYED"]) == [True, False]
    with pytest.raises(SourceMismatch):
        cast(column, ["yes"])


def test_without_a_key_the_rows_are_counted():
    with pytest.raises(SourceMismatch, match=r"'x' \(row 2 of the data\)"):
        cast_table(pa.table({"Fact": ["1", "x"]}), Table("t", "", (column_of("number"),)), "shop.csv")


def test_a_derived_key_is_left_for_later_and_an_absent_label_is_unknown():
    made = Column("customer_id", LogicalType.STRING, "Key.", roles=(Role.KEY,), derived=True)
    rows = cast_table(pa.table({"Fact": ["1"]}), table_of(made, column_of("number"), LABEL), "shop.csv")
    assert rows.schema == pa.schema([("fact", pa.float64()), ("churned", pa.int64())])
    assert rows.to_pylist() == [{"fact": 1.0, "churned": None}]


SHOP = table_of(KEY, column_of("number"), Column("visits", LogicalType.INTEGER, "Visits.", physical_name="Visits Made"))

DIFFERENCES = [
    ({"id": "x", "Fact": 1.0}, "missing: Visits Made"),
    ({"id": "x", "Fact": 1.0, "Visits Made": 1, "mood": "x"}, "not in the contract: mood"),
    ({"id": "x", "Fact": 1.0, "visits_made": 1}, "missing: Visits Made, probably renamed to visits_made"),
    ({"id": "x", "Fact": True, "Visits Made": 1}, "column Fact is bool, not number"),
    ({"id": "x", "Fact": [1.0], "Visits Made": 1}, "column Fact is list<item: double>, not number"),
    ({"id": "x", "mood": 1.0}, "missing: Fact, Visits Made; not in the contract: mood"),
]


@pytest.mark.parametrize(("row", "said"), DIFFERENCES)
def test_a_difference_in_columns_is_named(row, said):
    with pytest.raises(SourceMismatch) as refused:
        conform(pa.Table.from_pylist([row]).schema, SHOP, "shop.parquet")
    assert (refused.value.where, refused.value.what) == ("shop.parquet", said)


def test_a_column_that_occurs_twice_is_refused():
    schema = pa.schema(
        [("id", pa.string()), ("Fact", pa.float64()), ("Fact", pa.float64()), ("Visits Made", pa.int64())]
    )
    with pytest.raises(SourceMismatch, match="columns that occur twice: Fact"):
        conform(schema, SHOP, "shop.csv")


def test_a_moment_with_a_time_zone_is_refused():
    table = table_of(KEY, column_of("timestamp"))
    with pytest.raises(SourceMismatch, match="column Fact is timestamp"):
        conform(pa.schema([("id", pa.string()), ("Fact", pa.timestamp("us", "UTC"))]), table, "shop")


def test_the_order_of_columns_is_free_and_a_label_may_be_absent():
    conform(
        pa.schema([("Fact", pa.string()), ("id", pa.string())]), table_of(KEY, column_of("number"), LABEL), "shop.csv"
    )


columns_of_any_type = st.lists(
    st.builds(Column, st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.sampled_from(LogicalType), st.just("A fact.")),
    min_size=1,
    unique_by=lambda column: column.name,
)


@given(columns_of_any_type)
def test_a_table_already_in_the_contracts_types_passes_unchanged(columns):
    table = Table("t", "", tuple(columns))
    schema = arrow_schema(table)
    conform(schema, table, "t")
    empty = schema.empty_table()
    assert cast_table(empty, table, "t").schema == schema
    assert schema.types == [arrow_type(column) for column in columns]


@given(st.lists(st.one_of(st.none(), st.integers(-(10**17), 10**17)), min_size=1))
def test_whole_numbers_survive_being_written_as_text(numbers):
    written = pa.array([None if number is None else str(number) for number in numbers], pa.string())
    assert cast(column_of("integer"), written) == numbers


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_survive_being_written_as_text_exactly(numbers):
    assert cast(column_of("number"), [repr(number) for number in numbers]) == numbers


def test_the_dictionary_tells_every_fact_of_every_column():
    column = column_of("number", unit="EUR | month", minimum=0.0, maximum=1500.0, required=True, actionable=True)
    coded = Column("code", LogicalType.STRING, "A code.", allowed=("1", "b"), labels=("one", "b"))
    table = table_of(KEY, column, coded)
    page = dictionary_page(Contract("shop", "1.0.0", "d1", "A shop.", (table,), table, flat=True))
    assert page.startswith("# shop, version 1.0.0\n\nA shop.\n")
    assert (
        "| fact | `Fact` | A fact. | number | EUR \\| month | 0 to 1,500 |  | never missing; can be acted upon |"
        in page
    )
    assert "| code | `code` | A code. | string |  | 1 (one), b |  |  |" in page
    assert "| customer_id | `id` | Key. | string |  |  | key | key |" in page
