"""Lists go by measured effects of an action only where its waves' own lot says that these earn more than the belief."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from churn.actions import gain_of
from churn.off_policy import NOTHING
from churn.training.plan import TrainingPlan
from churn.training.uplift_trial import Before, Trial, teaching, tried
from churn.uplift import Cards, Uplift, card_effects, lowered
from schemas.columns import Column, LogicalType
from schemas.uplift import UpliftVerdict
from tests.policies import CALL, small_policy

COLUMNS = (Column("bill", LogicalType.NUMBER, "Bill"), Column("age", LogicalType.NUMBER, "Age"))
POLICY = small_policy().model_copy(update={"actions": (CALL,)})
QUICK = TrainingPlan(interactions=0, outer_bags=1, max_rounds=60)


def waves(customers: int, *, harms: bool, share: float = 0.4) -> pa.Table:
    """The call keeps those with a high bill, and drives the others away where it harms; else it keeps all alike."""
    dice = np.random.default_rng(7)
    bill, age = dice.uniform(0, 100, customers), dice.uniform(20, 80, customers)
    held_out = dice.random(customers) < share
    touched = np.where(bill > 50, 0.1, 0.5) if harms else np.full(customers, 0.2)
    left = dice.random(customers) < np.where(held_out, 0.3, touched)
    return pa.table(
        {
            "customer_id": [f"C{number}" for number in range(customers)],
            "unit": pa.nulls(customers, pa.string()),
            "bill": bill,
            "age": age,
            "action": ["call"] * customers,
            "held_out": held_out,
            "label": left.astype(np.int64),
            "probability": np.full(customers, 0.3),
            "customer_value": np.full(customers, 200.0),
            "share": np.full(customers, share),
            "spent": np.where(held_out, 0.0, CALL.contact_cost),
        }
    )


def trial(members: pa.Table, look: int = 1, standing: Cards | None = None) -> Trial:
    looks = {"call": {f"earlier {number}": number for number in range(1, look)}}
    return again(members, Before(looks, Uplift("digest", {"call": standing}) if standing else None))


def again(members: pa.Table, before: Before) -> Trial:
    return tried(members, COLUMNS, POLICY, QUICK, before=before)[0]


def test_effects_that_tell_whom_a_call_drives_away_take_the_place_of_the_belief() -> None:
    members = waves(6_000, harms=True)
    found = trial(members)
    assert found.verdict is UpliftVerdict.PAYS
    # A call drives a fifth of one half away, at 200 each, and costs 2: to leave these alone brings 21 a customer.
    assert found.gained is not None
    assert 21.0 * 0.5 < found.gained.value < 21.0 * 1.1
    assert found.cards is not None
    effect = card_effects({"call": found.cards}, members, small_policy())[:, 0]
    assert effect[members["bill"].to_numpy() > 60].mean() > 0.1 > 0.0 > effect[members["bill"].to_numpy() < 40].mean()


def test_where_a_call_keeps_all_alike_the_belief_stays() -> None:
    assert trial(waves(6_000, harms=False)).verdict is UpliftVerdict.NO_GAIN


def test_below_the_size_it_is_said_from_which_size_on() -> None:
    found = trial(waves(1_000, harms=False))
    assert (found.verdict, found.cards) == (UpliftVerdict.NOT_YET, None)
    assert found.says == (
        f"Not yet: of 1,000 customers of waves {found.drawn.listed_churned} listed and {found.drawn.held_out_churned}"
        f" held out left; about {found.needed:,} are needed, so that 200 of each leave."
    )
    assert found.needed == pytest.approx(200 * 1_000 / min(found.drawn.listed_churned, found.drawn.held_out_churned), 1)


def test_who_could_not_be_held_out_and_whose_money_is_not_known_teaches_nothing() -> None:
    members = waves(600, harms=False)
    silent = members.set_column(members.column_names.index("share"), "share", pa.nulls(600, pa.float64()))
    unpriced = members.set_column(members.column_names.index("spent"), "spent", pa.nulls(600, pa.float64()))
    assert trial(silent).drawn.members == trial(unpriced).drawn.members == 0
    assert "nobody knows" in trial(silent).says


def test_an_action_without_waves_has_a_trial_too() -> None:
    [_, of_voucher] = tried(waves(600, harms=False), COLUMNS, small_policy(), QUICK, before=Before({}))
    assert (of_voucher.action, of_voucher.drawn.members) == ("voucher", 0)


def test_the_rule_that_is_tried_is_the_one_that_lists_would_go_by() -> None:
    """The other half is judged by the cards that are kept, and asked what `churn.actions.gain_of` would decide."""
    members = waves(6_000, harms=True)
    found, taught = trial(members), teaching(members)
    assert found.cards is not None
    assert 2_700 < taught.num_rows < 3_300
    judges = members.filter(pc.invert(pc.is_in(members["customer_id"], taught["customer_id"].combine_chunks())))
    value, effect = judges["customer_value"].to_numpy(), lowered(found.cards, judges)
    chosen = np.where(gain_of(judges, value, CALL, effect).worth > 0.0, 0, NOTHING)
    spared = chosen == NOTHING
    assert 0.3 < spared.mean() < 0.7
    held_out, left = (judges[name].to_numpy(zero_copy_only=False).astype(float) for name in ("held_out", "label"))
    # By inverse propensity alone, without an expectation: the same but for its noise.
    weight = held_out / 0.4 - (1.0 - held_out) / 0.6
    plain = float((spared * weight * (-200.0 * left - CALL.contact_cost * (1.0 - held_out))).mean())
    assert found.gained is not None
    assert found.gained.low < plain < found.gained.high


def test_a_later_look_asks_for_more() -> None:
    members = waves(6_000, harms=True)
    first, late = trial(members), trial(members, look=52)
    assert first.gained == late.gained
    assert first.surely is not None
    assert late.surely is not None
    assert late.surely < first.surely
    assert "at look 52" in late.says


def test_to_ask_the_same_of_the_same_customers_again_is_no_further_look() -> None:
    members = waves(6_000, harms=True)
    digest = trial(members).members_digest
    assert digest is not None
    seen = Before({"call": {"earlier": 1, digest: 2}})
    assert again(members, seen).look == 2
    assert again(members.slice(1), seen).look == 3


def test_effects_that_paid_stay_where_a_later_look_cannot_tell() -> None:
    """Lists that leave customers alone show little of what that earns: of those who are spared nobody is in a wave."""
    members = waves(15_000, harms=True)
    paid = trial(members.slice(0, 6_000)).cards
    assert paid is not None
    in_waves = members.filter(pa.array(lowered(paid, members) > 0.05))
    assert trial(in_waves).verdict is UpliftVerdict.NO_GAIN
    found = trial(in_waves, look=2, standing=paid)
    assert (found.verdict, found.cards, found.standing) == (UpliftVerdict.PAYS, paid, True)
    assert found.says.endswith("it paid before, and is not sure to lose: lists leave these alone.")
    too_few = trial(waves(600, harms=True), standing=paid)
    assert (too_few.verdict, too_few.cards) == (UpliftVerdict.PAYS, paid)
    assert too_few.says.endswith("Lists still leave those alone whom an earlier look advised against.")


def test_effects_that_paid_go_where_a_later_look_is_sure_that_they_lose() -> None:
    paid = trial(waves(6_000, harms=True)).cards
    found = trial(waves(6_000, harms=False), look=2, standing=paid)
    assert found.verdict is UpliftVerdict.NO_GAIN
    assert found.says.endswith("it paid before, and is now sure to lose: nobody is left alone for it.")
