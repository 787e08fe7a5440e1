"""Who is contacted tonight and why not: small tables that a colleague from the call centre could check."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from churn.listing import status_rows
from churn.outreach import Terms, homes_away, judge
from churn.past import no_statuses, past_of
from churn.wave import draw
from schemas.policy import Action, Channel, CoolDown, Holdout, Policy, Suppression, Team
from tests.policies import no_contacts, nothing_before

TONIGHT = date(2026, 3, 1)
OFFER = Action(name="offer", channel="phone", offer_cost=10, contact_cost=1, keep_probability=0.3, says="Offer it.")
POLICY = Policy(
    name="spec",
    version="1.0.0",
    description="A small one.",
    actions=(OFFER,),
    channels=(Channel(name="phone"),),
    teams=(Team(name="retention", capacity=2),),
    suppress=(
        Suppression(status="do_not_contact", column="do_not_contact", equals=True, because="asked not to be"),
        Suppression(status="no_consent", column="consent", equals=False, because="did not agree"),
    ),
)
NO_RULES = POLICY.model_copy(update={"suppress": ()})

FILTERS = """
customer  probability  value  do_not_contact  consent  status
anna             0.60    900              no      yes  listed
boris            0.90    900             yes      yes  do_not_contact
clara            0.90    900             yes       no  do_not_contact
david            0.90    900              no       no  no_consent
elif             0.50    900              no      yes  listed
farid            0.40    900              no      yes  beyond_capacity
gita             0.02    900              no      yes  not_worth_it
hugo             0.90     15              no      yes  not_worth_it
ines             0.90      ?              no      yes  not_worth_it
"""

CONSENTS = frozenset({"do_not_contact", "consent"})
UNKNOWN = """
customer  probability  value  do_not_contact  consent  status
anna             0.60    900              no      yes  listed
boris            0.90    900               -      yes  do_not_contact
clara            0.90    900              no        -  no_consent
david            0.90    inf              no      yes  not_worth_it
elif             0.50    900              no      yes  listed
"""

# Three actions by two channels; the phone has one place. A call costs more, and keeps more.
ACTIONS = NO_RULES.model_copy(
    update={
        "actions": (
            OFFER.model_copy(update={"name": "call", "answers": ("complaints",), "keep_probability": 0.5}),
            OFFER.model_copy(update={"name": "upgrade", "answers": ("handset",), "contact_cost": 30}),
            OFFER.model_copy(update={"name": "discount", "channel": "message", "answers": ("price", "complaints")}),
        ),
        "channels": (Channel(name="phone", capacity=1, cool_down_days=30), Channel(name="message", cool_down_days=7)),
        "teams": (Team(name="retention", capacity=4),),
    }
)
REASONS = """
customer  probability  value  reason_1  reason_2             status           action
anna             0.60    900  tenure    complaints           listed           call
boris            0.50    900  tenure    complaints           listed           discount
clara            0.50    900  price     handset              listed           discount
david            0.50    900  tenure    -                    no_action        -
elif             0.08    100  handset   -                    not_worth_it     -
farid            0.30    900  handset   -                    beyond_capacity  -
gita             0.20    900  tenure    price_&_tenure       listed           discount
hugo             0.10    900  price     -                    beyond_capacity  -
"""

COOL_DOWN = ACTIONS.model_copy(
    update={
        "cool_down": CoolDown(refused_days=90, accepted_days=180),
        "channels": (Channel(name="phone", cool_down_days=30), Channel(name="message", cool_down_days=7)),
        "teams": (Team(name="retention", capacity=99),),
    }
)
CONTACTED = """
customer  probability  value  reason_1    channel  days_ago  outcome   status        action
anna             0.60    900  complaints  phone          29  -         listed        discount
boris            0.60    900  complaints  phone          30  -         listed        call
clara            0.60    900  handset     phone          29  -         cooling_down  -
david            0.60    900  price       message         6  -         cooling_down  -
elif             0.60    900  complaints  message         7  -         listed        call
farid            0.60    900  complaints  phone          89  refused   cooling_down  -
gita             0.60    900  complaints  phone          90  refused   listed        call
hugo             0.60    900  price       message       179  accepted  cooling_down  -
ines             0.60    900  tenure      phone           3  -         no_action     -
"""

CALLED = """
customer  probability  value  reason_1
anna             0.60    900  handset
boris            0.60    900  handset
"""

HOUSEHOLDS = NO_RULES.model_copy(update={"household_limit": 1, "teams": (Team(name="retention", capacity=3),)})
LIVING_TOGETHER = """
customer  probability  value  household  status
anna             0.60    900  H1         household_limit
boris            0.90    900  H1         listed
clara            0.50    900  H2         household_limit
david            0.70    900  H2         listed
elif             0.40    900  -          listed
farid            0.30    900  -          beyond_capacity
"""
# Who was in a wave less than a month ago still counts for his household; who stays counts once.
HOMES_LATELY = """
customer  probability  value  household  was       since  status
anna             0.60    900  H1         listed       10  cooling_down
boris            0.90    900  H1         -             -  household_limit
clara            0.50    900  H2         held_out     10  cooling_down
david            0.70    900  H2         -             -  household_limit
elif             0.40    900  H3         listed       30  household_limit
farid            0.50    900  H3         -             -  listed
gita             0.30    900  H4         listed        1  listed
hugo             0.90    900  H4         -             -  household_limit
"""
# Who was in a wave lately counts for his household also on a night that does not score him, such as when set aside.
AWAY = """
customer  probability  value  household  was       since  scored  status
anna             0.60    900  H1         listed        2  no      -
boris            0.90    900  H1         -             -  yes     household_limit
clara            0.50    900  H2         held_out      2  no      -
david            0.70    900  H2         -             -  yes     household_limit
elif             0.40    900  H3         listed       30  no      -
farid            0.50    900  H3         -             -  yes     listed
gita             0.30    900  -          listed        2  no      -
hugo             0.90    900  -          -             -  yes     listed
"""
UNKNOWN_HOMES = """
customer  probability  value  household  status
anna             0.60    900  blank      listed
boris            0.90    900  blank      listed
clara            0.50    900  H2         listed
"""

TEAMS = NO_RULES.model_copy(
    update={"team_by": "region", "teams": (Team(name="north", capacity=1, of=("N",)), Team(name="rest", capacity=2))}
)
BY_REGION = """
customer  probability  value  region  status           team
anna             0.90    900  N       listed           north
boris            0.80    900  N       beyond_capacity  north
clara            0.30    900  S       listed           rest
david            0.20    900  ?       listed           rest
elif             0.10    900  S       beyond_capacity  rest
farid            0.01    900  S       not_worth_it     -
"""

# Two places; a stay lasts three nights, and a month passes before the next one.
STAYS = NO_RULES.model_copy(update={"stickiness_days": 3, "cool_down": CoolDown(wave_days=30)})
YESTERDAY = """
customer  probability  value  was              since  called  status           wave_since
anna             0.20    900  listed               2  -       listed           2
boris            0.90    900  listed               3  -       cooling_down     3
clara            0.90    900  listed               1  1       cooling_down     1
david            0.80    900  -                    -  -       listed           0
elif             0.70    900  beyond_capacity      -  -       beyond_capacity  -
farid            0.90    900  not_worth_it        29  -       cooling_down     29
gita             0.30    900  not_worth_it        30  -       beyond_capacity  -
hugo             0.01    900  listed               1  -       not_worth_it     1
"""


def rows_of(text: str) -> list[dict[str, str]]:
    header, *lines = (line.split() for line in text.strip().splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def base_table(rows: Sequence[dict[str, str]]) -> pa.Table:
    """The customers of a table as the list sees them: - is null, ? is unknown."""
    read = {
        "probability": float,
        "value": lambda text: None if text == "?" else float(text),
        "do_not_contact": {"yes": True, "no": False}.get,
        "consent": {"yes": True, "no": False}.get,
        "household": lambda text: {"-": None, "blank": " "}.get(text, text),
    }
    columns = {
        name: [read.get(name, lambda text: None if text in "-?" else text)(row[name]) for row in rows]
        for name in rows[0]
    }
    names = {"customer": "customer_id", "value": "customer_value", "reason_1": "reason_1_feature"}
    table = {names.get(name, name): column for name, column in columns.items()}
    table["reason_2_feature"] = [
        (word or "").replace("_", " ") or None for word in columns.get("reason_2", [None] * len(rows))
    ]
    table["reason_3_feature"] = [None] * len(rows)
    kinds = {"customer_value": pa.float64(), "probability": pa.float64(), "do_not_contact": pa.bool_()}
    kinds |= {"consent": pa.bool_()}
    return pa.table({name: pa.array(column, kinds.get(name, pa.string())) for name, column in table.items()})


def contacts_of(rows: Sequence[dict[str, str]]) -> pa.Table:
    contacted = [
        {
            "customer_id": row["customer"],
            "channel": row["channel"],
            "last_contact": TONIGHT - timedelta(int(row["days_ago"])),
        }
        | ({} if row["outcome"] == "-" else {f"{row['outcome']}_at": TONIGHT - timedelta(int(row["days_ago"]))})
        for row in rows
    ]
    return pa.Table.from_pylist(contacted, schema=no_contacts().schema)


def decided(
    table: str, policy: Policy, *, household: str = "", past: Any = None, part: int = 99
) -> list[dict[str, Any]]:
    """Everybody's status, from parts of so many customers."""
    base = base_table(rows_of(table))
    terms = Terms(policy, "d" * 64, TONIGHT, household, CONSENTS)
    past = past or nothing_before(policy)
    parts = [judge(base.slice(at, part), terms, past) for at in range(0, len(base), part)]
    wave = draw([judged.candidates for judged in parts], policy, homes_away(parts, past))
    pairs = zip(parts, wave.parts, strict=True)
    return [row for judged, places in pairs for row in status_rows(judged, places, terms).to_pylist()]


