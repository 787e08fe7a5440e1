"""After a retraining those take their places who passed the gate; a base's first model takes it in any case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from churn.errors import PromotionRefused
from churn.gate import Finding, Verdict
from store.registry import Promotion, Registry, VerdictEntry, open_registry
from store.settings import current_settings
from tasks import promotion
from tasks.night import Candidate
from tests.end_to_end.nights import living_in

PASSED = Verdict((Finding("calibration", True, "Slope 1.0."),))
REFUSED = Verdict((Finding("calibration", False, "Slope 0.3."),))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with living_in(tmp_path):
        registry = open_registry(current_settings())
        for number in range(1, 5):
            registry.register("telco", f"{number:064x}")
        yield registry


def candidate(version: int, segment: str, verdict: Verdict, expected: int | None = None) -> Candidate:
    return Candidate(segment, version, f"{version:064x}", Path(), "out of time", {}, verdict, expected)


def champions(registry: Registry) -> dict[str, int]:
    return {segment: one.version for segment, one in registry.resolve_all("telco").items()}


def refuse(registry: Registry, version: int, segment: str) -> None:
    registry.record_verdict(
        VerdictEntry("telco", version, segment, None, "default", "a" * 64, False, "calibration", "Slope 0.3.")
    )


def let_pass(registry: Registry, version: int, segment: str) -> None:
    registry.record_verdict(VerdictEntry("telco", version, segment, 1, "default", "a" * 64, True, None, "Slope 1.0."))


def test_each_segment_goes_to_its_candidate_if_that_passed(registry: Registry) -> None:
    registry.promote(Promotion("telco", 1, None, "Ada", "the first"))
    refuse(registry, 3, "postpaid")
    let_pass(registry, 2, "all")
    let_pass(registry, 4, "prepaid")
    candidates = [
        candidate(2, "all", PASSED, expected=1),
        candidate(3, "postpaid", REFUSED),
        candidate(4, "prepaid", PASSED),
    ]
    assert promotion.promote_passed.fn("telco", candidates) == ("all", "prepaid")
    assert champions(registry) == {"all": 2, "prepaid": 4}


def test_whose_place_went_to_another_meanwhile_is_told(registry: Registry) -> None:
    registry.promote(Promotion("telco", 1, None, "Ada", "the first"))
    with pytest.raises(PromotionRefused, match="version 1 is champion, not nobody"):
        promotion.promote_passed.fn("telco", [candidate(2, "all", PASSED)])
    assert champions(registry) == {"all": 1}


def test_nobody_is_promoted_where_one_of_the_places_went_to_another_meanwhile(registry: Registry) -> None:
    registry.promote(Promotion("telco", 1, None, "Ada", "the first", ("all", "postpaid")))
    candidates = [candidate(2, "all", PASSED, expected=1), candidate(3, "postpaid", PASSED)]
    let_pass(registry, 2, "all")
    let_pass(registry, 3, "postpaid")
    with pytest.raises(PromotionRefused, match="segment postpaid: version 1 is champion, not nobody"):
        promotion.promote_passed.fn("telco", candidates)
    assert champions(registry) == {"all": 1, "postpaid": 1}


def test_a_second_try_of_a_promotion_that_was_made_is_content(registry: Registry) -> None:
    registry.promote(Promotion("telco", 1, None, "Ada", "the first"))
    candidates = [candidate(2, "all", PASSED, expected=1), candidate(3, "postpaid", PASSED)]
    let_pass(registry, 2, "all")
    let_pass(registry, 3, "postpaid")
    for _ in range(2):
        assert promotion.promote_passed.fn("telco", candidates) == ("all", "postpaid")
    assert champions(registry) == {"all": 2, "postpaid": 3}
    assert len(registry.history("telco", None)) == 3


def test_the_first_model_is_champion_even_against_the_gate_and_the_history_keeps_the_refusal(
    registry: Registry,
) -> None:
    refuse(registry, 1, "all")
    promotion.promote_first.fn("telco", candidate(1, "all", REFUSED))
    [event] = registry.history("telco")
    assert champions(registry) == {"all": 1}
    assert event.overridden is not None
    assert "Slope 0.3." in event.overridden


def test_the_same_model_again_stays_champion_without_a_change(registry: Registry) -> None:
    promotion.promote_first.fn("telco", candidate(1, "all", PASSED))
    again = replace(candidate(1, "all", PASSED), expected=1)
    assert promotion.promote_passed.fn("telco", [again]) == ("all",)
    assert len(registry.history("telco")) == 1


def test_a_promotion_is_told_for_each_segment(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "churn.events"):
        promotion.promote.fn(Promotion("telco", 1, None, "Ada", "the first", ("all",)))
    assert "churn.model.promoted about telco.all" in caplog.text
