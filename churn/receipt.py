"""Receipts: everything that led to a customer's score and place of one night, reckoned again and told in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from math import isnan
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from churn.actions import Gain, gain_of, is_answered
from churn.addends import Addends, addends_of
from churn.causes import cause_of
from churn.discretion import said, sayable
from churn.errors import AuditFailed
from churn.evidence import Decided, Evidence, differences, recomputed, rows_of, with_columns
from churn.outreach import Terms
from schemas.columns import Role
from schemas.contract import Contract
from schemas.outreach import Status
from schemas.policy import Action
from schemas.receipt import AgentReceipt, Decision, Receipt, Score
from schemas.scores import REASONS_UP, SCORES

DIFFERENCES_TOLD = 3

NO_TERMS = MappingProxyType({"intercept": None, "terms": ()})

Part = dict[str, Any]  # of a receipt, before it is validated
Parts = tuple[Part, ...]


def receipts(evidence: Evidence) -> tuple[Receipt, ...]:
    """The receipt of each customer; AuditFailed names the fields that are not what was published, and both values."""
    again, addends = recomputed(evidence), _addends(evidence)
    found = list(islice(differences(evidence, again, addends), DIFFERENCES_TOLD))
    if found:
        raise AuditFailed(
            "; ".join(map(str, found)),
            where=f"{evidence.base}, scores of run {evidence.issue.run_id}",
            to_do="`churn verify` tells whether the run is as it was published; else it was by other code than this.",
        )
    of_listed, of_others = again.fields(listed=True), again.fields(listed=False)
    names = evidence.scores.select(["customer_id", "as_of"]).to_pylist()
    parts = zip(names, _facts(evidence), _scores(evidence, addends), _decisions(evidence), strict=True)
    # One validation of plain parts: to make each of a hundred parts by itself takes three times as long.
    return tuple(
        Receipt.model_validate(
            {
                "contract": evidence.base,
                "customer_id": row["customer_id"],
                "as_of": row["as_of"],
                "known_at": evidence.known_at,
                "facts": facts,
                "score": score,
                "decision": decision,
                "outcomes": evidence.outcomes.get(row["customer_id"], ()),
                "recomputed": of_listed if decision and decision["status"] == Status.LISTED else of_others,
                "missing": evidence.missing,
            }
        )
        for row, facts, score, decision in parts
    )


def for_agent(receipt: Receipt, contract: Contract) -> AgentReceipt:
    """What whoever talks to the customer may read, by the contract as it is today.

    Of the reasons that is what it calls actionable and does not protect; where only one half of a pair is so, no more
    than the title of that half, since the pair's words tell of the other.
    """
    decision = receipt.decision if receipt.decision and receipt.decision.status == Status.LISTED else None
    columns = sayable(contract)
    raising = sorted((term for term in receipt.score.terms if term.log_odds > 0.0), key=lambda term: -term.log_odds)
    told = dict.fromkeys(may.words for term in raising if (may := said(term.feature, term.value, columns)))
    return AgentReceipt(
        customer_id=receipt.customer_id,
        as_of=receipt.as_of,
        action=decision and decision.action,
        channel=decision and decision.channel,
        agent_says=decision and decision.agent_says,
        reasons=tuple(islice(told, REASONS_UP)),
    )


def _addends(evidence: Evidence) -> Addends | None:
    """Every term of every customer; None where the model or the customers are kept no longer."""
    if evidence.model is None or evidence.rows is None:
        return None
    return addends_of(evidence.model, evidence.rows, np.asarray(evidence.scores["log_odds"]))


def _facts(evidence: Evidence) -> Iterator[Parts]:
    if evidence.rows is None or evidence.contract is None:
        yield from ((),) * evidence.scores.num_rows
        return
    terms = evidence.decided.terms if evidence.decided else None
    asked = set(terms.columns) if terms else set()
    looked_at = (Role.FEATURE, Role.SEGMENT, Role.VALUE)
    shown = [one for one in evidence.contract.customer.columns if one.has(*looked_at) or one.name in asked]
    for row in evidence.rows.select([column.name for column in shown]).to_pylist():
        yield tuple({"column": one.name, "title": one.words, "value": row[one.name]} for one in shown)


def _scores(evidence: Evidence, addends: Addends | None) -> Iterator[Part]:
    published = evidence.scores.select([name for name in SCORES.names if name in Score.model_fields])
    for place, row in enumerate(published.to_pylist()):
        sums = {"intercept": addends.intercept[place].item(), "terms": _terms(addends, place)} if addends else NO_TERMS
        yield {**evidence.issue._asdict(), **row, **sums}


def _terms(addends: Addends, place: int) -> Parts:
    told = zip(addends.names, addends.words, addends.log_odds[:, place].tolist(), strict=True)
    return tuple({"feature": name, "value": words[place], "log_odds": adds} for name, words, adds in told)


def _decisions(evidence: Evidence) -> Iterator[Part | None]:
    decided = evidence.decided
    if decided is None:
        yield from (None,) * evidence.scores.num_rows
        return
    listed = rows_of(decided.listed, evidence.scores["customer_id"]).select(["rank", "channel", "agent_says"])
    known = [name for name in decided.statuses.column_names if name in Decision.model_fields]
    statuses = decided.statuses.select(known)
    prices = {row["team"]: row["shadow_price"] for row in decided.teams.to_pylist()}
    policy, cuts, offers = _policy(decided), _cuts(decided.listed), _offers(evidence, decided)
    for status, on_list in zip(statuses.to_pylist(), listed.to_pylist(), strict=True):
        team = {"cut": cuts.get(status["team"]), "shadow_price": prices.get(status["team"])}
        channel = on_list["channel"] or policy.channels.get(status["action"])
        rules = {"policy": policy.name, "policy_version": policy.version, "uplift_digest": decided.uplift_digest}
        done = {"channel": channel, "offers": next(offers)}
        yield {**decided.issue._asdict(), **status, **on_list, **team, **rules, **done}


class _Named(NamedTuple):
    """What a policy is called, and the channel of each of its actions."""

    name: str
    version: str
    channels: Mapping[str, str]


def _policy(decided: Decided) -> _Named:
    if decided.terms is None:
        return _Named("", "", {})
    policy = decided.terms.policy
    return _Named(policy.name, policy.version, {action.name: action.channel for action in policy.actions})


def _cuts(listed: pa.Table) -> dict[str, float]:
    """The lowest expected value on each team's list."""
    worth = pa.table({"team": listed["team"].cast(pa.string()), "worth": listed["expected_value"]})
    lowest = worth.group_by("team").aggregate([("worth", "min")])
    return dict(zip(lowest["team"].to_pylist(), lowest["worth_min"].to_pylist(), strict=True))