def as_told(table: str, *columns: str) -> list[tuple[str | None, ...]]:
    return [tuple(None if row[name] == "-" else row[name] for name in columns) for row in rows_of(table)]


# South has one place, which somebody else would fill nearly as well; north has two, for whom nobody else waits.
GIVES_WAY = """
customer  probability  value  region  household  status
anna             0.60    900  S       H1         household_limit
boris            0.50    900  N       H1         listed
clara            0.58    900  S       -          listed
"""


@pytest.mark.parametrize("part", [99, 2])
def test_each_customer_has_the_status_of_the_table_however_the_base_is_split(part: int) -> None:
    statuses = decided(FILTERS, POLICY, part=part)
    assert [(row["customer_id"], row["status"]) for row in statuses] == as_told(FILTERS, "customer", "status")


def test_who_has_not_said_whether_he_may_be_contacted_is_not() -> None:
    statuses = decided(UNKNOWN, POLICY)
    assert [(row["customer_id"], row["status"]) for row in statuses] == as_told(UNKNOWN, "customer", "status")


@pytest.mark.parametrize("part", [99, 1])
def test_a_household_counts_those_of_it_who_were_in_a_wave_lately(part: int) -> None:
    rows = [row for row in rows_of(HOMES_LATELY) if row["was"] != "-"]
    before = [
        {"customer_id": row["customer"], "status": row["was"], "wave_since": days_ago(row["since"])} for row in rows
    ]
    policy = HOUSEHOLDS.model_copy(update={"stickiness_days": 3, "cool_down": CoolDown(wave_days=30)})
    past = past_of(policy, TONIGHT, no_contacts(), pa.Table.from_pylist(before, schema=no_statuses().schema))
    statuses = decided(HOMES_LATELY, policy, household="household", past=past, part=part)
    assert [(row["customer_id"], row["status"]) for row in statuses] == as_told(HOMES_LATELY, "customer", "status")


