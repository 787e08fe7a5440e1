"""Holds the scores that a night published against what the service says of the same customers' features."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.scorecard import PAIRED, Ints
from schemas.contract import Contract
from schemas.messages import ASKED
from schemas.parity import ParityState
from schemas.scores import REASONS_DOWN, REASONS_UP

CUSTOMERS = 1_000
ASKED_ALONE = 50  # of them, by the other routes, too
TOLERANCE = 1e-12  # both sides add the same numbers in the same order, so that they should not differ at all
COLUMNS_NAMED = 5
MOVED = "the champion moved"


@dataclass(frozen=True, slots=True)
class Score:
    """A customer's score as one side tells it, with the log-odds of its reasons and reliefs by their terms."""

    model: str
    probability: float
    log_odds: float
    reasons: Mapping[str, float]
    reliefs: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Refused:
    """A customer whom one side does not score, and the columns that it names for it."""

    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parity:
    """What came of the comparison; `worst` is the largest difference, None where no two scores were compared.

    `columns` are those that the service takes otherwise than the night did, the likeliest first.
    """

    state: ParityState
    sampled: int
    says: str
    compared: int = 0
    unequal: int = 0
    worst: float | None = None
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.state}: {self.says}" if self.state is ParityState.NOT_COMPARED else self.says


def sampled_places(rows: int, run_id: str) -> Ints:
    """The places, in order, of the customers to ask for: drawn by the run's name, so that each run has others."""
    seed = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:8])
    return np.sort(np.random.default_rng(seed).choice(rows, min(rows, CUSTOMERS), replace=False))


def messages_of(customers: pa.Table, contract: Contract) -> list[dict[str, Any]]:
    """The customers as a caller of the service writes them: in the contract's columns, and as JSON has them."""
    columns = (column.name for column in contract.customer.with_role(*ASKED))
    asked = {name: _in_json(customers[name]) for name in columns if name in customers.column_names}
    messages: list[dict[str, Any]] = pa.table(asked).to_pylist()
    return messages


def published_score(row: Mapping[str, Any]) -> Score:
    """The score in a row of the table."""
    ups = (f"reason_{place}" for place in range(1, REASONS_UP + 1))
    downs = (f"relief_{place}" for place in range(1, REASONS_DOWN + 1))
    return Score(row["model_digest"], row["probability"], row["log_odds"], _in_row(row, ups), _in_row(row, downs))


def told_scores(answer: Mapping[str, Any]) -> list[Score | Refused]:
    """The service's answer to a batch, one for each customer that it was asked about, in their order."""
    told: dict[int, Score | Refused] = {one["index"]: _told_score(one) for one in answer["predictions"]}
    told |= {one["index"]: Refused(_named(one["problems"])) for one in answer["refused"]}
    return [told[index] for index in sorted(told)]


def parity_of(published: Sequence[Score | Refused], told: Sequence[Score | Refused]) -> Parity:
    """Whether each customer's two scores are equal; those whom another model scores by now are not compared."""
    pairs = list(zip(published, told, strict=True))
    same = [pair for pair in pairs if not _moved(*pair)]
    if not same:
        return not_compared(MOVED, sampled=len(pairs))
    gaps = np.array([_gap(*pair) for pair in same])
    unequal = [pair for pair, gap in zip(same, gaps, strict=True) if not gap <= TOLERANCE]
    known = gaps[np.isfinite(gaps)]
    found = Parity(
        ParityState.BROKEN if unequal else ParityState.EQUAL,
        sampled=len(pairs),
        says="",
        compared=len(same),
        unequal=len(unequal),
        worst=float(known.max()) if known.size else None,
        columns=_columns(_differing(*pair) for pair in unequal)[:COLUMNS_NAMED],
    )
    return replace(found, says=_sentence(found))


def places_asked_alone(customers: int) -> list[int]:
    """The places of those who are asked for by the other routes, too, spread evenly over the sample."""
    return np.unique(np.linspace(0, customers - 1, ASKED_ALONE).astype(int)).tolist() if customers else []


def told_alone(answer: Mapping[str, Any]) -> Score | Refused:
    """The service's answer to a prediction of one customer, or its refusal."""
    return _told_score(answer) if "probability" in answer else Refused(_named(answer.get("fields", ())))


def looked_up(answer: Mapping[str, Any] | None, published: Score | Refused, night: tuple[str, int]) -> Score | Refused:
    """The stored score as the service's look-up tells it; None is the answer that there is no such customer.

    A night is its date and revision: what the service shows of another was not the model's that is compared with. Of
    reasons a program reads only those that an agent may say, so that they are taken for those of the table.
    """
    if answer is None or isinstance(published, Refused):
        return Refused(("customer_id",))
    model = answer["model"]["digest"] if (answer["as_of"], answer["revision"]) == night else MOVED
    return replace(published, model=model, probability=answer["probability"], log_odds=answer["log_odds"])


