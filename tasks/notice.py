"""Keeps what automations tell operators, also where no webhook and no mail is configured."""

from __future__ import annotations

from datetime import datetime

from store import orchestration
from store.settings import current_settings
from tasks.progress import warned
from tasks.step import SOON, step


@step("note down", again_after=SOON)
def note_down(subject: str, body: str) -> None:
    """Adds a line to data/notices.jsonl, and says it in the log."""
    settings = current_settings()
    at = datetime.now(settings.zone).isoformat(timespec="seconds")
    orchestration.note_down({"at": at, "subject": subject, "body": body}, settings)
    warned(f"{subject}: {body}")
