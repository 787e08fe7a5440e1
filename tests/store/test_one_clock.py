"""All moments in the database are of one clock, its own, since those of the machines that write to it may differ."""

from __future__ import annotations

from store.code import ROOT

OF_NO_DATABASE = {"faults.py"}  # the names of the files in which a fault's traceback is kept


def test_nothing_is_kept_at_a_moment_of_the_machine_s_own_clock() -> None:
    looks = {path.name for path in (ROOT / "store").glob("*.py") if "datetime.now(UTC)" in path.read_text("utf-8")}
    assert looks == OF_NO_DATABASE
