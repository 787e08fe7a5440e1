"""Gathers what receipts are made of: a night's runs, its snapshot, and the models and texts that it was decided by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.contract import parse_contract
from churn.errors import AuditFailed, PolicyError, RequestError
from churn.estimators import Estimator
from churn.evidence import Decided, Evidence, Issue
from churn.outreach import Terms
from churn.past import Past, looks_back_to, no_statuses, past_of
from churn.policy import without_leavers
from churn.quarantine import without_quarantined
from churn.receipt import receipts
from churn.scorecard import Floats, Scorecard
from churn.scoring import percentile_edges
from churn.single_bucket import single_bucket
from schemas.contract import Contract
from schemas.outreach import OUTREACH, STATUSES, TEAMS
from schemas.quarantine import QUARANTINE
from schemas.receipt import Outcome, Receipt
from schemas.scores import SCORES
from store.artifacts import load_model, model_folder
from store.decisions import Decision, decision_of
from store.interventions import history, wave_events
from store.lake import bucket_file, read_parquet
from store.past_lists import lost, remembered
from store.policies import kept_policy
from store.priors import kept_prior
from store.publication import open_publisher
from store.runs import Run
from store.settings import Settings
from store.texts import kept_text
from store.traffic import kept_traffic
from store.uplifts import kept_uplift

NAMED = 3  # customers, or broken rules, in a refusal


def receipts_of(
    settings: Settings, contract: Contract, customers: Sequence[str], as_of: date | None = None
) -> tuple[Receipt, ...]:
    """The receipts of these customers for a night, by default the newest, in the order of the customers.

    `contract` is the base's as it is now. What is kept no longer is named in the receipts, and the rest is recomputed.
    RequestError where the night's scores are gone or a customer has none; AuditFailed where something is not what was
    published.
    """
    night = _night(settings, contract, decision_of(open_publisher(settings), contract.name, as_of))
    buckets = _buckets(customers, night.decision.buckets)
    made: dict[str, Receipt] = {}
    for bucket in np.unique(buckets).tolist():
        wanted = [customers[place] for place in np.flatnonzero(buckets == bucket).tolist()]
        for evidence in _evidence(night, bucket, pa.array(wanted, pa.string())):
            made |= {receipt.customer_id: receipt for receipt in receipts(evidence)}
    unknown = [customer for customer in customers if customer not in made]
    if unknown:
        raise _unknown(night.decision.scores, unknown)
    return tuple(made[customer] for customer in customers)


def _buckets(customers: Sequence[str], buckets: int) -> npt.NDArray[Any]:
    if len(customers) == 1:
        return np.array([single_bucket(customers[0], buckets)])
    from churn.buckets import bucket_of  # numba, of which one receipt in the service must take no memory

    return bucket_of(pa.array(customers, pa.string()), buckets)


@dataclass(frozen=True, slots=True, eq=False)
class _Night:
    """The runs of a night, and what all its customers share; None, and a sentence in `missing`, for what is gone.

    `models` are those that were asked for so far, each verified once.
    """

    settings: Settings
    decision: Decision
    contract: Contract | None
    terms: Terms | None
    past: Past | None
    listed: pa.Table
    teams: pa.Table
    edges: Floats
    outcomes: Mapping[str, tuple[Outcome, ...]]
    missing: tuple[str, ...]
    models: dict[str, Scorecard | Estimator | None] = field(default_factory=dict)

    def model(self, digest: str) -> Scorecard | Estimator | None:
        """The model, verified; None where it was deleted."""
        if digest not in self.models:
            there = model_folder(digest, self.settings).is_dir()
            self.models[digest] = load_model(digest, self.settings).model if there else None
        return self.models[digest]


def _night(settings: Settings, today: Contract, decision: Decision) -> _Night:
    contract = _contract(settings, today, decision.scores)
    terms, untold = _terms(settings, contract, decision)
    forgotten = _forgotten(settings, decision, terms)
    gone = [
        *([] if contract else ["the contract's text: the customers' rows and the score"]),
        *([untold] if untold else []),
        *([f"{forgotten}: the rule and the place"] if forgotten else []),
        *([] if decision.list else ["a list: none of that night is kept"]),
    ]
    return _Night(
        settings=settings,
        decision=decision,
        contract=contract,
        terms=terms,
        past=None if forgotten else _past(settings, decision, terms),
        listed=_whole(decision.list, OUTREACH.name),
        teams=_whole(decision.list, TEAMS.name),
        edges=percentile_edges([_whole(decision.scores, SCORES.name, ["log_odds"])["log_odds"].to_numpy()]),
        outcomes=_outcomes(settings, decision.scores),
        missing=tuple(gone),
    )


def _contract(settings: Settings, today: Contract, scores: Run) -> Contract | None:
    """The contract that the scores were made by: today's, one that decided a list, or one that a model carries."""
    head = _head(scores, SCORES.name, ["contract_digest", "model_digest"])
    if head["contract_digest"] == today.digest:
        return today
    text = kept_text(head["contract_digest"], settings)
    if text is None and model_folder(head["model_digest"], settings).is_dir():
        manifest = load_model(head["model_digest"], settings).manifest
        text = manifest.contract_text if manifest.contract_digest == head["contract_digest"] else None
    return parse_contract(text, f"contract {head['contract_digest']}") if text is not None else None


