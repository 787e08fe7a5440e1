"""A policy that could not do what it says is refused before anybody is scored by it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.errors import PolicyError
from churn.policy import parse_policy, policy_as_written, require_columns, without_leavers
from schemas.columns import Column, LogicalType, Role, Table
from schemas.contract import Contract
from store.contracts import read_contract, shipped_contracts
from store.policies import POLICIES, policy_for, read_policy

OFFER = {
    "name": "offer",
    "channel": "phone",
    "offer_cost": 4.0,
    "contact_cost": 0.5,
    "keep_probability": 0.3,
    "says": "Offer it.",
}
SOUND = {
    "name": "shop",
    "version": "1.0.0",
    "description": "Contact whoever is worth it.",
    "actions": [OFFER],
    "channels": [{"name": "phone"}],
    "teams": [{"name": "retention", "capacity": 10}],
}

CUSTOMER = Table(
    "customers",
    "",
    (
        Column("customer_id", LogicalType.STRING, "", roles=(Role.KEY,)),
        Column("in_dispute", LogicalType.BOOLEAN, ""),
        Column("visits", LogicalType.INTEGER, "", roles=(Role.FEATURE,)),
        Column("bill", LogicalType.NUMBER, ""),
        Column("plan", LogicalType.STRING, "", allowed=("basic", "family")),
        Column("joined_on", LogicalType.DATE, ""),
    ),
)
SHOP = Contract("shop", "1", "", "", sources=(CUSTOMER,), customer=CUSTOMER, flat=True)

OLD = {"name": "old", "when": [{"column": "visits", "above": 300}], "keeps": 0.2}


def when(**condition: object) -> dict[str, object]:
    """The cause with another condition."""
    return OLD | {"when": [condition]}


WRONG_FIELDS = [
    # field             value      said
    ("actions", [OFFER | {"causes": [OLD | {"keeps": 1.2}]}], "actions.0.causes.0.keeps: Input should be less than"),
    ("actions", [OFFER | {"causes": [OLD | {"when": []}]}], "actions.0.causes.0.when: Tuple should have at least 1"),
    ("actions", [OFFER | {"causes": [when(column="visits", over=1)]}], "when.0.over: Extra inputs are not permitted"),
    (
        "actions",
        [OFFER | {"causes": [when(column="visits", above="1")]}],
        "when.0.above: Input should be a valid number",
    ),
    ("teams", [{"name": "t", "capacity": -1}], "teams.0.capacity: Input should be greater than or equal to 0"),
    ("teams", [], "teams: Tuple should have at least 1 item"),
    ("actions", [OFFER | {"keep_probability": 0}], "actions.0.keep_probability: Input should be greater than 0"),
    ("actions", [OFFER | {"keep_probability": 1.2}], "actions.0.keep_probability: Input should be less than or equal"),
    ("actions", [OFFER | {"offer_cost": float("nan")}], "actions.0.offer_cost: Input should be"),
    ("teams", [{"name": "t", "capacity": True}], "teams.0.capacity: Input should be a valid integer"),
    ("teams", [{"name": "t", "capacity": "100"}], "teams.0.capacity: Input should be a valid integer"),
    ("teams", [{"name": "t", "capacity": 100.0}], "teams.0.capacity: Input should be a valid integer"),
    ("actions", [OFFER | {"offer_cost": "4"}], "actions.0.offer_cost: Input should be a valid number"),
    ("holdout", {"share": True}, "holdout.share: Input should be a valid number"),
    ("suppress", [{"status": "s", "column": "c", "equals": 1.0, "because": "b"}], "suppress.0.equals"),
    ("holdout", {"share": 0.6}, "holdout.share: Input should be less than or equal to 0.5"),
    ("holdout", {"unit": "street"}, "holdout.unit: Input should be 'customer' or 'household'"),
    ("household_limit", 0, "household_limit: Input should be greater than or equal to 1"),
    ("stickiness_days", 0, "stickiness_days: Input should be greater than or equal to 1"),
    ("version", "1", "version: String should match pattern"),
    ("name", "../shop", "name: String should match pattern"),
    ("capasity", 10, "capasity: Extra inputs are not permitted"),
    ("suppress", [{"status": "angry"}], "suppress.0.column: Field required"),
]

CONTRADICTIONS = [
    # field      value    said
    ("actions", [OFFER | {"channel": "sms"}], "actions: offer needs the channel sms, which is not there"),
    ("actions", [OFFER, OFFER], "actions: offer is there twice"),
    ("actions", [OFFER | {"says": "It is {reason}."}], "actions: offer says {reason} and answers none"),
    ("actions", [OFFER | {"causes": [OLD, OLD]}], "actions: offer: causes: old is there twice"),
    ("actions", [OFFER | {"causes": [OLD], "answers": ["visits"]}], "actions: offer has both answers and causes"),
    ("actions", [OFFER | {"causes": [OLD | {"keeps": -0.1}]}], "actions: offer: none of its causes keeps anybody"),
    (
        "actions",
        [OFFER | {"causes": [OLD | {"says": "{reason}"}]}],
        "causes: old says {reason}, and a cause names none",
    ),
    ("actions", [OFFER | {"causes": [when(column="visits")]}], "when: visits needs one of equals, missing, or limits"),
    ("actions", [OFFER | {"causes": [when(column="visits", equals=1, above=0)]}], "when: visits needs one of equals"),
    ("actions", [OFFER | {"causes": [when(column="visits", equals=1, missing=True)]}], "when: visits needs one of"),
    ("actions", [OFFER | {"name": "all"}], "actions: all stands for every action where the lift is told"),
    ("channels", [{"name": "phone"}, {"name": "phone"}], "channels: phone is there twice"),
    ("teams", [{"name": "t", "capacity": 1}, {"name": "t", "capacity": 1}], "teams: t is there twice"),
    ("teams", [{"name": "t", "capacity": 1, "of": ["a"]}], "teams: `of` means nothing without team_by"),
    ("team_by", "plan", ""),
    ("channels", [{"name": "phone"}, {"name": "fax"}], "channels: no action needs fax"),
    ("actions", [OFFER | {"answers": ["bill", "bill"]}], "actions: offer: answers: bill is there twice"),
    ("holdout", {"share": 0, "valid_days": 30}, "holdout: its other fields mean nothing with a share of 0"),
    ("holdout", {"experiment": "spring"}, "holdout: its other fields mean nothing with a share of 0"),
    ("holdout", {"share": 0.1}, "cool_down.wave_days: with 0 of them those held out come back the next night"),
    ("suppress", [{"status": "held_out", "column": "visits", "equals": 0, "because": "so"}], "a status of the program"),
]

UNFIT = [
    # column        equals         said
    ("mood", True, "suppress: rule careful looks at mood, a column that a customer row does not have"),
    ("in_dispute", "yes please", "rule careful compares in_dispute (boolean) with 'yes please'"),
    ("in_dispute", 1, "rule careful compares in_dispute (boolean) with 1"),
    ("visits", True, "rule careful compares visits (integer) with True"),
    ("bill", "none", "rule careful compares bill (number) with 'none'"),
    ("plan", 3, "rule careful compares plan (string) with 3"),
    ("plan", "gold", "rule careful waits for 'gold', which plan may not hold"),
    ("joined_on", "2026-01-01", "rule careful compares joined_on (date) with '2026-01-01'"),
]

BOTH = {"prior_by_em": True, "challenger_traffic": {"share": 0.1, "unit": "customer"}}
TOGETHER = [
    # fields                            said
    (BOTH, "prior_by_em: not beside challenger_traffic"),
    (BOTH | {"prior_by_em": False}, ""),
    (BOTH | {"challenger_traffic": {"share": 0}}, ""),
]

UNMEETABLE = [
    # condition                                          said
    ({"column": "mood", "above": 0}, "looks at mood, a column that a customer row does not have"),
    ({"column": "born", "above": 1950}, "looks at born, which the contract protects"),
    ({"column": "in_dispute", "equals": True}, "looks at in_dispute, which is neither feature, segment nor value"),
    ({"column": "visits", "equals": "many"}, "compares visits (integer) with 'many'"),
    ({"column": "tariff", "equals": "gold"}, "waits for 'gold', which tariff may not hold"),
    ({"column": "tariff", "above": 3}, "sets limits to tariff (string), which is no number"),
    ({"column": "visits", "at_least": 3, "at_most": 2}, "no visits that the contract allows lies within the limits"),
    ({"column": "visits", "above": 2, "below": 3}, "no visits that the contract allows lies within the limits"),
    ({"column": "visits", "above": 9}, "no visits that the contract allows lies within the limits"),
    ({"column": "price", "above": 2, "at_most": 2}, "no price that the contract allows lies within the limits"),
    ({"column": "price", "missing": True}, "waits for a missing price, which the contract requires"),
]
MEETABLE = [
    {"column": "visits", "at_least": 2, "at_most": 2},
    {"column": "visits", "above": 8},
    {"column": "visits", "missing": True},
    {"column": "price", "above": 2, "below": 2.5},
    {"column": "price", "missing": False},
    {"column": "tariff", "equals": "basic"},
]
TOLD = (
    Column("visits", LogicalType.INTEGER, "", roles=(Role.FEATURE,), minimum=0, maximum=9),
    Column("price", LogicalType.NUMBER, "", roles=(Role.VALUE,), required=True),
    Column("tariff", LogicalType.STRING, "", roles=(Role.SEGMENT,), allowed=("basic", "family")),
    Column("born", LogicalType.INTEGER, "", roles=(Role.FEATURE, Role.PROTECTED)),
    Column("in_dispute", LogicalType.BOOLEAN, ""),
)

FITTING = [("in_dispute", False), ("visits", 0), ("bill", 3), ("plan", "basic"), ("customer_id", "C1")]


@pytest.mark.parametrize(("field", "value", "said"), WRONG_FIELDS)
def test_a_wrong_field_is_named(field: str, value: object, said: str) -> None:
    assert parse_policy(SOUND, "shop.yaml").name == "shop"
    with pytest.raises(PolicyError) as refused:
        parse_policy(SOUND | {field: value}, "shop.yaml")
    assert said in str(refused.value)


@pytest.mark.parametrize("fields", [None, "contact everybody", []])
def test_what_is_no_mapping_is_no_policy(fields: object) -> None:
    with pytest.raises(PolicyError, match=r"shop\.yaml"):
        parse_policy(fields, "shop.yaml")


@pytest.mark.parametrize(("field", "value", "said"), CONTRADICTIONS)
def test_a_policy_that_contradicts_itself_is_refused(field: str, value: object, said: str) -> None:
    if not said:
        parse_policy(SOUND | {field: value}, "shop.yaml")  # one team alone has everybody
        return
    with pytest.raises(PolicyError) as refused:
        parse_policy(SOUND | {field: value}, "shop.yaml")
    assert said in str(refused.value)


@pytest.mark.parametrize(("fields", "said"), TOGETHER)
def test_what_does_not_go_together_is_refused(fields: dict[str, object], said: str) -> None:
    refused = pytest.raises(PolicyError, match=said) if said else nullcontext()
    with refused:
        parse_policy(SOUND | fields, "shop.yaml")


@pytest.mark.parametrize(("condition", "said"), UNMEETABLE)
def test_a_cause_that_nobody_could_meet_or_that_must_not_decide_is_named(
    condition: dict[str, object], said: str
) -> None:
    policy = parse_policy(SOUND | {"actions": [OFFER | {"causes": [when(**condition)]}]}, "shop.yaml")
    with pytest.raises(PolicyError) as refused:
        require_columns(policy, replace(SHOP, customer=replace(CUSTOMER, columns=TOLD)))
    assert "actions: offer: causes: old" in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize("condition", MEETABLE)
def test_a_cause_that_some_customer_may_meet_is_sound(condition: dict[str, object]) -> None:
    policy = parse_policy(SOUND | {"actions": [OFFER | {"causes": [when(**condition)]}]}, "shop.yaml")
    require_columns(policy, replace(SHOP, customer=replace(CUSTOMER, columns=TOLD)))


def test_a_share_of_a_team_that_has_its_customers_by_a_column_is_refused() -> None:
    teams = [{"name": "a", "capacity": 1, "of": ["basic"], "share": 2}, {"name": "b", "capacity": 1}]
    with pytest.raises(PolicyError, match="teams: the share of a means nothing beside team_by"):
        parse_policy(SOUND | {"team_by": "plan", "teams": teams}, "shop.yaml")


def test_a_lot_by_household_needs_a_contract_that_knows_households() -> None:
    resting = SOUND | {"cool_down": {"wave_days": 30}}
    with pytest.raises(PolicyError, match=r"holdout\.unit: no column of the contract has the role household"):
        require_columns(parse_policy(resting | {"holdout": {"share": 0.1}}, "shop.yaml"), SHOP)
    by_customer = {"holdout": {"share": 0.1, "unit": "customer"}}
    require_columns(parse_policy(resting | by_customer, "shop.yaml"), SHOP)


HORIZONS = [
    # wave_days  horizon  share   said
    (29, 30, 0.1, "cool_down.wave_days: 29 of them end before the 30 days in which it is seen who leaves"),
    (30, 60, 0.1, "cool_down.wave_days: 30 of them end before the 60 days in which it is seen who leaves"),
    (30, 30, 0.1, ""),
    (7, 30, 0.0, ""),
]


@pytest.mark.parametrize(("days", "horizon", "share", "said"), HORIZONS)
def test_who_is_held_out_rests_until_it_is_seen_whether_he_leaves(
    days: int, horizon: int, share: float, said: str
) -> None:
    lot = {"holdout": {"share": share, "unit": "customer"}} if share else {}
    policy = parse_policy(SOUND | {"cool_down": {"wave_days": days}} | lot, "shop.yaml")
    watched = replace(SHOP, horizon_days=horizon)
    if not said:
        require_columns(policy, watched)
        return
    with pytest.raises(PolicyError) as refused:
        require_columns(policy, watched)
    assert said in str(refused.value)


def test_of_teams_by_a_column_exactly_one_has_the_rest() -> None:
    for teams in ([("a", ["basic"]), ("b", ["family"])], [("a", []), ("b", [])]):
        fields = [{"name": name, "capacity": 1, "of": of} for name, of in teams]
        with pytest.raises(PolicyError, match="one of them, and no more, must be without `of`"):
            parse_policy(SOUND | {"team_by": "plan", "teams": fields}, "shop.yaml")


@pytest.mark.parametrize("statuses", [("listed",), ("beyond_capacity",), ("angry", "angry")])
def test_a_rule_has_a_status_of_its_own(statuses: tuple[str, ...]) -> None:
    rules = [_rule("visits", 0) | {"status": status} for status in statuses]
    with pytest.raises(PolicyError, match=statuses[0]):
        parse_policy(SOUND | {"suppress": rules}, "shop.yaml")


UNFIT_PARTS = [
    # field              value   said
    ("actions", [OFFER | {"answers": ["mood"]}], "actions: offer answers mood, which is no feature"),
    ("actions", [OFFER | {"answers": ["visits"]}], "offer answers visits, which the contract does not call actionable"),
    ("customer_value", {"column": "plan"}, "customer_value: plan is no column of numbers"),
    ("customer_value", {"column": "worth"}, "customer_value: worth is no column of numbers"),
    ("household_limit", 1, "household_limit: no column of the contract has the role household"),
]


@pytest.mark.parametrize(("field", "value", "said"), UNFIT_PARTS)
def test_a_part_that_the_contract_cannot_serve_is_named(field: str, value: object, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        require_columns(parse_policy(SOUND | {field: value}, "shop.yaml"), SHOP)
    assert said in str(refused.value)


def test_a_team_that_waits_for_what_never_comes_is_named() -> None:
    teams = [{"name": "gold", "capacity": 1, "of": ["gold"]}, {"name": "rest", "capacity": 1}]
    policy = parse_policy(SOUND | {"team_by": "plan", "teams": teams}, "shop.yaml")
    with pytest.raises(PolicyError, match="teams: gold waits for 'gold', which plan may not hold"):
        require_columns(policy, SHOP)


@pytest.mark.parametrize(("column", "equals", "said"), UNFIT)
def test_a_rule_that_could_never_apply_is_refused(column: str, equals: object, said: str) -> None:
    policy = parse_policy(SOUND | {"suppress": [_rule(column, equals)]}, "shop.yaml")
    with pytest.raises(PolicyError) as refused:
        require_columns(policy, SHOP)
    assert said in str(refused.value)
    assert "policy shop, contract shop" in str(refused.value)


@pytest.mark.parametrize(("column", "equals"), FITTING)
def test_a_rule_that_may_apply_is_not_refused(column: str, equals: object) -> None:
    require_columns(parse_policy(SOUND | {"suppress": [_rule(column, equals)]}, "shop.yaml"), SHOP)


CONSENTS = (
    Column("agreed", LogicalType.BOOLEAN, "", roles=(Role.CONSENT,)),
    Column("never_call", LogicalType.BOOLEAN, "", roles=(Role.CONSENT,)),
)
ASKED = [
    # rules look at             passed over
    ((), ["agreed", "never_call"]),
    (("in_dispute", "agreed"), ["never_call"]),
    (("agreed", "never_call"), []),
]


@pytest.mark.parametrize(("asked", "passed_over"), ASKED)
def test_a_policy_that_does_not_ask_for_a_consent_is_refused(asked: tuple[str, ...], passed_over: list[str]) -> None:
    careful = replace(SHOP, customer=replace(CUSTOMER, columns=(*CUSTOMER.columns, *CONSENTS)))
    rules = [_rule(column, column == "never_call") | {"status": f"not_{column}"} for column in asked]
    policy = parse_policy(SOUND | {"suppress": rules}, "shop.yaml")
    if not passed_over:
        require_columns(policy, careful)
        return
    with pytest.raises(PolicyError) as refused:
        require_columns(policy, careful)
    assert [name for name in ("agreed", "never_call") if f"no rule looks at {name}," in refused.value.what] == (
        passed_over
    )


@pytest.mark.parametrize("name", shipped_contracts())
def test_every_contract_that_ships_fits_its_policy(name: str) -> None:
    require_columns(read_policy(policy_for(name)).policy, read_contract(name))


def _rule(column: str, equals: object) -> dict[str, object]:
    return {"status": "careful", "column": column, "equals": equals, "because": "it is the rule"}


BY_WHAT_IS_PROTECTED = [
    # field             value                                                     said
    ("suppress", [_rule("born", 1990)], "suppress: rule careful looks at born, which the contract protects"),
    ("team_by", "born", "team_by looks at born, which the contract protects"),
    ("customer_value", {"column": "born"}, "customer_value looks at born, which the contract protects"),
]


@pytest.mark.parametrize(("field", "value", "said"), BY_WHAT_IS_PROTECTED)
def test_nothing_is_decided_by_what_the_contract_protects(field: str, value: object, said: str) -> None:
    policy = parse_policy(SOUND | {field: value}, "shop.yaml")
    with pytest.raises(PolicyError) as refused:
        require_columns(policy, replace(SHOP, customer=replace(CUSTOMER, columns=TOLD)))
    assert said in str(refused.value)


NOT_FOR_THE_DEFAULT = {
    "telco": "no rule looks at marketing_consent",
    "iranian": "30 of them end before the 90 days in which it is seen who leaves",
}


@pytest.mark.parametrize("name", shipped_contracts())
def test_the_default_policy_fits_what_has_no_consents_and_a_horizon_of_a_month(name: str) -> None:
    contract = read_contract(name)
    if name not in NOT_FOR_THE_DEFAULT:
        require_columns(read_policy("default").policy, contract)
        return
    with pytest.raises(PolicyError, match=NOT_FOR_THE_DEFAULT[name]):
        require_columns(read_policy("default").policy, contract)


def test_four_policies_ship() -> None:
    assert {path.stem for path in POLICIES.glob("*.yaml")} == {"default", *shipped_contracts()}


def test_who_has_left_by_a_flat_tables_label_is_never_contacted() -> None:
    label = Column("left", LogicalType.INTEGER, "", roles=(Role.LABEL,))
    labelled = replace(SHOP, customer=replace(CUSTOMER, columns=(*CUSTOMER.columns, label)))
    policy = parse_policy(SOUND, "policy")
    rules = [(rule.status, rule.column, rule.equals) for rule in without_leavers(policy, labelled).suppress]
    assert rules == [("already_left", "left", 1)]
    assert without_leavers(policy, SHOP) == policy
    assert without_leavers(policy, replace(labelled, flat=False)) == policy


NO_LONGER_ALLOWED = {
    "an action twice": {"actions": [OFFER, OFFER]},
    "a channel that nobody needs": {"channels": [{"name": "phone"}, {"name": "fax"}]},
    "an action without its channel": {"channels": [{"name": "fax"}]},
    "a lot without a share": {"holdout": {"valid_days": 7}},
    "teams of nothing": {"teams": [{"name": "one", "capacity": 1, "of": ["R1"]}]},
}


@given(breaks=st.sets(st.sampled_from(sorted(NO_LONGER_ALLOWED)), min_size=1), capacity=st.integers(0, 10_000))
def test_a_policy_that_decided_before_the_rules_became_stricter_is_read_as_it_was_written(
    breaks: set[str], capacity: int
) -> None:
    fields: dict[str, object] = {**SOUND, "teams": [{"name": "retention", "capacity": capacity}]}
    for name in sorted(breaks):
        fields |= NO_LONGER_ALLOWED[name]
    with pytest.raises(PolicyError):
        parse_policy(fields, "policy")
    told = policy_as_written(fields, "policy").model_dump(mode="json", exclude_unset=True)
    assert told == fields


def test_a_policy_of_fields_that_are_gone_is_refused_by_name() -> None:
    with pytest.raises(PolicyError, match="lucky_number"):
        policy_as_written(SOUND | {"lucky_number": 7}, "policy")
