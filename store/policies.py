"""Reads decision policies: from schemas/policies/, from a file of the user's, or as they were when they decided."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from churn.errors import PolicyError
from churn.policy import parse_policy, policy_as_written, require_columns
from schemas.contract import Contract
from schemas.policy import Policy
from store.settings import Settings
from store.strict_yaml import fields_of
from store.texts import kept_text

POLICIES = Path(__file__).parent.parent / "schemas" / "policies"
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class PolicyInForce:
    """A policy, the sha256 of the text that it came from, and the text."""

    policy: Policy
    digest: str
    text: str = field(default="", repr=False)


def policy_for(contract_name: str) -> str:
    """The name of the contract's own policy, or of the default one where it has none."""
    return contract_name if _shipped(contract_name).is_file() else DEFAULT


def read_policy(name_or_path: str) -> PolicyInForce:
    """The policy of that name in schemas/policies/, or in that file; PolicyError where there is none or it is wrong."""
    path = _shipped(name_or_path) if _shipped(name_or_path).is_file() else Path(name_or_path)
    return _parsed(_text_of(path), path)


def kept_policy(digest: str, settings: Settings) -> PolicyInForce | None:
    """The policy whose text has that sha256, from those that decided a list or those that ship; None where it is gone.

    It is read as it was written, since it has decided by the rules that were. AuditFailed where its text is not the one
    that was kept; PolicyError where this release cannot read it any more.
    """
    text = kept_text(digest, settings)
    if text is not None:
        where = f"policy {digest}"
        return PolicyInForce(policy_as_written(fields_of(text, where), where), digest, text)
    shipped = (read_policy(name) for name in _names())
    return next((policy for policy in shipped if policy.digest == digest), None)


def _parsed(text: str, path: Path) -> PolicyInForce:
    policy = parse_policy(fields_of(text, str(path)), str(path))
    return PolicyInForce(policy, hashlib.sha256(text.encode()).hexdigest(), text)


def policy_asked_for(contract: Contract, policy: str | None) -> str:
    """The policy that was asked for, or the contract's own; PolicyError where it does not fit the contract."""
    name = policy or policy_for(contract.name)
    require_columns(read_policy(name).policy, contract)
    return name


def _shipped(name: str) -> Path:
    return POLICIES / f"{name}.yaml"


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(
            f"cannot be read: {error}", where=str(path), to_do=f"Name a file, or one of: {', '.join(_names())}."
        ) from None


def _names() -> list[str]:
    return sorted(path.stem for path in POLICIES.glob("*.yaml"))
