"""What a contact is worth in money."""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from schemas.policy import Action

Floats = npt.NDArray[np.float64]
Numbers = TypeVar("Numbers", float, Floats)  # of one customer, or of each


class Terms(Protocol):
    """Of an action: how likely it keeps a leaver, and what it costs."""

    @property
    def keep_probability(self) -> float:
        """Chance that it keeps a customer who would have left."""

    @property
    def offer_cost(self) -> float:
        """Paid when a customer takes the offer."""

    @property
    def contact_cost(self) -> float:
        """Paid for every contact."""


def expected_value(
    probability: Numbers, customer_value: Numbers, action: Terms, keep: Numbers | None = None
) -> Numbers:
    """Expected gain of the action for each customer, or for one: `EV = p*g*(V - d) - (1 - p)*d - f`.

    A churner whom the offer keeps (probability g: `keep`, or the action's own) is worth V less the offer d; a stayer
    takes the offer for nothing; the contact f is always paid. Money in, money out; NaN where the value or g is unknown.
    Shape (n,), or plain numbers, of which one takes a tenth of the time.
    """
    chance = action.keep_probability if keep is None else keep
    kept = probability * chance * (customer_value - action.offer_cost)
    given_away = (1.0 - probability) * action.offer_cost
    return kept - given_away - action.contact_cost


def value_of_effect(probability: Floats, effect: Floats, customer_value: Floats, action: Action) -> Floats:
    """Gain of an action that lowers the risk by `effect`: `tau*V - f - d*(1 - p + tau)`; whoever stays takes the offer.

    Where the effect is `p*g` this is `expected_value`. Money; NaN where the effect or the value is unknown. Shape (n,).
    """
    staying = 1.0 - probability + effect
    return effect * customer_value - action.contact_cost - action.offer_cost * staying
