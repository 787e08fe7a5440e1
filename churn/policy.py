"""Reads a decision policy's text and refuses one that contradicts itself or its contract."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pydantic import ValidationError

from churn.conditions import NUMBERS, cannot_equal, contradictions, unmeetable
from churn.errors import PolicyError
from churn.fields import wrong_fields
from schemas.columns import Column, Role
from schemas.contract import Contract
from schemas.lift import ALL_ACTIONS
from schemas.outreach import Status
from schemas.policy import REASON, Action, Policy, Suppression

RESERVED = frozenset(Status)

_EVEN = 1.0  # the share of a team that says nothing of it


def parse_policy(fields: object, where: str) -> Policy:
    """The policy that the fields of a YAML file describe; PolicyError lists every field that is wrong."""
    policy = policy_as_written(fields, where)
    complaints = [*_double_names(policy), *_contradictions(policy), *_without_effect(policy)]
    if complaints:
        raise PolicyError("; ".join(complaints), where=where, to_do="Mend the fields that are named.")
    return policy


def policy_as_written(fields: object, where: str) -> Policy:
    """The policy as its fields say, whether or not they contradict each other by the rules of this release.

    For one that has decided already, by the rules that were. PolicyError where the fields are no policy's any more.
    """
    try:
        return Policy.model_validate(fields)
    except ValidationError as error:
        raise wrong_fields(error, where, shape="schemas/policy.py") from None


def without_leavers(policy: Policy, contract: Contract) -> Policy:
    """The policy, and where a flat table's label says who has left already and no rule looks at it, one that does."""
    label = contract.one(Role.LABEL)
    if not contract.flat or label is None or any(rule.column == label.name for rule in policy.suppress):
        return policy
    return policy.model_copy(update={"suppress": (*policy.suppress, _leaver_rule(label.name))})


def _leaver_rule(column: str) -> Suppression:
    return Suppression(status="already_left", column=column, equals=1, because="the table says that the customer left")


def require_columns(policy: Policy, contract: Contract) -> None:
    """PolicyError where the policy asks for what a customer row lacks or never holds, or for too little.

    Too little is not to ask for a consent, and to watch those held out for less than the horizon.
    """
    complaints = list(_unfit(policy, contract))
    if complaints:
        raise PolicyError(
            "; ".join(complaints),
            where=f"policy {policy.name}, contract {contract.name}",
            to_do="Mend the parts that are named, in a policy of the contract's own: columns are those of its customer "
            "table, values those that they may hold.",
        )


def _unfit(policy: Policy, contract: Contract) -> Iterator[str]:
    columns = {column.name: column for column in contract.customer.columns}
    for rule in policy.suppress:
        yield from cannot_equal(f"suppress: rule {rule.status}", rule.column, [rule.equals], columns)
    yield from _passed_over(policy, contract)
    yield from _by_what_is_protected(policy, columns)
    if policy.team_by:
        for team in policy.teams:
            yield from cannot_equal(f"teams: {team.name}", policy.team_by, team.of, columns)
    for action in policy.actions:
        yield from _unanswerable(action, columns)
        yield from unmeetable(action, columns)
    value = policy.customer_value.column
    if value and (value not in columns or columns[value].logical_type not in NUMBERS):
        yield f"customer_value: {value} is no column of numbers that a customer row has"
    yield from _too_short(policy, contract)
    if policy.household_limit is not None and contract.one(Role.HOUSEHOLD) is None:
        yield "household_limit: no column of the contract has the role household"
    elif policy.looks_at_households and contract.one(Role.HOUSEHOLD) is None:
        lots = (("holdout", policy.holdout), ("challenger_traffic", policy.challenger_traffic))
        by_household = [f"{name}.unit" for name, lot in lots if lot.share > 0 and lot.unit == "household"]
        yield f"{', '.join(by_household)}: no column of the contract has the role household: say customer"


def _passed_over(policy: Policy, contract: Contract) -> Iterator[str]:
    """Consents that nobody asks for; which of a column's values is the one that forbids, only a rule can say."""
    asked = {rule.column for rule in policy.suppress}
    for column in contract.customer.with_role(Role.CONSENT):
        if column.name not in asked:
            yield f"suppress: no rule looks at {column.name}, by which the contract says who may be contacted"


