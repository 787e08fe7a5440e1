"""Reads a decision policy's text and refuses one that contradicts itself or its contract."""

from __future__ import annotations

from collections import Counter

from pydantic import ValidationError

from churn.errors import PolicyError
from schemas.columns import LogicalType, Role, Table
from schemas.contract import Contract
from schemas.outreach import Status
from schemas.policy import Policy, Suppression

RESERVED = frozenset(Status)

# No rule can wait for a moment: a policy file is to hold every night.
_COMPARABLE = {
    LogicalType.BOOLEAN: bool,
    LogicalType.INTEGER: int,
    LogicalType.NUMBER: int,
    LogicalType.STRING: str,
}


def parse_policy(fields: object, where: str) -> Policy:
    """The policy that the fields of a YAML file describe; PolicyError lists every field that is wrong."""
    try:
        policy = Policy.model_validate(fields)
    except ValidationError as error:
        raise PolicyError(
            _faults(error), where=where, to_do="Mend the fields; schemas/policy.py says what each is."
        ) from None
    _refuse_double_names(policy, where)
    return policy


def without_leavers(policy: Policy, contract: Contract) -> Policy:
    """The policy, and where a flat table's label says who has left already and no rule looks at it, one that does."""
    label = contract.one(Role.LABEL)
    if not contract.flat or label is None or any(rule.column == label.name for rule in policy.suppress):
        return policy
    return policy.model_copy(update={"suppress": (*policy.suppress, _leaver_rule(label.name))})


def _leaver_rule(column: str) -> Suppression:
    return Suppression(status="already_left", column=column, equals=1, because="the table says that the customer left")


def require_columns(policy: Policy, contract: Contract) -> None:
    """PolicyError where a rule looks at a column that the contract's customer row lacks, or for what it never holds."""
    complaints = [found for rule in policy.suppress if (found := _complaint(rule, contract.customer))]
    if complaints:
        raise PolicyError(
            "; ".join(complaints),
            where=f"policy {policy.name}, contract {contract.name}",
            to_do="Name columns of the contract's customer table, each with a value that it may hold.",
        )


def _complaint(rule: Suppression, customer: Table) -> str:
    if rule.column not in customer.names:
        return f"rule {rule.status} looks at {rule.column}, a column that a customer row does not have"
    column = customer.column(rule.column)
    if type(rule.equals) is not _COMPARABLE.get(column.logical_type):  # isinstance would let True pass for 1
        return f"rule {rule.status} compares {rule.column} ({column.logical_type}) with {rule.equals!r}"
    if column.allowed and rule.equals not in column.allowed:
        return f"rule {rule.status} waits for {rule.equals!r}, which {rule.column} may not hold"
    return ""


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())


def _refuse_double_names(policy: Policy, where: str) -> None:
    names = Counter(rule.status for rule in policy.suppress)
    wrong = [name for name, times in names.items() if times > 1 or name in RESERVED]
    if wrong:
        raise PolicyError(
            f"statuses named twice or reserved: {', '.join(wrong)}",
            where=where,
            to_do="Give each suppression rule a status of its own.",
        )
