"""The call centre's service: one customer's score and reasons in milliseconds, from the champion that the night uses.

`churn serve` starts it, see api/server.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from api import (
    batch,
    customers,
    docs,
    health,
    interventions,
    jobs,
    log_in,
    metrics,
    outreach,
    predictions,
    receipts,
    registry,
    security,
    training_runs,
    what_if,
)
from api.admission import PREDICTIONS, Admission, Begun, Lanes, Queue, lanes
from api.cache import AnswerCache
from api.deadline import LARGEST_BATCH, BodyLimits, WholeBody
from api.door import guard, leave, watch
from api.headers import Headers
from api.live import Sight
from api.metrics import Metrics
from api.models import ChampionPlace
from api.problems import OversizeAsProblem, Problem, answer_with_problems, described
from api.request_log import RequestLog
from api.standing import Standing
from api.versions import OtherVersions
from churn.errors import ContractError, NoChampion
from schemas.jobs import LARGEST_FILE
from schemas.list_messages import LARGEST_INTERVENTIONS
from schemas.messages import changes_schema, customer_model, customer_schema
from store.answer_shelves import open_shelf
from store.contracts import read_contract
from store.job_room import JobRoom
from store.jobs import open_jobs
from store.process_memory import settle
from store.service_database import service_engine
from store.service_settings import ServiceSettings, current_service_settings
from store.settings import Settings, current_settings

VERSION = "1"  # of the interface, as its paths have it
ROUTERS = (
    predictions.router,  # first, since a request is held against one route after the other
    health.router,
    metrics.router,
    log_in.router,
    batch.router,
    customers.router,
    what_if.router,
    receipts.router,
    registry.router,
    outreach.router,
    interventions.router,
    jobs.router,
    training_runs.router,
)
LARGER_BODIES = {
    f"{PREDICTIONS}/batch": LARGEST_BATCH,
    jobs.router.prefix: LARGEST_FILE,
    f"{interventions.router.prefix}/interventions": LARGEST_INTERVENTIONS,
}
WORTH_PACKING = 4 * 1024  # bytes of an answer
OPENAPI = "/openapi.json"
# What no route answers by itself: a body that is no JSON, that comes too slowly, or that is too large.
BY_ANY_BODY = described(HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


class Service(FastAPI):
    """The application, which describes the body of a prediction as the champion of the moment wants it."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, with the shapes that no route declares."""
        document = super().openapi()
        customer = self._customer()
        shapes = {"Customer": customer, "Changes": changes_schema(customer), "Problem": Problem.model_json_schema()}
        document["components"]["schemas"] |= shapes
        for operation in _with_body(document):
            operation["responses"] |= {str(status): told for status, told in BY_ANY_BODY.items()}
        return document

    def _customer(self) -> dict[str, Any]:
        """By the contract inside the champion; until there is one, by the contract's own file."""
        place: ChampionPlace = self.state.place
        try:
            return customer_schema(place.pinned.customer)
        except NoChampion:
            return _by_file(place.contract)


def create_app(
    settings: Settings | None = None, contract: str = "telco", service: ServiceSettings | None = None
) -> FastAPI:
    """The service for the customers of one contract; without settings, those of the environment.

    SettingsError where the environment is not enough to start with.
    """
    settings = settings or current_settings()
    service = service or current_service_settings()
    shown = settings.development if service.docs is None else service.docs
    app = Service(
        title="Churn scores",
        version=VERSION,
        lifespan=_lifespan,
        # The usual pages of documentation would load their scripts from other people's servers.
        docs_url=None,
        redoc_url=None,
        openapi_url=OPENAPI if shown else None,
    )
    _furnish(app, settings, contract, service)
    for routes in (*ROUTERS, docs.router) if shown else ROUTERS:
        app.include_router(routes)
    answer_with_problems(app)
    _surround(app, service)
    return app


def _furnish(app: FastAPI, settings: Settings, contract: str, service: ServiceSettings) -> None:
    """What the routes find in the app's state."""
    state = app.state
    state.settings = settings
    state.place = ChampionPlace(contract, settings)
    state.engine = service_engine(settings.database_url)
    state.metrics = Metrics()
    state.standing = Standing(state.place, state.engine, service.poll_seconds, state.metrics.champion)
    state.versions = OtherVersions(settings, state.engine, contract)
    state.sight = Sight(settings, state.engine)
    state.cache = AnswerCache(open_shelf(service.answer_cache, settings))
    room = JobRoom(open_jobs(settings, state.engine).root, service.jobs_megabytes << 20)
    state.job_room = jobs.Room(service.waiting_jobs, room)
    state.queue = Queue()
    state.lanes = lanes()
    guard(app, settings)


def _surround(app: FastAPI, service: ServiceSettings) -> None:
    """What every request passes through, from the innermost to the outermost."""
    app.add_middleware(Lanes, lanes=app.state.lanes, queue=app.state.queue)
    app.add_middleware(WholeBody, knows=partial(security.knows, app.state.tokens))
    app.add_middleware(BodyLimits, larger=LARGER_BODIES)
    app.add_middleware(OversizeAsProblem)
    app.add_middleware(Admission)
    app.add_middleware(GZipMiddleware, minimum_size=WORTH_PACKING, compresslevel=5)
    if service.origins:
        methods, headers = ("GET", "POST"), ("Authorization", "Content-Type", "Idempotency-Key", "X-Purpose")
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.origins,
            allow_methods=methods,
            allow_headers=headers,
            expose_headers=("Location", "Retry-After", "X-Request-Id"),
        )
    app.add_middleware(RequestLog, metrics=app.state.metrics)
    app.add_middleware(Headers)
    app.add_middleware(Begun, queue=app.state.queue)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
    """Pins the champion; without one the service starts all the same, and says that it is not ready."""
    # As many as all lanes may take together, so that none waits for what another has.
    current_default_thread_limiter().total_tokens = sum(lane.threads for lane in app.state.lanes)
    await app.state.standing.begin()
    watching = asyncio.create_task(watch(app))
    settle()  # no collection of garbage looks at what is there now while somebody waits
    yield {"queue": app.state.queue, "metrics": app.state.metrics}  # for connections
    watching.cancel()
    app.state.standing.end()
    app.state.sight.close()
    leave(app)
    app.state.engine.dispose()


def _with_body(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The document's operations that are sent something."""
    for path in document["paths"].values():
        yield from (operation for operation in path.values() if "requestBody" in operation)


def _by_file(contract: str) -> dict[str, Any]:
    try:
        return customer_schema(customer_model(read_contract(contract)))
    except ContractError:
        return {"type": "object"}