@pytest.mark.parametrize("part", [99, 1])
def test_a_household_counts_those_of_it_who_were_in_a_wave_lately_and_are_not_scored_tonight(part: int) -> None:
    policy = HOUSEHOLDS.model_copy(update={"stickiness_days": 3, "cool_down": CoolDown(wave_days=30)})
    before = [
        {"customer_id": row["customer"], "status": row["was"], "wave_since": days_ago(row["since"])}
        | {"unit": f"customer {row['customer']}" if row["household"] == "-" else f"household {row['household']}"}
        for row in rows_of(AWAY)
        if row["was"] != "-"
    ]
    past = past_of(policy, TONIGHT, no_contacts(), pa.Table.from_pylist(before, schema=no_statuses().schema))
    header, *lines = AWAY.strip().splitlines()
    scored = "\n".join([header, *(line for line in lines if " yes " in line)])
    statuses = decided(scored, policy, household="household", past=past, part=part)
    assert [(row["customer_id"], row["status"]) for row in statuses] == as_told(scored, "customer", "status")


def test_those_whose_household_is_a_blank_do_not_live_together() -> None:
    statuses = decided(UNKNOWN_HOMES, HOUSEHOLDS, household="household")
    assert [(row["customer_id"], row["status"]) for row in statuses] == as_told(UNKNOWN_HOMES, "customer", "status")