def with_other_routes(whole: Parity, others: Mapping[str, Parity]) -> Parity:
    """What came of the sample, and of those of it who were asked for by other routes, by the name of each."""
    broken = {route: one for route, one in others.items() if one.state is ParityState.BROKEN}
    if whole.state is ParityState.NOT_COMPARED or not broken:
        return whole
    every = (whole, *broken.values())
    return replace(
        whole,
        state=ParityState.BROKEN,
        says="; ".join([whole.says, *(f"{route}: {one.says}" for route, one in broken.items())]),
        unequal=max(one.unequal for one in every),
        worst=max((one.worst for one in every if one.worst is not None), default=None),
        columns=tuple(dict.fromkeys(name for one in every for name in one.columns))[:COLUMNS_NAMED],
    )


def not_compared(why: str, sampled: int = 0) -> Parity:
    """Nothing is known of the parity, and why."""
    return Parity(ParityState.NOT_COMPARED, sampled, why)


def _sentence(found: Parity) -> str:
    moved = found.sampled - found.compared
    aside = f"; {moved:,} more are not compared: {MOVED}" if moved else ""
    if found.state is ParityState.EQUAL:
        return f"{found.compared:,} compared, equal{aside}"
    size = f", by up to {found.worst:.3g}" if found.worst is not None and found.worst > TOLERANCE else ""
    place = f" in {', '.join(found.columns)}" if found.columns else ""
    return f"{found.compared:,} compared, {found.unequal:,} differ{size}{place}{aside}"


def _in_json(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """JSON has no dates, and no number that is none."""
    if pa.types.is_temporal(values.type):
        return values.cast(pa.string())
    if pa.types.is_floating(values.type):
        return pc.if_else(pc.is_finite(values), values, None)
    return values


def _in_row(row: Mapping[str, Any], places: Iterable[str]) -> dict[str, float]:
    return {row[f"{place}_feature"]: row[f"{place}_log_odds"] for place in places if row[f"{place}_feature"]}


def _told_score(one: Mapping[str, Any]) -> Score:
    reasons, reliefs = ({part["feature"]: part["log_odds"] for part in one[side]} for side in ("reasons", "reliefs"))
    return Score(one["model"]["digest"], one["probability"], one["log_odds"], reasons, reliefs)


def _named(problems: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(problem["field"] for problem in problems)


def _moved(published: Score | Refused, told: Score | Refused) -> bool:
    return isinstance(published, Score) and isinstance(told, Score) and published.model != told.model


def _gap(published: Score | Refused, told: Score | Refused) -> float:
    """The larger difference of the two numbers; infinite where one side has none."""
    if isinstance(published, Refused) or isinstance(told, Refused):
        return np.inf
    gaps = abs(published.probability - told.probability), abs(published.log_odds - told.log_odds)
    return float(np.max(gaps))  # which is NaN where one of them is


def _differing(published: Score | Refused, told: Score | Refused) -> frozenset[str]:
    """The terms that add something else on one side than on the other, as far as reasons and reliefs show it."""
    if isinstance(published, Refused) or isinstance(told, Refused):
        return frozenset(name for one in (published, told) if isinstance(one, Refused) for name in one.columns)
    reasons = _unlike(published.reasons, told.reasons, REASONS_UP)
    return frozenset(reasons | _unlike(published.reliefs, told.reliefs, REASONS_DOWN))


def _unlike(one: Mapping[str, float], other: Mapping[str, float], most: int) -> set[str]:
    shared = {term for term in one.keys() & other.keys() if not abs(one[term] - other[term]) <= TOLERANCE}
    return shared | _kept_back(one, other, most) | _kept_back(other, one, most)


def _kept_back(told: Mapping[str, float], silent: Mapping[str, float], most: int) -> set[str]:
    """What one side tells and the other would tell as well, since it is stronger than the weakest of the told."""
    weakest = min(map(abs, silent.values())) if len(silent) >= most else 0.0
    return {term for term, log_odds in told.items() if term not in silent and abs(log_odds) > weakest}


def _columns(differing: Iterable[frozenset[str]]) -> tuple[str, ...]:
    """The fewest columns that lie in every term that differs: of a pair, the one that is in most of the others."""
    terms = Counter(term for customer in differing for term in customer)
    columns: list[str] = []
    while terms:
        customers = Counter[str]()
        for term, count in terms.items():
            customers.update(dict.fromkeys(term.split(PAIRED), count))
        columns.append(min(customers, key=lambda name: (-customers[name], name)))
        terms = Counter({term: count for term, count in terms.items() if columns[-1] not in term.split(PAIRED)})
    return tuple(columns)
