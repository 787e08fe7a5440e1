"""What prefect.yaml promises the server: every deployment's flow is there and takes the parameters it is given."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect import Flow
from prefect.exceptions import SignatureMismatchError
from prefect.utilities.schema_tools.validation import is_valid

from store.claims import LEASE
from store.settings import read_settings
from tasks.deployments import wanted

SETTINGS = read_settings({})
FILE = Path(__file__).parent.parent.parent / "prefect.yaml"
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["deployments"]
each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: deployment["name"])

REFUSED = [
    ("as_of", "yesterday"),
    ("as_of", "2026-1-1"),
    ("as_of", "2026-01-01; DROP TABLE scores"),
    ("known_at", "2026-01-01T00"),
    ("contract", ""),
    ("contract", None),
    ("source", "x" * 501),
    ("force", "perhaps"),
    ("reasons", "everybody"),
    ("promote", "yes"),
    ("promote", True),
    ("estimator", "neural_network"),
    ("gate", ""),
    ("action", "delete"),
    ("version", 0),
    ("expected", -1),
    ("segments", ""),
    ("embargo_days", -1),
    ("test_as_of", "last month"),
    ("sampled_rows", 999),
    ("first", "last week"),
    ("last", None),
    ("until", "2026-1-1"),
    ("model", "2"),
    ("dry_run", "perhaps"),
    ("who", ""),
    ("why", None),
    ("why", " "),
    ("run", "last night's"),
    ("keep_days", 0),
    ("subject", ""),
    ("flow_run", "000001-d3e18fe4"),
    ("patience", 0),
]
TAKEN = [
    ("as_of", "latest"),
    ("as_of", "2026-01-01"),
    ("as_of", None),
    ("known_at", "2026-01-01T06:30"),
    ("known_at", "2026-01-01"),
    ("source", "postgresql+psycopg://churn@db/telco"),
    ("policy", "default"),
    ("force", True),
    ("reasons", "base"),
    ("promote", "ask"),
    ("estimator", "logistic_regression"),
    ("per_segment", False),
    ("until", "2026-01-31"),
    ("model", "now"),
    ("lists", True),
    ("dry_run", True),
    ("action", "rollback"),
    ("version", 3),
    ("expected", 0),
    ("segments", "prepaid, postpaid"),
    ("run", "000001-d3e18fe4"),
    ("keep_days", 90),
]
# What the form asks of a person, since nobody else can know it.
ASKED_OF_A_PERSON = {
    "promotion": {"who": "Ada", "why": "better in October"},
    "backfill": {"first": "2026-01-01", "last": "2026-01-31"},
    "rollback": {"run": "000001-d3e18fe4"},
    "silence": {"flow_run": "11111111-1111-1111-1111-111111111111"},
    "notice": {"subject": "The night is late"},
}


def flow_of(deployment: dict[str, Any]) -> Flow[..., Any]:
    module, name = deployment["entrypoint"].rsplit(".", 1)
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, Flow)
    return found


def given(deployment: dict[str, Any]) -> dict[str, Any]:
    """The parameters with which a run of the deployment starts."""
    return deployment.get("parameters", {}) | ASKED_OF_A_PERSON.get(deployment["name"], {})


def schema_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """What the server checks a run's parameters against, and the UI makes its form of."""
    schema: dict[str, Any] = wanted(deployment, SETTINGS)["parameter_openapi_schema"]
    return schema


@each_deployment
def test_a_deployment_is_the_flow_of_its_name_and_gives_it_parameters_that_it_takes(deployment: dict[str, Any]) -> None:
    flow = flow_of(deployment)
    assert flow.name == deployment["name"]
    assert flow.validate_parameters(given(deployment)) is not None
    assert is_valid(given(deployment), schema_of(deployment))


@each_deployment
def test_every_parameter_is_flat_and_described_for_the_form(deployment: dict[str, Any]) -> None:
    for name, field in schema_of(deployment)["properties"].items():
        assert field.get("description"), name
        assert "$ref" not in str(field), name


@each_deployment
def test_one_run_of_a_deployment_waits_for_the_one_before(deployment: dict[str, Any]) -> None:
    side_by_side = deployment["name"] in ("silence", "notice")  # else others would wait for one that died
    assert (deployment["concurrency_limit"]["limit"] > 1) == side_by_side
    assert deployment["concurrency_limit"]["collision_strategy"] == "ENQUEUE"


@each_deployment
def test_somebody_owns_it(deployment: dict[str, Any]) -> None:
    assert [tag for tag in deployment["tags"] if tag.startswith("owner:")]


@each_deployment
def test_its_runs_beat_three_times_before_they_are_taken_for_dead(deployment: dict[str, Any]) -> None:
    environment = deployment["work_pool"]["job_variables"]["env"]
    assert int(environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) == 30


def test_a_night_is_tried_again_after_the_lease_of_a_dead_run() -> None:
    [nightly] = [one for one in DEPLOYMENTS if one["name"] == "nightly"]
    environment = nightly["work_pool"]["job_variables"]["env"]
    assert int(environment["PREFECT_FLOWS_DEFAULT_RETRIES"]) == 2
    assert int(environment["PREFECT_FLOWS_DEFAULT_RETRY_DELAY_SECONDS"]) > LEASE.total_seconds()


@each_deployment
def test_a_parameter_of_an_unknown_name_is_refused_by_the_server_and_where_there_is_none_as_the_run_starts(
    deployment: dict[str, Any],
) -> None:
    misspelt = given(deployment) | {"as_off": "2026-01-01"}
    assert not is_valid(misspelt, schema_of(deployment))
    with pytest.raises(SignatureMismatchError, match="as_off"):
        flow_of(deployment).validate_parameters(misspelt)


@each_deployment
def test_schedules_name_their_time_zone_and_keep_away_from_the_hour_that_spring_skips(
    deployment: dict[str, Any],
) -> None:
    for schedule in deployment.get("schedules", ()):
        assert ZoneInfo(schedule["timezone"])
        assert int(schedule["cron"].split()[1]) >= 4


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_the_server_refuses(name: str, value: object) -> None:
    takers = [deployment for deployment in DEPLOYMENTS if name in schema_of(deployment)["properties"]]
    assert takers
    for deployment in takers:
        assert not is_valid({**given(deployment), name: value}, schema_of(deployment))


@pytest.mark.parametrize(("name", "value"), TAKEN)
def test_the_server_takes(name: str, value: object) -> None:
    takers = [deployment for deployment in DEPLOYMENTS if name in schema_of(deployment)["properties"]]
    assert takers
    for deployment in takers:
        assert is_valid({**given(deployment), name: value}, schema_of(deployment))
