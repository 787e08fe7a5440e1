"""A challenger's night in the shadow: red where it cannot be listed from, not where it differs from the champion."""

from __future__ import annotations

import numpy as np
import pytest

from churn.shadow import beside

CHAMPION = np.linspace(-5.0, 0.0, 1_000)
RATE = float((1.0 / (1.0 + np.exp(-CHAMPION))).mean())

# what the challenger says, the rate that it was calibrated to, and what of that is red
NIGHTS = [
    ("as the champion", CHAMPION, RATE, ""),
    ("a fifth higher, as it was calibrated to", CHAMPION + 0.2, RATE * 1.2, ""),
    ("the other way round", CHAMPION[::-1], RATE, ""),
    ("far above what it was calibrated to", CHAMPION + 0.2, RATE / 1.3, "predicted to leave"),
    ("far below", CHAMPION - 1.0, RATE, "predicted to leave"),
    ("no number for one", np.where(CHAMPION == 0.0, np.nan, CHAMPION), RATE, "1 of 1,000 customers have no score"),
    ("nobody to score", CHAMPION[:0], RATE, "0 of 0 customers have no score"),
]


@pytest.mark.parametrize(("challenger", "rate", "red"), [row[1:] for row in NIGHTS], ids=[row[0] for row in NIGHTS])
def test_a_night_is_red_as_the_table_says(challenger: np.ndarray, rate: float, red: str) -> None:
    found = beside(challenger, CHAMPION[: len(challenger)], rate, places=100)
    assert (found.red == "") if not red else (red in found.red)


def test_the_overlap_is_of_as_many_as_lists_have_places() -> None:
    moved = np.roll(CHAMPION, 50)
    assert beside(moved, CHAMPION, RATE, places=100).overlap == pytest.approx(0.5)
    assert beside(CHAMPION[::-1], CHAMPION, RATE, places=100).overlap == 0.0
    assert beside(CHAMPION, CHAMPION, RATE, places=5_000).overlap == 1.0
