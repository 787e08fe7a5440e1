"""What the retention team's actions change, for good or ill, in a customer whom a contact reaches."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from churn.simulation.hazard import Signs
from churn.simulation.population import CONTACT_ALPHA, CONTACT_BETA
from churn.simulation.scenario import Floats
from churn.simulation.standing import Base

# Published effects are averages over all whom a team tried to contact; whoever is reached feels more.
REACHED = CONTACT_ALPHA / (CONTACT_ALPHA + CONTACT_BETA)

PLAN_FOR_OVERSPENDER = np.log(1.55)  # the advice shows him what he could save elsewhere
PLAN_FOR_OTHERS = -0.08
DISCOUNT_FOR_UNBOUND = 0.006
DISCOUNT_FOR_RAISED = -0.25
DISCOUNT_FOR_BOUND = 0.15  # a reminder that there is something to leave
UPGRADE_FOR_OLD_HANDSET = -0.176
UPGRADE_FOR_OTHERS = -0.03
CALL_WITH_CAUSE = -0.5
CALL_WITHOUT_CAUSE = 0.04


def shifts(base: Base, sign: Signs) -> Mapping[str, Floats]:
    """By action, what it adds to the log-odds of leaving; nobody is reached more than his contactability says."""
    reach = base.people.contactability / REACHED
    return {
        "plan_recommendation": reach * np.where(sign.overspends, PLAN_FOR_OVERSPENDER, PLAN_FOR_OTHERS),
        "discount": reach
        * (np.where(sign.bound, DISCOUNT_FOR_BOUND, DISCOUNT_FOR_UNBOUND) + DISCOUNT_FOR_RAISED * base.standing.raised),
        "device_upgrade": reach * np.where(sign.old_handset, UPGRADE_FOR_OLD_HANDSET, UPGRADE_FOR_OTHERS),
        "service_call": reach * np.where(sign.complaint, CALL_WITH_CAUSE, CALL_WITHOUT_CAUSE),
    }
