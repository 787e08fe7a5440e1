"""What a contact is worth in money."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from schemas.policy import Policy

Floats = npt.NDArray[np.float64]


def expected_value(probability: Floats, customer_value: Floats, policy: Policy) -> Floats:
    """Expected gain of contacting each customer: `EV = p*g*(V - d) - (1 - p)*d - f`.

    A churner whom the offer keeps (probability g) is worth V less the offer d; a stayer takes the offer for
    nothing; the contact f is always paid. Money in, money out; NaN where the value is unknown. Shape (n,).
    """
    kept = probability * policy.keep_probability * (customer_value - policy.offer_cost)
    given_away = (1.0 - probability) * policy.offer_cost
    return kept - given_away - policy.contact_cost


def break_even(customer_value: Floats, policy: Policy) -> Floats:
    """The churn probability above which a contact pays: `(d + f) / (g*(V - d) + d)`. Shape (n,)."""
    gain = policy.keep_probability * (customer_value - policy.offer_cost) + policy.offer_cost
    return (policy.offer_cost + policy.contact_cost) / gain
