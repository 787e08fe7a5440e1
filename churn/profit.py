"""What a contact is worth in money."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from schemas.policy import Action

Floats = npt.NDArray[np.float64]


def expected_value(probability: Floats, customer_value: Floats, action: Action, keep: Floats | None = None) -> Floats:
    """Expected gain of the action for each customer: `EV = p*g*(V - d) - (1 - p)*d - f`.

    A churner whom the offer keeps (probability g: `keep`, or the action's own) is worth V less the offer d; a stayer
    takes the offer for nothing; the contact f is always paid. Money in, money out; NaN where the value or g is unknown.
    Shape (n,).
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
