"""What whoever talks to a customer may say of why he may leave: what can be acted on, and nothing that is protected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from churn.scorecard import PAIRED
from schemas.columns import Column, Role
from schemas.contract import Contract

Sayable = Mapping[str, Column]  # by name


class Said(NamedTuple):
    """A reason as it may be said: the feature, and what the customer has there, in words."""

    feature: str
    words: str


def sayable(contract: Contract) -> Sayable:
    """The features that the contract calls actionable and does not protect."""
    return {column.name: column for column in contract.customer.columns if _may_be_said(column)}


def said(feature: str, words: str, columns: Sayable) -> Said | None:
    """The reason as far as it may be said; None where nothing of it may be.

    Where only one half of a pair may be, it is no more than the title of that half: the words tell of the other.
    """
    halves = feature.split(PAIRED)
    known = [name for name in halves if name in columns]
    if not known:
        return None
    return Said(feature, words) if len(known) == len(halves) else Said(known[0], columns[known[0]].words)


def _may_be_said(column: Column) -> bool:
    return column.actionable and column.has(Role.FEATURE) and not column.has(Role.PROTECTED)
