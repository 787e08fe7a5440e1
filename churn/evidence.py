"""Evidence of a night: what storage has of some customers, the published rows reckoned again from it, and what differs.

All customers of one evidence are of one night, one bucket and one model, and its tables are alike row by row. A place
in the wave depends on everybody's worth and is taken as published; the rest is reckoned again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.actions import offers
from churn.addends import Addends
from churn.allocation import NOWHERE
from churn.estimators import Estimator
from churn.listing import FROM_SCORES, list_rows, listed_rows, status_rows
from churn.metrics import probability
from churn.outreach import Judged, Terms, judge
from churn.past import Past
from churn.scorecard import Floats, Ints, Scorecard
from churn.scoring import Stamp, bands, explained, percentiles, score_rows, with_percentile
from churn.traffic import with_challengers
from churn.wave import Places
from schemas.contract import Contract
from schemas.outreach import IN_THE_WAVE, Status
from schemas.policy import Policy
from schemas.receipt import Outcome
from schemas.scores import SCORES

REASONS = [name for name in SCORES.names if name.startswith(("reason_", "relief_"))]
NOTHING = pa.table({})


class Issue(NamedTuple):
    """A publication: its run, and its place among those of its night."""

    run_id: str
    revision: int


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What storage has of a list. `statuses` are of the customers, `listed` and `teams` of the whole night.

    `terms` and `past` are None where they are kept no longer. `untold` says that scores of the bucket came without
    reasons, so that only those whom a contact may be worth were explained for the list. `challengers` are the models
    that decided about a share, by digest; None for one that is kept no longer.
    """

    issue: Issue
    statuses: pa.Table
    listed: pa.Table
    teams: pa.Table
    terms: Terms | None
    past: Past | None
    untold: bool = False
    challengers: Mapping[str, Scorecard | Estimator | None] = field(default_factory=dict)

    @property
    def uplift_digest(self) -> str | None:
        """What named the effects that left customers alone; None where keep probabilities decided without."""
        named = self.teams["uplift_digest"] if "uplift_digest" in self.teams.column_names else []
        digest: str | None = named[0].as_py() if len(named) else None
        return digest

    @property
    def asked_of_rows(self) -> tuple[str, ...]:
        """What a contact's worth took from the customers' rows, in words: the published scores do not tell it."""
        if self.terms is None:
            return ()
        column = self.terms.policy.customer_value.column
        asked = {
            "the causes that customers met": self.terms.policy.asks_for_causes,
            "the challengers' scores": self.terms.traffic is not None,
            "the effects that actions have on them": self.terms.uplift is not None,
            "the reasons of their scores": self.untold,
            f"their {column}": bool(column),
        }
        return tuple(words for words, is_asked in asked.items() if is_asked)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What storage has of customers' night: `scores` as published, and their `rows` of the customer table.

    `rows`, `contract` and `model` are None where they are kept no longer, and `decided` where no list is; `missing`
    says so in sentences. `edges` are where the percentiles of the night's base begin.
    """

    base: str
    known_at: datetime
    issue: Issue
    scores: pa.Table
    edges: Floats
    rows: pa.Table | None
    contract: Contract | None
    model: Scorecard | Estimator | None
    decided: Decided | None
    outcomes: Mapping[str, tuple[Outcome, ...]]
    missing: tuple[str, ...] = ()

    @property
    def told(self) -> pa.Table | None:
        """The published scores, with reasons where they came without; None where these cannot be told any more."""
        if self.decided is None or not self.decided.untold:
            return self.scores
        if self.model is None or self.rows is None:
            return None
        return with_columns(self.scores.drop_columns(REASONS), explained(self.model, self.rows), REASONS)

    @property
    def deciding(self) -> pa.Table | None:
        """The scores that the list was decided by, challengers' among them; None where they cannot be told any more."""
        terms = self.decided.terms if self.decided else None
        if self.decided is None or terms is None or terms.traffic is None:
            return self.told
        told = self.told
        there = {digest: model for digest, model in self.decided.challengers.items() if model}
        gone = len(there) < len(self.decided.challengers)
        if told is None or self.rows is None or self.contract is None or gone:
            return None
        contract, as_of, dealt = self.contract, terms.as_of, terms.dealt(self.rows, self.contract)

        def scored(digest: str, theirs: pa.Table) -> pa.Table:
            return score_rows(there[digest], theirs, Stamp(as_of, contract, 0, digest))

        return with_challengers(told.drop_columns(["percentile"]), self.rows, dealt, scored) if dealt else told

    def customer_value(self, policy: Policy) -> Floats:
        """What keeping each customer is worth by the policy; NaN where it is not known any more. Shape (n,)."""
        rule = policy.customer_value
        where = self.rows if rule.column else self.scores
        if where is None:
            return np.full(self.scores.num_rows, np.nan)
        return np.asarray(where[rule.column or "customer_value"], np.float64) * rule.multiplier