def _terms(settings: Settings, contract: Contract | None, decision: Decision) -> tuple[Terms | None, str]:
    """What the list was decided by, or what is missing of it."""
    if decision.list is None or contract is None:
        return None, ""
    if not decision.of_list:
        return None, "the scores that the list was made of: those told here are others, and no decision follows"
    digest = _head(decision.list, STATUSES.name, ["policy_digest"])["policy_digest"]
    try:
        rules = kept_policy(digest, settings)
    except PolicyError as refused:
        return None, f"the meaning of policy {digest}, which this release cannot read ({refused.what}): the decision"
    if rules is None:
        return None, f"the text of policy {digest}: what its actions would have been worth, and the decision"
    terms = Terms.of(without_leavers(rules.policy, contract), rules.digest, decision.list.unit.as_of, contract)
    teams = _whole(decision.list, TEAMS.name)
    return _with_texts(settings, terms, teams)


def _with_texts(settings: Settings, terms: Terms, teams: pa.Table) -> tuple[Terms | None, str]:
    """The terms with all else that the teams' rows name by its digest; None, and what is missing, where some is gone.

    Earlier releases named less.
    """
    named: dict[str, Any] = next(iter(teams.to_pylist()), {})
    found: dict[str, Any] = {}
    for part, (kept, told) in _NAMED_BY_DIGEST.items():
        digest = named.get(f"{part}_digest")
        found[part] = None if digest is None else kept(settings, digest)
        if digest is not None and found[part] is None:
            return None, told.format(digest=digest)
    return replace(terms, **{part: value for part, value in found.items() if value is not None}), ""


# By what a list was decided beside its policy: a field of the terms, who reads it, what is missing where it is gone.
_NAMED_BY_DIGEST: Mapping[str, tuple[Callable[[Settings, str], Any], str]] = MappingProxyType(
    {
        "traffic": (kept_traffic, "the challengers' names {digest}: who decided, and the decision"),
        "prior": (
            kept_prior,
            "the share of churners {digest} that was believed: what contacts were worth, and the decision",
        ),
        "uplift": (kept_uplift, "the effects {digest}: what contacts were worth, and the decision"),
    }
)


def _forgotten(settings: Settings, decision: Decision, terms: Terms | None) -> str:
    """Which lists before the night's are kept no longer that it looked back on, in words."""
    if decision.before_gone:
        return "the list before"
    if decision.before is None or decision.list is None or terms is None:
        return ""
    since = looks_back_to(terms.policy, decision.list.unit.as_of)
    dates = lost(open_publisher(settings), decision.before, since)
    return f"the lists of {', '.join(map(str, dates))}" if dates else ""


def _past(settings: Settings, decision: Decision, terms: Terms | None) -> Past | None:
    if decision.list is None or terms is None:
        return None
    unit = decision.list.unit
    contacts = history(settings, unit.contract, before=unit.as_of, known_at=unit.known_at)
    if decision.before is None:
        return past_of(terms.policy, unit.as_of, contacts, no_statuses())
    since = looks_back_to(terms.policy, unit.as_of)
    waves = remembered(open_publisher(settings), decision.before.run_id, since, settings.cores)
    return past_of(terms.policy, unit.as_of, contacts, waves)


def _outcomes(settings: Settings, scores: Run) -> dict[str, tuple[Outcome, ...]]:
    """What was written back of the night's contacts until now, by customer, in order of time."""
    found: dict[str, tuple[Outcome, ...]] = {}
    for row in wave_events(settings, scores.unit.contract, scores.unit.as_of).to_pylist():
        event = Outcome(**{name: row[name] for name in Outcome.model_fields})
        found[row["customer_id"]] = (*found.get(row["customer_id"], ()), event)
    return found


