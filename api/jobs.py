"""Takes jobs, which score a list or a file in the background, and tells how far they are and what they gave."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import ValidationError
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from api.admission import arrival_of
from api.each_once import TWICE, names_twice
from api.environment import Environment
from api.job_taker import Taker
from api.limits import limited
from api.models import Pinned, Place
from api.once import KeyOrNone, added_once
from api.predictions import JSON, as_refusal
from api.problems import TOO_LARGE, described
from api.security import Looking, Principal, require
from api.visits import Database
from churn.errors import StoreUnreachable
from schemas.jobs import LARGEST_FILE, LARGEST_JSON, Given, JobAsked, JobShown, State
from schemas.users import Role
from store.callbacks import Callbacks, current_callbacks
from store.idempotency import Request as Once
from store.idempotency import request_of
from store.job_room import JobRoom
from store.jobs import Job, Jobs, NewJob, blocks_of, open_jobs
from store.service_database import is_outage


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """While the service stands, what it was asked for is worked on; SettingsError where callbacks are half set up.

    One that ends before any job would takes none: its state says so in `takes_jobs`.
    """
    app.state.callbacks = current_callbacks()
    app.state.streams, app.state.looking = Counter(), CapacityLimiter(1)
    if not getattr(app.state, "takes_jobs", True):
        yield
        return
    taker = Taker(app.state.settings)
    taker.begin()
    yield
    await asyncio.to_thread(taker.end)


router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], lifespan=_lifespan)

CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
FILES = {CSV: Given.CSV, PARQUET: Given.PARQUET}
NO_JOB = "There is no such job. Check its number; what it gave is kept for a week."
NO_RESULT = "The files of the job are gone. Send it again."
TOO_MANY = "You are listening to as many jobs as you may. Close a stream, or ask how far the job is."
TOO_MANY_JOBS = "You have as many jobs waiting or running as you may. Send the next when one of them has ended."
NO_ROOM = "There is no room for the files of another job. Send it later, or ask the operators for more room."
SOON, NOT_SOON = 5, 60  # seconds
LOOK_SECONDS = 0.5
MOST_STREAMS = 10  # of one principal in a worker, since each looks again and again
STREAM_SECONDS = 600.0  # who still listens then asks again, as browsers do by themselves

BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": JobAsked.model_json_schema()},
            CSV: {"schema": {"type": "string", "description": "A column for each of the contract's, in UTF-8"}},
            PARQUET: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
REFUSALS = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)

Owner = Annotated[Principal, Depends(require(Role.SERVICE, Role.OPERATOR))]


async def jobs_of(engine: Database, settings: Environment) -> Jobs:
    """The jobs of the service's database."""
    return open_jobs(settings, engine)


KnownJobs = Annotated[Jobs, Depends(jobs_of)]


async def sent(request: Request) -> tuple[str, bytes]:
    """The kind of the body, and the body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind, await request.body()


def asked(body: Annotated[tuple[str, bytes], Depends(sent)]) -> tuple[JobAsked | Given, bytes]:
    """What is asked for, as far as it can be told before it is worked on: a file's rows are read by the job itself."""
    kind, content = body
    if kind not in (JSON, *FILES):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Send {JSON}, {CSV} or {PARQUET}.")
    if len(content) > (LARGEST_JSON if kind == JSON else LARGEST_FILE):
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, TOO_LARGE)
    if kind in FILES:
        return FILES[kind], content
    try:
        what = JobAsked.model_validate_json(content)
    except ValidationError as refused:
        raise as_refusal(refused) from None
    if names_twice(content):
        raise HTTPException(HTTPStatus.BAD_REQUEST, TWICE)
    return what, content


class Room(NamedTuple):
    """What jobs may take: of one owner so many at once, and of the disk so much."""

    each: int
    disk: JobRoom


class Reception(NamedTuple):
    """Where new jobs are taken, as long as there is room."""

    jobs: Jobs
    room: Room

    def require_space(self, size: int) -> None:
        """503 where the files of all jobs would take more of the disk than they may."""
        if not self.room.disk.take(size):
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, NO_ROOM, {"Retry-After": str(NOT_SOON)})

    def require_few(self, connection: Connection, owner: str) -> None:
        """429 where as many of the owner's jobs wait or run as may."""
        if self.jobs.under_way(connection, owner) >= self.room.each:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY_JOBS, {"Retry-After": str(NOT_SOON)})


async def reception(jobs: KnownJobs, request: Request) -> Reception:
    """The reception, with the room that the service's settings leave it."""
    return Reception(jobs, request.app.state.job_room)


def callback_of(
    request: Request,
    callback: Annotated[str | None, Query(max_length=500, description="Address to POST to when the job ends")] = None,
) -> str | None:
    """Who is to be told of the end; RequestError where the settings do not name his host."""
    if callback is not None:
        allowed: Callbacks = request.app.state.callbacks
        allowed.require_allowed(callback)
    return callback


