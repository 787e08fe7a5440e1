"""The same night again, made anew, or an older one beside it: each is whole, and none changes another."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa

from store.tables import engine_for
from tests.faults.nights import CONTRACT, KIND, Base, Figures, left_over, night, outcome, publish, whole
from tests.faults.processes import stopped_at
from tests.faults.readers import seen_in_files, seen_in_tables, undisturbed

_HISTORY = sa.text(
    "SELECT as_of, count(*), count(DISTINCT customer_id), min(probability), max(probability), sum(probability)"
    " FROM score_history GROUP BY as_of"
).columns(as_of=sa.Date)


def test_the_same_inputs_again_change_nothing(base: Base) -> None:
    before = seen_in_tables(base)
    with undisturbed(base):
        assert outcome(base.publisher(), night(0)) == f"already published {before.run_id}"
    assert seen_in_tables(base) == seen_in_files(base) == before
    assert left_over(base) == set()


def test_the_same_inputs_forced_give_the_same_manifest_and_each_customer_once(base: Base) -> None:
    publisher = base.publisher()
    before = publisher.current(CONTRACT, KIND)
    assert before
    with undisturbed(base):
        again = publish(publisher, night(0), force=True)
    assert (again.revision, again.manifest_sha256) == (before.revision + 1, before.manifest_sha256)
    assert history(base) == {night(0): whole(night(0))}
    assert left_over(base) == set()


@pytest.mark.parametrize("point", ["claimed", "part-loaded", "audited"])
def test_an_older_night_is_published_beside_a_live_one_and_changes_no_newer_one(base: Base, point: str) -> None:
    older, newest, tonight = night(1), night(2), night(3)
    published = publish(base.publisher(), newest)
    with undisturbed(base):
        live = stopped_at(point, base, tonight)
        publish(base.publisher(), older)
        assert seen_in_tables(base).run_id == seen_in_files(base).run_id == published.run_id
        live.wake()
        assert live.outcome().startswith("published ")
    assert history(base) == {each: whole(each) for each in (night(0), older, newest, tonight)}
    assert base.publisher().published(CONTRACT, KIND, newest) == published
    assert seen_in_tables(base).as_of == seen_in_files(base).as_of == tonight
    assert left_over(base) == set()


def history(base: Base) -> dict[date, Figures]:
    """What the rows of each night come to, in the revision that its readers see."""
    with engine_for(base.database_url).connect() as connection:
        return {as_of: tuple(figures) for as_of, *figures in connection.execute(_HISTORY)}
