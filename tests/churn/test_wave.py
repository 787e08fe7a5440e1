"""Whatever the base, the contacts and the policy: nobody is contacted who may not be, and no limit is passed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.listing import FROM_SCORES, is_listed, list_rows, listed_rows, status_rows, team_rows
from churn.outreach import Terms, judge
from churn.past import no_statuses, past_of
from churn.wave import draw
from schemas.outreach import OUTREACH, TEAMS, Status
from schemas.policy import Action, Cause, Channel, Condition, CoolDown, Holdout, Policy, Suppression, Team
from tests.policies import no_contacts

TONIGHT = date(2026, 3, 1)
CHANNELS = ("phone", "message")
CAUSES = tuple(
    Cause(name=name, when=(Condition(column="tickets", **asked),), keeps=keeps, says=f"It is {name}.")
    for name, asked, keeps in (
        ("many", {"at_least": 2}, 0.7),
        ("one", {"above": 0}, 0.5),
        ("unknown", {"missing": True}, -0.1),
    )
)
OFFER = Action(name="call", channel="phone", offer_cost=10, contact_cost=2, keep_probability=0.4, says="Offer it.")


@dataclass(frozen=True)
class Case:
    """A base, its past, and a policy."""

    base: pa.Table
    contacts: pa.Table
    before: pa.Table
    policy: Policy


@st.composite
def cases(draw_one: st.DrawFn) -> Case:
    count = draw_one(st.integers(1, 25))
    seed = np.random.default_rng(draw_one(st.integers(0, 2**32)))
    keys = [f"c{number:03d}" for number in range(count)]
    base = {
        "as_of": [TONIGHT] * count,
        "customer_id": keys,
        "segment": ["prepaid"] * count,
        "probability": seed.choice([0.05, 0.4, 0.8], count),
        "customer_value": seed.choice([60.0, 500.0], count),
        "do_not_contact": seed.random(count) < 0.2,
        "household": pa.array([None if home == 0 else f"h{home}" for home in seed.integers(0, 8, count)], pa.string()),
        "tickets": pa.array(seed.integers(0, 4, count), mask=seed.random(count) < 0.2),
        "region": seed.choice(["N", "S"], count).tolist(),
        "model_digest": ["m"] * count,
        **{f"reason_{place}_feature": pa.nulls(count, pa.string()) for place in (1, 2, 3)},
        **{f"reason_{place}_value": pa.nulls(count, pa.string()) for place in (1, 2, 3)},
    }
    base["reason_1_feature"] = seed.choice(["complaints", "handset", "tenure"], count).tolist()
    contacts = [
        {"customer_id": key, "channel": channel, "last_contact": days_ago(seed, 40), **answer(seed)}
        for key in keys
        for channel in CHANNELS
        if seed.random() < 0.2
    ]
    before = [
        {
            "customer_id": key,
            "status": str(seed.choice(["listed", "held_out", "no_action"])),
            "wave_since": days_ago(seed, 8),
        }
        for key in keys
        if seed.random() < 0.3
    ]
    return Case(
        pa.table(base),
        pa.Table.from_pylist(contacts, schema=no_contacts().schema),
        pa.Table.from_pylist(before, schema=no_statuses().schema),
        policy_of(draw_one),
    )


def days_ago(seed: np.random.Generator, most: int) -> date:
    return TONIGHT - timedelta(int(seed.integers(1, most)))


def answer(seed: np.random.Generator) -> dict[str, Any]:
    given = seed.choice(["refused_at", "accepted_at"], seed.integers(0, 3), replace=False)
    return {str(name): days_ago(seed, 40) for name in given}


def policy_of(draw_one: st.DrawFn) -> Policy:
    places = st.integers(0, 6)
    return Policy(
        name="any",
        version="1.0.0",
        description="Any.",
        actions=(
            OFFER,
            OFFER.model_copy(update={"name": "fix", "answers": ("complaints",), "keep_probability": 0.6}),
            OFFER.model_copy(update={"name": "text", "channel": "message", "answers": ("handset", "complaints")}),
            OFFER.model_copy(update={"name": "ask", "channel": "message", "contact_cost": 5, "causes": CAUSES}),
        )[draw_one(st.integers(0, 1)) : draw_one(st.integers(3, 4))],
        channels=(
            Channel(name="phone", capacity=draw_one(places), cool_down_days=20),
            Channel(name="message", capacity=draw_one(st.one_of(st.none(), places)), cool_down_days=5),
        ),
        team_by="region",
        teams=(Team(name="north", capacity=draw_one(places), of=("N",)), Team(name="rest", capacity=draw_one(places))),
        suppress=(Suppression(status="do_not_contact", column="do_not_contact", equals=True, because="asked"),),
        cool_down=CoolDown(wave_days=draw_one(st.sampled_from([0, 6])), refused_days=10, accepted_days=30),
        household_limit=draw_one(st.sampled_from([None, 1, 2])),
        holdout=Holdout(share=draw_one(st.sampled_from([0.0, 0.3])), unit="household"),
        stickiness_days=draw_one(st.sampled_from([1, 3])),
    )


def decided(case: Case, part: int = 99) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Everybody's status, the list, and how the teams' places were used."""
    terms = Terms(case.policy, "d" * 64, TONIGHT, "household")
    past = past_of(case.policy, TONIGHT, case.contacts, case.before)
    slices = [case.base.slice(at, part) for at in range(0, len(case.base), part)]
    parts = [judge(rows, terms, past) for rows in slices]
    wave = draw([judged.candidates for judged in parts], case.policy)
    statuses = [status_rows(judged, places, terms) for judged, places in zip(parts, wave.parts, strict=True)]
    listed = [
        listed_rows(rows.select(FROM_SCORES).filter(pa.array(is_listed(judged, places))), status, judged, places)
        for rows, status, judged, places in zip(slices, statuses, parts, wave.parts, strict=True)
    ]
    together = pa.concat_tables(statuses, promote_options="permissive")
    return together, list_rows(listed, terms), team_rows(parts, wave, terms)