def _offers(evidence: Evidence, decided: Decided) -> Iterator[Parts]:
    """What each action of the policy would have been worth for each customer."""
    rows = _looked_at(evidence, decided)
    if decided.terms is None or rows is None:
        yield from ((),) * evidence.scores.num_rows
        return
    policy = decided.terms.policy
    gains = _gains(evidence, rows, decided.terms)
    worth, keep = (np.array([gain[kind] for gain in gains]).T.tolist() for kind in (0, 1))
    answers = np.array([is_answered(rows, action) for action in policy.actions]).T.tolist()
    causes = zip(*(_causes(rows, action) for action in policy.actions), strict=True)
    for of_customer in zip(answers, causes, worth, keep, strict=True):
        yield tuple(
            {
                "action": one.name,
                "channel": one.channel,
                "answers": answered,
                "cause": cause,
                "expected_value": _known(money),
                "keep_probability": _known(chance),
            }
            for one, answered, cause, money, chance in zip(policy.actions, *of_customer, strict=True)
        )


def _looked_at(evidence: Evidence, decided: Decided) -> pa.Table | None:
    """What actions were chosen by: the scores, and the columns of causes; None where they are kept no longer."""
    told, terms = evidence.deciding, decided.terms
    if told is None or terms is None or (evidence.rows is None and decided.asked_of_rows):
        return None
    told = terms.believed(told)
    columns = {name for action in terms.policy.actions for name in action.cause_columns}
    return told if evidence.rows is None else with_columns(told, evidence.rows, sorted(columns))


def _causes(rows: pa.Table, action: Action) -> list[str | None]:
    """The name of the action's cause that each customer meets."""
    names = [*(cause.name for cause in action.causes), None]
    return [names[place] for place in cause_of(rows, action.causes).tolist()]  # NO_CAUSE is the last


def _gains(evidence: Evidence, rows: pa.Table, terms: Terms) -> list[Gain]:
    """What each action of the policy is worth for each customer."""
    value = evidence.customer_value(terms.policy)
    effects = None if evidence.rows is None else terms.effects(evidence.rows)
    told = [None] * len(terms.policy.actions) if effects is None else effects.T
    return [gain_of(rows, value, *one) for one in zip(terms.policy.actions, told, strict=True)]


def _known(money: float) -> float | None:
    return None if isnan(money) else money
