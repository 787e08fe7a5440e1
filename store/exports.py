"""What people take away: pages, drawings, keys and lists, as files where they want them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from churn.errors import RequestError

# Tables are written by functions that import for themselves: whoever writes a key needs none of the 20 MB for Parquet.
if TYPE_CHECKING:
    import pyarrow as pa

SECRET = 0o600  # for its owner alone


def export_file(content: str, to: Path) -> None:
    """Writes the file, over an older one, and the folders above it; RequestError where that is not possible."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(content, encoding="utf-8")
    except OSError as failed:
        raise _not_written(to, failed) from None


def export_secret(content: str, to: Path) -> None:
    """Writes a file that its owner alone may read; RequestError where it is there already, or cannot be written.

    No folder is made for it: one that is not there is a slip, and nobody would know where the secret lies.
    """
    try:
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET), "w", encoding="utf-8") as file:
            file.write(content)
    except OSError as failed:
        raise _not_written(to, failed) from None


def export_table(rows: pa.Table, to: Path, *, before_it_is_there: Callable[[], None] | None = None) -> None:
    """Writes the rows as CSV, in which no cell is a formula, or as Parquet, by the file's ending; whole or not at all.

    What has to be done `before_it_is_there` is done once all rows are written; no file appears if that fails.
    RequestError where the ending is another, or the file cannot be written.
    """
    from store.lake import replacing

    if to.suffix not in _WRITERS:
        raise RequestError(f"it ends on {to.suffix!r}", where=str(to), to_do=f"End it on {' or '.join(_WRITERS)}.")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with replacing(to) as beside:
            _WRITERS[to.suffix](rows, beside)
            if before_it_is_there:
                before_it_is_there()
    except OSError as failed:
        raise _not_written(to, failed) from None


def _write_csv(rows: pa.Table, path: Path) -> None:
    from pyarrow import csv

    from churn.handover import disarmed

    csv.write_csv(disarmed(rows), path)


def _write_parquet(rows: pa.Table, path: Path) -> None:
    from store.lake import parquet_writer

    with parquet_writer(path, rows.schema) as writer:
        writer.write_table(rows)


_WRITERS = {".csv": _write_csv, ".parquet": _write_parquet}


def _not_written(to: Path, failed: OSError) -> RequestError:
    return RequestError(
        f"it cannot be written: {failed.strerror}", where=str(to), to_do="Give another path after --to."
    )
