"""Pages for people about models, kept beside the lake: an artifact's own folder takes no further file."""

from __future__ import annotations

from pathlib import Path

from store.lake import write_text
from store.settings import Settings


def keep_model_page(page: str, digest: str, settings: Settings) -> Path:
    """Writes the page of the model of that digest, over an older one, and says where it lies."""
    path = settings.data / "reports" / "models" / f"{digest}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, path)
    return path
