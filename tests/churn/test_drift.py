"""Drift has sizes, which alarm nobody, and a price: what tonight's list forgoes because a feature is not as it was."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from churn.drift import drift_of, restored, stability_index, values_of
from churn.drift_price import Base, Customers, Part, Price, Terms, best_of, keep_by, prices
from churn.monitoring import bins_of
from churn.scorecard import Feature, Kind, Scorecard, Term
from schemas.policy import Action, Cause, Condition

CUSTOMERS = 20_000
CUTS = np.linspace(-2.0, 2.0, 31)
KEY, MINOR, IRRELEVANT = "usage", "bill", "birth_year"
WEIGHTS = {KEY: 0.9, MINOR: 0.2, IRRELEVANT: 0.0}
CALL = Action(name="call", channel="phone", offer_cost=10, contact_cost=1, keep_probability=0.3, says="hello")
TERMS = Terms((CALL,), 200)

NUMBER = Feature("usage", Kind.NUMBER, "usage", cuts=np.array([1.0, 2.0]))
PLAN = Feature("plan", Kind.CATEGORY, "plan", categories=("P1", "P2"))


def test_a_feature_that_lies_as_it_did_has_no_size() -> None:
    drift = drift_of(NUMBER, np.array([1, 3, 3, 3]), [0.1, 0.3, 0.3, 0.3])
    assert (drift.ks, drift.lost) == (0.0, 0.0)
    assert drift.psi == pytest.approx(0.0)


def test_the_ks_statistic_is_the_largest_gap_of_those_that_are_known() -> None:
    drift = drift_of(NUMBER, np.array([50, 40, 10, 0]), [0.0, 0.2, 0.3, 0.5])
    assert drift.ks == pytest.approx(0.8 - 0.2)
    assert (drift.missing, drift.missing_before, drift.lost) == (0.5, 0.0, 0.5)


def test_a_category_that_the_model_never_met_is_counted_as_unseen() -> None:
    drift = drift_of(PLAN, np.array([0, 5, 3, 2]), [0.0, 0.5, 0.5, 0.0])
    assert (drift.unseen, drift.unseen_before, drift.ks) == (0.2, 0.0, None)


def test_a_number_without_cuts_has_no_largest_gap() -> None:
    uncut = Feature("usage", Kind.NUMBER, "usage", cuts=np.array([]))
    found = drift_of(uncut, np.array([1, 9]), [0.5, 0.5])
    assert (found.ks, found.psi) == (None, None), "they would say nothing of what became of its values"


def test_the_stability_index_is_the_one_of_the_textbooks() -> None:
    assert stability_index(np.array([0.6, 0.4]), np.array([0.5, 0.5])) == pytest.approx(
        0.1 * np.log(1.2) - 0.1 * np.log(0.8)
    )


def test_a_shifted_number_is_mended_in_its_order() -> None:
    bins = np.array([2] * 50 + [3] * 50, np.uint16)
    mended = restored(NUMBER, bins, [0.0, 0.5, 0.5, 0.0], np.random.default_rng(1))
    assert mended.tolist() == [1] * 50 + [2] * 50


def test_of_a_number_that_is_missing_now_chance_says_who_had_which() -> None:
    bins = np.zeros(10_000, np.uint16)
    mended = restored(NUMBER, bins, [0.2, 0.5, 0.2, 0.1], np.random.default_rng(1))
    assert np.bincount(mended, minlength=4) / 10_000 == pytest.approx([0.2, 0.5, 0.2, 0.1], abs=0.02)


def test_as_few_categories_as_possible_are_changed() -> None:
    bins = np.array([1] * 5_000 + [2] * 4_000 + [3] * 1_000, np.uint16)
    mended = restored(PLAN, bins, [0.0, 0.5, 0.5, 0.0], np.random.default_rng(1))
    assert (mended[:9_000] == bins[:9_000]).all()
    assert (mended[9_000:] == 2).all()


@pytest.fixture(scope="module")
def spread() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((len(WEIGHTS), CUSTOMERS))


def base_of(numbers: np.ndarray, before: np.ndarray) -> Base:
    features = tuple(Feature(name, Kind.NUMBER, name, cuts=CUTS) for name in WEIGHTS)
    middles = np.array([0.0, -2.1, *((low + high) / 2 for low, high in pairwise(CUTS)), 2.1])
    terms = tuple(
        Term((place,), (np.arange(len(middles)),), weight * middles) for place, weight in enumerate(WEIGHTS.values())
    )
    card = Scorecard(-4.0, features, terms, 0.02)
    bins, were = (1 + np.searchsorted(CUTS, each, side="right").astype(np.uint16) for each in (numbers, before))
    reference = {
        name: (np.bincount(row, minlength=len(middles)) / CUSTOMERS).tolist()
        for name, row in zip(WEIGHTS, were, strict=True)
    }
    log_odds = card.intercept + sum(term.table[bins[place]] for place, term in enumerate(terms))
    value = np.random.default_rng(8).gamma(4.0, 75.0, CUSTOMERS)
    part = Part("all", card, reference, np.arange(CUSTOMERS), bins)
    everybody, keep = np.ones(CUSTOMERS, np.bool_), np.full((CUSTOMERS, 1), CALL.keep_probability)
    return Base(Customers(log_odds, value, everybody, keep), (part,))


def priced(numbers: np.ndarray, before: np.ndarray) -> dict[str, Price]:
    return {feature: price for (_, feature), price in prices(base_of(numbers, before), TERMS).items()}


def test_a_hundredth_of_a_standard_deviation_costs_nothing(spread: np.ndarray) -> None:
    found = priced(spread + 0.01 * np.array([[1.0], [-1.0], [1.0]]), spread)
    assert max(price.share for price in found.values()) < 0.005
    assert min(price.overlap for price in found.values()) > 0.95


def test_a_key_column_gone_to_zero_has_its_price_and_the_others_have_none(spread: np.ndarray) -> None:
    broken = spread.copy()
    broken[0] = 0.0
    found = priced(broken, spread)
    assert found[KEY].share > 0.2
    assert found[KEY].money > 100.0
    assert found[KEY].overlap < 0.7
    assert found[MINOR].money == found[IRRELEVANT].money == 0.0


def test_an_irrelevant_column_gone_to_zero_costs_nothing(spread: np.ndarray) -> None:
    broken = spread.copy()
    broken[2] = 0.0
    assert priced(broken, spread)[IRRELEVANT] == Price(0.0, priced(spread, spread)[KEY].best, 1.0)


def test_a_unit_that_changed_puts_all_into_the_outer_bins_and_is_priced(spread: np.ndarray) -> None:
    broken = spread.copy()
    broken[0] *= 60.0
    assert priced(broken, spread)[KEY].share > 0.1


def test_only_who_is_worth_anything_is_listed() -> None:
    assert sorted(best_of(np.array([3.0, -1.0, 5.0, -np.inf, 1.0]), 2).tolist()) == [0, 2]
    assert sorted(best_of(np.array([3.0, -1.0, 5.0, -np.inf]), 10).tolist()) == [0, 2]
    assert best_of(np.array([3.0]), 0).tolist() == []


HANDSETS = Feature("handset_age", Kind.WHOLE, "handset_age", cuts=np.array([100.0, 300.0]))
UPGRADE = CALL.model_copy(
    update={"causes": (Cause(name="old", when=(Condition(column="handset_age", above=300),), keeps=0.3),)}
)


@pytest.mark.parametrize(
    ("ages", "before", "share", "what"),
    [
        ([0] * 100, [0.0, 0.0, 0.5, 0.5], 1.0, "nobody has an old one by now: nobody is called who should be"),
        ([200] * 65 + [400] * 35, [0.0, 0.0, 0.5, 0.5], 0.0, "fewer have, as of one month and another"),
        ([0] * 50 + [400] * 50, [0.0, 0.5, 0.0, 0.5], 0.0, "as many as ever have"),
    ],
)
def test_a_column_that_says_whom_a_contact_is_meant_for_is_priced_where_many_come_or_go(
    ages: list[int], before: list[float], share: float, what: str
) -> None:
    found = priced_by_causes(ages, before)
    assert found.share == pytest.approx(share), what


def test_who_is_called_for_what_he_does_not_have_is_called_in_vain() -> None:
    found = priced_by_causes([400] * 100, [0.0, 0.9, 0.1, 0.0])
    assert (found.best, found.money) == (0.0, 50.0), "fifty contacts, at one each"


@pytest.mark.parametrize("asked", [{"equals": 2}, {"at_least": 2, "at_most": 2}, {"above": 1, "below": 3}])
def test_a_whole_number_that_a_cause_asks_for_is_met_by_its_bin(asked: dict[str, int]) -> None:
    """The column went to zero, and a quarter had 2 before."""
    two = Cause(name="two", when=(Condition(column="handset_age", **asked),), keeps=0.3)
    action, years = CALL.model_copy(update={"causes": (two,)}), replace(HANDSETS, cuts=np.array([1.0, 2.0, 3.0]))
    found = priced_by_causes([0] * 100, [0.0, 0.25, 0.25, 0.25, 0.25], years, action)
    assert (found.share, found.money > 0.0) == (1.0, True)


def priced_by_causes(
    ages: list[int], before: list[float], feature: Feature = HANDSETS, action: Action = UPGRADE
) -> Price:
    """The price of the age of handsets to a list of fifty of these hundred customers, who are all alike but for it."""
    rows, many = pa.table({"handset_age": ages}), len(ages)
    card = Scorecard(0.0, (feature,), (), 0.5)
    terms = Terms((action,), 50)
    customers = Customers(np.zeros(many), np.full(many, 300.0), np.ones(many, np.bool_), keep_by(rows, terms.actions))
    part = Part("all", card, {"handset_age": before}, np.arange(many), bins_of(card, rows), rows)
    return prices(Base(customers, (part,)), terms)["all", "handset_age"]


def test_a_bin_stands_for_a_value_in_it_and_for_zero_where_that_is_in_it() -> None:
    assert values_of(NUMBER, np.array([0, 1, 2, 3], np.uint16)).to_pylist() == [None, 0.0, 1.5, 2.5]
    assert values_of(PLAN, np.array([0, 1, 2, 3], np.uint16)).to_pylist() == [None, "P1", "P2", None]


def test_a_bin_of_whole_numbers_stands_for_a_whole_one() -> None:
    lines = Feature("lines", Kind.WHOLE, "lines", cuts=np.array([1.0, 2.0, 4.6, 5.2, 6.0]))
    assert values_of(lines, np.arange(7, dtype=np.uint16)).to_pylist() == [None, 0.0, 1.0, 3.0, 5.0, 6.0, 6.0]
    yes_no = Feature("paused", Kind.YES_NO, "paused", cuts=np.array([0.5]))
    assert values_of(yes_no, np.arange(3, dtype=np.uint16)).to_pylist() == [None, 0.0, 1.0]
    no_cuts = Feature("lines", Kind.WHOLE, "lines")
    handsets = values_of(HANDSETS, np.arange(4, dtype=np.uint16)).to_pylist()
    assert handsets == [None, 0.0, 200.0, 400.0], "the last bin begins at 300 and stands for more"
    assert values_of(no_cuts, np.arange(2, dtype=np.uint16)).to_pylist() == [None, 0.0]


def test_an_action_is_meant_for_who_has_its_reason_and_may_be_for_whom_nobody_has_told_one() -> None:
    answers = CALL.model_copy(update={"answers": ("bill",)})
    told = {f"reason_{place}_feature": pa.array(["bill", "plan", None], pa.string()) for place in (1, 2, 3)}
    keep = keep_by(pa.table(told), (answers, CALL))
    assert np.isnan(keep).tolist() == [[False, False], [True, False], [False, False]]
