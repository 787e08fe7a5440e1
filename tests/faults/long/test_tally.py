"""The sums that the long fault run ends with."""

from __future__ import annotations

import json

from tests.faults.long.tally import Tally, last_line
from tests.faults.readers import Reads


def test_the_last_line_adds_up_what_came_of_all_faults():
    one, other = Tally("F3", "SQLite", tries=5, landed=4), Tally("F4", "PostgreSQL", tries=3, landed=3)
    one.saw(Reads(looks=100, partial=["half a night"]))
    other.leftovers += ["a file", "scores 7"]
    sums = {"tries": 8, "landed": 7, "reads": 100, "partial": 1, "lost": 0, "leftovers": 2}
    assert json.loads(last_line([one, other])) == sums


def test_nothing_is_wrong_until_something_is():
    tally = Tally("F3", "SQLite", tries=5)
    assert not tally.wrong
    tally.saw(Reads(looks=1, lost=["yesterday after today"]))
    assert tally.wrong == ["yesterday after today"]