def _evidence(night: _Night, bucket: int, customers: pa.Array) -> Iterator[Evidence]:
    """What there is of these customers of a bucket, once for each model that scored some of them."""
    scores = _part(night.decision.scores, SCORES.name, bucket)
    rows, decided = _rows(night, bucket, scores), _decided(night, bucket, scores)
    wanted = pc.is_in(scores["customer_id"].cast(pa.string()), customers)
    digests = scores["model_digest"].cast(pa.string())
    for digest in pc.unique(digests.filter(wanted)).to_pylist():
        theirs = pc.and_(wanted, pc.equal(digests, digest))
        model = night.model(digest)
        gone = [
            *([] if model else [f"model {digest}: the score and its terms"]),
            *(f"challenger {other}: the decision" for other in _challengers(night) if night.model(other) is None),
            *_without_snapshot(night, decided),
        ]
        yield Evidence(
            base=night.decision.scores.unit.contract,
            known_at=night.decision.scores.unit.known_at,
            issue=_issue(night.decision.scores),
            scores=scores.filter(theirs),
            edges=night.edges,
            rows=None if rows is None else rows.filter(theirs),
            contract=night.contract,
            model=model,
            decided=None if decided is None else replace(decided, statuses=decided.statuses.filter(theirs)),
            outcomes=night.outcomes,
            missing=(*night.missing, *gone),
        )


def _without_snapshot(night: _Night, decided: Decided | None) -> Iterator[str]:
    """What cannot be told of customers whose snapshot is kept no longer."""
    if night.decision.snapshot is None:
        decision = ", the rule and the place" if decided and decided.terms else ""
        yield f"the snapshot: the customers' rows, the terms of the score{decision}"
        if decided and decided.asked_of_rows:
            yield f"what contacts were worth, since with the snapshot went {' and '.join(decided.asked_of_rows)}"


def _rows(night: _Night, bucket: int, scores: pa.Table) -> pa.Table | None:
    """The customers of the bucket who were scored, in the order of their scores."""
    if night.decision.snapshot is None or night.contract is None:
        return None
    file = bucket_file(bucket)
    rows = read_parquet([night.decision.snapshot / file])
    aside = _whole(night.decision.scores, QUARANTINE.name, ["file", "row"])
    rows = without_quarantined(rows, aside, file)
    if not rows[night.contract.key].cast(pa.string()).equals(scores["customer_id"].cast(pa.string())):
        raise AuditFailed(
            "the snapshot holds other customers than the scores",
            where=str(night.decision.snapshot / file),
            to_do="Restore the snapshot from a copy, or remove it: receipts then say that it is missing.",
        )
    return rows


def _decided(night: _Night, bucket: int, scores: pa.Table) -> Decided | None:
    if night.decision.list is None:
        return None
    return Decided(
        issue=_issue(night.decision.list),
        statuses=_part(night.decision.list, STATUSES.name, bucket),
        listed=night.listed,
        teams=night.teams,
        terms=night.terms,
        past=night.past,
        untold=_untold(night, scores),
        challengers={digest: night.model(digest) for digest in _challengers(night)},
    )


def _challengers(night: _Night) -> list[str]:
    """The models that decided about a share of the customers."""
    traffic = night.terms.traffic if night.terms else None
    return sorted(set(traffic.challengers.values())) if traffic else []


def _untold(night: _Night, scores: pa.Table) -> bool:
    """Whether scores came without reasons that there are; one whose model is gone may have been such."""
    without = scores.filter(pc.is_null(scores["reason_1_feature"]))
    digests = pc.unique(without["model_digest"].cast(pa.string())).to_pylist()
    return not all(isinstance(night.model(digest), Scorecard) for digest in digests)


def _issue(run: Run) -> Issue:
    return Issue(run.run_id, run.revision)


def _part(run: Run, table: str, bucket: int) -> pa.Table:
    return read_parquet([run.folder / table / bucket_file(bucket)])


def _whole(run: Run | None, table: str, columns: list[str] | None = None) -> pa.Table:
    """All rows of one table of a run; nothing where there is no run, or where an earlier release had no such table."""
    files = sorted((run.folder / table).glob("*.parquet")) if run else []
    return read_parquet(files, columns) if files else pa.table({})


def _head(run: Run, table: str, columns: list[str]) -> dict[str, str]:
    """These columns of the first row of a run's table; empty texts where it has no rows."""
    parts = (read_parquet([file], columns).slice(0, 1) for file in sorted((run.folder / table).glob("*.parquet")))
    return next((part.to_pylist()[0] for part in parts if part.num_rows), dict.fromkeys(columns, ""))


def _unknown(scores: Run, customers: Sequence[str]) -> RequestError:
    named = ", ".join(customers[:NAMED]) + (f" and {len(customers) - NAMED} more" if len(customers) > NAMED else "")
    aside = _whole(scores, QUARANTINE.name)
    broken = aside.filter(pc.is_in(aside["key"].cast(pa.string()), pa.array(customers, pa.string()))).to_pylist()
    rules = "; ".join(f"{row['key']} was set aside: {row['column']} breaks {row['rule']}" for row in broken[:NAMED])
    return RequestError(
        f"there is no score of {named}{': ' + rules if rules else ''}",
        where=f"{scores.unit.contract} as of {scores.unit.as_of}",
        to_do="Give the key of a customer of that night.",
    )
