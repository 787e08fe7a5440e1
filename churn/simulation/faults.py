"""Faults planted into the last month on request, as a feed may have them, so that checks can be seen to catch them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn.simulation.scenario import Simulation
from churn.simulation.tables import days, moments, table

LATE_BY_DAYS = 20
NEW_PLAN = "P9"
NEW_PLAN_ENDING, NEW_PLAN_HOUR = "7", 20  # of the contracts that get it: every tenth
NULLED = "data_gb"

Tables = Mapping[str, pa.Table]


def plant(tables: Tables, simulation: Simulation) -> dict[str, pa.Table]:
    """The tables with the faults that the simulation asks for."""
    return reduce(
        lambda sound, fault: {**sound, **_PLANTERS[fault](sound, simulation)}, simulation.faults, dict(tables)
    )


def _late_month(tables: Tables, simulation: Simulation) -> Tables:
    usage = tables["usage_monthly"]
    delay = pa.scalar(LATE_BY_DAYS * 86_400_000_000, pa.duration("us"))
    later = pc.add(usage["recorded_at"], delay)
    return _with_usage(tables, _set(usage, "recorded_at", _in_last(usage, simulation), later))


def _missing_month(tables: Tables, simulation: Simulation) -> Tables:
    usage = tables["usage_monthly"]
    return _with_usage(tables, usage.filter(pc.invert(_in_last(usage, simulation))))


def _duplicated_month(tables: Tables, simulation: Simulation) -> Tables:
    usage = tables["usage_monthly"]
    return _with_usage(tables, pa.concat_tables([usage, usage.filter(_in_last(usage, simulation))]).combine_chunks())


def _seconds_for_minutes(tables: Tables, simulation: Simulation) -> Tables:
    usage = tables["usage_monthly"]
    seconds = pc.multiply(usage["minutes"], 60.0)
    return _with_usage(tables, _set(usage, "minutes", _in_last(usage, simulation), seconds))


def _null_column(tables: Tables, simulation: Simulation) -> Tables:
    usage = tables["usage_monthly"]
    nulls = pa.nulls(len(usage), usage.schema.field(NULLED).type)
    return _with_usage(tables, _set(usage, NULLED, _in_last(usage, simulation), nulls))


def _new_plan_code(tables: Tables, simulation: Simulation) -> Tables:
    """Some customers get a new version of their contract on the last day, with a plan that nobody has heard of."""
    contracts = tables["contracts"]
    rows = pa.table({"contract_id": contracts["contract_id"], "row": np.arange(len(contracts))})
    newest = rows.group_by("contract_id", use_threads=False).aggregate([("row", "max")])["row_max"]
    changed = contracts.take(newest)
    left = pc.is_in(changed["customer_id"], tables["churn_events"]["customer_id"].combine_chunks())
    changed = changed.filter(pc.and_not(pc.ends_with(changed["contract_id"], NEW_PLAN_ENDING), left))
    last_day = np.full(len(changed), simulation.calendar.end - 1)
    columns = {name: changed[name] for name in changed.column_names} | {
        "plan_code": pa.repeat(NEW_PLAN, len(changed)),
        "effective_on": days(last_day),
        "recorded_at": moments(last_day, NEW_PLAN_HOUR),
    }
    return {**tables, "contracts": pa.concat_tables([contracts, table("contracts", columns)])}


def _in_last(usage: pa.Table, simulation: Simulation) -> pa.ChunkedArray:
    return pc.equal(usage["month"], days(np.array([simulation.calendar.firsts[-2]]))[0])


def _set(usage: pa.Table, name: str, where: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.Table:
    place = usage.schema.get_field_index(name)
    return usage.set_column(place, usage.schema.field(name), pc.if_else(where, values, usage[name]))


def _with_usage(tables: Tables, usage: pa.Table) -> Tables:
    return {**tables, "usage_monthly": usage}


_PLANTERS: Mapping[str, Callable[[Tables, Simulation], Tables]] = {
    "late_month": _late_month,
    "missing_month": _missing_month,
    "duplicated_month": _duplicated_month,
    "seconds_for_minutes": _seconds_for_minutes,
    "new_plan_code": _new_plan_code,
    "null_column": _null_column,
}
