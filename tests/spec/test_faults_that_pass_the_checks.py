"""Faults that a contract lets pass are named by the watching on the night they come: a table to read.

What a contract does not allow stops its night by name: tests/end_to_end/test_bad_input.py has all that the simulator
plants.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from churn.alarms import Alarm, EarlierNights, alarms_of
from churn.drift_price import Base, Customers, Part, Terms, prices
from churn.findings import drift_findings
from churn.lookup import score
from churn.monitoring import bins_of, drifts_of
from churn.remedy import remedy_for
from churn.scorecard import binned
from schemas.monitoring import AlarmState, Remedy
from schemas.policy import Action
from tests.cards import AS_OF, card, customers

MANY = 4_000
CALL = Action(name="call", channel="phone", offer_cost=10, contact_cost=1, keep_probability=0.3, says="hello")
TERMS = Terms((CALL,), 100)

Change = Callable[[pa.Table], pa.Table]


def with_column(name: str, change: Callable[[pa.ChunkedArray], pa.Array | pa.ChunkedArray]) -> Change:
    return lambda rows: rows.set_column(rows.column_names.index(name), name, change(rows[name]))


def of_some(share: float, value: object) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    """The value for so many of the customers, and what they had for the others."""
    theirs = pa.array(np.random.default_rng(3).random(MANY) < share)
    return lambda column: pc.if_else(theirs, pa.scalar(value, column.type), column)


@pytest.mark.parametrize(
    ("change", "named", "says"),
    [
        (with_column("plan", of_some(0.3, "P10")), "plan", "have a value that the model never met"),
        (with_column("dropped", lambda column: pc.multiply(column, 60.0)), "dropped", "of the customers are where"),
        (with_column("dropped", of_some(0.2, None)), "dropped", "missing in 2"),
        (with_column("tenure", of_some(1.0, None)), "tenure", "missing in 100.0%"),
        (with_column("tenure", of_some(1.0, 0)), "tenure", "100.0% of the customers are where"),
        (with_column("in_contract", of_some(1.0, True)), "in_contract", "100.0% of the customers are where"),
    ],
    ids=["a new plan", "another unit", "values lost", "a column gone null", "a column gone to zero", "all bound"],
)
def test_a_fault_in_what_a_contract_allows_is_told_that_night_by_the_name_of_its_column(change, named, says) -> None:
    [alarm] = alarms_that_night(change(customers(MANY)))
    assert (alarm.state, alarm.finding.subject) == (AlarmState.RAISED, named)
    assert alarm.finding.says.startswith(f"{named}: ")
    assert says in alarm.finding.says
    assert named in alarm.finding.to_do
    assert remedy_for([alarm.finding]) is Remedy.PEOPLE, "no model is to learn from it"


def test_a_night_without_a_fault_tells_of_nothing() -> None:
    assert alarms_that_night(customers(MANY, seed=2)) == []


def alarms_that_night(rows: pa.Table) -> list[Alarm]:
    """What is raised of a model that learnt from other customers of the same kind."""
    model, learnt = card(), customers(MANY)
    spread = zip(model.features, binned(model, learnt), strict=True)
    reference = {each.name: (np.bincount(bins, minlength=each.bins) / MANY).tolist() for each, bins in spread}
    part = Part("all", model, reference, np.arange(MANY), bins_of(model, rows))
    keep = np.full((MANY, 1), CALL.keep_probability)
    night = Customers(score(model, rows).log_odds, rows["bill"].to_numpy() * 12.0, np.ones(MANY, np.bool_), keep)
    priced = {name: price for (_, name), price in prices(Base(night, (part,)), TERMS).items()}
    return alarms_of(list(drift_findings("all", drifts_of(part), priced)), AS_OF, EarlierNights({}, None))
