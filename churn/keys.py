"""Keys for rows that come without one, made from what the row holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.buckets import hash_of

_UNIT_SEPARATOR = "\x1f"
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_LETTERS = 16


def surrogate_keys(rows: pa.Table) -> pa.Array:
    """One key of 16 hexadecimal digits per row: the hash of all its values as text, so exact duplicates share it.

    With n rows two different ones share a key with probability n² / 2⁶⁵: 3 in 100,000,000 at a million.
    """
    texts = [column.cast(pa.string()) for column in rows.columns]
    joined = pc.binary_join_element_wise(*texts, _UNIT_SEPARATOR, null_handling="replace", null_replacement="")
    return _hexadecimal(hash_of(joined))


def _hexadecimal(codes: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> pa.Array:
    octets = codes.astype(">u8").view(np.uint8)
    letters = np.stack([_HEX[octets >> 4], _HEX[octets & 15]], axis=1)
    offsets = np.arange(len(codes) + 1, dtype=np.int32) * _LETTERS
    return pa.StringArray.from_buffers(len(codes), pa.py_buffer(offsets), pa.py_buffer(letters.tobytes()))
