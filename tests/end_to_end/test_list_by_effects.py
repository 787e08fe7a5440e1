"""Where lots have told that an action drives customers away, the next list has nobody for it, and receipts say why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from churn.off_policy import Value
from churn.scorecard import Feature, Kind, Scorecard, Term
from churn.snapshot import midnight
from churn.training.uplift_trial import Drawn, Trial
from churn.uplift import Cards
from store.contracts import read_contract
from store.receipts import receipts_of
from store.settings import current_settings
from store.uplift_trials import Told, keep_uplift
from tasks.policy_trial import tried_on
from tests.end_to_end.nights import Nights, view_rows
from tests.end_to_end.telecom import FIRST_NIGHT

NIGHT = date.fromisoformat(FIRST_NIGHT)
TENURE = Feature("tenure_months", Kind.WHOLE, "tenure", cuts=np.array([12.0]))
LEFT_ALONE = Scorecard(-3.0, (TENURE,), (Term((0,), (np.arange(3),), np.array([0.0, 0.1, -0.1])),), base_rate=0.05)


def told_that_it_drives_away(action: str) -> str:
    """Keeps, the day before the night, that whoever gets the action leaves the sooner; gives its name."""
    members = pa.table(
        {
            "as_of": [NIGHT - timedelta(days=60)] * 4,
            "action": [action] * 4,
            "held_out": [False, False, True, True],
            "label": [1, 0, 0, 1],
            "tenure_months": [3, 30, 4, 40],
        }
    )
    cards = Cards(treated=replace(LEFT_ALONE, intercept=-2.0), held_out=LEFT_ALONE)
    trial = Trial(action, Drawn(20_000, 20_000, 1_000, 500), Value(2.0, 1.0, 3.0), cards)
    known_at = midnight(NIGHT - timedelta(days=1))
    rows = keep_uplift(current_settings(), Told(read_contract("telco"), known_at, "code", members, [trial]))
    return str(rows["uplift_digest"][0])


def test_the_list_leaves_out_whom_an_action_would_drive_away(nights: Nights) -> None:
    before = view_rows("outreach_current")
    [(action, _), *_] = Counter(row["action"] for row in before).most_common()
    digest = told_that_it_drives_away(action)
    trial = tried_on("telco", "telco", NIGHT)
    assert trial.in_force is not None
    assert trial.tried.customers != trial.in_force.customers
    assert trial.measured == (action,)

    nights.run(FIRST_NIGHT)
    listed = view_rows("outreach_current")
    assert {row["customer_id"] for row in listed} == trial.tried.customers, "the dry run told what would be"
    assert action not in {row["action"] for row in listed}
    assert {row["uplift_digest"] for row in view_rows("outreach_team_current")} == {digest}

    asked = [row["customer_id"] for row in before if row["action"] == action][:3]
    for made in receipts_of(current_settings(), read_contract("telco"), asked, NIGHT):
        assert made.missing == ()
        assert made.decision is not None
        assert made.decision.uplift_digest == digest
        offer = next(offer for offer in made.decision.offers if offer.action == action)
        assert offer.keep_probability is not None
        assert offer.keep_probability < 0.0
        assert {"status.expected_value", "status.status"} <= set(made.recomputed)
