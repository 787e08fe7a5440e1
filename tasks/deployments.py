"""Brings the server's deployments to what prefect.yaml declares; what an operator paused or added stays so."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from prefect import Flow

from store.orchestration import Declared
from store.settings import Settings
from tasks.server import Server

POOL = "churn"
OURS = "flows."  # the room whose flows ours run; operators may have others in the same pool
WHEN_DUE = "due"  # the schedule whose hour is CHURN_DUE's, as it is for the views
IN_NO_ZONE = "UTC"  # hourly work keeps to it, whatever the business zone is
# Beside the schedules, which are compared without what an operator may change of them.
COMPARED = (
    "entrypoint", "description", "tags", "parameters", "parameter_openapi_schema", "job_variables", "work_pool_name",
    "enforce_parameter_schema",
)  # fmt: skip


def install_deployments(server: Server, wishes: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Makes the pool and the deployments, and removes those that left the file; says what it changed, if anything."""
    if server.make(
        "/work_pools/", {"name": POOL, "type": "process", "description": "Runs the nights on this machine."}
    ):
        yield f"made the work pool {POOL}"
    standing = {one["name"]: one for one in _standing(server)}
    for wish in wishes:
        yield from _install(server, wish, standing.pop(wish["name"], None))
    for name, left in standing.items():
        server.delete(f"/deployments/{left['id']}")
        yield f"removed the deployment {name}, which prefect.yaml no longer has"


def deployment_ids(server: Server) -> dict[str, str]:
    """The deployments of ours by name."""
    return {one["name"]: one["id"] for one in _standing(server)}


def wanted(declared: Declared, settings: Settings) -> dict[str, Any]:
    """The deployment as the server is to have it; its flow is imported for that, which takes a second or two.

    Its hours are in the business zone of the settings, and what is to look at the night does so when it is due. Prefect
    gives a flow's schema no `additionalProperties` (3.8.8), without which its server takes parameters of any name.
    """
    flow = flow_of(declared["entrypoint"])
    limit = declared["concurrency_limit"]
    return {
        "name": declared["name"],
        "flow_name": flow.name,
        "entrypoint": declared["entrypoint"],
        "description": declared["description"],
        "tags": declared["tags"],
        "parameters": declared.get("parameters", {}),
        "parameter_openapi_schema": flow.parameters.model_dump() | {"additionalProperties": False},
        "enforce_parameter_schema": True,
        "schedules": [_schedule(one, settings) for one in declared.get("schedules", ())],
        "concurrency_limit": limit["limit"],
        "concurrency_options": {"collision_strategy": limit["collision_strategy"]},
        "work_pool_name": declared["work_pool"]["name"],
        "job_variables": declared["work_pool"].get("job_variables", {}),
        "pull_steps": [],  # the rooms are installed where the worker runs
    }


def flow_of(entrypoint: str) -> Flow[..., Any]:
    """The flow that a dotted entrypoint names."""
    module, _, name = entrypoint.rpartition(".")
    flow: Flow[..., Any] = getattr(importlib.import_module(module), name)
    return flow


def _standing(server: Server) -> list[dict[str, Any]]:
    pooled = server.found("/deployments", {"work_pools": {"name": {"any_": [POOL]}}})
    return [one for one in pooled if (one["entrypoint"] or "").startswith(OURS)]


def _install(server: Server, wish: dict[str, Any], standing: dict[str, Any] | None) -> Iterator[str]:
    if standing is not None and _is_as(standing, wish):
        return
    flow = server.post("/flows/", {"name": wish.pop("flow_name")})
    # To change a deployment makes its schedules anew: it would start those again that are paused, and lose the others.
    active = {one["slug"]: one["active"] for one in standing["schedules"]} if standing else {}
    for schedule in wish["schedules"]:
        schedule["active"] = active.get(schedule["slug"], schedule["active"])
    schedules = wish["schedules"] + (_schedules_of_operators(standing) if standing else [])
    server.post("/deployments/", wish | {"flow_id": flow["id"], "schedules": schedules})
    yield f"{'changed' if standing else 'made'} the deployment {wish['name']}"


def _is_as(standing: dict[str, Any], wish: dict[str, Any]) -> bool:
    limit = standing["global_concurrency_limit"] or {}
    options = standing["concurrency_options"] or {}
    return (
        all(standing[name] == wish[name] for name in COMPARED)
        and limit.get("limit") == wish["concurrency_limit"]
        and options.get("collision_strategy") == wish["concurrency_options"]["collision_strategy"]
        and _times(standing) == _times(wish)
    )


def _times(deployment: dict[str, Any]) -> list[tuple[str, str, str]]:
    schedules = [(one["slug"], one["schedule"]) for one in deployment["schedules"] if one["slug"]]
    return sorted((slug, schedule.get("cron", ""), schedule["timezone"] or "") for slug, schedule in schedules)


def _schedules_of_operators(standing: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that were added in the UI, which gives none a slug; in the words in which the server takes them again."""
    kept = ("active", "schedule", "max_scheduled_runs", "parameters")
    return [{name: one[name] for name in kept} for one in standing["schedules"] if not one["slug"]]


def _schedule(declared: dict[str, Any], settings: Settings) -> dict[str, Any]:
    given, due = declared["timezone"], settings.due
    cron = f"{due.minute} {due.hour} * * *" if declared["slug"] == WHEN_DUE else declared["cron"]
    return {
        "slug": declared["slug"],
        "active": declared["active"],
        "schedule": {"cron": cron, "timezone": given if given == IN_NO_ZONE else settings.zone.key},
    }