ANY = settings(max_examples=40, deadline=None)


@ANY
@given(cases())
def test_every_customer_has_one_status_and_the_teams_rows_add_up(case: Case) -> None:
    statuses, listed, teams = decided(case)
    counts = Counter(statuses["status"].to_pylist())
    assert statuses["customer_id"].to_pylist() == case.base["customer_id"].to_pylist()
    assert sum(counts.values()) == len(case.base)
    assert counts[Status.LISTED] == len(listed) == sum(teams["listed"].to_pylist())
    assert counts[Status.HELD_OUT] == sum(teams["held_out"].to_pylist())
    assert listed.column_names == list(OUTREACH.names)
    assert teams.column_names == list(TEAMS.names)
    assert not any(listed[column.name].null_count for column in OUTREACH.columns if column.required)


@ANY
@given(cases())
def test_no_team_and_no_channel_has_more_than_its_places(case: Case) -> None:
    _, listed, _ = decided(case)
    by_team, by_channel = (Counter(listed[name].to_pylist()) for name in ("team", "channel"))
    assert all(by_team[team.name] <= team.capacity for team in case.policy.teams)
    assert all(by_channel[one.name] <= one.capacity for one in case.policy.channels if one.capacity is not None)
    assert [row["team"] == "north" for row in listed.to_pylist()] == [
        region == "N" for region in of_customers(case, listed, "region")
    ]


@ANY
@given(cases())
def test_nobody_is_in_the_wave_who_may_not_be_contacted(case: Case) -> None:
    statuses, listed, _ = decided(case)
    wave = statuses.filter(pa.array([status in ("listed", "held_out") for status in statuses["status"].to_pylist()]))
    assert not any(of_customers(case, wave, "do_not_contact"))
    contacts = case.contacts.to_pylist()
    answered = {row["customer_id"] for row in contacts if rests(row["refused_at"], 10) or rests(row["accepted_at"], 30)}
    assert answered.isdisjoint(wave["customer_id"].to_pylist())
    used = {
        (row["customer_id"], row["channel"])
        for row in contacts
        if rests(row["last_contact"], {"phone": 20, "message": 5}[row["channel"]])
    }
    assert used.isdisjoint(zip(listed["customer_id"].to_pylist(), listed["channel"].to_pylist(), strict=True))


def rests(since: date | None, days: int) -> bool:
    return since is not None and (TONIGHT - since).days < days


