"""Tells whether a list knows what a write-back names: a slip in a channel would be kept, and close none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from churn.errors import PolicyError
from schemas.interventions import Intervention
from schemas.policy import Policy
from store.policies import kept_policy
from store.settings import Settings
from store.tables import FENCE, night_pointer, outreach, statuses

KEYS_AT_ONCE = 1_000  # that a statement names

Wave = tuple[str, date]  # a list: its contract and its date


def strange_names(connection: Connection, interventions: Sequence[Intervention], settings: Settings) -> list[str]:
    """For each event in a sentence what its list does not know; empty where it knows all.

    Nobody can tell where no list of that date is shown, or the policy that decided it is kept no longer.
    """
    waves = {(one.contract, one.as_of) for one in interventions}
    known = {wave: _known(connection, wave, interventions, settings) for wave in sorted(waves)}
    return [_strange(one, known[one.contract, one.as_of]) for one in interventions]


@dataclass(frozen=True, slots=True)
class _Known:
    """The names that a list's policy has, by field, and who of those that were asked for was scored that night."""

    names: Mapping[str, frozenset[str]]
    customers: frozenset[str]


def _known(
    connection: Connection, wave: Wave, interventions: Iterable[Intervention], settings: Settings
) -> _Known | None:
    fence = _fence(connection, wave)
    decided = sa.select(statuses.c.policy_digest).where(statuses.c[FENCE] == fence).limit(1)
    digest = None if fence is None else connection.scalar(decided)
    policy = None if digest is None else _policy(digest, settings)
    if fence is None or policy is None:
        return None
    asked = sorted({one.customer_id for one in interventions if (one.contract, one.as_of) == wave})
    names = {
        "action": frozenset(action.name for action in policy.actions),
        "channel": frozenset(policy.channel_names),
        "team": frozenset(team.name for team in policy.teams),
    }
    return _Known(names, _scored(connection, fence, asked))


def _fence(connection: Connection, wave: Wave) -> int | None:
    """The fence of the list that readers see, None where there is none."""
    if not sa.inspect(connection).has_table(night_pointer.name):
        return None
    shown, (contract, as_of) = night_pointer.c, wave
    of_list = (shown.contract == contract, shown.kind == outreach.name, shown.as_of == as_of)
    found: int | None = connection.scalar(sa.select(shown[FENCE]).where(*of_list))
    return found


def _policy(digest: str, settings: Settings) -> Policy | None:
    with suppress(PolicyError):  # this release may ask more of a policy than the one that decided by it
        decided = kept_policy(digest, settings)
        return decided.policy if decided else None
    return None


def _scored(connection: Connection, fence: int, asked: Sequence[str]) -> frozenset[str]:
    customer = statuses.c.customer_id
    parts = (asked[start : start + KEYS_AT_ONCE] for start in range(0, len(asked), KEYS_AT_ONCE))
    found = (sa.select(customer).where(statuses.c[FENCE] == fence, customer.in_(part)) for part in parts)
    return frozenset(name for query in found for name in connection.scalars(query))


def _strange(one: Intervention, known: _Known | None) -> str:
    if known is None:
        return ""
    for field, names in known.names.items():
        if getattr(one, field) not in names:
            return (
                f"the policy of the list of {one.as_of} has no {field} {getattr(one, field)}: name one of {_of(names)}"
            )
    if one.customer_id not in known.customers:
        return f"the night of {one.as_of} knows no customer {one.customer_id}: correct the key or as_of"
    return ""


def _of(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
