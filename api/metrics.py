"""What Prometheus reads at /metrics: how many requests, how long they took, and which models answer, over all workers.

Workers of one service add up in files of one folder, which `churn serve` names and clears before it starts them.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

from api.security import require
from schemas.users import Role
from store.metrics import shared_folder

router = APIRouter(tags=["health"])

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)  # upper bounds of the buckets


class Metrics:
    """The figures of one worker."""

    def __init__(self) -> None:
        own = self._own = CollectorRegistry()
        self._requests = Counter(
            "churn_requests", "Answers by route, method and status", ("route", "method", "status"), registry=own
        )
        self._seconds = Histogram(
            "churn_request_seconds", "Seconds from the request's begin", ("route",), buckets=SECONDS, registry=own
        )
        self._version = Gauge(
            "churn_champion_version",
            "The version that was taken over last",
            ("segment",),
            multiprocess_mode="mostrecent",
            registry=own,
        )

        self._refused = Counter("churn_refusals", "Requests that found the queue full", registry=own)
        self._untold = 0  # of these

    def refused(self) -> None:
        """Counts a request that was not even read; the figure has it with the next answer, since a flood has many."""
        self._untold += 1

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts one answer. The route is its template, since real paths name customers."""
        if self._untold:
            self._refused.inc(self._untold)
            self._untold = 0
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def champion(self, segment: str, version: int) -> None:
        """Says who is champion of the segment now."""
        self._version.labels(segment).set(version)

    def text(self) -> bytes:
        """All figures in Prometheus's own format."""
        if not shared_folder():
            return generate_latest(self._own)
        of_all = CollectorRegistry()
        MultiProcessCollector(of_all)  # type: ignore[no-untyped-call]
        return generate_latest(of_all)


@router.get("/metrics", response_class=Response, dependencies=[Depends(require(Role.OPERATOR, Role.SERVICE))])
async def metrics(request: Request) -> Response:
    """The figures of all workers, for operators and for what watches the service."""
    figures: Metrics = request.app.state.metrics
    return Response(figures.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)
