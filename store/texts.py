"""Keeps the texts that decided: a policy's and a contract's file may change, and what they said must stay readable."""

from __future__ import annotations

import hashlib
from pathlib import Path

from churn.errors import AuditFailed
from store.lake import write_text
from store.settings import Settings


def keep_text(text: str, settings: Settings) -> str:
    """Keeps the text under its sha256, once, and gives that."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    place = _place(digest, settings)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(text, place)
    return digest


def kept_text(digest: str, settings: Settings) -> str | None:
    """The text of that sha256, or None where none was kept; AuditFailed where it is another by now."""
    place = _place(digest, settings)
    if not place.is_file():
        return None
    content = place.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise AuditFailed(
            "it is not the text that was kept under this name",
            where=str(place),
            to_do="Restore the file from a copy, or remove it: receipts then say that the text is missing.",
        )
    return content.decode()


def _place(digest: str, settings: Settings) -> Path:
    return settings.artifacts / "texts" / f"{digest}.yaml"
