"""Watches a published night: what changed in whom to contact, and what became of nights whose horizon is over."""

from __future__ import annotations

from prefect import flow

from tasks import backtest, parity, shadow
from tasks import monitoring as steps
from tasks.monitoring import Seen
from tasks.night import Night, Result
from tasks.parameters import AsOf, ContractName
from tasks.runners import run_name, threads


@flow(name="monitoring", flow_run_name=run_name, task_runner=threads())
def monitoring(contract: ContractName = "telco", as_of: AsOf = None) -> Seen:
    """Watches the night that was asked for, or the newest that is published; it may be watched again."""
    night = steps.chosen_night(contract, as_of)
    looked_back = backtest.follow_up(contract, night, return_state=True)
    seen = steps.tell_of(steps.watch_night(contract, night))
    looked_back.result()  # raises what kept it from looking back, once tonight's alarms are told
    return seen


def look_after(night: Night, scores: Result) -> None:
    """What follows the publication of tonight's scores and list; where it fails, that is told, and they stay."""
    parity.hold_against_service(night, scores)
    steps.watch_published(night)
    shadow.run_in_shadow(night, scores)