class Difference(NamedTuple):
    """A field of a customer that is not what it was published as."""

    customer_id: str
    field: str
    published: object
    recomputed: object

    def __str__(self) -> str:
        return f"{self.field} of {self.customer_id} was published as {self.published!r}, and is {self.recomputed!r}"


@dataclass(frozen=True, slots=True, eq=False)
class Recomputed:
    """Rows of SCORES, STATUSES and OUTREACH as storage gives them, or such columns of them as it still can."""

    scores: pa.Table
    statuses: pa.Table
    listed: pa.Table

    def fields(self, *, listed: bool) -> tuple[str, ...]:
        """The columns, as the receipt of a customer names them who is on the list or not."""
        named = {"score": self.scores, "status": self.statuses} | ({"list": self.listed} if listed else {})
        return tuple(f"{what}.{name}" for what, table in named.items() for name in table.column_names)


def recomputed(evidence: Evidence) -> Recomputed:
    """The published rows, all columns for which there still is what they are made of."""
    return Recomputed(_scores_again(evidence), *_decision_again(evidence))


def differences(evidence: Evidence, again: Recomputed, addends: Addends | None) -> Iterator[Difference]:
    """Each published field that is not, to the bit, what it is when it is reckoned again, and each false sum."""
    yield from _differing("score", evidence.scores, again.scores)
    if evidence.decided is not None and again.statuses.num_columns:
        yield from _differing("status", evidence.decided.statuses, again.statuses)
    if evidence.decided is not None and again.listed.num_columns:
        published = rows_of(evidence.decided.listed, again.listed["customer_id"])
        yield from _differing("list", published, again.listed)
    if addends is not None and addends.exact:
        added_up = pa.table({"customer_id": evidence.scores["customer_id"], "log_odds": addends.total})
        yield from _differing("sum of terms", evidence.scores, added_up)


def rows_of(rows: pa.Table, customers: pa.ChunkedArray) -> pa.Table:
    """The rows of these customers, in their order; whoever has none has a row of nulls."""
    return rows.take(pc.index_in(customers.cast(pa.string()), rows["customer_id"].cast(pa.string())))


def with_columns(rows: pa.Table, others: pa.Table, names: Sequence[str]) -> pa.Table:
    """The rows with those of the others' columns that they lack; both are alike row by row."""
    for name in names:
        if name not in rows.column_names:
            rows = rows.append_column(name, others[name])
    return rows


def _scores_again(evidence: Evidence) -> pa.Table:
    if evidence.rows is None or evidence.contract is None or evidence.model is None:
        return _figures_again(evidence)
    head = evidence.scores.slice(0, 1).to_pylist()[0]
    stamp = Stamp(head["as_of"], evidence.contract, head["model_version"], head["model_digest"])
    scores = with_percentile(score_rows(evidence.model, evidence.rows, stamp), evidence.edges)
    if isinstance(evidence.model, Scorecard):
        return scores
    # A night need not explain the scores of an estimator.
    silent = pc.and_(pc.is_null(evidence.scores["reason_1_feature"]), pc.is_null(evidence.scores["relief_1_feature"]))
    return _without(scores, np.asarray(silent), REASONS)


def _figures_again(evidence: Evidence) -> pa.Table:
    """What follows from the published log-odds alone."""
    log_odds = np.asarray(evidence.scores["log_odds"])
    chance = probability(log_odds)
    columns = {
        "customer_id": evidence.scores["customer_id"],
        "probability": pa.array(chance),
        "percentile": pa.array(percentiles(log_odds, evidence.edges)),
    }
    if evidence.model is not None:
        columns["band"] = bands(chance, evidence.model.base_rate)
    return pa.table(columns)


