"""The bucket of one customer, for whoever need not import the compiler that finds millions: see churn/buckets.py."""

from __future__ import annotations

OFFSET_BASIS, PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a, 64 bit
_64_BITS = 2**64 - 1


def single_bucket(key: str, buckets: int) -> int:
    """The bucket, 0 to `buckets` - 1, of the key; the same as `bucket_of` gives."""
    code = OFFSET_BASIS
    for letter in key.encode():
        code = ((code ^ letter) * PRIME) & _64_BITS
    return (code ^ (code >> 32)) % buckets
