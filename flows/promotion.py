"""Promotes a version, or rolls back to an earlier one."""

from __future__ import annotations

from prefect import flow

from tasks import promotion as steps
from tasks.parameters import Action, ContractName, Expected, Override, Places, Version, Who, Why
from tasks.runners import move_name


@flow(name="promotion", flow_run_name=move_name)
def promotion(
    who: Who,
    why: Why,
    contract: ContractName = "telco",
    action: Action = "promote",
    version: Version = None,
    segments: Places = "all",
    expected: Expected = None,
    override: Override = False,
) -> dict[str, int]:
    """Changes who is champion, and gives each segment's champion then."""
    move = steps.wished(contract, version, segments, expected)
    if action == "promote":
        steps.promote(steps.promotion_of(move, who=who, why=why, override=override))
    else:
        steps.roll_back(steps.way_back(move, who=who, why=why))
    return steps.show_champions(move.base)