def _too_short(policy: Policy, contract: Contract) -> Iterator[str]:
    """Who is held out must not be listed while it is watched whether he leaves: the effect would be that of both."""
    days, horizon = policy.cool_down.wave_days, contract.horizon_days
    if policy.holdout.share > 0 and days < horizon:
        yield f"cool_down.wave_days: {days} of them end before the {horizon} days in which it is seen who leaves"


def _by_what_is_protected(policy: Policy, columns: dict[str, Column]) -> Iterator[str]:
    """What would decide by a protected column whom to leave alone, who has whom, or who is worth what."""
    asked = [(f"suppress: rule {rule.status}", rule.column) for rule in policy.suppress]
    for who, name in (*asked, ("team_by", policy.team_by), ("customer_value", policy.customer_value.column)):
        if name in columns and columns[name].has(Role.PROTECTED):
            yield f"{who} looks at {name}, which the contract protects"


def _unanswerable(action: Action, columns: dict[str, Column]) -> Iterator[str]:
    for name in action.answers:
        if name not in columns or not columns[name].has(Role.FEATURE):
            yield f"actions: {action.name} answers {name}, which is no feature and so never a reason"
        elif not columns[name].actionable:
            yield f"actions: {action.name} answers {name}, which the contract does not call actionable"


def _double_names(policy: Policy) -> Iterator[str]:
    named: dict[str, list[object]] = {
        "actions": [action.name for action in policy.actions],
        "channels": list(policy.channel_names),
        "teams": [team.name for team in policy.teams],
        "suppress": [rule.status for rule in policy.suppress],
        "teams.of": [value for team in policy.teams for value in team.of],
    }
    for action in policy.actions:
        named[f"actions: {action.name}: answers"] = list(action.answers)
        named[f"actions: {action.name}: causes"] = [cause.name for cause in action.causes]
    for field, names in named.items():
        for name in (name for name, times in Counter(names).items() if times > 1):
            yield f"{field}: {name} is there twice"
    if any(action.name == ALL_ACTIONS for action in policy.actions):
        yield f"actions: {ALL_ACTIONS} stands for every action where the lift is told"
    for rule in policy.suppress:
        if rule.status in RESERVED:
            yield f"suppress: {rule.status} is a status of the program's own"


def _contradictions(policy: Policy) -> Iterator[str]:
    for action in policy.actions:
        if action.channel not in policy.channel_names:
            yield f"actions: {action.name} needs the channel {action.channel}, which is not there"
        if REASON in action.says and not action.answers:
            yield f"actions: {action.name} says {REASON} and answers none"
        yield from contradictions(action)
    rest = [team.name for team in policy.teams if not team.of]
    if policy.team_by and len(rest) != 1:
        yield "teams: one of them, and no more, must be without `of`, for all whom the others do not have"
    if not policy.team_by and len(rest) < len(policy.teams):
        yield "teams: `of` means nothing without team_by"
    if policy.prior_by_em and policy.challenger_traffic.share > 0:
        yield "prior_by_em: not beside challenger_traffic, of whose customers no share of churners is estimated"


def _without_effect(policy: Policy) -> Iterator[str]:
    """Whoever writes what nothing acts on believes that something does."""
    used = {action.channel for action in policy.actions}
    for channel in policy.channel_names:
        if channel not in used:
            yield f"channels: no action needs {channel}"
    for team in policy.teams:
        if policy.team_by and team.share != _EVEN:
            yield f"teams: the share of {team.name} means nothing beside team_by"
    yield from _lots_without_effect(policy)
    if policy.holdout.share > 0 and policy.cool_down.wave_days == 0:
        yield "cool_down.wave_days: with 0 of them those held out come back the next night, and no effect can be told"


def _lots_without_effect(policy: Policy) -> Iterator[str]:
    holdout, traffic = policy.holdout, policy.challenger_traffic
    for name, lot in (("holdout", holdout), ("challenger_traffic", traffic)):
        if lot.share == 0 and lot != type(lot)():
            yield f"{name}: its other fields mean nothing with a share of 0"
    if holdout.share > 0 and traffic.share > 0 and holdout.experiment == traffic.experiment:
        yield "challenger_traffic.experiment: by the holdout's lot all who are held out would be the challenger's"
