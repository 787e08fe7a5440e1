"""Brings the server's automations to what automations.yaml declares; one that an operator paused stays paused.

The file is in Prefect's own words but for two: an action's `deployment` is named, not numbered, and the action `notify`
writes a notice into our own book by the deployment `notice`, and lets the server send it to whom CHURN_NOTICE_WEBHOOK,
CHURN_NOTICE_MAIL and CHURN_NOTICE_BLOCK name: also where no worker is left to do so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
from prefect.events.schemas.automations import AutomationCore
from prefect.types import SecretDict
from pydantic import SecretStr

from store.orchestration import Declared, Notices
from tasks.server import Server

OURS = "churn"  # the tag by which ours are told from those that operators made for themselves
WEBHOOK, MAIL = "churn-notices", "churn-mail"
JINJA = "jinja"


def install_automations(
    server: Server, declared: Sequence[Declared], deployments: Mapping[str, str], notices: Notices
) -> Iterator[str]:
    """Makes the automations, and removes those of ours that left the file; says what it changed, if anything."""
    addressees = tuple(_addressees(server, notices))
    standing: dict[str, list[dict[str, Any]]] = {}
    for one in server.found("/automations"):
        if OURS in one["tags"]:
            standing.setdefault(one["name"], []).append(one)
    for one in declared:
        there = standing.pop(one["name"], [])
        yield from _install(server, wanted(one, deployments, addressees), there[0] if there else None)
        yield from _remove(server, there[1:], "which was there twice")
    for left in standing.values():
        yield from _remove(server, left, "which automations.yaml no longer has")


def wanted(declared: Declared, deployments: Mapping[str, str], addressees: Sequence[str]) -> AutomationCore:
    """The automation as the server is to have it; a deployment that is not there is a KeyError."""
    actions = [made for action in declared["actions"] for made in _actions(action, deployments, addressees)]
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


def _remove(server: Server, left: Sequence[dict[str, Any]], why: str) -> Iterator[str]:
    for one in left:
        server.delete(f"/automations/{one['id']}")
        yield f"removed the automation {one['name']!r}, {why}"


def _actions(
    action: dict[str, Any], deployments: Mapping[str, str], addressees: Sequence[str]
) -> Iterator[dict[str, Any]]:
    if action["type"] == "notify":
        texts = {name: action[name] for name in ("subject", "body")}
        yield _run(deployments["notice"], texts)
        for addressee in addressees:
            yield {"type": "send-notification", "block_document_id": addressee, **texts}
    elif action["type"] == "run-deployment":
        yield _run(deployments[action["deployment"]], action.get("parameters", {}))
    else:
        yield action


def _run(deployment: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Runs a deployment with texts in which the server fills in what happened."""
    templates = {name: {"__prefect_kind": JINJA, "template": text} for name, text in parameters.items()}
    return {"type": "run-deployment", "source": "selected", "deployment_id": deployment, "parameters": templates}


def mail_block(url: str) -> SlackWebhook:
    """A block that sends mail by a server of one's own.

    Prefect has one for a mail service alone (3.8.8). That for Slack hands what is no address of Slack's to Apprise as
    it is, which knows mail servers too.
    """
    return SlackWebhook(url=SecretStr(url))


def webhook_block(url: str) -> CustomWebhookNotificationBlock:
    """A block that posts to an address, filled in when it sends: the own `url` of a block is shown to everybody."""
    text, secrets = {"text": "{{subject}}\n{{body}}"}, SecretDict({"address": url})
    return CustomWebhookNotificationBlock(name=WEBHOOK, url="{{address}}", secrets=secrets, json_data=text)


def _addressees(server: Server, notices: Notices) -> Iterator[str]:
    """The blocks that send notices."""
    if notices.block:
        kind, _, name = notices.block.partition("/")
        yield str(server.get(f"/block_types/slug/{kind}/block_documents/name/{name}")["id"])
    if notices.mail:
        yield str(mail_block(notices.mail).save(MAIL, overwrite=True))
    if notices.webhook:
        yield str(webhook_block(notices.webhook).save(WEBHOOK, overwrite=True))
