"""Asks the service for scores of customers whose night was just published, and holds its answers against the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from churn.contract import parse_contract
from churn.errors import ChurnError
from churn.parity import (
    Parity,
    Refused,
    Score,
    looked_up,
    messages_of,
    not_compared,
    parity_of,
    places_asked_alone,
    published_score,
    sampled_places,
    told_alone,
    told_scores,
    with_other_routes,
)
from schemas.contract import Contract
from schemas.parity import ParityState
from schemas.scores import SCORES
from store.artifacts import load_model
from store.lake import read_manifest
from store.parity import keep_parity, kept_parity, rows_of
from store.private_service import private_service
from store.registry import open_registry
from store.service_client import Access, Service, current_access
from store.settings import current_settings
from tasks.afterwards import told_where_it_fails
from tasks.events import PARITY_BROKEN, tell
from tasks.night import Night, Result
from tasks.orchestrator import worth_no_failure
from tasks.progress import begun, warned
from tasks.scoring import base_rows
from tasks.step import step

STEP = "hold the scores against the service"
UNKNOWN = Refused((SCORES.primary_key[-1],))  # what the table says of a customer who is not in it
TO_DO = "Trust neither side on these columns until it is known which is right; `churn receipt` recomputes the night's."

RowsOf = Callable[[Night, int], pa.Table]  # the customers of a bucket who were scored


@step("hold the scores of {night.base} as of {night.as_of} against the service")
def hold_against_service(night: Night, scores: Result) -> Parity | None:
    """Whether both say the same of a sample of the customers; None where nobody wants to know, or it failed.

    The night is published, and stays so whatever becomes of this.
    """
    with told_where_it_fails(night, "could not be held against the service"):
        access = current_access()
        return held(night, scores, access) if access.wanted else None
    return None


def held(night: Night, scores: Result, access: Access, customers_of: RowsOf = base_rows) -> Parity:
    """Keeps what came of it, and tells where it is broken; what was compared before is not compared again."""
    settings = current_settings()
    known = kept_parity(settings, scores.run_id)
    if known and known.state is not ParityState.NOT_COMPARED:
        return known
    begun(STEP)
    found = _compared(night, scores, access, customers_of)
    which = {"contract": night.base, "as_of": night.as_of, "run_id": scores.run_id, "service": access.url}
    keep_parity(settings, which, found)
    if found.state is not ParityState.EQUAL:
        warned(f"{night.base} as of {night.as_of}, table and service: {found}")
    if found.state is ParityState.BROKEN:
        _tell(night, scores, found)
    return found


def _compared(night: Night, scores: Result, access: Access, customers_of: RowsOf) -> Parity:
    try:
        with _service(night, access) as service:  # which may start while the sample is read
            customers = _sample(night, scores, customers_of)
            asked = service()
            whose = asked.contract()
            if whose != night.base:
                return not_compared(f"the service scores the customers of {whose}", customers.num_rows)
            return _held_by_every_route(_Drawn(night, scores, customers), asked)
    except ChurnError as failure:
        return not_compared(str(failure))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The night, and the customers of it who were drawn: their rows in the snapshot."""

    night: Night
    scores: Result
    customers: pa.Table

    @property
    def name(self) -> tuple[str, int]:
        """The night as the service names the one that it shows."""
        return str(self.night.as_of), self.scores.revision


def _held_by_every_route(drawn: _Drawn, asked: Service) -> Parity:
    """What the service says of all of them at once, and of some alone and by their keys."""
    contract = _contract(drawn.night)
    keys: list[str] = drawn.customers[contract.key].cast(pa.string()).to_pylist()
    messages, published = messages_of(drawn.customers, contract), _published(drawn.scores, keys)
    told = [score for answer in asked.predictions(messages) for score in told_scores(answer)]
    some = places_asked_alone(len(keys))
    alone = [told_alone(answer) for answer in asked.each_alone(messages[place] for place in some)]
    shown = zip(asked.look_ups(keys[place] for place in some), some, strict=True)
    found = [looked_up(answer, published[place], drawn.name) for answer, place in shown]
    theirs = [published[place] for place in some]
    others = {"one by one": parity_of(theirs, alone), "looked up": parity_of(theirs, found)}
    return with_other_routes(parity_of(published, told), others)


@contextmanager
def _service(night: Night, access: Access) -> Iterator[Callable[[], Service]]:
    """The one that the environment names, or one of the night's own."""
    if access.url:
        yield access.let_in
        return
    with private_service(night.base) as service:
        yield service


def _sample(night: Night, scores: Result, customers_of: RowsOf) -> pa.Table:
    """The same customers each time: their rows in the snapshot, some of every bucket."""
    files = sorted(read_manifest(scores.folder).files_in(SCORES.name), key=lambda file: file.path)
    ends = np.cumsum([file.rows for file in files])
    drawn = sampled_places(scores.rows, scores.run_id)
    by_bucket = np.split(drawn, np.searchsorted(drawn, ends[:-1]))
    parts = zip(night.every_bucket, by_bucket, ends - [file.rows for file in files], strict=True)
    return pa.concat_tables(
        customers_of(night, bucket).take(pa.array(places - first)) for bucket, places, first in parts
    )


def _contract(night: Night) -> Contract:
    """The champion's own, by which the service is asked; the file of today may have other columns."""
    champion = open_registry(current_settings()).resolve(night.base).digest
    text = load_model(champion, current_settings()).manifest.contract_text
    return parse_contract(text, where=f"contract inside model {champion}")


def _published(scores: Result, keys: Sequence[str]) -> list[Score | Refused]:
    """What the table says of each of them."""
    rows = rows_of(current_settings(), scores.run_id, keys)
    return [published_score(rows[key]) if key in rows else UNKNOWN for key in keys]


def _tell(night: Night, scores: Result, found: Parity) -> None:
    payload = {
        "contract": night.base,
        "as_of": night.as_of,
        "why": found.says,
        "to_do": TO_DO,
        "run_id": scores.run_id,
        "unequal": found.unequal,
        "compared": found.compared,
        "columns": ", ".join(found.columns),
    }
    with worth_no_failure("the event of the broken parity"):
        tell(PARITY_BROKEN, about=night.base, payload=payload)
