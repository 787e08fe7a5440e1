"""The page on effects begins with the size of a base below which p*g*V decides, by the power of a test on its waves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from churn.trial import customers_needed
from store.policies import read_policy

PAGE = Path(__file__).parents[2] / "docs" / "uplift.md"
A_YEAR = 12 * 0.04  # four hundredths of a base come into waves each month


def test_the_page_begins_with_the_size_below_which_a_base_keeps_to_its_beliefs() -> None:
    first = PAGE.read_text(encoding="utf-8").split("\n")[2]
    size, half, *_ = (int(number.replace(",", "")) for number in re.findall(r"\d[\d,]{4,}", first))
    held_out = read_policy("telco").policy.holdout.share
    assert f"Below {size:,} customers of a base count on p*g*V alone" in first
    assert size == pytest.approx(customers_needed(0.02, held_out, 0.1) / A_YEAR, abs=1_000)
    assert half == pytest.approx(73_000, abs=200), "in each arm, to see 0.2 points at 2 %"
