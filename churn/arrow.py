"""Arrow columns as NumPy arrays, straight from Arrow's memory.

Neither `to_numpy` nor `pa.array` nor `pa.scalar`: each of them imports pandas to ask whether the values are its own,
which takes longer than loading a scorecard and scoring a bucket of customers together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def as_floats(column: pa.Array) -> npt.NDArray[np.float64]:
    """The numbers or truth values as float64 [rows], NaN where null; no copy where they lie there as such."""
    numbers = column.cast(pa.float64(), safe=False)
    return np.where(_valid(numbers), _values(numbers), np.nan) if numbers.null_count else _values(numbers)


def places_among(column: pa.Array, categories: Sequence[str]) -> npt.NDArray[np.float64]:
    """Each text's place among `categories`, counted from 1; an unseen one has the next, and null is NaN; [rows]."""
    if isinstance(column, pa.DictionaryArray):
        codes = np.where(_valid(column), _values(column.indices.cast(pa.int64())), -1)
        return np.append(places_among(column.dictionary, categories), np.nan)[codes]
    texts = column.cast(pa.string())
    return np.where(_valid(texts), _found(texts, categories) + 1.0, np.nan)


def _found(texts: pa.Array, categories: Sequence[str]) -> npt.NDArray[np.int64]:
    import pyarrow.compute as pc  # takes a tenth of the time that a process may take to its first answer

    found = pc.index_in(texts, _texts(categories))
    return np.where(_valid(found), _values(found), len(categories))


def _texts(texts: Sequence[str]) -> pa.StringArray:
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def _values(column: pa.Array) -> npt.NDArray[Any]:
    """What lies in memory, which means nothing where the column is null."""
    buffers = [None, column.buffers()[1]]  # from_dlpack refuses nulls
    return np.from_dlpack(pa.Array.from_buffers(column.type, len(column), buffers, offset=column.offset))


def _valid(column: pa.Array) -> npt.NDArray[np.bool_]:
    if not column.null_count:
        return np.ones(len(column), np.bool_)
    bits = np.frombuffer(column.buffers()[0], np.uint8)
    rows = slice(column.offset, column.offset + len(column))
    return np.unpackbits(bits, count=rows.stop, bitorder="little")[rows].view(np.bool_)
