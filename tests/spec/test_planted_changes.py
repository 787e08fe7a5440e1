"""Changes that the simulator plants are called what they are, by the months that follow them.

The model here knows all that drives churn but the change itself: it is right until the change comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from churn.backtest import Matured, backtest_rows
from churn.campaign import PUBLISHED
from churn.findings import matured_findings
from churn.simulation import hazard
from churn.simulation.life import Block, Month, months_of
from churn.simulation.scenario import Simulation
from churn.simulation.world import World, draw_world
from schemas.monitoring import AlarmKind, Diagnosis

CUSTOMERS, MONTHS, BLOCK = 200_000, 21, 10_000
BEFORE, PRICE_RISE, COMPETITOR = 14, 15, (18, 19, 20)
WATCHED = (BEFORE, PRICE_RISE, *COMPETITOR)

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def world() -> World:
    return draw_world(Simulation(CUSTOMERS, MONTHS))


@pytest.fixture(scope="module")
def backtests(world: World) -> Mapping[int, Rows]:
    """What became of the scores of each watched month."""
    simulation, found = Simulation(CUSTOMERS, MONTHS), {month: [] for month in WATCHED}
    for block in range(CUSTOMERS // BLOCK):
        slots = np.arange(block * BLOCK, (block + 1) * BLOCK)
        lives = months_of(simulation, world, Block(slots, np.random.default_rng([1, block]), CUSTOMERS))
        for number, month in enumerate(lives):
            if number in found:
                found[number].append(scored(month, number, world))
    return {number: told(number, parts) for number, parts in found.items()}


def scored(month: Month, number: int, world: World) -> tuple[np.ndarray, ...]:
    """Who leaves, by a model that has never seen a competitor, and in the month of the rise no rise either."""
    outlook = hazard.outlook(world, number, month.first, month.following)
    alone, base = replace(outlook, contested=np.zeros_like(outlook.contested)), month.base
    if number <= PRICE_RISE:
        base = replace(base, standing=replace(base.standing, raised=np.zeros_like(base.standing.raised)))
    live = month.sign.live
    log_odds = hazard.log_odds(base, month.sign, alone)
    return log_odds[live], month.fate.churned[live].astype(np.int64), base.people.region[live].astype(np.int32)


def told(number: int, parts: list[tuple[np.ndarray, ...]]) -> Rows:
    log_odds, churned, region = (np.concatenate(each) for each in zip(*parts, strict=True))
    names = [name_of(place) for place in range(40)]
    by = {"region": pa.DictionaryArray.from_arrays(region, names)}
    as_of, weights = date(2024 + number // 12, number % 12 + 1, 1), np.ones(len(churned))
    night = Matured("telco", as_of, "run", 1, churned, log_odds, weights, by, PUBLISHED, {"all": 0.76})
    rows: Rows = backtest_rows(night).to_pylist()
    return rows


def name_of(region: int) -> str:
    return f"R{region + 1:02d}"


def test_before_any_change_the_model_is_sound(backtests: Mapping[int, Rows]) -> None:
    assert backtests[BEFORE][0]["diagnosis"] == Diagnosis.SOUND
    assert not [one for one in matured_findings(backtests[BEFORE]) if one.sure and one.size >= 1.0]


def test_the_price_rise_is_called_calibration_and_not_discrimination(backtests: Mapping[int, Rows]) -> None:
    everybody = backtests[PRICE_RISE][0]
    assert everybody["observed_to_predicted"] > 1.25
    assert everybody["auc"] == pytest.approx(backtests[BEFORE][0]["auc"], abs=0.02)
    assert everybody["diagnosis"] == Diagnosis.CALIBRATION
    kinds = {one.kind for one in matured_findings(backtests[PRICE_RISE]) if one.sure and one.size >= 1.0}
    assert AlarmKind.CALIBRATION in kinds
    assert AlarmKind.DISCRIMINATION not in kinds


def test_the_competitor_is_found_in_his_regions_and_in_no_other(backtests: Mapping[int, Rows], world: World) -> None:
    contested = {f"region {name_of(place)}" for place in np.flatnonzero(world.contested).tolist()}
    rows = [row for month in COMPETITOR for row in backtests[month]]
    named = {one.subject for one in matured_findings(rows) if one.kind is AlarmKind.LOCAL and one.size >= 1.0}
    assert len(contested) == 12
    assert named <= contested
    assert len(named) >= 5, "of twelve, some of which are small"
