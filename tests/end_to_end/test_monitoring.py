"""Each night is watched when it is published, and again on its own as often as anybody asks."""

from __future__ import annotations

from datetime import date

from tests.end_to_end.nights import Nights, view_rows
from tests.end_to_end.telecom import FIRST_NIGHT, NEXT_NIGHT


def test_a_published_night_is_watched_and_the_night_a_month_before_looked_back_on(nights: Nights) -> None:
    from flows.monitoring import monitoring  # Prefect reads the environment when it is imported

    [first] = view_rows("monitoring_decision_current")
    assert (str(first["as_of"]), first["before_as_of"]) == (FIRST_NIGHT, None)
    nights.run(NEXT_NIGHT)
    seen = monitoring()
    assert (seen.as_of, seen.new) == (date.fromisoformat(NEXT_NIGHT), ()), "the night itself had told of all"
    [decision] = view_rows("monitoring_decision_current")
    assert str(decision["before_as_of"]) == str(decision["matured_as_of"]) == FIRST_NIGHT
    assert {row["segment"] for row in view_rows("backtest")} == {"all", "postpaid", "prepaid"}
    assert seen.page.is_file()
