"""A scorecard as one SQL SELECT, so that a warehouse scores in place what the night scores.

The text is put together from numbers, quoted names and quoted categories alone. It runs on PostgreSQL from 12 on,
on DuckDB, and on an SQLite from 3.35 on that has its mathematical functions, as Python's and Debian's have.
"""

# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from churn.errors import RequestError
from churn.quarantine import identifier, literal
from churn.scorecard import Feature, Floats, Kind, Scorecard, Term
from churn.scoring import require_features
from schemas.contract import Contract

Dialect = Literal["postgresql", "duckdb", "sqlite"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)

# What makes a number a double where it would be a decimal: adding up decimals is slow, and another arithmetic.
_DOUBLE = {"postgresql": "::float8", "duckdb": "e0", "sqlite": ""}

# SQLite knows no NaN: it keeps null in its place, and would read the word as 0.
_WITHOUT_NAN = "NULLIF({number}, CAST('NaN' AS DOUBLE PRECISION))"


def card_sql(card: Scorecard, contract: Contract, dialect: Dialect, table: str, *, heading: str = "") -> str:
    """One SELECT of `customer_id`, `log_odds` and `probability`, named and reckoned as in the score table.

    `table` holds the contract's customer columns; a schema may stand before it with a dot. `heading` goes on top as a
    comment. Raises ArtifactRefused where the card is not for this contract, RequestError where SQL cannot say it.
    """
    require_features(card, contract)
    inputs = ",\n    ".join([f"c.{identifier(contract.key)}", *(_input(each, dialect) for each in card.features)])
    addends = "\n    + ".join([_number(card.intercept, dialect), *(_term(term, card, dialect) for term in card.terms)])
    # Without MATERIALIZED a database copies an input's text to wherever it is asked for, and the sum's to where the
    # probability is: with fifty features and ten pairs PostgreSQL then compiles for minutes before its first row.
    # The columns are asked of `c`, as SQLite takes a quoted name that no column has for a text, and would score it.
    text = f"""{_comment(heading or _what_it_is(contract))}
WITH inputs AS MATERIALIZED (
  SELECT
    {inputs}
  FROM {_table(table)} AS c
),
scored AS MATERIALIZED (
  SELECT
    {identifier(contract.key)} AS customer_id,
    {addends}
    AS log_odds
  FROM inputs
)
SELECT customer_id, log_odds, 0.5 * (1.0 + tanh(0.5 * log_odds)) AS probability
FROM scored
"""
    if "\0" in text:
        raise RequestError(
            "a name or a category has a NUL character, which no SQL text may have",
            where=contract.name,
            to_do="Take the feature out of the contract and train again.",
        )
    return text


def _what_it_is(contract: Contract) -> str:
    return (
        f"The scorecard of the contract {contract.name} {contract.version}: each customer's log-odds and probability\n"
        f"of leaving within {contract.horizon_days} days. An addend is a term of the model."
    )


def _table(name: str) -> str:
    return ".".join(identifier(part) for part in name.split("."))


def _comment(text: str) -> str:
    return "\n".join(f"-- {' '.join(line.split())}" for line in text.splitlines())


def _input(feature: Feature, dialect: Dialect) -> str:
    """The column as the model reads it: yes and no as 1 and 0, numbers as doubles, and NaN as missing."""
    name = identifier(feature.name)
    if feature.kind is Kind.CATEGORY:
        return f"c.{name}"
    if feature.kind is Kind.YES_NO:
        return f"CAST(c.{name} AS INTEGER) AS {name}"
    number = f"CAST(c.{name} AS DOUBLE PRECISION)"
    known = number if dialect == "sqlite" else _WITHOUT_NAN.format(number=number)
    return f"{known} AS {name}"


def _term(term: Term, card: Scorecard, dialect: Dialect) -> str:
    """The term's CASE; that of a pair has one line for each part of the first feature, over the second."""
    first, *others = (card.features[place] for place in term.features)
    if others:
        rows = [_case(others[0], _cells(row[term.bins[1]], dialect), dialect) for row in term.table]
        cells = [rows[part] for part in term.bins[0].tolist()]
    else:
        cells = _cells(term.table[term.bins[0]], dialect)
    return _case(first, cells, dialect, between="\n      ")


def _cells(log_odds: Floats, dialect: Dialect) -> list[str]:
    return [_number(value, dialect) for value in log_odds.tolist()]


def _case(feature: Feature, cells: Sequence[str], dialect: Dialect, *, between: str = " ") -> str:
    """What each bin of the feature adds; bins that add the same are one branch, and one branch alone needs no CASE."""
    if len(set(cells)) == 1:
        return cells[0]
    name = identifier(feature.name)
    branches = [f"WHEN {name} {when} THEN {cell}" for when, cell in _branches(feature, cells, dialect)]
    return between.join([f"CASE WHEN {name} IS NULL THEN {cells[0]}", *branches, f"ELSE {cells[-1]} END"])


def _branches(feature: Feature, cells: Sequence[str], dialect: Dialect) -> list[tuple[str, str]]:
    """What is asked of a value, and the cell where it is so; the last bin's cell is left for whatever else comes."""
    if feature.kind is Kind.CATEGORY:
        return _categories(feature, cells, dialect)
    return [
        (f"< {_number(cut, dialect)}", cell)
        for cut, cell, following in zip(feature.cuts.tolist(), cells[1:-1], cells[2:], strict=True)
        if cell != following
    ]


def _categories(feature: Feature, cells: Sequence[str], dialect: Dialect) -> list[tuple[str, str]]:
    alike: dict[str, list[str]] = {}
    for category, cell in zip(feature.categories, cells[1:-1], strict=True):
        if cell != cells[-1]:
            alike.setdefault(cell, []).append(_text(category, dialect))
    return [(f"IN ({', '.join(texts)})", cell) for cell, texts in alike.items()]


def _number(value: float, dialect: Dialect) -> str:
    """The shortest digits that give the same double."""
    digits = repr(value)
    return digits if dialect == "duckdb" and "e" in digits else digits + _DOUBLE[dialect]


def _text(value: str, dialect: Dialect) -> str:
    quoted = literal(value)
    # An old setting of PostgreSQL lets a backslash escape what follows, even the closing quote; E'' says so openly.
    return "E" + quoted.replace("\\", "\\\\") if dialect == "postgresql" and "\\" in value else quoted
