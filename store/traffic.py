"""Which challengers decide about a share of a night's customers: those in the shadow that have scored a night well."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from churn.errors import RegistryError
from churn.traffic import Traffic
from store.registry import Registry, open_registry
from store.settings import Settings
from store.shadows import Wish, proven
from store.texts import kept_text

CanDecide = Callable[[str], bool]


def _every(digest: str) -> bool:
    return bool(digest)


def waiting_traffic(settings: Settings, contract: str, as_of: date, can_decide: CanDecide = _every) -> Traffic | None:
    """The challengers that can decide, and whose nights in the shadow before that date went well; None where none is.

    The night that shows a challenger to be sound is over before it decides about anybody. Whose own challenger cannot
    decide are as if they had none: that of all decides about their share.
    """
    registry = open_registry(settings)
    waiting = {wish.segment: _digest(registry, wish) for wish in proven(settings, contract, as_of)}
    challengers = {place: digest for place, digest in waiting.items() if digest and can_decide(digest)}
    places = {*registry.resolve_all(contract), *challengers}
    return _traffic({"places": sorted(places), "challengers": challengers}) if challengers else None


def able(traffic: Traffic, can_decide: CanDecide) -> Traffic | None:
    """The traffic of a list without who cannot decide any more, whose share is the champions'; None where none can."""
    challengers = {place: digest for place, digest in traffic.challengers.items() if can_decide(digest)}
    return _traffic({"places": sorted(traffic.places), "challengers": challengers}) if challengers else None


def text_of(traffic: Traffic) -> str:
    """What the digest of the traffic is that of."""
    return _text({"places": sorted(traffic.places), "challengers": dict(traffic.challengers)})


def kept_traffic(settings: Settings, digest: str) -> Traffic | None:
    """The traffic of that digest, as a list was decided by; None where its text is gone."""
    text = kept_text(digest, settings)
    return None if text is None else _traffic(json.loads(text))


def _digest(registry: Registry, wish: Wish) -> str | None:
    """The challenger's model; None where it was deleted, which no night shall fail of."""
    try:
        return registry.version(wish.contract, wish.version).digest
    except RegistryError:
        return None


def _traffic(fields: Mapping[str, Any]) -> Traffic:
    digest = hashlib.sha256(_text(fields).encode()).hexdigest()
    return Traffic(digest, tuple(fields["places"]), fields["challengers"])


def _text(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, indent=1, sort_keys=True)