class Order:
    """A job as it is asked for: by whom, of whom, and by which models it is to be scored."""

    def __init__(
        self,
        owner: Owner,
        champions: Pinned,
        place: Place,
        body: Annotated[tuple[JobAsked | Given, bytes], Depends(asked)],
        callback: Annotated[str | None, Depends(callback_of)],
    ) -> None:
        what, self.content = body
        self.customers = (what.customer_ids or []) if isinstance(what, JobAsked) else []
        given = what if isinstance(what, Given) else Given.CUSTOMERS if self.customers else Given.ROWS
        # As they are now: a champion that changes meanwhile changes no half of a result.
        models = {segment: (version.version, version.digest) for segment, version in place.versions.items()}
        self.new = NewJob(place.contract, owner.name, given, models, owner.segments, owner.regions, callback)

    def request(self, key: str) -> Once:
        """By what the request is known when it is sent again."""
        what = f"jobs {self.new.contract} {self.new.given} {self.new.callback}"
        return request_of(self.new.owner, key, what, self.content)


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=BODY,
    dependencies=[Depends(limited("jobs"))],
    responses=described(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        *REFUSALS,
    ),
)
def take(
    order: Annotated[Order, Depends()],
    reception: Annotated[Reception, Depends(reception)],
    look: Looking,
    response: Response,
    key: KeyOrNone = None,
) -> JobShown:
    """Takes customers by key, or rows of the contract's columns as JSON, CSV or Parquet, and scores them soon.

    Customers who are named by key stand in the log of look-ups, as if each were looked up. Under an Idempotency-Key the
    same request is the same job.
    """
    reception.require_space(len(order.content))
    jobs = reception.jobs
    name = jobs.keep(order.content)  # first, since in SQLite nobody else writes during a transaction

    def add(connection: Connection) -> JobShown:
        reception.require_few(connection, order.new.owner)
        if order.customers:
            look.record(connection, "job", *order.customers)
        return shown(jobs.add(connection, name, order.new))

    try:
        taken = added_once(jobs.engine, order.request(key) if key else None, add, JobShown)
    except HTTPException:
        jobs.drop(name)
        raise
    if taken.job != name:
        jobs.drop(name)
    response.headers["Location"] = f"{router.prefix}/{taken.job}"
    return taken


def known(
    job: Annotated[str, Path(pattern=r"^[0-9a-f]{24}$", description="Name of the job")],
    jobs: KnownJobs,
    principal: Owner,
) -> Job:
    """The job, for its owner and for operators; 404 for others, as if there were none."""
    found = jobs.of(job)
    if found is None or (found.owner != principal.name and principal.role is not Role.OPERATOR):
        raise HTTPException(HTTPStatus.NOT_FOUND, NO_JOB)
    return found


Known = Annotated[Job, Depends(known)]


@router.get("/{job}", dependencies=[Depends(limited("operations"))], responses=described(*REFUSALS))
def show(job: Known) -> JobShown:
    """How far the job is."""
    return shown(job)


@router.get(
    "/{job}/result",
    response_class=Response,
    dependencies=[Depends(limited("batch"))],
    responses={
        HTTPStatus.OK.value: {"content": {PARQUET: {"schema": {"type": "string", "format": "binary"}}, CSV: {}}},
        **described(HTTPStatus.CONFLICT, *REFUSALS),
    },
)
def result(
    job: Known, jobs: KnownJobs, principal: Owner, accept: Annotated[str, Header(max_length=500)] = PARQUET
) -> Response:
    """The job's result, for its owner alone: Parquet, or CSV where `Accept` says text/csv."""
    if job.owner != principal.name or job.state is State.GONE:
        raise HTTPException(HTTPStatus.NOT_FOUND, NO_JOB)
    if job.state is not State.DONE:
        raise HTTPException(
            HTTPStatus.CONFLICT, f"The job is {job.state}, and has no result. Ask for the job itself, which says why."
        )
    kind, files = (CSV if CSV in accept.lower() else PARQUET), jobs.files(job.job)
    try:
        blocks = blocks_of(files.result_csv if kind == CSV else files.result)
    except FileNotFoundError:
        raise HTTPException(HTTPStatus.NOT_FOUND, NO_RESULT) from None
    return StreamingResponse(blocks, media_type=kind)


async def listening(request: Request, principal: Owner) -> AsyncIterator[None]:
    """Counts the stream for as long as it is open; 429 where its principal has too many."""
    streams: Counter[str] = request.app.state.streams
    if streams[principal.name] >= MOST_STREAMS:
        raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY, {"Retry-After": str(SOON)})
    streams[principal.name] += 1
    try:
        yield
    finally:
        streams[principal.name] -= 1


@router.get(
    "/{job}/events",
    response_class=EventSourceResponse,
    dependencies=[Depends(limited("operations")), Depends(listening)],
    responses=described(*REFUSALS),
)
async def events(job: Known, jobs: KnownJobs, request: Request) -> AsyncIterator[ServerSentEvent]:
    """Tells of each step as a server-sent event: `progress`, and at last `done` or `failed`, with which it ends."""
    told, now, ends = None, job, time.monotonic() + STREAM_SECONDS
    while True:
        if now != told:
            told = now
            yield ServerSentEvent(data=shown(now), event=str(now.state) if now.ended else "progress")
        if now.ended or arrival_of(request.scope).last or time.monotonic() > ends:
            return
        await asyncio.sleep(LOOK_SECONDS)
        # All streams of a worker look one after the other, so that they take one thread from what people wait for.
        now = await run_sync(_again, jobs, now, limiter=request.app.state.looking)


def _again(jobs: Jobs, job: Job) -> Job:
    """The job as it is now; as it was where the database is away for the moment, since the next look is soon."""
    try:
        return jobs.of(job.job) or job
    except (SQLAlchemyError, StoreUnreachable) as failed:
        if not is_outage(failed):
            raise
        return job


def shown(job: Job) -> JobShown:
    """The job as callers see it."""
    plain = {name: getattr(job, name) for name in JobShown.model_fields if name not in ("progress", "result")}
    path = f"{router.prefix}/{job.job}/result" if job.state is State.DONE else None
    return JobShown(**plain, progress=job.done / job.rows if job.rows else 0.0, result=path)
