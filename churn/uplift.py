"""What actions change, as the waves' own lot has told it: two scorecards an action, with it and without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from churn.lookup import score
from churn.metrics import probability
from churn.scorecard import Floats, Scorecard
from schemas.policy import Policy


class Cards(NamedTuple):
    """The risk with an action and the risk of those whom a lot left out of it."""

    treated: Scorecard
    held_out: Scorecard


@dataclass(frozen=True, slots=True, eq=False)
class Uplift:
    """The cards of each action whose effect lots have told well enough to go by; `digest` names them all."""

    digest: str
    cards: Mapping[str, Cards]

    @property
    def columns(self) -> frozenset[str]:
        """The columns of the customer row that the cards look at."""
        both = [card for cards in self.cards.values() for card in cards]
        return frozenset(feature.name for card in both for feature in card.features)

    def effects(self, rows: pa.Table, policy: Policy) -> Floats:
        """By how much each of the policy's actions lowers the risk, NaN where no lot told; [n, actions]."""
        return card_effects(self.cards, rows, policy)


def card_effects(cards: Mapping[str, Cards], rows: pa.Table, policy: Policy) -> Floats:
    """By how much each action lowers the risk, as its two cards tell it; NaN where it has none; [n, actions]."""
    nobody = np.full(rows.num_rows, np.nan)
    of_actions = [lowered(cards[action.name], rows) if action.name in cards else nobody for action in policy.actions]
    return np.stack(of_actions, axis=1)


def lowered(cards: Cards, rows: pa.Table) -> Floats:
    """By how much an action lowers the risk, as its two cards tell it; [n]."""
    held_out, treated = (probability(score(card, rows).log_odds) for card in (cards.held_out, cards.treated))
    return held_out - treated
