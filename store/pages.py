"""Pages for people about models and waves, kept beside the lake: an artifact's own folder takes no further file."""

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


def keep_lift_page(drawing: str, contract: str, settings: Settings) -> Path:
    """Writes the drawing of what a base's waves saved, over an older one, and says where it lies."""
    path = settings.data / "reports" / "lift" / f"{contract}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(drawing, path)
    return path
