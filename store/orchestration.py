"""Reads what prefect.yaml and automations.yaml declare, who is to be notified, and keeps what operators were told."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from churn.errors import SettingsError
from store.settings import Settings

ROOT = Path(__file__).parent.parent
DEPLOYMENTS, AUTOMATIONS = "prefect.yaml", "automations.yaml"

Declared = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notices:
    """Where notices go beside our own book: to a webhook, by mail, to a block that was made in the Prefect UI."""

    webhook: str = field(default="", repr=False)  # its address is often all that keeps strangers out
    block: str = ""
    mail: str = field(default="", repr=False)  # mailtos://user:password@host?from=…&to=…, as Apprise reads it


def declared_deployments() -> tuple[Declared, ...]:
    """The deployments of prefect.yaml, as `prefect deploy` reads them."""
    return _declared(DEPLOYMENTS, "deployments")


def declared_automations() -> tuple[Declared, ...]:
    """The automations of automations.yaml, in Prefect's own words but for those that tasks/automations.py explains."""
    return _declared(AUTOMATIONS, "automations")


def read_notices(env: Mapping[str, str]) -> Notices:
    """Who is notified; SettingsError where the block is not named by type and name, or the mail goes elsewhere."""
    block = env.get("CHURN_NOTICE_BLOCK", "")
    if block and len(block.split("/")) != 2:
        raise SettingsError(
            f"{block!r} names no block", where="CHURN_NOTICE_BLOCK", to_do="Give type and name: sendgrid-email/night."
        )
    mail = env.get("CHURN_NOTICE_MAIL", "")
    if mail and not mail.startswith(("mailto://", "mailtos://")):
        raise SettingsError(
            "it is no address of a mail server",
            where="CHURN_NOTICE_MAIL",
            to_do="Give mailtos://user:password@smtp.example.com?from=night@example.com&to=team@example.com.",
        )
    return Notices(env.get("CHURN_NOTICE_WEBHOOK", ""), block, mail)


def current_notices() -> Notices:
    """Who is to be notified, by this process's environment."""
    return read_notices(os.environ)


def note_down(notice: Mapping[str, str], settings: Settings) -> Path:
    """Adds a notice, as a line of JSON, to the book that stays whether anybody was reached or not."""
    book = settings.data / "notices.jsonl"
    book.parent.mkdir(parents=True, exist_ok=True)
    with book.open("a", encoding="utf-8") as file:
        file.write(json.dumps(notice, ensure_ascii=False) + "\n")
    return book


def _declared(name: str, part: str) -> tuple[Declared, ...]:
    file = Path(os.environ.get("CHURN_OPERATIONS") or ROOT) / name  # another place has other hours and patience
    try:
        return tuple(yaml.safe_load(file.read_text(encoding="utf-8"))[part])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as failure:
        raise SettingsError(
            f"declares no {part}: {failure}", where=str(file), to_do="Restore the file from the repository."
        ) from None