@ANY
@given(cases())
def test_no_household_has_more_members_in_the_wave_than_its_limit(case: Case) -> None:
    statuses, _, _ = decided(case)
    wave = statuses.filter(pa.array([status in ("listed", "held_out") for status in statuses["status"].to_pylist()]))
    homes = Counter(home for home in of_customers(case, wave, "household") if home is not None)
    limit = case.policy.household_limit
    assert limit is None or all(members <= limit for members in homes.values())


@ANY
@given(cases())
def test_members_of_a_household_share_their_arm_unless_a_stay_began_with_another(case: Case) -> None:
    statuses, _, _ = decided(replace(case, before=no_statuses()))
    arms: dict[str, set[str]] = {}
    for home, arm in zip(case.base["household"].to_pylist(), statuses["arm"].to_pylist(), strict=True):
        if home is not None and arm is not None:
            arms.setdefault(home, set()).add(arm)
    assert all(len(found) == 1 for found in arms.values())


@ANY
@given(cases(), st.integers(0, 2**32), st.integers(1, 9))
def test_another_order_and_another_split_give_the_same_list_to_the_byte(case: Case, seed: int, part: int) -> None:
    shuffled = np.random.default_rng(seed).permutation(len(case.base))
    statuses, listed, teams = decided(case)
    moved = replace(case, base=case.base.take(pa.array(shuffled)))
    other_statuses, other_listed, other_teams = decided(moved, part)
    assert plain(other_listed).equals(plain(listed))
    assert other_teams.equals(teams)
    assert plain(other_statuses).sort_by("customer_id").equals(plain(statuses))


@ANY
@given(cases())
def test_who_is_listed_for_a_cause_meets_it_and_the_agent_reads_its_words(case: Case) -> None:
    _, listed, _ = decided(case)
    asked = listed.filter(pa.array([action == "ask" for action in listed["action"].to_pylist()], pa.bool_()))
    words = ["It is many." if tickets >= 2 else "It is one." for tickets in of_customers(case, asked, "tickets")]
    assert asked["agent_says"].to_pylist() == words
    assert asked["keep_probability"].to_pylist() == [0.7 if word == "It is many." else 0.5 for word in words]


@ANY
@given(cases())
def test_a_team_without_other_limits_is_full_whenever_enough_are_worth_it(case: Case) -> None:
    statuses, listed, _ = decided(with_free_channels(case))
    for team in case.policy.teams:
        rows = [row for row in statuses.to_pylist() if row["team"] == team.name and row["arm"] == "treated"]
        eligible = [row for row in rows if row["status"] != Status.HOUSEHOLD_LIMIT]
        assert listed["team"].to_pylist().count(team.name) == min(team.capacity, len(eligible))


@ANY
@given(cases())
def test_nobody_is_kept_back_for_a_household_that_leaves_its_own_places_empty(case: Case) -> None:
    case = with_free_channels(replace(case, before=no_statuses()))
    statuses, listed, _ = decided(case)
    wave = statuses.filter(pa.array([status in ("listed", "held_out") for status in statuses["status"].to_pylist()]))
    homes = Counter(of_customers(case, wave, "household"))
    not_full = {team.name for team in case.policy.teams if listed["team"].to_pylist().count(team.name) < team.capacity}
    limited = statuses.filter(pa.array([row["status"] == Status.HOUSEHOLD_LIMIT for row in statuses.to_pylist()]))
    for home, row in zip(of_customers(case, limited, "household"), limited.to_pylist(), strict=True):
        assert row["team"] not in not_full or homes[home] == case.policy.household_limit


