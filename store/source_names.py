"""What sources are called: by URL, in messages without its secrets, or by path."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from churn.errors import SourceMissing


def source_name(source: str) -> str:
    """What to call a source in messages and manifests: its URL without secrets, or its path."""
    return source_url(source).set(query={}).render_as_string(hide_password=True) if is_url(source) else source


def is_url(source: str) -> bool:
    """Whether it is a URL, and not a path."""
    return "://" in source


def source_url(source: str) -> URL:
    """The URL of a source; SourceMissing where it cannot be read as one."""
    try:
        return make_url(source)
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        kind = source.partition("://")[0]  # the rest may hold a password
        raise SourceMissing(f"this {kind} URL cannot be read as one", to_do="Mend the URL.") from None
