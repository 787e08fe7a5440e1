"""What an operator reads of a night: counts, what changed since the night before, and how long it took."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from churn.night_summary import Around, Figures, night_markdown

YESTERDAY = Figures(date(2026, 1, 1), 1, 1_000, 150, 2, {"high": 200, "low": 800}, {"listed": 150, "resting": 850})
TODAY = replace(YESTERDAY, as_of=date(2026, 1, 2), scored=1_100, bands={"high": 200, "low": 900})
AROUND = Around({"build bucket": 12.34}, {"tables": "sqlite:///churn.db"}, ("the gate objects",))


def test_a_night_is_held_against_the_one_before() -> None:
    page = night_markdown("telco", TODAY, YESTERDAY, AROUND)
    assert "# telco as of 2026-01-02, revision 1" in page
    assert "| customers | this night | against 2026-01-01 |" in page
    assert "| scored | 1,100 | +100 (+10.0%) |" in page
    assert "| risk high | 200 | the same |" in page


def test_the_first_night_has_nothing_to_be_held_against() -> None:
    assert "| scored | 1,100 | no night before |" in night_markdown("telco", TODAY, None, AROUND)


def test_the_page_says_how_long_where_and_what_to_beware_of() -> None:
    page = night_markdown("telco", TODAY, None, AROUND)
    for line in ("| build bucket | 12.3 |", "| tables | `sqlite:///churn.db` |", "> the gate objects"):
        assert line in page


def test_the_page_says_whether_the_service_agrees_where_it_was_asked() -> None:
    page = night_markdown("telco", TODAY, None, replace(AROUND, parity="1,000 compared, equal"))
    assert "parity of table and service: 1,000 compared, equal" in page
    assert "parity" not in night_markdown("telco", TODAY, None, AROUND)


def test_a_status_that_is_new_tonight_is_all_change() -> None:
    page = night_markdown("telco", replace(TODAY, statuses={"erased": 3}), YESTERDAY, AROUND)
    assert "| status erased | 3 | +3 |" in page
