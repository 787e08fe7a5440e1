"""What a wave saved, as a table: who was listed and held out, how many of each left, and what the report says of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from churn.lift import lifts
from churn.lift_figures import Lift, cells, in_words
from churn.outcomes import entries, with_contacts, with_departures
from churn.spending import Cost, Terms
from tests.small_telecom import rows_of

WAVE = date(2026, 1, 1)
TERMS = Terms("one", share=0.1, costs={"call": Cost(contact=2.0, offer=10.0), "sms": Cost(contact=0.1, offer=5.0)})
OTHERS = Terms("two", share=0.5, costs={"call": Cost(contact=3.0, offer=30.0)})


def customers(text: str, **constant: Any) -> pa.Table:
    """Customers by groups: how many there are of each, and how many of them left."""
    rows: list[dict[str, Any]] = []
    for group in rows_of(text):
        count, left = int(group["customers"] or 0), int(group["left"] or 0)
        rows += [_customer(group, len(rows) + place, churned=place < left) | constant for place in range(count)]
    return pa.Table.from_pylist(rows)


def _customer(group: dict[str, str | None], number: int, *, churned: bool) -> dict[str, Any]:
    return {
        "as_of": WAVE + timedelta(days=int(group.get("day") or 0)),
        "customer_id": f"C{number}",
        "held_out": group["arm"] == "held_out",
        "action": group.get("action", "call"),
        "policy_digest": "one",
        "segment": group.get("segment", "prepaid"),
        "band": "high",
        "probability": 0.15,
        "customer_value": 300.0,
        "unit": None,
        "model_arm": group.get("model"),
        "champion_customers": 400_000,
        "challenger_customers": 100_000,
        "churned": churned,
        "contacted": group["arm"] == "listed",
        "accepted": False,
    }


def all_together(text: str, **constant: Any) -> Lift:
    return lifts(customers(text, **constant), [TERMS])[0]


SAVES = """
arm       customers  left
listed        18000  2160
held_out       2000   300
"""
HARMS = """
arm       customers  left
listed        18000  3300
held_out       2000   300
"""
NOTHING_SEEN = """
arm       customers  left
listed        18000  2700
held_out       2000   310
"""
TOO_FEW = """
arm       customers  left
listed          180    20
held_out         20     4
"""
NO_LOT = """
arm       customers  left
listed        18000  2160
held_out       1500   225
"""
NOBODY_HELD_OUT = """
arm       customers  left
listed          200    20
"""


@pytest.mark.parametrize(
    ("wave", "verdict"),
    [
        (SAVES, "saves"),
        (HARMS, "harms"),
        (NOTHING_SEEN, "no difference seen"),
        (TOO_FEW, "not yet"),
        (NO_LOT, "not to be trusted"),
        (NOBODY_HELD_OUT, "not to be trusted"),
    ],
)
def test_what_the_counts_show(wave: str, verdict: str) -> None:
    assert all_together(wave).verdict == verdict


@pytest.mark.parametrize(
    ("wave", "says"),
    [
        (
            SAVES,
            "Saves. Of 18,000 listed 12.0% left, of 2,000 held out 15.0%; over strata -3.0 (-4.7 to -1.4) points, "
            "money 126,000 (37,595 to 214,405).",
        ),
        (
            TOO_FEW,
            "Not yet, 9 more weeks: 200 of 12,143 customers. Of 180 listed 11.1% left, of 20 held out 20.0%; over "
            "strata -8.9 (-29.6 to +6.9) points, money 4,440 (-5,606 to 14,486).",
        ),
        (NOBODY_HELD_OUT, "Nothing to compare yet: 200 listed and 0 held out."),
    ],
)
def test_the_report_says_it_in_a_sentence(wave: str, says: str) -> None:
    assert all_together(wave).says == says


@pytest.mark.parametrize(("weeks", "told"), [(1, "Not yet, 1 more week: "), (2, "Not yet, 2 more weeks: ")])
def test_one_week_is_told_as_one(weeks: int, told: str) -> None:
    found = all_together(TOO_FEW)
    soon = replace(found, size=found.size._replace(weeks_more=weeks))
    assert in_words(soon.verdict, soon.heads, soon.size, soon.effect, soon.saved).startswith(told)
    assert cells(soon)[-1] == told.lower().removesuffix(": ")


def test_money_is_what_stayed_less_what_was_spent() -> None:
    found = all_together(SAVES)
    assert found.spent == 18_000 * 2.0
    assert found.saved is not None
    assert found.saved.value == pytest.approx(18_000 * 0.03 * 300.0 - 36_000.0)


def test_an_accepted_offer_costs_its_price() -> None:
    assert all_together(SAVES, accepted=True).spent == 18_000 * 2.0 + 20_000 * 10.0


def test_where_nothing_was_written_back_every_contact_counts_as_made_and_accepted() -> None:
    assert all_together(SAVES, contacted=False).spent == 18_000 * 12.0


def test_listed_customers_whom_nobody_reached_count_like_the_others() -> None:
    """By intention to treat: who picks up the telephone is not chosen by lot."""
    assert all_together(SAVES, contacted=False).effect == all_together(SAVES).effect


def test_a_split_that_was_no_lot_raises_the_alarm() -> None:
    assert (
        all_together(NO_LOT).alarm
        == "1500 of 19500 held out is no lot of the policy's share, over all and in each stratum (p = 6e-27)"
    )


def test_contacts_of_customers_who_were_held_out_raise_the_alarm_by_name() -> None:
    found = all_together(TOO_FEW, contacted=True)
    assert found.heads.leaked == 20
    assert found.alarm == "20 held out were contacted nevertheless: C180, C181, C182"


def test_where_the_policy_is_kept_no_longer_nobody_judges_the_split_or_tells_money() -> None:
    [found, *_] = lifts(customers(NO_LOT), [OTHERS])
    assert (found.sample_ratio_p, found.alarm, found.verdict, found.saved) == (None, None, "saves", None)
    assert found.says.endswith("money not known.")


def test_each_wave_is_judged_by_the_policy_that_decided_it() -> None:
    """A policy may be edited every day, and the lot of the others stays as it was."""
    fair = customers("day arm customers left\n1 listed 500 50\n1 held_out 500 50")
    fair = fair.set_column(fair.column_names.index("policy_digest"), "policy_digest", pa.array(["two"] * 1_000))
    found = {one.first_as_of.day: one for one in lifts(pa.concat_tables([customers(NO_LOT), fair]), [TERMS, OTHERS])}
    assert found[1].verdict == "not to be trusted"
    assert found[2].alarm is None
    assert found[2].spent == 500 * 3.0


def test_an_action_that_the_policy_did_not_have_leaves_money_unknown() -> None:
    assert all_together(SAVES, action="fax").saved is None


def test_a_wave_of_which_nothing_was_written_back_is_not_free_because_another_s_was() -> None:
    [told, silent] = (customers(f"day arm customers left\n{day} listed 100 10") for day in (0, 7))
    never = pa.array([False] * 100)
    silent = silent.set_column(silent.column_names.index("contacted"), "contacted", never)
    spent = [one.spent for one in lifts(pa.concat_tables([told, silent]), [TERMS]) if one.scope == "wave"]
    assert spent == [100 * 2.0, 100 * 12.0]


def test_a_lot_that_is_broken_within_strata_alone_raises_the_alarm() -> None:
    """Too many of some and none of the others may add up to the share of all."""
    some = customers("arm customers left\nlisted 800 80\nheld_out 200 20")
    none = customers("arm customers left\nlisted 1000 100", segment="contract")
    found = lifts(pa.concat_tables([some, none]), [TERMS])[0]
    assert found.heads.held_out == found.heads.both / 10
    assert (found.verdict, found.alarm is not None) == ("not to be trusted", True)


def test_a_wave_that_is_too_small_stays_so_however_many_weeks_pass() -> None:
    of_all, of_wave = lifts(customers(TOO_FEW), [TERMS])
    assert (of_all.size.weeks_more, of_wave.size.weeks_more) == (9, None)
    assert of_wave.says.startswith("Not yet, too small alone: 200 of 12,143 customers.")
    assert of_wave.verdict == of_all.verdict == "not yet"


def in_households(rows: pa.Table, members: int) -> pa.Table:
    """Each has the same fate as the others of the household, who follow one another."""
    homes = pa.array([f"household {number // members}" for number in range(rows.num_rows)])
    return rows.set_column(rows.column_names.index("unit"), "unit", homes)


def test_the_lot_is_judged_by_what_it_was_drawn_for() -> None:
    """Of three hundred households of three, 41 held out are an ordinary lot; of nine hundred strangers 123 are not."""
    wave = customers("arm customers left\nlisted 777 90\nheld_out 123 15")
    assert lifts(wave, [TERMS])[0].verdict == "not to be trusted"
    assert lifts(in_households(wave, 3), [TERMS])[0].alarm is None


def test_a_household_that_lots_were_drawn_for_twice_counts_with_the_first() -> None:
    """Counted once in each arm, those whose lots differ would seem to be held out too often."""
    first = "day arm customers left\n0 listed 810 90\n0 held_out 90 15"
    then = "day arm customers left\n90 listed 729 80\n90 held_out 81 14\n90 listed 81 9\n90 held_out 9 1"
    wave = pa.concat_tables([customers(first), customers(then)])
    homes = pa.array([f"household {number % 900}" for number in range(wave.num_rows)])
    wave = wave.set_column(wave.column_names.index("unit"), "unit", homes)
    assert lifts(wave, [TERMS])[0].sample_ratio_p == pytest.approx(1.0)


def test_households_that_leave_together_widen_the_intervals() -> None:
    wave = customers("arm customers left\nlisted 18000 2160\nheld_out 2000 300")
    alone, together = (lifts(rows, [TERMS])[0] for rows in (wave, in_households(wave, 4)))
    for one, other in ((alone.effect, together.effect), (alone.saved, together.saved)):
        assert one is not None
        assert other is not None
        assert other.value == one.value
        assert other.high - other.low == pytest.approx(2.0 * (one.high - one.low), rel=0.01)


def test_a_policy_that_holds_nobody_out_has_nothing_to_compare() -> None:
    [found, *_] = lifts(customers(NOBODY_HELD_OUT), [replace(TERMS, share=0.0)])
    assert (found.verdict, found.effect, found.saved, found.alarm) == ("not yet", None, None, None)


TWO_WAVES = """
day  action  arm       customers  left
0    call    listed          900   100
0    call    held_out        100    14
0    sms     listed          450    45
0    sms     held_out         50     6
1    sms     listed           90     9
1    sms     held_out         10     1
"""


def test_each_wave_and_each_action_has_its_own_row() -> None:
    found = lifts(customers(TWO_WAVES), [TERMS])
    rows = [(one.scope, one.action, one.last_as_of.day, one.heads.listed, one.heads.held_out) for one in found]
    assert rows == [
        ("waves", "all", 2, 1440, 160),
        ("wave", "all", 1, 1350, 150),
        ("wave", "all", 2, 90, 10),
        ("waves", "call", 1, 900, 100),
        ("wave", "call", 1, 900, 100),
        ("waves", "sms", 2, 540, 60),
        ("wave", "sms", 1, 450, 50),
        ("wave", "sms", 2, 90, 10),
    ]


def dated(text: str) -> pa.Table:
    """A text table whose columns of dates are dates."""
    rows = [
        {name: date.fromisoformat(word) if word and word[:4].isdigit() else word for name, word in row.items()}
        for row in rows_of(text)
    ]
    return pa.Table.from_pylist(rows)


MEMBERS = dated("""
as_of       customer_id  arm
2026-01-01  Ada          listed
2026-01-01  Bob          held_out
2026-01-02  Ada          listed
2026-01-02  Bob          held_out
2026-01-02  Cid          listed
""")


def test_a_customer_counts_in_the_wave_that_he_came_into_first() -> None:
    found = entries(MEMBERS).select(["as_of", "customer_id"]).to_pylist()
    assert [(row["as_of"].day, row["customer_id"]) for row in found] == [(1, "Ada"), (1, "Bob"), (2, "Cid")]


@pytest.mark.parametrize(
    ("left_on", "counts"),
    [
        ("2025-12-31", None),  # he had gone already, and the news came late
        ("2026-01-01", True),
        ("2026-01-30", True),
        ("2026-01-31", False),  # the thirty days are over
        ("?", False),
    ],
)
def test_who_left_within_the_horizon_has_churned(left_on: str, counts: bool | None) -> None:
    departures = dated(f"customer_id churned_on\nZoe 2026-01-05\nAda {left_on}").cast(
        pa.schema([("customer_id", pa.string()), ("churned_on", pa.date32())])
    )
    found = with_departures(MEMBERS.slice(0, 1), departures.drop_null(), 30)
    assert found["churned"].to_pylist() == ([] if counts is None else [counts])


@pytest.mark.parametrize(
    ("list_of", "event", "contacted", "accepted"),
    [
        ("2026-01-02", "attempted", True, False),
        ("2026-01-02", "accepted", True, True),
        ("2026-01-02", "assigned", False, False),
        ("2026-01-03", "reached", True, False),  # he stays on the list, and a later night's was the one in hand
        ("2026-01-31", "reached", True, False),
        ("2026-02-01", "reached", False, False),  # the thirty days are over
        ("2026-01-01", "reached", False, False),  # before he came into the wave
    ],
)
def test_a_contact_counts_within_the_horizon_whichever_night_s_list_it_was_made_for(
    list_of: str, event: str, contacted: bool, accepted: bool
) -> None:
    entrants = dated("as_of customer_id arm\n2026-01-01 Ada listed\n2026-01-02 Bob held_out")
    events = dated(f"as_of customer_id event\n{list_of} Bob {event}\n2026-01-03 Zoe accepted")
    [ada, bob] = with_contacts(entrants, events, 30).to_pylist()
    assert (bob["contacted"], bob["accepted"]) == (contacted, accepted)
    assert not ada["contacted"]


TWO_MODELS = """
model       arm       customers  left
champion    listed        18000  2160
champion    held_out       2000   300
challenger  listed        18000  {left}
challenger  held_out       2000   300
-           listed         1000   100
-           held_out        100    15
"""


def of_models(text: str, **constant: Any) -> dict[str, Lift]:
    found = lifts(customers(text, **constant), [TERMS])
    return {one.scope: one for one in found if one.scope in ("champion", "challenger")}


@pytest.mark.parametrize(
    ("left", "says"),
    [
        (1260, "The challenger saves more: +2,700.00 (+1,458.86 to +3,941.14) a night of each 1,000 customers dealt"),
        (2860, "The champion saves more: -2,100.00 (-3,368.81 to -831.19)"),
        (2100, "Between champion and challenger no difference is seen: +180.00 (-1,069.67 to +1,429.67)"),
    ],
)
def test_the_report_says_whose_list_saved_more(left: int, says: str) -> None:
    found = of_models(TWO_MODELS.format(left=left), champion_customers=100_000)
    assert [one.heads.both for one in found.values()] == [20_000, 20_000], "who was nobody's share counts for neither"
    assert says in found["challenger"].says


FEWER_AND_BETTER = """
model       arm       customers  left
champion    listed        36000  4320
champion    held_out       4000   600
challenger  listed        18000  1800
challenger  held_out       2000   300
"""


def test_a_model_that_lists_fewer_and_better_customers_does_not_thereby_save_more() -> None:
    dealt_alike = of_models(FEWER_AND_BETTER, champion_customers=100_000)
    champion, challenger = (one.saved for one in dealt_alike.values())
    assert champion is not None
    assert challenger is not None
    assert (champion.value, challenger.value) == pytest.approx((36_000 * 7.0, 18_000 * 13.0))
    assert "no difference is seen: -180.00 " in dealt_alike["challenger"].says
    # Where he was dealt a quarter of as many, as much is more.
    assert "The challenger saves more: +1,710.00 " in of_models(FEWER_AND_BETTER)["challenger"].says


def test_whose_list_saved_more_is_not_known_of_waves_that_kept_no_count() -> None:
    found = of_models(TWO_MODELS.format(left=1260), champion_customers=None)["challenger"]
    assert found.says.endswith("Whether champion or challenger saves more is not known yet.")


def test_whose_list_saved_more_is_not_yet_known_below_size() -> None:
    few = "model arm customers left\nchampion listed 180 20\nchampion held_out 20 4\nchallenger listed 180 2"
    found = of_models(few + "\nchallenger held_out 20 4")
    assert found["challenger"].verdict == "not yet"
    assert found["challenger"].says.endswith("Whether champion or challenger saves more is not known yet.")


def test_where_nobody_challenged_no_share_has_a_row() -> None:
    assert of_models(SAVES) == {}
