"""What lots have told of actions, as lists go by it: read from signed cards, by what was known at a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from churn.errors import AuditFailed
from churn.uplift import Cards, Uplift
from store.artifacts import load_model, model_folder
from store.intervention_tables import uplift
from store.migrations import migrated_engine
from store.settings import Settings
from store.tables import answering
from store.texts import kept_text

ARMS = Cards._fields


def uplift_in_force(settings: Settings, contract: str, known_at: datetime) -> Uplift | None:
    """What a list goes by that may know of nothing later; None where no effect leaves anybody alone.

    A night that is done again is thereby valued as it was: it does not learn from what came of itself.
    """
    digest = uplift_digest(settings, contract, known_at)
    if digest is None:
        return None
    found = kept_uplift(settings, digest)
    if found is None:
        raise AuditFailed(
            "the effects that lists go by are not kept any more",
            where=f"uplift {digest}",
            to_do="Restore artifacts/ from a copy, or measure anew: `churn lift`.",
        )
    return found


def uplift_digest(settings: Settings, contract: str, known_at: datetime) -> str | None:
    """What names the effects that a list goes by, a cause of it like its policy; None where there are none."""
    engine = migrated_engine(settings)
    before = sa.select(sa.func.max(uplift.c.known_at)).where(
        uplift.c.contract == contract, uplift.c.known_at <= known_at
    )
    told = sa.select(sa.func.max(uplift.c.uplift_digest)).where(
        uplift.c.contract == contract, uplift.c.known_at == before.scalar_subquery()
    )
    with answering(engine), engine.connect() as connection:
        digest: str | None = connection.scalar(told)
    return digest


def kept_uplift(settings: Settings, digest: str) -> Uplift | None:
    """The effects of that digest, each card verified as `load_model` does; None where some of it is gone."""
    named = cards_named(settings, digest)
    digests = [card for cards in named.values() for card in cards.values()]
    if not named or not all(model_folder(card, settings).is_dir() for card in digests):
        return None
    cards = {action: Cards(*(load_model(arms[arm], settings).card for arm in ARMS)) for action, arms in named.items()}
    return Uplift(digest, cards)


def cards_named(settings: Settings, digest: str) -> Mapping[str, Mapping[str, str]]:
    """The digests of each action's cards, by ARMS, that the effects of that digest consist of; empty where unknown."""
    text = kept_text(digest, settings)
    named: Mapping[str, Mapping[str, str]] = json.loads(text)["actions"] if text else {}
    return named
