"""Whoever is shown customers in bulk is noticed, whatever route shows them, and whoever works is not."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from api.harvest import ALARM, MOST_SHOWN, MOST_SHOWN_TO_A_SERVICE, Harvest
from churn.errors import StoreUnreachable
from schemas.users import Role, User
from store.access_tables import lookup_audit
from store.migrations import bring_up_to_date
from store.rate_limits import Lease, LocalBuckets, Rate
from store.settings import Settings
from store.tables import engine_for
from tests.api.doors import PAGE, door
from tests.api.service import admission, running

ADA, OPAL, CRM = User("ada", Role.AGENT), User("opal", Role.OPERATOR), User("crm", Role.SERVICE)


class Away:
    """Buckets that do not answer."""

    def lease(self, bucket: str, wanted: int, rate: Rate) -> Lease:
        raise StoreUnreachable("it is away", where="tests")


SHOWN = [
    # who   customers at a time   times   alarms
    (ADA, 1, 60, 0),
    (ADA, PAGE, MOST_SHOWN // PAGE, 0),
    (ADA, PAGE, MOST_SHOWN // PAGE + 1, 1),
    (ADA, PAGE, 60, 1),
    (OPAL, MOST_SHOWN + 1, 1, 1),
    (CRM, MOST_SHOWN_TO_A_SERVICE, 1, 0),
    (CRM, MOST_SHOWN_TO_A_SERVICE, 2, 1),
]


@pytest.mark.parametrize(("who", "customers", "times", "count"), SHOWN)
@pytest.mark.parametrize("workers", [1, 2])
def test_who_is_shown_too_many_in_a_minute_is_told_of_once_a_worker(
    who: User, customers: int, times: int, count: int, workers: int
):
    told: list[tuple[str, str]] = []
    shared = LocalBuckets(lambda: 0.0)
    harvests = [Harvest(shared, lambda *alarm: told.append(alarm)) for _ in range(workers)]
    for turn in range(times):
        harvests[turn % workers].saw(who, customers)
    for harvest in harvests:
        harvest.close()
    assert set(told) == ({(who.name, ALARM)} if count else set())
    assert len(told) <= workers


def test_a_worker_counts_by_itself_while_the_shared_count_is_away():
    told: list[str] = []
    harvest = Harvest(Away(), lambda name, says: told.append(name))
    for _ in range(2):
        harvest.saw(ADA, MOST_SHOWN)
    harvest.close()
    assert told == ["ada"]


def test_whoever_leafs_through_lists_stands_in_the_log(settings: Settings):
    engine = engine_for(settings.database_url)
    bring_up_to_date(engine)
    app = door(settings)
    with running(app, who=None) as ask:
        for _ in range(MOST_SHOWN // PAGE + 2):
            assert ask("GET", "/lists", headers=admission(app, ADA)).status_code == 200
        assert ask("GET", "/customers/C1", headers=admission(app, OPAL)).status_code == 200
    table = lookup_audit.c
    with engine.connect() as connection:
        alarms = connection.execute(sa.select(table.principal, table.purpose).where(table.what == "alarm")).all()
    assert alarms == [("ada", ALARM)]
