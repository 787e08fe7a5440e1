"""A row without a key gets one from what it holds."""

from __future__ import annotations

import pyarrow as pa

from churn.keys import surrogate_keys


def test_exact_duplicates_share_a_key_and_others_do_not() -> None:
    rows = pa.table({"minutes": [1.5, 1.5, 1.5, None], "plan": ["a", "a", "b", "a"]})
    keys = surrogate_keys(rows).to_pylist()
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_key_is_sixteen_hexadecimal_digits_that_never_change() -> None:
    rows = pa.table({"minutes": [29.85], "complaints": [0], "left": [True]})
    assert surrogate_keys(rows).to_pylist() == ["bd6a908dc84f96f3"]


def test_values_do_not_run_into_each_other() -> None:
    rows = pa.table({"first": ["ab", "a"], "second": ["c", "bc"]})
    assert len(set(surrogate_keys(rows).to_pylist())) == 2
