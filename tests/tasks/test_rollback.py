"""A night that is taken back is published anew only where readers see another run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from store.publication import Publisher, open_publisher
from store.settings import current_settings
from tasks.rollback import take_back
from tests.end_to_end.nights import living_in
from tests.store.small_runs import publish

NIGHT = date(2026, 1, 1)


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    with living_in(tmp_path):
        yield open_publisher(current_settings())


def test_an_earlier_run_is_published_anew_and_the_one_that_readers_see_is_not(publisher: Publisher) -> None:
    first = publish(publisher, NIGHT, key="first")
    publish(publisher, NIGHT, key="second")
    back = take_back.fn(first.run_id)
    assert (back.new, back.revision) == (True, 3)
    again = take_back.fn(back.run_id)
    assert (again.new, again.run_id) == (False, back.run_id)
