"""Whose model decides about whom: a share of customers is a challenger's by lot, and stays so while the lot holds."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from churn.experiment import Experiment, points, units_of
from churn.outreach import Terms
from churn.traffic import MODEL_ARM, Dealt, Traffic, with_challengers
from schemas.columns import Column, LogicalType, Role
from schemas.policy import ChallengerTraffic, Holdout
from tests import cards
from tests.policies import small_policy

TONIGHT = date(2026, 3, 1)
HALF = ChallengerTraffic(share=0.5, valid_days=90)
HOME = Column("household_id", LogicalType.STRING, "household", roles=(Role.HOUSEHOLD,))
CONTRACT = cards.contract((*cards.COLUMNS, HOME))

# The lots are pinned: another release, another machine or another night of the period deals no customer otherwise.
ARMS = """
customer  household  segment   challenger for all  for prepaid  for both
anna      H1         prepaid   challenger          challenger   challenger
boris     H1         postpaid  challenger          -            challenger
clara     H2         postpaid  champion            -            champion
david     H2         prepaid   champion            champion     champion
elif      -          postpaid  challenger          -            challenger
farid     -          prepaid   champion            champion     champion
gita      -          -         challenger          -            challenger
"""
CHALLENGERS = {
    "challenger for all": {"all": "a" * 64},
    "for prepaid": {"prepaid": "b" * 64},
    "for both": {"all": "a" * 64, "prepaid": "b" * 64},
}


def written(table: str) -> list[dict[str, str | None]]:
    head, *lines = (line.split("  ") for line in table.strip().splitlines())
    names = [name.strip() for name in head if name]
    rows = ([cell.strip() for cell in line if cell] for line in lines)
    return [dict(zip(names, (None if cell == "-" else cell for cell in row), strict=True)) for row in rows]


def customers() -> pa.Table:
    rows = written(ARMS)
    named = {"customer_id": "customer", "household_id": "household", "segment": "segment"}
    return pa.table({column: pa.array([row[name] for row in rows], pa.string()) for column, name in named.items()})


def terms(traffic: Traffic | None, lot: ChallengerTraffic = HALF, as_of: date = TONIGHT) -> Terms:
    policy = small_policy().model_copy(update={"challenger_traffic": lot, "holdout": Holdout()})
    return Terms(policy, "p" * 64, as_of, household="household_id", traffic=traffic)


def traffic_for(challengers: dict[str, str]) -> Traffic:
    return Traffic("t" * 64, tuple(sorted({"all", *challengers})), challengers)


def dealt(challengers: dict[str, str], lot: ChallengerTraffic = HALF, as_of: date = TONIGHT) -> Dealt:
    found = terms(traffic_for(challengers), lot, as_of).dealt(customers(), CONTRACT)
    assert found is not None
    return found


def arms(found: Dealt) -> list[str | None]:
    rows = customers().num_rows
    scores = pa.table({"model_digest": pa.repeat("c" * 64, rows)})
    decided = with_challengers(scores, customers(), found, lambda digest, some: _scored(digest, some))
    by_model = [None if digest == "c" * 64 else digest for digest in decided["model_digest"].to_pylist()]
    named: list[str | None] = decided[MODEL_ARM].to_pylist()
    assert [arm == "challenger" for arm in named] == [digest is not None for digest in by_model]
    return named


def _scored(digest: str, some: pa.Table) -> pa.Table:
    return pa.table({"model_digest": pa.repeat(digest, some.num_rows)})


@pytest.mark.parametrize("waiting", CHALLENGERS)
def test_each_customer_is_in_the_arm_of_his_household_where_his_place_has_a_challenger(waiting: str) -> None:
    assert arms(dealt(CHALLENGERS[waiting])) == [row[waiting] for row in written(ARMS)]


def test_a_segments_own_challenger_decides_about_its_customers_before_that_of_all() -> None:
    both = dealt(CHALLENGERS["for both"]).theirs
    assert {digest[0]: members.tolist() for digest, members in both.items()} == {"a": [1, 4, 6], "b": [0]}


def test_a_lot_by_customer_parts_a_household() -> None:
    alone = HALF.model_copy(update={"unit": "customer"})
    many = pa.table({"customer_id": [f"C{number}" for number in range(200)], "household_id": ["H1"] * 200})
    many = many.append_column("segment", pa.nulls(200, pa.string()))
    together, parted = (terms(traffic_for({"all": "a" * 64}), lot).dealt(many, CONTRACT) for lot in (HALF, alone))
    assert together is not None
    assert parted is not None
    assert len(set(together.arm.tolist())) == 1
    assert 60 < int(parted.arm.sum()) < 140


def test_the_arm_holds_for_its_days_whatever_becomes_of_the_models() -> None:
    first, retrained = dealt({"all": "a" * 64}), dealt({"all": "d" * 64})
    assert first.arm.tolist() == retrained.arm.tolist()
    began = TONIGHT - timedelta(days=(TONIGHT - date(1970, 1, 1)).days % 90)
    nights = [dealt({"all": "a" * 64}, as_of=began + timedelta(days=day)).arm.tolist() for day in (0, 1, 45, 89)]
    assert nights == [nights[0]] * 4


def test_a_new_period_deals_anew() -> None:
    keys = pa.array([f"C{number}" for number in range(1_000)])
    now, then = (
        points(units_of(keys, None), Experiment.on("challenger", day, 90)) < 0.5 for day in (TONIGHT, date(2026, 9, 1))
    )
    assert 400 < int((now == then).sum()) < 600


def test_the_lot_of_challengers_and_the_lot_of_the_holdout_know_nothing_of_each_other() -> None:
    units = units_of(pa.array([f"C{number}" for number in range(20_000)]), None)
    spared, theirs = (points(units, Experiment.on(name, TONIGHT, 90)) < 0.1 for name in ("holdout", "challenger"))
    assert np.mean(spared[theirs]) == pytest.approx(0.1, abs=0.02)


def test_whoever_is_a_challengers_stays_so_when_its_share_grows() -> None:
    many = pa.table({"customer_id": [f"C{number}" for number in range(2_000)]})
    many = many.append_column("household_id", pa.nulls(2_000, pa.string()))
    many = many.append_column("segment", pa.nulls(2_000, pa.string()))
    lots = (ChallengerTraffic(share=share) for share in (0.1, 0.3))
    few, more = (terms(traffic_for({"all": "a" * 64}), lot).dealt(many, CONTRACT) for lot in lots)
    assert few is not None
    assert more is not None
    assert (few.arm <= more.arm).all()
    assert (float(few.arm.mean()), float(more.arm.mean())) == pytest.approx((0.1, 0.3), abs=0.03)


def test_without_a_challenger_nobody_is_dealt_out() -> None:
    assert terms(None).dealt(customers(), CONTRACT) is None
