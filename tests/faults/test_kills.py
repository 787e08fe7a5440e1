"""A run killed at any point leaves readers a whole night, and the next run leaves nothing of it."""

from __future__ import annotations

import pytest

from store.fault_points import AFTER_THE_COMMIT, BEFORE_THE_COMMIT
from tests.faults.nights import Base, left_over, night, outcome, published_again
from tests.faults.processes import killed_at
from tests.faults.readers import seen_in_files, seen_in_tables, undisturbed

TONIGHT = night(1)


@pytest.mark.parametrize("point", BEFORE_THE_COMMIT)
def test_killed_before_the_commit_readers_keep_the_old_night_and_the_next_run_publishes(base: Base, point: str) -> None:
    yesterday = seen_in_tables(base)
    with undisturbed(base):
        killed_at(point, base, TONIGHT)
        assert seen_in_tables(base) == seen_in_files(base) == yesterday
        run = published_again(base.publisher(), TONIGHT)
    assert seen_in_tables(base) == seen_in_files(base)
    assert seen_in_tables(base).run_id == run.run_id
    assert left_over(base) == set()


@pytest.mark.parametrize("point", AFTER_THE_COMMIT)
def test_killed_after_the_commit_the_night_is_there_and_the_next_run_has_nothing_to_do(base: Base, point: str) -> None:
    with undisturbed(base):
        killed_at(point, base, TONIGHT)
        tonight = seen_in_tables(base)
        assert tonight.as_of == TONIGHT
        assert outcome(base.publisher(), TONIGHT) == f"already published {tonight.run_id}"
    assert seen_in_tables(base) == seen_in_files(base) == tonight
    assert left_over(base) == set()
