"""A service with a champion and a published night behind it, and a way to ask it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from functools import partial
from typing import Any

import httpx
import pyarrow as pa
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI

from api.desk import DUTIES
from api.tokens import issue_token
from churn.contract import parse_contract
from churn.estimators import Estimator
from churn.scorecard import Scorecard
from churn.scoring import Stamp, percentile_edges, score_rows, with_percentile
from schemas.columns import WhenInvalid
from schemas.contract import Contract
from schemas.odcs_text import contract_text
from schemas.users import Role, User
from store.artifacts import model_of, save_model
from store.claims import Claim, Content, Unit
from store.lake import write_parquet
from store.publication import content_key, open_publisher
from store.registry import Promotion, Version, open_registry
from store.settings import Settings
from tests import cards
from tests.models import trained

Ask = Callable[..., httpx.Response]

PLAN = replace(cards.COLUMNS[-1], when_invalid=WhenInvalid.UNKNOWN)
TINY = parse_contract(contract_text(cards.contract((*cards.COLUMNS[:-1], PLAN))), where="tests")

OPERATOR = User("tests", Role.OPERATOR)


class SameProcess:
    """A clerk who does it all himself, so that no test but those of the clerk waits for a process to start."""

    begins = False

    def ask(self, duty: str, *given: Any) -> Any:
        return DUTIES[duty](*given)

    def begin(self) -> None: ...

    def close(self) -> None: ...


@contextmanager
def running(app: FastAPI, *, raise_errors: bool = True, who: User | None = OPERATOR) -> Iterator[Ask]:
    """The app from start to stop, asked through httpx without a socket, by an operator unless `who` says another."""
    if hasattr(app.state, "sight"):
        app.state.sight.clerk = SameProcess()
    # Not Starlette's own test client: it wants the package httpx2, and warns about httpx.
    transport = httpx.ASGITransport(app, raise_app_exceptions=raise_errors)
    with start_blocking_portal() as portal:
        client = httpx.AsyncClient(transport=transport, base_url="http://churn", headers=admission(app, who))
        life = portal.wrap_async_context_manager(app.router.lifespan_context(app))
        with life, portal.wrap_async_context_manager(client) as opened:
            yield lambda *how, **more: portal.call(partial(opened.request, *how, **more))


def admission(app: FastAPI, who: User | None) -> dict[str, str]:
    """The headers of somebody who is let in, where the app has a door and there is somebody."""
    if who is None or not hasattr(app.state, "keyring"):
        return {}
    return {"authorization": f"Bearer {issue_token(who, app.state.keyring)}", "x-purpose": "tests"}


def promoted(
    settings: Settings, model: Scorecard | Estimator | None = None, contract: Contract = TINY, segment: str = "all"
) -> Version:
    """The segment's first champion: a card made by hand unless another model is given."""
    version = registered(settings, model or cards.card(), contract)
    registry = open_registry(settings)
    registry.promote(
        Promotion(TINY.name, version, None, who="tests", why="the first", segments=(segment,), override=True)
    )
    return registry.resolve(TINY.name, segment)


def registered(settings: Settings, model: Scorecard | Estimator, contract: Contract = TINY) -> int:
    """The number of a small model, saved and registered like one of a whole training."""
    digest = save_model(model_of(trained(model), contract, "0.1.0"), settings)
    return open_registry(settings).register(TINY.name, digest)


def scored(rows: pa.Table, champion: Version, as_of: date = cards.AS_OF) -> pa.Table:
    """The score table of a night with these customers alone."""
    scores = score_rows(cards.card(), rows, Stamp(as_of, TINY, champion.version, champion.digest))
    return with_percentile(scores, percentile_edges([scores["log_odds"].to_numpy()]))


def publish(settings: Settings, kind: str, as_of: date, **tables: pa.Table) -> None:
    """Publishes the tables as the newest night of their kind."""
    publisher = open_publisher(settings)
    known_at = datetime.combine(as_of, datetime.min.time())
    claim = publisher.claim(Unit(TINY.name, kind, as_of, known_at), Content(content_key(kind, str(as_of)), ""))
    assert isinstance(claim, Claim)
    for name, rows in tables.items():
        write_parquet(rows, publisher.stage(claim) / name / "bucket=00.parquet")
    publisher.seal(claim)
    publisher.load(claim)
    publisher.publish(claim)
