"""Brings the server's automations to what automations.yaml declares; one that an operator paused stays paused.

The file is in Prefect's own words but for two: an action's `deployment` is named, not numbered, and the action `notify`
writes a notice into our own book by the deployment `notice`, and sends it to whom CHURN_NOTICE_WEBHOOK or
CHURN_NOTICE_BLOCK names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.events.schemas.automations import AutomationCore

from store.orchestration import Declared, Notices
from tasks.server import Server

OURS = "churn"  # the tag by which ours are told from those that operators made for themselves
WEBHOOK = "churn-notices"
JINJA = "jinja"


def install_automations(
    server: Server, declared: Sequence[Declared], deployments: Mapping[str, str], notices: Notices
) -> Iterator[str]:
    """Makes the automations, and removes those of ours that left the file; says what it changed, if anything."""
    addressee = _addressee(server, notices)
    standing = {one["name"]: one for one in server.found("/automations") if OURS in one["tags"]}
    for one in declared:
        yield from _install(server, wanted(one, deployments, addressee), standing.pop(one["name"], None))
    for name, left in standing.items():
        server.delete(f"/automations/{left['id']}")
        yield f"removed the automation {name!r}, which automations.yaml no longer has"


def wanted(declared: Declared, deployments: Mapping[str, str], addressee: str | None) -> AutomationCore:
    """The automation as the server is to have it; a deployment that is not there is a KeyError."""
    actions = [made for action in declared["actions"] for made in _actions(action, deployments, addressee)]
    return AutomationCore.model_validate(declared | {"actions": actions, "tags": [OURS]})


def _install(server: Server, wish: AutomationCore, standing: dict[str, Any] | None) -> Iterator[str]:
    if standing is None:
        server.post("/automations/", wish.model_dump(mode="json"))
        yield f"made the automation {wish.name!r}"
        return
    wish = wish.model_copy(update={"enabled": standing["enabled"]})
    if AutomationCore.model_validate(standing) != wish:  # not their JSON, where a set has no order
        server.put(f"/automations/{standing['id']}", wish.model_dump(mode="json", exclude={"owner_resource"}))
        yield f"changed the automation {wish.name!r}"


def _actions(action: dict[str, Any], deployments: Mapping[str, str], addressee: str | None) -> Iterator[dict[str, Any]]:
    if action["type"] == "notify":
        texts = {name: action[name] for name in ("subject", "body")}
        yield _run(deployments["notice"], texts)
        if addressee:
            yield {"type": "send-notification", "block_document_id": addressee, **texts}
    elif action["type"] == "run-deployment":
        yield _run(deployments[action["deployment"]], action.get("parameters", {}))
    else:
        yield action


def _run(deployment: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Runs a deployment with texts in which the server fills in what happened."""
    templates = {name: {"__prefect_kind": JINJA, "template": text} for name, text in parameters.items()}
    return {"type": "run-deployment", "source": "selected", "deployment_id": deployment, "parameters": templates}


def _addressee(server: Server, notices: Notices) -> str | None:
    """The block that sends notices; None where nobody is to get any."""
    if notices.block:
        kind, _, name = notices.block.partition("/")
        return str(server.get(f"/block_types/slug/{kind}/block_documents/name/{name}")["id"])
    if not notices.webhook:
        return None
    text = {"text": "{{subject}}\n{{body}}"}
    block = CustomWebhookNotificationBlock(name=WEBHOOK, url=notices.webhook, json_data=text)
    return str(block.save(WEBHOOK, overwrite=True))
