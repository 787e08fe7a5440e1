"""What people take away: pages, drawings and keys, as files where they want them."""

from __future__ import annotations

import os
from pathlib import Path

from churn.errors import RequestError

SECRET = 0o600  # for its owner alone


def export_file(content: str, to: Path) -> None:
    """Writes the file, over an older one, and the folders above it; RequestError where that is not possible."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(content, encoding="utf-8")
    except OSError as failed:
        raise _not_written(to, failed) from None


def export_secret(content: str, to: Path) -> None:
    """Writes a file that its owner alone may read; RequestError where it is there already, or cannot be written."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET), "w", encoding="utf-8") as file:
            file.write(content)
    except OSError as failed:
        raise _not_written(to, failed) from None


def _not_written(to: Path, failed: OSError) -> RequestError:
    return RequestError(
        f"it cannot be written: {failed.strerror}", where=str(to), to_do="Give another path after --to."
    )
