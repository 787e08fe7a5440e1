"""Who decides beside the champions is told by the nights in the shadow, and kept by its name with each list."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from store.registry import Promotion
from store.settings import Settings, read_settings
from store.shadows import Wish, send_into_shadow
from store.texts import keep_text
from store.traffic import able, kept_traffic, text_of, waiting_traffic
from tests.store.test_shadows import night, registry_of

NIGHT = date(2026, 3, 1)  # that of the shadow's number 0
WISH = Wish("telco", "all", 2, 1, 9, "default", "Ada", "it passed the gate")
OF_PREPAID = Wish("telco", "prepaid", 3, None, 9, "default", "Ada", "it passed the gate")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A base whose champion is version 1, and two challengers in the shadow."""
    settings = read_settings({"CHURN_HOME": str(tmp_path)})
    send_into_shadow(settings, [WISH, OF_PREPAID])
    registry = registry_of(settings)
    for number in (1, 2, 3):
        registry.register("telco", f"{number:064x}")
    registry.promote(Promotion("telco", 1, None, "Ada", "the first"))
    return settings


def deciding(settings: Settings, number: int) -> dict[str, str]:
    """The challengers that decide on the night of that number: place and version."""
    found = waiting_traffic(settings, "telco", NIGHT + timedelta(days=number))
    return {place: digest[-1] for place, digest in found.challengers.items()} if found else {}


def test_a_challenger_decides_from_the_night_after_its_first_one_on(settings: Settings) -> None:
    assert deciding(settings, 1) == {}
    night(settings, 1, WISH)
    assert deciding(settings, 1) == {}, "the night that shows it to be sound is not over yet"
    assert deciding(settings, 2) == {"all": "2"}
    night(settings, 2, OF_PREPAID)
    assert deciding(settings, 3) == {"all": "2", "prepaid": "3"}


def test_one_whose_night_went_wrong_decides_no_more(settings: Settings) -> None:
    night(settings, 1, WISH)
    night(settings, 2, WISH, red="its mean is off")
    assert deciding(settings, 3) == {}


def test_what_decided_is_read_again_by_its_name(settings: Settings) -> None:
    night(settings, 1, WISH)
    night(settings, 1, OF_PREPAID)
    found = waiting_traffic(settings, "telco", NIGHT + timedelta(days=2))
    assert found is not None
    assert found.places == ("all", "prepaid")
    assert keep_text(text_of(found), settings) == found.digest
    assert kept_traffic(settings, found.digest) == found
    assert kept_traffic(settings, "0" * 64) is None


def test_one_that_was_deleted_decides_no_more_and_no_night_fails_of_it(settings: Settings) -> None:
    night(settings, 1, WISH)
    registry_of(settings).delete("telco", 2, who="Ada", why="it is not wanted")
    assert deciding(settings, 2) == {}


def test_one_that_cannot_decide_takes_nothing_from_the_others(settings: Settings) -> None:
    night(settings, 1, WISH)
    night(settings, 1, OF_PREPAID)
    day = NIGHT + timedelta(days=2)
    both = waiting_traffic(settings, "telco", day)
    found = waiting_traffic(settings, "telco", day, lambda digest: digest[-1] == "2")
    assert both is not None
    assert found is not None
    assert (found.places, list(found.challengers)) == (("all",), ["all"]), "prepaid are dealt to the one that can"
    assert waiting_traffic(settings, "telco", day, lambda digest: False) is None
    # A list that was decided by both is decided again without the one that is gone, and deals nobody to another one.
    kept = able(both, lambda digest: digest[-1] == "2")
    assert kept is not None
    assert (kept.places, list(kept.challengers)) == (("all", "prepaid"), ["all"])
    assert len({both.digest, found.digest, kept.digest}) == 3
    assert able(both, lambda digest: True) == both
    assert able(both, lambda digest: False) is None
