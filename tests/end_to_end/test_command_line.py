"""`churn night` as an operator meets it: what it prints, and how it ends."""

from __future__ import annotations

from pathlib import Path

from prefect.settings import PREFECT_API_URL

from tests.command import Done, churn
from tests.end_to_end.nights import Nights
from tests.end_to_end.telecom import FIRST_NIGHT, NEXT_NIGHT, delivered, replaced, tables


def night(nights: Nights, as_of: str, source: str) -> Done:
    """The command on the server of the tests: one of its own takes twenty seconds to start."""
    served = {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "CHURN_BUCKETS": "4"}
    return churn("night", "--as-of", as_of, "--source", source, home=nights.home, **served)


def test_a_night_that_is_published_already_says_so_and_shows_where_everything_is(nights: Nights) -> None:
    done = night(nights, FIRST_NIGHT, nights.source)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("already published, nothing to do") == 2
    for words in (f"telco as of {FIRST_NIGHT}", "Top of the outreach list", "Where everything is", str(nights.home)):
        assert words in done.stdout


def test_a_night_that_fails_its_checks_ends_with_their_code_and_readers_keep_what_they_had(
    nights: Nights, tmp_path: Path
) -> None:
    customers = tables()["customers"]["customer_id"]
    feed = delivered(replaced(tables(), "customers", "segment", "hybrid", customers), tmp_path / "feed")
    before = nights.shown()
    done = night(nights, NEXT_NIGHT, feed)
    assert done.returncode == 6
    assert done.stderr.startswith("QualityError telco customer/segment: segment is one of prepaid, postpaid: broken in")
    assert "Traceback" not in done.stdout + done.stderr
    assert nights.shown() == before