@pytest.mark.parametrize("part", [99, 3])
def test_an_action_answers_a_reason_and_the_dear_channel_goes_to_whom_it_is_worth_most(part: int) -> None:
    statuses = decided(REASONS, ACTIONS, part=part)
    assert [(row["customer_id"], row["status"], row["action"]) for row in statuses] == as_told(
        REASONS, "customer", "status", "action"
    )


def test_who_was_contacted_is_left_alone_on_that_channel_and_after_an_answer_on_all() -> None:
    past = past_of(COOL_DOWN, TONIGHT, contacts_of(rows_of(CONTACTED)), no_statuses())
    statuses = decided(CONTACTED, COOL_DOWN, past=past)
    assert [(row["customer_id"], row["status"], row["action"]) for row in statuses] == as_told(
        CONTACTED, "customer", "status", "action"
    )


@pytest.mark.parametrize("outcome", ["-", "refused", "accepted"])
def test_what_came_of_a_list_says_nothing_for_that_list_when_it_is_decided_again(outcome: str) -> None:
    called = f"customer channel days_ago outcome\nanna phone 0 {outcome}\nboris phone 1 {outcome}"
    past = past_of(COOL_DOWN, TONIGHT, contacts_of(rows_of(called)), no_statuses())
    assert [(row["customer_id"], row["status"]) for row in decided(CALLED, COOL_DOWN, past=past)] == [
        ("anna", "listed"),
        ("boris", "cooling_down"),
    ]


def test_a_household_is_contacted_through_its_best_member() -> None:
    statuses = decided(LIVING_TOGETHER, HOUSEHOLDS, household="household")
    assert [(row["customer_id"], row["status"]) for row in statuses] == as_told(LIVING_TOGETHER, "customer", "status")


def test_who_is_worth_most_of_a_household_gives_way_to_another_of_it_where_both_teams_then_have_somebody() -> None:
    teams = (Team(name="north", capacity=2, of=("N",)), Team(name="south", capacity=1))
    statuses = decided(
        GIVES_WAY, TEAMS.model_copy(update={"teams": teams, "household_limit": 1}), household="household"
    )
    assert [(row["customer_id"], row["status"]) for row in statuses] == as_told(GIVES_WAY, "customer", "status")


def test_each_team_has_its_own_places_and_one_has_all_whom_no_other_has() -> None:
    statuses = decided(BY_REGION, TEAMS)
    assert [(row["customer_id"], row["status"], row["team"]) for row in statuses] == as_told(
        BY_REGION, "customer", "status", "team"
    )


def test_where_chance_deals_customers_out_to_teams_a_household_has_one_of_them() -> None:
    table = "customer probability value household\n" + "\n".join(
        f"c{number:03d} 0.{5 + number % 4} 900 {f'H{number // 3}' if number < 60 else '-'}" for number in range(80)
    )
    teams = tuple(Team(name=name, capacity=99) for name in ("red", "green", "blue"))
    statuses = decided(table, HOUSEHOLDS.model_copy(update={"teams": teams}), household="household", part=7)
    named = [row["team"] for row in statuses]
    assert all(len(set(named[home : home + 3])) == 1 for home in range(0, 60, 3))
    assert set(named[:60]) == set(named[60:]) == {"red", "green", "blue"}


def test_who_is_on_the_list_stays_for_three_nights_unless_a_rule_says_otherwise() -> None:
    rows = rows_of(YESTERDAY)
    before = [
        {"customer_id": row["customer"], "status": row["was"], "wave_since": days_ago(row["since"])} for row in rows
    ]
    called = [
        {"customer_id": row["customer"], "channel": "phone", "last_contact": days_ago(row["called"])}
        for row in rows
        if row["called"] != "-"
    ]
    past = past_of(
        STAYS,
        TONIGHT,
        pa.Table.from_pylist(called, schema=no_contacts().schema),
        pa.Table.from_pylist(before, schema=no_statuses().schema),
    )
    statuses = decided(YESTERDAY, STAYS, past=past)
    assert [(row["customer_id"], row["status"], row["wave_since"]) for row in statuses] == [
        (row["customer"], row["status"], days_ago(row["wave_since"])) for row in rows
    ]


