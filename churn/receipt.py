"""Receipts: everything that led to a customer's score and place of one night, reckoned again and told in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from churn.actions import PAIRED, is_answered
from churn.addends import Addends, addends_of
from churn.errors import AuditFailed
from churn.evidence import Decided, Evidence, differences, recomputed, rows_of
from churn.profit import expected_value
from schemas.columns import Column, Role
from schemas.contract import Contract
from schemas.outreach import STATUSES, Status
from schemas.receipt import Addend, AgentReceipt, Decision, Fact, Offer, Receipt, Score
from schemas.scores import REASONS_UP, SCORES

DIFFERENCES_TOLD = 3

Row = Mapping[str, Any]


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
    facts, decisions = _facts(evidence), _decisions(evidence)
    return tuple(
        Receipt(
            contract=evidence.base,
            customer_id=row["customer_id"],
            as_of=row["as_of"],
            known_at=evidence.known_at,
            facts=next(facts),
            score=_score(row, evidence, addends, place),
            decision=next(decisions),
            outcomes=evidence.outcomes.get(row["customer_id"], ()),
            recomputed=again.fields,
            missing=evidence.missing,
        )
        for place, row in enumerate(evidence.scores.to_pylist())
    )


def for_agent(receipt: Receipt, contract: Contract) -> AgentReceipt:
    """What whoever talks to the customer may read, by the contract as it is today.

    Of the reasons that is what it calls actionable and does not protect; where only one half of a pair is so, no more
    than the title of that half, since the pair's words tell of the other.
    """
    decision = receipt.decision if receipt.decision and receipt.decision.status == Status.LISTED else None
    columns = {column.name: column for column in contract.customer.columns if _may_be_told(column)}
    raising = sorted((term for term in receipt.score.terms if term.log_odds > 0.0), key=lambda term: -term.log_odds)
    told = dict.fromkeys(text for term in raising if (text := _told(term, columns)))
    return AgentReceipt(
        customer_id=receipt.customer_id,
        as_of=receipt.as_of,
        action=decision and decision.action,
        channel=decision and decision.channel,
        agent_says=decision and decision.agent_says,
        reasons=tuple(islice(told, REASONS_UP)),
    )


def _may_be_told(column: Column) -> bool:
    return column.actionable and column.has(Role.FEATURE) and not column.has(Role.PROTECTED)


def _told(term: Addend, columns: Mapping[str, Column]) -> str:
    halves = term.feature.split(PAIRED)
    known = [columns[name].words for name in halves if name in columns]
    return term.value if len(known) == len(halves) else " and ".join(known)


def _addends(evidence: Evidence) -> Addends | None:
    """Every term of every customer; None where the model or the customers are kept no longer."""
    if evidence.model is None or evidence.rows is None:
        return None
    return addends_of(evidence.model, evidence.rows, np.asarray(evidence.scores["log_odds"]))


def _facts(evidence: Evidence) -> Iterator[tuple[Fact, ...]]:
    if evidence.rows is None or evidence.contract is None:
        yield from ((),) * evidence.scores.num_rows
        return
    terms = evidence.decided.terms if evidence.decided else None
    asked = set(terms.columns) if terms else set()
    looked_at = (Role.FEATURE, Role.SEGMENT, Role.VALUE)
    shown = [one for one in evidence.contract.customer.columns if one.has(*looked_at) or one.name in asked]
    for row in evidence.rows.select([column.name for column in shown]).to_pylist():
        yield tuple(Fact(column=one.name, title=one.words, value=row[one.name]) for one in shown)


def _score(row: Row, evidence: Evidence, addends: Addends | None, place: int) -> Score:
    own = {name: row[name] for name in SCORES.names if name in Score.model_fields}
    return Score(
        run_id=evidence.issue.run_id,
        revision=evidence.issue.revision,
        intercept=float(addends.intercept[place]) if addends else None,
        terms=_terms(addends, place) if addends else (),
        **own,
    )


def _terms(addends: Addends, place: int) -> tuple[Addend, ...]:
    values = addends.log_odds[:, place].tolist()
    told = zip(addends.names, addends.words, values, strict=True)
    return tuple(Addend(feature=name, value=words[place], log_odds=value) for name, words, value in told)


def _decisions(evidence: Evidence) -> Iterator[Decision | None]:
    decided = evidence.decided
    if decided is None:
        yield from (None,) * evidence.scores.num_rows
        return
    teams, cuts = {row["team"]: row for row in decided.teams.to_pylist()}, _cuts(decided.listed)
    listed = rows_of(decided.listed, evidence.scores["customer_id"]).to_pylist()
    offers = _offers(evidence, decided)
    for status, on_list in zip(decided.statuses.to_pylist(), listed, strict=True):
        team = status["team"]
        price = teams.get(team, {}).get("shadow_price")
        yield _decision(status, on_list, decided, cut=cuts.get(team), shadow_price=price, offers=next(offers))


def _decision(status: Row, on_list: Row, decided: Decided, **more: Any) -> Decision:
    policy = decided.terms.policy if decided.terms else None
    channels = {action.name: action.channel for action in policy.actions} if policy else {}
    own = {name: status[name] for name in STATUSES.names if name in Decision.model_fields}
    return Decision(
        run_id=decided.issue.run_id,
        revision=decided.issue.revision,
        policy=policy.name if policy else "",
        policy_version=policy.version if policy else "",
        rank=on_list["rank"],
        channel=on_list["channel"] or channels.get(status["action"]),
        agent_says=on_list["agent_says"],
        **own,
        **more,
    )


def _cuts(listed: pa.Table) -> dict[str, float]:
    """The lowest expected value on each team's list."""
    worth = pa.table({"team": listed["team"].cast(pa.string()), "worth": listed["expected_value"]})
    lowest = worth.group_by("team").aggregate([("worth", "min")])
    return dict(zip(lowest["team"].to_pylist(), lowest["worth_min"].to_pylist(), strict=True))


def _offers(evidence: Evidence, decided: Decided) -> Iterator[tuple[Offer, ...]]:
    """What each action of the policy would have been worth for each customer."""
    told = evidence.told
    if decided.terms is None or told is None:
        yield from ((),) * evidence.scores.num_rows
        return
    policy = decided.terms.policy
    chance, value = np.asarray(evidence.scores["probability"]), evidence.customer_value(policy)
    gains = np.array([expected_value(chance, value, action) for action in policy.actions]).T.tolist()
    answers = np.array([is_answered(told, action) for action in policy.actions]).T.tolist()
    for of_actions, answered in zip(gains, answers, strict=True):
        yield tuple(
            Offer(action=one.name, channel=one.channel, answers=yes, expected_value=gain if gain == gain else None)
            for one, gain, yes in zip(policy.actions, of_actions, answered, strict=True)
        )
