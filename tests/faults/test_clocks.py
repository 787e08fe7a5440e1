"""Whether a run is alive is judged by the database's clock, however wrong a worker's own may be."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from store.claims import LEASE, database_now
from store.tables import publication
from tests.faults.clocks import outcomes
from tests.faults.nights import Base, days_later, night
from tests.faults.processes import killed_at, stopped_at
from tests.faults.readers import seen_in_tables, undisturbed

LIVE, DEAD, CLAIMED = night(1), night(2), night(3)
HOUR = timedelta(hours=1)


on_postgres = pytest.mark.parametrize("first", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
on_sqlite = pytest.mark.parametrize("first", ["sqlite"], indirect=True)


@on_postgres
@pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["an hour ahead", "an hour behind"])
def test_a_worker_with_a_wrong_clock_takes_over_dead_runs_and_no_live_one(base: Base, by: timedelta) -> None:
    with undisturbed(base):
        killed_at("sealed", base, DEAD)
        days_later(base.publisher())
        live = stopped_at("claimed", base, LIVE)
        refused, taken_over = outcomes(by, base, LIVE, DEAD, CLAIMED)
        live.wake()
        run_id = live.outcome().removeprefix("published ")
    assert refused.startswith(f"AlreadyRunning run {run_id} holds it")
    assert taken_over.startswith("published ")
    assert timedelta() < left_of_the_lease(base) <= LEASE
    assert seen_in_tables(base).as_of == DEAD


@on_sqlite
def test_sqlite_has_no_clock_but_the_machine_s_and_a_live_run_that_is_taken_over_is_fenced(base: Base) -> None:
    with undisturbed(base):
        live = stopped_at("audited", base, LIVE)
        (taken_over,) = outcomes(HOUR, base, LIVE, CLAIMED)
        live.wake()
        assert live.outcome().startswith("Fenced ")
    assert taken_over == f"published {seen_in_tables(base).run_id}"


def left_of_the_lease(base: Base) -> timedelta:
    """How long the night that was claimed under the wrong clock is held."""
    until = sa.select(publication.c.lease_until).where(publication.c.as_of == CLAIMED)
    with base.publisher().engine.connect() as connection:
        return connection.execute(until).scalar_one() - database_now(connection)