def test_a_stay_keeps_the_arm_that_it_began_with_when_lots_are_drawn_anew() -> None:
    policy = STAYS.model_copy(
        update={"teams": (Team(name="retention", capacity=99),), "holdout": Holdout(share=0.5, valid_days=1)}
    )
    table = "customer probability value\n" + "\n".join(f"c{number:02d} 0.9 900" for number in range(40))
    was = ["held_out", "listed"] * 20
    before = [
        {"customer_id": row["customer"], "status": status, "wave_since": days_ago("1")}
        for row, status in zip(rows_of(table), was, strict=True)
    ]
    past = past_of(policy, TONIGHT, no_contacts(), pa.Table.from_pylist(before, schema=no_statuses().schema))
    statuses = decided(table, policy, past=past)
    assert [row["status"] for row in statuses] == was
    assert [row["arm"] for row in statuses] == ["holdout", "treated"] * 20


# Lots are drawn anew tonight; the household of whom it was drawn for last night is that of who comes to him.
ARMS_AT_HOME = """
customer  probability  value  household  was       unit           status
anna             0.60    900  H1         listed    household:H1   listed
boris            0.50    900  H1         -         -              listed
clara            0.60    900  H2         held_out  household:H2   held_out
david            0.50    900  H2         -         -              held_out
elif             0.60    900  H3         listed    household:H4   listed
farid            0.50    900  H4         -         -              listed
gita             0.60    900  H5         held_out  customer:gita  held_out
"""


@pytest.mark.parametrize("part", [99, 1])
@pytest.mark.parametrize("period", range(8))
def test_who_joins_a_member_of_his_household_in_the_wave_has_his_arm(period: int, part: int) -> None:
    lots = Holdout(share=0.5, valid_days=1, experiment=f"spring_{period}")
    policy = STAYS.model_copy(update={"teams": (Team(name="retention", capacity=99),), "holdout": lots})
    before = [
        {"customer_id": row["customer"], "status": row["was"], "wave_since": days_ago("1")}
        | {"unit": row["unit"].replace(":", " ")}
        for row in rows_of(ARMS_AT_HOME)
        if row["was"] != "-"
    ]
    past = past_of(policy, TONIGHT, no_contacts(), pa.Table.from_pylist(before, schema=no_statuses().schema))
    statuses = decided(ARMS_AT_HOME, policy, household="household", past=past, part=part)
    assert [(row["customer_id"], row["status"]) for row in statuses] == as_told(ARMS_AT_HOME, "customer", "status")


def days_ago(days: str) -> date | None:
    return None if days == "-" else TONIGHT - timedelta(int(days))


def large_base(count: int = 1_600) -> pa.Table:
    return pa.table(
        {
            "customer_id": [f"c{number:05d}" for number in range(count)],
            "probability": np.linspace(0.2, 0.9, count),
            "customer_value": np.full(count, 900.0),
            "do_not_contact": np.arange(count) >= count // 2,
            "consent": np.full(count, True),
        }
    )


@pytest.mark.parametrize(
    ("said", "share", "policy"),
    [
        ("one rule over half the base", 0.0, POLICY),
        ("a tenth held out", 0.1, NO_RULES),
        ("both", 0.1, POLICY),
    ],
)
def test_fifty_places_give_fifty_contacts(said: str, share: float, policy: Policy) -> None:
    policy = policy.model_copy(
        update={"teams": (Team(name="retention", capacity=50),), "holdout": Holdout(share=share, experiment="spec")}
    )
    terms = Terms(policy, "d" * 64, TONIGHT)
    judged = judge(large_base(), terms, nothing_before(policy))
    wave = draw([judged.candidates], policy)
    statuses = status_rows(judged, wave.parts[0], terms)["status"].to_pylist()
    assert statuses.count("listed") == 50, said
    assert (statuses.count("held_out") > 0) == (share > 0)
    best = np.argsort(-judged.offers.worth[:, 0])
    passed = [statuses[place] for place in best if statuses[place] in ("listed", "held_out", "beyond_capacity")]
    wave_ends = passed.index("beyond_capacity")
    assert set(passed[:wave_ends]) == {"listed", *(["held_out"] if share else [])}
    assert set(passed[wave_ends:]) == {"beyond_capacity"}, "nobody after the last contact is held out"
