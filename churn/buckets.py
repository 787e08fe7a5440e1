"""Which bucket a customer belongs to: the same on every machine, in every process, for ever."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

# FNV-1a, 64 bit: http://www.isthe.com/chongo/tech/comp/fnv/
_OFFSET_BASIS = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)

_OFFSETS = {pa.string(): np.int32, pa.large_string(): np.int64}


def bucket_of(keys: pa.Array | pa.ChunkedArray, buckets: int) -> npt.NDArray[np.int32]:
    """The bucket, 0 to `buckets` - 1, of each key; a null key goes where the empty text goes."""
    hashes = hash_of(keys)
    # The low bits of an FNV hash see only the low bits of each letter; folding lets the high ones in.
    return ((hashes ^ (hashes >> np.uint64(32))) % np.uint64(buckets)).astype(np.int32)


def hash_of(texts: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """The 64-bit FNV-1a hash of each text's UTF-8 bytes."""
    if isinstance(texts, pa.ChunkedArray):
        chunks = [hash_of(chunk) for chunk in texts.chunks]
        return np.concatenate(chunks) if chunks else np.empty(0, np.uint64)
    offsets, letters = _text_buffers(texts)
    return _fnv1a(offsets, letters)


def _text_buffers(texts: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    if texts.type not in _OFFSETS:
        texts = texts.cast(pa.string())
    if texts.null_count:
        texts = texts.fill_null("")
    _, offsets, letters = texts.buffers()
    width = _OFFSETS[texts.type]
    first = texts.offset
    ends = np.frombuffer(offsets, width)[first : first + len(texts) + 1] if offsets else np.zeros(1, width)
    return ends, np.frombuffer(letters, np.uint8) if letters else np.empty(0, np.uint8)


@njit(cache=True, nogil=True)
def _fnv1a(offsets: npt.NDArray[np.int64], letters: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    hashes = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(hashes)):
        code = _OFFSET_BASIS
        for place in range(offsets[row], offsets[row + 1]):
            code = (code ^ np.uint64(letters[place])) * _PRIME
        hashes[row] = code
    return hashes
