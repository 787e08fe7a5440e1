"""What to do for one customer: the policy's best action, as the night would offer it, without making a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, NamedTuple

from churn.causes import Questions, first_met, questions_of
from churn.profit import expected_value
from churn.scorecard import PAIRED
from schemas.columns import Role
from schemas.contract import Contract
from schemas.messages import ASKED
from schemas.policy import REASON, Action, Cause, Policy


class Trouble(NamedTuple):
    """A reason of the customer: the feature, or both of a pair, and what he has there in words."""

    feature: str
    words: str


@dataclass(frozen=True, slots=True)
class Offer:
    """An action with what it takes to weigh it: to read a policy for each customer takes longer than to score him."""

    action: Action
    causes: Questions
    keep_probability: float
    offer_cost: float
    contact_cost: float

    @classmethod
    def of(cls, action: Action) -> Offer:
        """The action as it is offered."""
        causes = questions_of(action.causes)
        return cls(action, causes, action.keep_probability, action.offer_cost, action.contact_cost)


class Meant(NamedTuple):
    """An action that is meant for the customer, and the first of its causes that he meets, if it has any."""

    action: Action
    cause: Cause | None


class Recommendation(NamedTuple):
    """The action, what it is worth in money, and what the agent reads."""

    action: Action
    expected_value: float
    says: str


@dataclass(frozen=True, slots=True, eq=False)
class Advice:
    """A policy, and what of a contract it needs to know: who is worth what, and what people call each feature.

    `offers` are the policy's actions, in its order. `spared` has of each rule that spares customers the column, its
    value, and whether, as with consents, it also spares those of whom the column says nothing. `rule` says in words
    what a recommendation goes by, and what it leaves aside that a night goes by, too.
    """

    offers: tuple[Offer, ...]
    by_reasons: bool  # whether an offer asks for reasons; causes alone do not
    spared: tuple[tuple[str, Any, bool], ...]
    least: float  # what a contact has to be worth more than, in money
    value_column: str
    factor: float
    titles: Mapping[str, str]
    rule: str

    @classmethod
    def of(cls, policy: Policy, contract: Contract) -> Advice:
        """The policy's advice about a contract's customers."""
        value, rule = contract.one(Role.VALUE), policy.customer_value
        own = value.name if value else ""
        factor = rule.multiplier if rule.column else rule.multiplier * contract.value_months
        titles = {column.name: column.words for column in contract.features}
        consents = {column.name for column in contract.customer.with_role(Role.CONSENT)}
        return cls(
            offers=tuple(map(Offer.of, policy.actions)),
            by_reasons=not all(action.causes for action in policy.actions),
            spared=tuple((rule.column, rule.equals, rule.column in consents) for rule in policy.suppress),
            least=policy.minimum_expected_value,
            value_column=rule.column or own,
            factor=factor,
            titles=titles,
            rule=_in_words(policy, contract),
        )

    def spares(self, row: Mapping[str, Any]) -> bool:
        """Whether the policy leaves the customer alone, by those of its rules whose columns the row has."""
        for column, value, needs_consent in self.spared:
            if column in row and (row[column] == value or (needs_consent and row[column] is None)):
                return True
        return False

    def customer_value(self, row: Mapping[str, Any]) -> float:
        """What keeping the customer is worth, in money; NaN where the row does not say."""
        told = row.get(self.value_column)
        value = nan if told is None else told * self.factor
        return value if isfinite(value) else nan

    def best(self, chance: float, row: Mapping[str, Any], reasons: Sequence[Trouble]) -> Recommendation | None:
        """The action that answers one of the reasons, or a cause that he meets, and is worth most; None if none pays.

        Of equals it is the policy's first. None also where the row says that the customer is to be left alone; who was
        contacted lately a list knows, a row does not.
        """
        if self.spares(row):
            return None
        value, best, worth = self.customer_value(row), None, self.least
        for offer in self.offers:
            cause = first_met(row, offer.causes)
            if cause or (not offer.causes and _answers(offer.action, reasons)):
                keep = cause.keeps if cause else offer.keep_probability
                gain = expected_value(chance, value, offer, keep)  # NaN where the value is not known, and so not more
                if gain > worth:
                    best, worth = Meant(offer.action, cause), gain
        return Recommendation(best.action, worth, _sentence(best, reasons, self.titles)) if best else None


def _in_words(policy: Policy, contract: Contract) -> str:
    asked = {column.name for column in contract.customer.with_role(*ASKED)}
    unasked = sorted({name for action in policy.actions for name in action.cause_columns} - asked)
    aside = [
        *(["the holdout's lot"] if policy.holdout.share else []),
        "rests",
        *(["household limits"] if policy.household_limit else []),
        "capacity",
        *(["a challenger's share"] if policy.challenger_traffic.share else []),
        *(["the estimated share of churners"] if policy.prior_by_em else []),
    ]
    only = f" (causes by {', '.join(unasked)} only where the row has them)" if unasked else ""
    by = f"policy {policy.name} {policy.version} by the champion's score{only}"
    return f"{by}; leaves aside {', '.join(aside)} and effects that lots have told"


def _answers(action: Action, reasons: Sequence[Trouble]) -> bool:
    return not action.answers or any(_answered(action, reason) for reason in reasons)


def _answered(action: Action, reason: Trouble) -> bool:
    return not set(action.answers).isdisjoint(reason.feature.split(PAIRED))


def _sentence(meant: Meant, reasons: Sequence[Trouble], titles: Mapping[str, str]) -> str:
    """What the agent reads; of a pair no more than the title of the half that is answered, see `actions.sentences`."""
    action, cause = meant
    if cause and cause.says:
        return cause.says
    if REASON not in action.says:
        return action.says
    told = next((reason for reason in reasons if _answered(action, reason)), None)
    return action.says.replace(REASON, _told(told, action, titles), 1) if told else action.says


def _told(reason: Trouble, action: Action, titles: Mapping[str, str]) -> str:
    if PAIRED not in reason.feature:
        return reason.words
    half = next(part for part in reason.feature.split(PAIRED) if part in action.answers)
    return titles.get(half, half)
