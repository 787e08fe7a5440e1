"""What drivers say without the passwords that they quote."""

from __future__ import annotations

import re

from sqlalchemy.engine import URL

UNMISTAKABLE = 8  # letters; a shorter password may be a part of a word: without a "p" nobody reads "port"


def without_password(text: str, url: URL) -> str:
    """The text with asterisks for the URL's password, where it stands by itself; a long one, wherever it stands."""
    for secret in (url.password, url.query.get("password")):
        if secret:
            text = _masked(text, str(secret))
    return text


def _masked(text: str, secret: str) -> str:
    if len(secret) >= UNMISTAKABLE:
        return text.replace(secret, "***")
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