def _decision_again(evidence: Evidence) -> tuple[pa.Table, pa.Table]:
    """The rows of the statuses and, of who is listed, of the list."""
    decided, told = evidence.decided, evidence.deciding
    if decided is None or decided.terms is None or told is None:
        return NOTHING, NOTHING
    if evidence.rows is None or decided.past is None:
        return _money_again(evidence, told, decided, decided.terms), NOTHING
    rows = with_columns(told, evidence.rows, decided.terms.columns)
    judged = _judged(rows, decided.terms, decided.past, decided.untold)
    places = _places(judged, decided, decided.terms.policy)
    statuses = status_rows(judged, places, decided.terms)
    listed = rows.select(FROM_SCORES).filter(pc.equal(statuses["status"].cast(pa.string()), Status.LISTED.value))
    chosen = list_rows([listed_rows(listed, statuses, judged, places)], decided.terms)
    return statuses, _ranked(chosen, decided.listed)


def _judged(rows: pa.Table, terms: Terms, past: Past, untold: bool) -> Judged:
    if untold and terms.policy.asks_for_reasons:
        nobody = np.ones(rows.num_rows, np.bool_)
        nobody[judge(rows, terms.whatever_the_reasons, past).place] = False
        rows = _without(rows, nobody, REASONS)
    return judge(rows, terms, past)


def _money_again(evidence: Evidence, told: pa.Table, decided: Decided, terms: Terms) -> pa.Table:
    """What a contact is worth, where nothing but the published score says who the customers are."""
    value = evidence.customer_value(terms.policy)
    if decided.asked_of_rows or np.isnan(value).all():
        return NOTHING
    worth = offers(terms.believed(told), value, terms.policy).worth
    channel = _channels(decided.statuses, terms.policy)
    there = worth[np.arange(len(worth)), np.where(channel == NOWHERE, worth.argmax(axis=1), channel)]
    money = pa.array(there, mask=~np.isfinite(there))
    return pa.table({"customer_id": decided.statuses["customer_id"], "expected_value": money})


def _places(judged: Judged, decided: Decided, policy: Policy) -> Places:
    """The candidates' places in the wave, as they were published."""
    theirs = decided.statuses.take(pa.array(judged.place))
    crowded_out = pc.equal(theirs["status"].cast(pa.string()), Status.HOUSEHOLD_LIMIT.value)
    return Places(_channels(theirs, policy), np.asarray(crowded_out))


def _channels(statuses: pa.Table, policy: Policy) -> Ints:
    """The published channel of each customer in the wave, else NOWHERE. Shape (n,)."""
    of_action = {action.name: policy.channel_names.index(action.channel) for action in policy.actions}
    channel = np.array([of_action.get(name, NOWHERE) for name in statuses["action"].to_pylist()], np.int64)
    in_the_wave = pc.is_in(statuses["status"].cast(pa.string()), pa.array(IN_THE_WAVE, pa.string()))
    return np.where(np.asarray(in_the_wave), channel, NOWHERE)


def _ranked(listed: pa.Table, whole: pa.Table) -> pa.Table:
    """The list's rows with their places on the whole list, whose order is that of money, then of the key."""
    order = whole.sort_by([("expected_value", "descending"), ("customer_id", "ascending")])["customer_id"]
    rank = pc.add(pc.index_in(listed["customer_id"].cast(pa.string()), order.cast(pa.string())), 1)
    return listed.set_column(listed.column_names.index("rank"), "rank", rank.cast(pa.int64()))


def _without(rows: pa.Table, silent: npt.NDArray[np.bool_], names: Sequence[str]) -> pa.Table:
    """The rows with nulls in these columns for some of them."""
    for name in names:
        kept = rows[name].take(pa.array(np.arange(rows.num_rows), mask=silent))
        rows = rows.set_column(rows.column_names.index(name), name, kept)
    return rows


def _differing(what: str, published: pa.Table, again: pa.Table) -> Iterator[Difference]:
    keys = again["customer_id"].cast(pa.string())
    for name in (name for name in again.column_names if name in published.column_names):  # earlier releases told less
        then, now = _plain(published[name]), _plain(again[name])
        for place in np.flatnonzero(~_same(then, now)).tolist():
            yield Difference(keys[place].as_py(), f"{what}.{name}", then[place].as_py(), now[place].as_py())


def _plain(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _same(then: pa.Array, now: pa.Array) -> npt.NDArray[np.bool_]:
    """Where both hold the same, numbers to the last bit. Shape (n,)."""
    now = now.cast(then.type)
    alike = np.asarray(pc.equal(pc.is_null(then), pc.is_null(now)))
    if pa.types.is_floating(then.type):
        then, now = (np.asarray(pc.fill_null(one, 0.0)).view(np.int64) for one in (then, now))
        return np.asarray(alike & (then == now))
    return np.asarray(alike & np.asarray(pc.fill_null(pc.equal(then, now), True)))
