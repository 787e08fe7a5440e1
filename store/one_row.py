"""The first row that some SQL gives in a DuckDB of its own, which sees nothing but what the SQL names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from churn.errors import SourceMismatch, SourceUnreachable
from store.lake import duck

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = "256MB"

Row = Mapping[str, Any]


class Step(NamedTuple):
    """One statement, and the values of its parameters, in their order or by name."""

    sql: str
    values: Sequence[Any] | Mapping[str, Any] = ()


Ask = Callable[[Sequence[Step]], Row | None]  # who runs the steps, here or in another process


def one_row(steps: Sequence[Step]) -> Row | None:
    """The first row of the last step, by column; None where it gives none.

    SourceUnreachable where a file that is named is gone; SourceMismatch where values are not of the types they should
    be of, or a file was changed. Neither repeats what the source holds.
    """
    with duck(memory_limit=MEMORY) as connection, _failures_told():
        for step in steps:
            connection.execute(step.sql, step.values)
        names = [name for name, *_ in connection.description or ()]
        found = connection.fetchone()
    return dict(zip(names, found, strict=True)) if found else None


@contextmanager
def _failures_told() -> Iterator[None]:
    import duckdb  # 57 MB, which whoever lets another process run the steps need not carry

    try:
        yield
    except duckdb.IOException:
        raise SourceUnreachable("a file of the night is kept no longer") from None
    except duckdb.Error as failed:
        raise SourceMismatch(f"its values are not of the contract's types ({type(failed).__name__})") from None
