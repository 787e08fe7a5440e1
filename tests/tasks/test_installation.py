"""What `churn operators install` does to a server: all that is declared, nothing twice, and no pause undone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import time
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from prefect.server.utilities.user_templates import render_user_template_sync
from prefect.settings import PREFECT_API_URL, temporary_settings

from churn.errors import ChurnError, OrchestratorUnreachable, SettingsError
from schemas.monitoring import Remedy
from store.orchestration import Notices, declared_automations, declared_deployments, read_notices
from store.settings import Settings, read_settings
from tasks import deployments
from tasks.automations import install_automations, mail_block, wanted
from tasks.deployments import deployment_ids, install_deployments
from tasks.events import DRIFT_DETECTED, PAYLOADS
from tasks.server import Server, open_server
from tests.mailbox import mailbox

NIGHTLY = [one for one in declared_deployments() if one["name"] in ("nightly", "notice", "retraining")]
NAMES = {one["name"]: f"{number:08d}-0000-4000-8000-000000000000" for number, one in enumerate(declared_deployments())}
SETTINGS = read_settings({"CHURN_ZONE": "Europe/London"})


class Kept:
    """A server that keeps what it is given, answers as Prefect's does, and is busy as often as it is told to be."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, dict[str, Any]]] = {"deployments": {}, "automations": {}, "work_pools": {}}
        self.writes = self.busy = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.busy:
            self.busy -= 1
            return httpx.Response(503)
        kind, _, rest = request.url.path.strip("/").partition("/")
        body = json.loads(request.content) if request.content else {}
        if rest == "filter":
            return httpx.Response(200, json=list(self.things[kind].values())[body["offset"] :][: body["limit"]])
        if request.method == "PUT" and "owner_resource" in body:
            return httpx.Response(422)
        if kind == "work_pools" and body["name"] in self.things[kind]:
            return httpx.Response(409)
        self.writes += 1
        if request.method == "DELETE":
            del self.things[kind][rest]
            return httpx.Response(204)
        return httpx.Response(201, json=self._keep(kind, rest or body["name"], body))

    def _keep(self, kind: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        if kind == "flows":
            return {"id": name}
        limit = {"global_concurrency_limit": {"limit": body.get("concurrency_limit")}}
        self.things[kind][name] = body | limit | {"id": name}
        return self.things[kind][name]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def server(kept: Kept) -> Iterator[Server]:
    with httpx.Client(transport=httpx.MockTransport(kept), base_url="http://prefect") as client:
        yield Server(client)


def installed(server: Server, declared: Any = NIGHTLY, settings: Settings = SETTINGS) -> list[str]:
    return list(install_deployments(server, [deployments.wanted(one, settings) for one in declared]))


def automated(server: Server, declared: Any = declared_automations()) -> list[str]:  # noqa: B008  # it is not changed
    return list(install_automations(server, declared, NAMES, Notices()))


def test_the_second_time_changes_nothing(server: Server, kept: Kept) -> None:
    assert len(installed(server)) == 1 + len(NIGHTLY)
    assert len(automated(server)) == len(declared_automations())
    before = kept.writes
    assert installed(server) == automated(server) == []
    assert kept.writes == before


def test_of_the_twins_that_two_installs_at_once_made_one_stays(server: Server, kept: Kept) -> None:
    automated(server)
    name, made = next(iter(kept.things["automations"].items()))
    kept.things["automations"] |= {twin: made | {"id": twin} for twin in ("twin", "third")}
    assert automated(server) == [f"removed the automation {name!r}, which was there twice"] * 2
    assert kept.things["automations"][name] == made
    assert automated(server) == []


def test_what_left_the_repository_leaves_the_server_and_what_operators_made_stays(server: Server, kept: Kept) -> None:
    installed(server)
    automated(server)
    kept.things["automations"]["theirs"] = {"name": "theirs", "tags": [], "id": "theirs"}
    left = NIGHTLY[1:]
    assert installed(server, left) == ["removed the deployment nightly, which prefect.yaml no longer has"]
    assert list(deployment_ids(server)) == [one["name"] for one in left]
    assert len(automated(server, declared_automations()[1:])) == 1
    assert "theirs" in kept.things["automations"]


def test_a_schedule_that_an_operator_added_stays_and_is_no_change(server: Server, kept: Kept) -> None:
    installed(server)
    schedules = kept.things["deployments"]["nightly"]["schedules"]
    noon = {"active": True, "schedule": {"cron": "0 12 * * *", "timezone": None}}
    noon |= {"max_scheduled_runs": None, "parameters": {"as_of": "latest"}}
    schedules += [noon | {"slug": None, "id": number} for number in ("first", "second")]
    assert installed(server) == []
    assert installed(server, [one | {"description": "Other words."} for one in NIGHTLY])
    assert kept.things["deployments"]["nightly"]["schedules"][1:] == [noon, noon]


def test_a_deployment_of_a_flow_that_is_not_ours_stays_in_the_pool(server: Server, kept: Kept) -> None:
    installed(server)
    for entrypoint in ("report.py:weekly", None):
        theirs = {"name": "nightly", "entrypoint": entrypoint, "work_pool_name": deployments.POOL, "id": "theirs"}
        kept.things["deployments"]["theirs"] = theirs
        assert installed(server) == []
        assert deployment_ids(server)["nightly"] == "nightly"


def test_what_an_operator_paused_stays_paused_even_where_it_changes(server: Server, kept: Kept) -> None:
    installed(server)
    automated(server)
    kept.things["deployments"]["nightly"]["schedules"][0]["active"] = False
    drift = declared_automations()[0]
    kept.things["automations"][drift["name"]]["enabled"] = False
    changed = [one | {"description": "Other words."} for one in NIGHTLY]
    assert "changed the deployment nightly" in installed(server, changed)
    assert not kept.things["deployments"]["nightly"]["schedules"][0]["active"]
    assert "paused" not in kept.things["deployments"]["nightly"]
    assert automated(server, [drift | {"description": "Other words."}, *declared_automations()[1:]])
    assert not kept.things["automations"][drift["name"]]["enabled"]


def test_schedules_are_in_the_business_zone_whatever_the_file_says(server: Server, kept: Kept) -> None:
    installed(server, settings=replace(SETTINGS, zone=ZoneInfo("Africa/Lagos")))
    assert kept.things["deployments"]["nightly"]["schedules"][0]["schedule"]["timezone"] == "Africa/Lagos"


def test_lateness_is_looked_for_when_the_night_is_due(server: Server, kept: Kept) -> None:
    lateness = [one for one in declared_deployments() if one["name"] in ("lateness", "nightly")]
    installed(server, lateness, replace(SETTINGS, due=time(7, 30)))
    assert kept.things["deployments"]["lateness"]["schedules"][0]["schedule"]["cron"] == "30 7 * * *"
    assert kept.things["deployments"]["nightly"]["schedules"][0]["schedule"]["cron"] == "0 4 * * *"


def test_a_backfill_may_take_as_long_as_it_has_nights() -> None:
    [hanging] = [one["trigger"] for one in declared_automations() if "cancel-flow-run" in str(one["actions"])]
    assert not {"backfill", "catch-up"} & set(hanging["match_related"]["prefect.resource.name"])


def test_people_hear_of_whichever_run_fails_crashes_does_not_start_or_hangs() -> None:
    runs = NAMES.keys() - {"notice"}  # which would tell of itself
    for event in ("Failed", "Crashed", "Late"):
        [told] = told_of(f"prefect.flow-run.{event}")
        assert set(told["match_related"]["prefect.resource.name"]) == runs
    [hanging] = [one["trigger"] for one in declared_automations() if "cancel-flow-run" in str(one["actions"])]
    assert set(hanging["match_related"]["prefect.resource.name"]) == runs - {"backfill", "catch-up"}


def test_a_server_that_is_busy_for_a_moment_is_asked_again(
    server: Server, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.server.AGAIN_AFTER", (0, 0))
    kept.busy = 2
    assert len(installed(server)) == 1 + len(NIGHTLY)


def test_what_answers_there_and_is_no_prefect_is_named_so() -> None:
    page = httpx.MockTransport(lambda _: httpx.Response(200, html="<html>Prefect's pages, without /api</html>"))
    for ask in (Server.wait_until_it_answers, deployment_ids):
        with (
            httpx.Client(transport=page, base_url="http://prefect") as client,
            pytest.raises(OrchestratorUnreachable, match="no Prefect API"),
        ):
            ask(Server(client))


@pytest.mark.parametrize("address", ["http://127.0.0.1:port/api", "localhost:4200/api", "http://"])
def test_what_is_no_address_is_refused_by_its_variable_and_not_waited_for(address: str) -> None:
    with temporary_settings({PREFECT_API_URL: address}), pytest.raises(ChurnError) as refused, open_server() as server:
        deployment_ids(server)
    assert "PREFECT_API_URL" in str(refused.value)


@pytest.mark.parametrize("declared", declared_automations(), ids=lambda one: one["name"])
def test_an_automation_knows_its_deployments_and_cools_down_for_each_thing_by_itself(declared: dict[str, Any]) -> None:
    automation = wanted(declared, NAMES, addressees=())
    assert automation.trigger.for_each
    assert automation.actions


@pytest.mark.parametrize("declared", declared_automations(), ids=lambda one: one["name"])
def test_what_an_automation_says_of_a_run_or_an_event_can_be_said(declared: dict[str, Any]) -> None:
    """The parameters of a deployment are rendered without Prefect's own filters (3.8.8), such as `ui_url`."""
    payload = dict.fromkeys(frozenset().union(*PAYLOADS.values()), "the list changed")
    run = SimpleNamespace(name="telco as of 2026-01-01", id="60b0f206", state=SimpleNamespace(message=None))
    told = {"event": SimpleNamespace(payload=payload), "flow_run": run, "flow": SimpleNamespace(name="nightly")}
    for action in wanted(declared, NAMES, addressees=()).actions:
        for text in (getattr(action, "parameters", None) or {}).values():
            assert render_user_template_sync(text["template"], told)


def test_silence_alone_ends_no_run_since_nobody_beats_while_the_server_is_away() -> None:
    beaten = [one for one in declared_automations() if "prefect.flow-run.heartbeat" in one["trigger"].get("after", ())]
    [silent] = beaten
    assert [action.get("deployment") for action in silent["actions"]] == ["silence"]


def test_every_crash_of_a_night_is_told_and_only_the_first_of_a_day_is_taken_over() -> None:
    [crashed] = told_of("prefect.flow-run.Crashed")
    assert crashed["within"] == 60
    assert {"nightly", "retraining", "outcomes"} <= set(crashed["match_related"]["prefect.resource.name"])


def test_people_hear_of_whatever_drifts_and_a_retraining_starts_only_where_it_mends_it() -> None:
    [heard] = told_of(DRIFT_DETECTED)
    [started] = [one["trigger"] for one in declared_automations() if ran(one) == ["retraining"]]
    assert "match" not in heard
    assert started["match"] == {"churn.remedy": Remedy.RETRAINING.value}


def told_of(event: str) -> list[dict[str, Any]]:
    """What lets people hear of the event itself."""
    telling = [one for one in declared_automations() if any(action["type"] == "notify" for action in one["actions"])]
    return [one["trigger"] for one in telling if one["trigger"]["expect"] == [event]]


def ran(declared: dict[str, Any]) -> list[str]:
    """The deployments that an automation runs."""
    return [action["deployment"] for action in declared["actions"] if "deployment" in action]


def test_a_notice_is_always_written_down_and_sent_where_there_is_an_addressee() -> None:
    late = next(one for one in declared_automations() if "late" in one["name"])
    kinds = [action.type for action in wanted(late, NAMES, addressees=[NAMES["nightly"]]).actions]
    assert kinds == ["run-deployment", "send-notification"]
    assert [action.type for action in wanted(late, NAMES, addressees=()).actions] == ["run-deployment"]


def test_a_block_is_named_by_its_type_and_its_name() -> None:
    assert read_notices({"CHURN_NOTICE_BLOCK": "sendgrid-email/night"}).block == "sendgrid-email/night"
    with pytest.raises(Exception, match=re.escape("CHURN_NOTICE_BLOCK")):
        read_notices({"CHURN_NOTICE_BLOCK": "night"})


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Apprise reads images by it
def test_mail_reaches_those_it_is_for_by_the_server_that_was_named() -> None:
    with mailbox() as box:
        people = "from=night@example.com&to=ada@example.com,bob@example.com&format=text"
        block = mail_block(f"mailto://127.0.0.1:{box.port}?{people}")
        with block.raise_on_failure():
            block.notify("readers keep yesterday's", subject="The night of telco is late")
    assert [(mail["to"], mail["subject"]) for mail in box.mails] == [
        ("ada@example.com", "The night of telco is late"),
        ("bob@example.com", "The night of telco is late"),
    ]
    assert "readers keep yesterday's" in box.mails[0].get_content()


def test_mail_that_goes_to_no_mail_server_is_refused_by_its_variable() -> None:
    with pytest.raises(SettingsError) as refused:
        read_notices({"CHURN_NOTICE_MAIL": "ada:secret@example.com"})
    assert refused.value.where == "CHURN_NOTICE_MAIL"
    assert "secret" not in str(refused.value)
