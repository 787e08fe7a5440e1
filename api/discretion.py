"""What is told to whom, by whatever route: who talks to customers reads no money, and no reason that he may not say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from api.answers import Reason
from churn.discretion import Sayable, said, sayable
from schemas.columns import Column
from schemas.columns import Role as Part
from schemas.contract import Contract
from schemas.outreach import Status
from schemas.users import Role, User

if TYPE_CHECKING:
    from api.models import Champions
    from api.predictions import Prediction

    Answer = TypeVar("Answer", bound=Prediction)

IN_FULL = frozenset({Role.OPERATOR, Role.ANALYST})  # a program may show an agent what it looks up of a customer
WITH_OWN_FEATURES = IN_FULL | {Role.SERVICE}  # but what is reckoned from what it sent itself is its own

# Whoever talks to customers learns of these no more than that somebody is not on the list: were he told whom the lot
# has left out, he might treat them all the same, and there would be nobody left to measure the effect against.
UNTOLD = frozenset({Status.HELD_OUT, Status.NO_ACTION, Status.NOT_WORTH_IT, Status.BEYOND_CAPACITY})
NOT_LISTED = {"status": "not_listed", "rule": "the list of this night is of others"}
MONEY = ("customer_value", "expected_value")


@dataclass(frozen=True, slots=True)
class Discretion:
    """What of an answer is told: all of it, or what may be said to the customer."""

    in_full: bool
    sayable: Sayable = field(default_factory=dict)
    untold: frozenset[str] = frozenset()  # columns whose values are not told either

    def row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of a table, given by column, in which money is null."""
        return dict(row) if self.in_full else {**row, **{name: None for name in MONEY if name in row}}

    def decision(self, decision: Mapping[str, Any] | None) -> dict[str, Any] | None:
        """What a list said of the customer, without what would give the lot away."""
        if decision is None or self.in_full or decision["status"] not in UNTOLD:
            return None if decision is None else self.row(decision)
        return dict.fromkeys(map(str, decision)) | NOT_LISTED

    def reasons(self, reasons: Iterable[Reason]) -> list[Reason]:
        """Those reasons, or halves of them, that may be said, each once."""
        if self.in_full:
            return list(reasons)
        told: dict[str, Reason] = {}
        for reason in reasons:
            if may := said(reason.feature, reason.value, self.sayable):
                told.setdefault(may.words, Reason(feature=may.feature, value=may.words, log_odds=reason.log_odds))
        return list(told.values())

    def withheld(self, reasons: Iterable[Reason]) -> int:
        """Of how many of those reasons nothing may be said."""
        return 0 if self.in_full else sum(said(one.feature, one.value, self.sayable) is None for one in reasons)

    def prediction(self, answer: Answer) -> Answer:
        """The score, with the reasons that may be said and an action without its money."""
        if self.in_full:
            return answer
        action = answer.recommended and answer.recommended.model_copy(update={"expected_value": None})
        parts = {"reasons": self.reasons(answer.reasons), "reliefs": self.reasons(answer.reliefs)}
        return answer.model_copy(update={**parts, "recommended": action})

    def tells(self, column: str) -> bool:
        """Whether the values that a customer has in the column are told."""
        return column not in self.untold

    def says(self, feature: str) -> bool:
        """Whether all of the feature, or pair of features, may be said."""
        return self.in_full or ((may := said(feature, "", self.sayable)) is not None and may.feature == feature)


def discretion(user: User, champions: Champions | None) -> Discretion:
    """Towards whoever looks up a customer; without champions nothing tells what may be said, and nothing is."""
    if user.role in IN_FULL:
        return _OPENLY
    return _discreet(champions) if champions else _SILENT


def discretion_with_own_features(user: User, champions: Champions) -> Discretion:
    """Towards whoever sent the features himself."""
    return _OPENLY if user.role in WITH_OWN_FEATURES else _discreet(champions)


_OPENLY, _SILENT = Discretion(in_full=True), Discretion(in_full=False)


@lru_cache(maxsize=8)
def _discreet(champions: Champions) -> Discretion:
    return _by_contract(champions.contract)


def _by_contract(contract: Contract) -> Discretion:
    kept_back = (column.name for column in contract.customer.columns if _is_kept_back(column))
    return Discretion(in_full=False, sayable=sayable(contract), untold=frozenset(kept_back))


def _is_kept_back(column: Column) -> bool:
    return column.has(Part.VALUE) or column.has(Part.PROTECTED)
