"""A customer's bucket never changes, whatever the Arrow layout that carries the key."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.buckets import bucket_of, hash_of
from churn.single_bucket import single_bucket

# The first four are vectors of the hash's authors; the buckets are ours and must stay as they are.
GOLDEN = [
    ("", 0xCBF29CE484222325, 1),
    ("a", 0xAF63DC4C8601EC8C, 0),
    ("b", 0xAF63DF4C8601F1A5, 9),
    ("foobar", 0x85944171F73967E8, 9),
    ("C00000001", 0xB4C1BA818C44AC45, 4),
    ("7590-VHVEG", 0x1AD70E6168EAC3E5, 4),
    ("Ünïcødé ☎", 0x04FB2DEB1835707C, 7),
]


@pytest.mark.parametrize(("key", "code", "bucket"), GOLDEN)
def test_the_hash_and_the_bucket_are_the_published_ones(key: str, code: int, bucket: int) -> None:
    assert hash_of(pa.array([key])).tolist() == [code]
    assert bucket_of(pa.array([key]), 16).tolist() == [bucket] == [single_bucket(key, 16)]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 64))
def test_the_bucket_of_one_customer_is_that_which_millions_are_sorted_by(key: str, buckets: int) -> None:
    assert single_bucket(key, buckets) == bucket_of(pa.array([key]), buckets).item()


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_every_layout_of_text_gives_the_same_hash(kind: pa.DataType) -> None:
    keys = [key for key, _, _ in GOLDEN]
    assert hash_of(pa.array(keys).cast(kind)).tolist() == [code for _, code, _ in GOLDEN]


def test_a_slice_and_chunks_give_the_hashes_of_their_rows() -> None:
    keys = pa.array([f"C{n:08d}" for n in range(100)])
    whole = hash_of(keys)
    assert np.array_equal(hash_of(keys[37:61]), whole[37:61])
    assert np.array_equal(hash_of(pa.chunked_array([keys[:37], keys[37:37], keys[37:]])), whole)
    assert hash_of(pa.chunked_array([], pa.string())).tolist() == []


def test_a_null_goes_where_the_empty_text_goes() -> None:
    assert hash_of(pa.array(["a", None, ""])).tolist() == hash_of(pa.array(["a", "", ""])).tolist()
    assert hash_of(pa.array([None], pa.string())).tolist() == [0xCBF29CE484222325]


def test_numbered_customers_spread_evenly() -> None:
    keys = pa.array([f"C{n:08d}" for n in range(160_000)])
    counts = np.bincount(bucket_of(keys, 16), minlength=16)
    assert counts.min() > 9_500
    assert counts.max() < 10_500


@given(st.lists(st.text(), max_size=20))
def test_the_hash_is_the_textbook_loop_over_the_bytes(keys: list[str]) -> None:
    assert hash_of(pa.array(keys, pa.string())).tolist() == [_textbook(key.encode()) for key in keys]


def _textbook(letters: bytes) -> int:
    code = 0xCBF29CE484222325
    for letter in letters:
        code = (code ^ letter) * 0x100000001B3 % 2**64
    return code
