"""Reads a decision policy's text and refuses one that contradicts itself or its contract."""

from __future__ import annotations

from collections import Counter

from pydantic import ValidationError

from churn.errors import PolicyError
from schemas.contract import Contract
from schemas.outreach import Status
from schemas.policy import Policy

RESERVED = frozenset(Status)


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


def require_columns(policy: Policy, contract: Contract) -> None:
    """PolicyError where a rule looks at a column that the contract's customer row does not have."""
    missing = [rule.column for rule in policy.suppress if rule.column not in contract.customer.names]
    if missing:
        raise PolicyError(
            f"rules look at columns that a customer row does not have: {', '.join(missing)}",
            where=f"policy {policy.name}, contract {contract.name}",
            to_do="Name columns of the contract's customer table.",
        )


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