def test_where_the_best_of_a_household_finds_no_place_the_next_one_has_it() -> None:
    """Couples: one answers the phone, which has few places, the other a message, which everybody can get."""
    call, text = (
        OFFER.model_copy(update={"name": name, "channel": channel, "answers": (reason,)})
        for name, channel, reason in (("call", "phone", "complaints"), ("text", "message", "handset"))
    )
    policy = Policy(
        name="couples",
        version="1.0.0",
        description="Couples.",
        actions=(call, text),
        channels=(Channel(name="phone", capacity=50), Channel(name="message")),
        teams=(Team(name="all", capacity=150),),
        household_limit=1,
        holdout=Holdout(share=0.2),
    )
    statuses, listed, _ = decided(Case(couples(400), no_contacts(), no_statuses(), policy))
    assert Counter(listed["channel"].to_pylist()) == {"phone": 50, "message": 100}
    homes = [int(key[1:]) // 2 for key in listed["customer_id"].to_pylist()]
    assert len(set(homes)) == 150
    held_out = Counter(row["action"] for row in statuses.to_pylist() if row["status"] == Status.HELD_OUT)
    assert held_out["text"] > held_out["call"] > 0, "the same rule for those who are held out"


def test_one_household_of_many_whom_no_place_fits_takes_no_longer_than_others() -> None:
    """A key that stands for nobody, such as "unknown", makes one household of thousands."""
    policy = Policy(
        name="crowd",
        version="1.0.0",
        description="Crowd.",
        actions=(OFFER,),
        channels=(Channel(name="phone"),),
        team_by="region",
        teams=(Team(name="north", capacity=0, of=("N",)), Team(name="rest", capacity=5)),
        household_limit=1,
    )
    crowd = couples(20_000)
    for name, values in (("household", ["unknown"] * 20_000), ("region", ["N"] * 19_999 + ["S"])):
        crowd = crowd.drop_columns([name] if name in crowd.column_names else []).append_column(name, pa.array(values))
    crowd = crowd.set_column(3, "probability", pa.array(np.linspace(0.9, 0.5, 20_000)))
    statuses, listed, _ = decided(Case(crowd, no_contacts(), no_statuses(), policy), part=20_000)
    assert listed["customer_id"].to_pylist() == ["c19999"]
    assert Counter(statuses["status"].to_pylist()) == {"listed": 1, "beyond_capacity": 19_999}


def couples(count: int) -> pa.Table:
    first = np.arange(count) % 2 == 0
    return pa.table(
        {
            "as_of": [TONIGHT] * count,
            "customer_id": [f"c{number:03d}" for number in range(count)],
            "segment": ["prepaid"] * count,
            "probability": np.where(first, 0.8, 0.6) - np.arange(count) / 4_000,
            "customer_value": [500.0] * count,
            "household": [f"h{number // 2}" for number in range(count)],
            "model_digest": ["m"] * count,
            "reason_1_feature": np.where(first, "complaints", "handset").tolist(),
            **{f"reason_{place}_feature": pa.nulls(count, pa.string()) for place in (2, 3)},
            **{f"reason_{place}_value": pa.nulls(count, pa.string()) for place in (1, 2, 3)},
        }
    )


@ANY
@given(cases())
def test_nobody_new_has_a_place_that_one_who_stays_would_have(case: Case) -> None:
    statuses, _, _ = decided(with_free_channels(case))
    contacts = case.contacts.to_pylist()
    stay = {
        row["customer_id"]
        for row in case.before.to_pylist()
        if row["status"] in ("listed", "held_out")
        and rests(row["wave_since"], case.policy.stickiness_days)
        and not any(
            one["customer_id"] == row["customer_id"] and one["last_contact"] >= row["wave_since"] for one in contacts
        )
    }
    rows = [row for row in statuses.to_pylist() if row["arm"] == "treated"]
    left_out = {row["team"] for row in rows if row["customer_id"] in stay and row["status"] == Status.BEYOND_CAPACITY}
    new = {row["team"] for row in rows if row["customer_id"] not in stay and row["status"] == Status.LISTED}
    assert left_out.isdisjoint(new)


def with_free_channels(case: Case) -> Case:
    channels = tuple(Channel(name=name, cool_down_days=5) for name in CHANNELS)
    return replace(case, policy=case.policy.model_copy(update={"channels": channels}))


def of_customers(case: Case, rows: pa.Table, column: str) -> list[Any]:
    known = dict(zip(case.base["customer_id"].to_pylist(), case.base[column].to_pylist(), strict=True))
    return [known[key] for key in rows["customer_id"].to_pylist()]


def plain(rows: pa.Table) -> pa.Table:
    """The rows without the dictionaries, which the lake writes in one form."""
    kinds = [
        pa.field(field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type) for field in rows.schema
    ]
    return rows.cast(pa.schema(kinds)).combine_chunks()
