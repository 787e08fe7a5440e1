"""Arrays as bytes in NumPy's own format: numbers and nothing else, as long as their header says."""

from __future__ import annotations

from io import BytesIO
from math import prod
from typing import Any

import numpy as np


def array_bytes(array: np.ndarray) -> bytes:
    """The array in the format of `numpy.save`; ValueError where it holds objects."""
    sink = BytesIO()
    np.save(sink, array, allow_pickle=False)
    return sink.getvalue()


def read_array(content: bytes) -> Any:
    """The array again; ValueError where it holds objects, or where its header asks for other memory than there is."""
    require_plain_array(content)
    return np.load(BytesIO(content), allow_pickle=False)


def require_plain_array(content: bytes) -> None:
    """Judges by the header alone, before memory is set aside for what it claims; ValueError as `read_array`."""
    source = BytesIO(content)
    if np.lib.format.read_magic(source) != (1, 0):  # newer ones are for headers that no array of ours has
        raise ValueError("an array in a format that is not ours")
    shape, _, dtype = np.lib.format.read_array_header_1_0(source)
    if dtype.hasobject:
        raise ValueError("an array of pickled objects")
    claimed, there = prod(shape) * dtype.itemsize, len(content) - source.tell()
    if claimed != there or min(shape, default=0) < 0:
        raise ValueError(f"an array that claims {claimed} bytes and has {there}")
