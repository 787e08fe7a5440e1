"""The prior that a list was decided under, as the text that is kept of it says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from churn.prior import Prior
from store.settings import Settings
from store.texts import kept_text


def prior_of(odds: Mapping[str, float]) -> Prior:
    """The prior with the digest of its text."""
    text = _text(odds)
    return Prior(dict(odds), hashlib.sha256(text.encode()).hexdigest())


def text_of(prior: Prior) -> str:
    """What the digest of the prior is that of."""
    return _text(prior.odds)


def kept_prior(settings: Settings, digest: str) -> Prior | None:
    """The prior of that digest, as a list was decided under; None where its text is gone."""
    text = kept_text(digest, settings)
    return None if text is None else Prior(json.loads(text)["odds"], digest)


def _text(odds: Mapping[str, float]) -> str:
    return json.dumps({"odds": dict(sorted(odds.items()))}, indent=1)
