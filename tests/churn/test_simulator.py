"""The simulated telecom has the sizes that were published and measured, and its systems record what happens."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from churn.errors import RequestError
from churn.simulator import ACTIONS, FAULTS, SCHEMAS, Simulation, block_count, blocks

Tables = dict[str, pa.Table]

CUSTOMERS = 60_000
LEARN_BEFORE, TEST_BEFORE = (7, 8, 9, 10, 11), (12, 13, 14)
LEARN_AFTER, TEST_AFTER = (17, 18, 19, 20), (21, 22, 23)
PRICE_RISE = (15, 16)

# What a retention team could know of a customer at the start of month m, beside what was true of him.
NIGHTS = """
WITH night AS (
    SELECT * REPLACE (churned_untouched::INT AS churned_untouched),
           12 * (year(month) - 2024) + month(month) - 1 AS m
    FROM truth WHERE m IN (SELECT unnest($months))
), ticket AS (
    SELECT any_value(customer_id) AS customer_id, min(opened_on) AS opened_on, max(closed_on) AS closed_on
    FROM tickets WHERE is_complaint GROUP BY ticket_id
), complaint AS (
    SELECT DISTINCT night.customer_id, m FROM night JOIN ticket ON ticket.customer_id = night.customer_id
    AND opened_on < month AND coalesce(closed_on, DATE '2100-01-01') >= month
), bill AS (
    SELECT customer_id, due_on, bool_or(paid_on IS NULL) AS late FROM payments GROUP BY ALL
), late AS (
    SELECT DISTINCT night.customer_id, m FROM night JOIN bill ON bill.customer_id = night.customer_id
    AND late AND due_on BETWEEN month - 31 AND month - 1
), usage AS (
    SELECT customer_id, 12 * (year(month) - 2024) + month(month) - 1 AS used_in,
           max(minutes) AS minutes, max(data_gb) AS data_gb, max(overage_amount) AS overage,
           max(dropped_calls / (calls + 1)) AS drops
    FROM usage_monthly GROUP BY ALL
), trend AS (
    SELECT night.customer_id, m,
           avg(minutes) FILTER (WHERE used_in >= m - 2) / avg(minutes) AS minutes_trend,
           avg(data_gb) FILTER (WHERE used_in >= m - 2) / avg(data_gb) AS data_trend,
           avg(data_gb) AS data_gb, avg(overage) FILTER (WHERE used_in >= m - 3) AS overage,
           avg(drops) FILTER (WHERE used_in = m - 1) AS drops
    FROM night JOIN usage ON usage.customer_id = night.customer_id AND used_in BETWEEN m - 7 AND m - 1 GROUP BY ALL
)
SELECT night.*, segment, region, plan_code, monthly_price AS price,
       month - joined_on AS tenure_days,
       datediff('month', joined_on, month) - (day(joined_on) > 1)::INT AS tenure,
       coalesce(ends_on >= month + INTERVAL 1 MONTH, false) AS bound,
       coalesce(ends_on - month, -2000) AS days_to_end,
       month - handset_since AS handset_days,
       complaint.m IS NOT NULL AS complaint, late.m IS NOT NULL AS late,
       minutes_trend, data_trend, data_gb, coalesce(overage, 0) AS overage, drops
FROM night
JOIN customers USING (customer_id)
ASOF JOIN contracts ON contracts.customer_id = night.customer_id AND contracts.recorded_at < night.month
LEFT JOIN trend ON trend.customer_id = night.customer_id AND trend.m = night.m
LEFT JOIN complaint ON complaint.customer_id = night.customer_id AND complaint.m = night.m
LEFT JOIN late ON late.customer_id = night.customer_id AND late.m = night.m
ORDER BY night.m, night.customer_id
"""
FEATURES = [
    "segment",
    "region",
    "plan_code",
    "price",
    "tenure_days",
    "days_to_end",
    "handset_days",
    "complaint",
    "late",
    "minutes_trend",
    "data_trend",
    "data_gb",
    "overage",
    "drops",
]


@pytest.fixture(scope="module")
def telecom() -> Tables:
    drawn = list(blocks(Simulation(CUSTOMERS, seed=7)))
    return {name: pa.concat_tables([block[name] for block in drawn]) for name in SCHEMAS}


@pytest.fixture(scope="module")
def nights(telecom: Tables) -> pd.DataFrame:
    months = [*LEARN_BEFORE, *TEST_BEFORE, *PRICE_RISE, *LEARN_AFTER, *TEST_AFTER]
    with duckdb.connect(config={"threads": 2}) as connection:
        for name, table in telecom.items():
            connection.register(name, table)
        rows = connection.execute(NIGHTS, {"months": months}).df()
    return rows.astype(dict.fromkeys(("segment", "region", "plan_code"), "category"))


MONTHLY_CHURN = [
    # of whom                                                          at least  at most, in percent a month
    ("m < 15", 1.95, 2.17),
    ("m < 15 and segment == 'prepaid'", 3.7, 4.2),
    ("m < 15 and segment == 'postpaid'", 1.55, 1.75),
    ("m < 15 and segment == 'postpaid' and 6 <= tenure <= 9", 0.5, 0.7),
    ("m < 15 and segment == 'postpaid' and 11 <= tenure <= 13", 3.4, 4.2),
    ("m < 15 and segment == 'postpaid' and tenure > 13", 1.65, 1.95),
    ("m < 15 and bound", 0.38, 0.52),
    ("m < 15 and not bound", 2.3, 2.9),
    ("m >= 15 and not bound", 2.5, 2.95),
]


@pytest.mark.parametrize(("whom", "least", "most"), MONTHLY_CHURN)
def test_as_many_leave_a_month_as_published(nights: pd.DataFrame, whom: str, least: float, most: float) -> None:
    assert least <= 100 * nights.query(whom).p0.mean() <= most


ODDS_RATIOS = [
    # what                  against                  among                                at least  at most
    ("handset_days > 300", "handset_days <= 300", "m < 15", 2.0, 2.4),
    ("complaint", "not complaint", "m < 15 and tenure_days >= 365", 2.4, 3.0),
    ("complaint", "not complaint", "m < 15 and tenure_days < 365", 2.7 * 1.8 * 0.8, 2.7 * 1.8 * 1.2),
    ("minutes_trend < 0.9", "minutes_trend > 1.1", "m < 15 and tenure > 13", 1.1, 1.6),
]


@pytest.mark.parametrize(("what", "against", "among", "least", "most"), ODDS_RATIOS)
def test_odds_differ_as_published(
    nights: pd.DataFrame, what: str, against: str, among: str, least: float, most: float
) -> None:
    whom = nights.query(among)
    ratio = _odds(whom.query(what).p0.mean()) / _odds(whom.query(against).p0.mean())
    assert least <= ratio <= most


EFFECTS = [
    # action           among            percentage points a month, and how far they may be off
    ("discount", "m >= 0", -0.03, 0.03),
    ("device_upgrade", "m >= 0", -0.26, 0.03),
    ("service_call", "not complaint", 0.08, 0.01),
]


@pytest.mark.parametrize(("action", "among", "points", "tolerance"), EFFECTS)
def test_an_action_changes_churn_by_so_many_points(
    nights: pd.DataFrame, action: str, among: str, points: float, tolerance: float
) -> None:
    whom = nights.query(among)
    assert 100 * (whom[f"p1_{action}"] - whom.p0).mean() == pytest.approx(points, abs=tolerance)


def test_a_plan_recommendation_harms_overspenders_and_helps_others(nights: pd.DataFrame) -> None:
    change = nights.p1_plan_recommendation > nights.p0
    overspenders = nights[change]
    ratio = _odds(overspenders.p1_plan_recommendation.mean()) / _odds(overspenders.p0.mean())
    assert ratio == pytest.approx(1.55, abs=0.06)
    assert overspenders.overage.mean() > 5 * nights[~change].overage.mean()


@pytest.mark.parametrize(
    ("learn", "test"), [(LEARN_BEFORE, TEST_BEFORE), (LEARN_AFTER, TEST_AFTER)], ids=["before", "after"]
)
def test_a_model_is_as_good_as_on_a_real_carrier_and_the_oracle_better(
    nights: pd.DataFrame, learn: tuple[int, ...], test: tuple[int, ...]
) -> None:
    past, future = nights[nights.m.isin(learn)], nights[nights.m.isin(test)]
    model = HistGradientBoostingClassifier(
        max_iter=80, learning_rate=0.08, max_leaf_nodes=8, min_samples_leaf=200, categorical_features="from_dtype"
    ).fit(past[FEATURES], past.churned_untouched)
    probability = model.predict_proba(future[FEATURES])[:, 1]
    assert 0.64 <= roc_auc_score(future.churned_untouched, probability) <= 0.69
    assert 0.75 <= roc_auc_score(future.churned_untouched, future.p0) <= 0.77


def test_the_price_rise_meets_only_those_who_are_not_bound(telecom: Tables) -> None:
    contracts = telecom["contracts"].to_pandas()
    raised = contracts[contracts.recorded_at == pd.Timestamp("2025-04-01T06:00")]
    assert len(raised) > CUSTOMERS / 3
    assert not (pd.to_datetime(raised.ends_on) >= pd.Timestamp("2025-04-01")).any()
    assert not raised.plan_code.isin(["P1", "P2"]).any()


def test_a_competitor_moves_twelve_regions_of_forty(nights: pd.DataFrame) -> None:
    """Before he comes, regions differ by their network alone; afterwards twelve stand out."""
    rate = nights[~nights.bound].assign(late=nights.m >= 18).groupby(["late", "region"], observed=True).p0.mean()
    gain = (rate[True] / rate[False]).sort_values(ascending=False)
    assert len(gain) == 40
    assert gain.iloc[:12].mean() > 1.12 * gain.iloc[12:].mean()


def test_the_truth_is_one_uniform_against_each_probability(telecom: Tables) -> None:
    truth = telecom["truth"].to_pandas()
    assert (truth.churned_untouched == (truth.u < truth.p0)).all()
    for action in ACTIONS:
        assert (truth[f"churned_{action}"] == (truth.u < truth[f"p1_{action}"])).all()
    assert truth[["p0", "u", *(f"p1_{action}" for action in ACTIONS)]].to_numpy().min() >= 0.0
    assert truth.p0.max() < 1.0


def test_churn_events_are_those_of_the_truth(telecom: Tables) -> None:
    truth = telecom["truth"].filter(telecom["truth"]["churned_untouched"]).to_pandas()
    events = telecom["churn_events"].to_pandas()
    events["month"] = pd.to_datetime(events.churned_on).dt.to_period("M")
    truth["month"] = pd.to_datetime(truth.month).dt.to_period("M")
    assert set(zip(events.customer_id, events.month, strict=True)) == set(
        zip(truth.customer_id, truth.month, strict=True)
    )
    assert events.customer_id.is_unique


def test_who_leaves_in_a_month_leaves_within_thirty_days_of_its_first_and_of_no_other(telecom: Tables) -> None:
    day = pd.to_datetime(telecom["churn_events"].to_pandas().churned_on)
    assert day.dt.day.between(3, 28).all()


def test_four_in_a_hundred_leave_whatever_anybody_does(telecom: Tables) -> None:
    events = telecom["churn_events"].to_pandas()
    assert (events.kind == "unpreventable").mean() == pytest.approx(0.04, abs=0.01)
    truth = telecom["truth"].to_pandas().merge(events[events.kind == "unpreventable"], on="customer_id")
    last = truth.sort_values("month").groupby("customer_id").tail(1)
    assert last[[f"churned_{action}" for action in ACTIONS]].to_numpy().all()


def test_the_base_stays_as_large_and_customers_are_one_person_each(telecom: Tables) -> None:
    base = telecom["truth"].to_pandas().groupby("month").size()
    assert base.min() > 0.96 * CUSTOMERS
    assert base.max() <= CUSTOMERS
    assert telecom["customers"].to_pandas().customer_id.is_unique


def test_some_usage_arrives_late_and_some_is_corrected(telecom: Tables) -> None:
    usage = telecom["usage_monthly"].to_pandas()
    first = usage.sort_values("recorded_at").groupby(["customer_id", "month"]).head(1)
    month_end = pd.to_datetime(first.month) + pd.offsets.MonthBegin() - pd.Timedelta(hours=1)
    delay = first.recorded_at - month_end
    assert (delay > pd.Timedelta(0)).mean() == pytest.approx(0.02, abs=0.002)
    assert delay.min() == pd.Timedelta(0)
    assert delay.max() == pd.Timedelta(days=10)
    assert (len(usage) - len(first)) / len(first) == pytest.approx(0.005, abs=0.0005)


def test_no_fact_is_recorded_before_it_happens(telecom: Tables) -> None:
    day_of = {
        "customers": "joined_on",
        "contracts": "effective_on",
        "usage_monthly": "month",
        "payments": "paid_on",
        "tickets": "opened_on",
        "churn_events": "churned_on",
    }
    for name, day in day_of.items():
        happened = pc.fill_null(telecom[name][day], date(1970, 1, 1)).cast(pa.timestamp("us"))
        assert pc.all(pc.greater_equal(telecom[name]["recorded_at"], happened)).as_py(), name


def test_nobody_does_anything_after_he_has_left(telecom: Tables) -> None:
    left = telecom["churn_events"].to_pandas().set_index("customer_id").churned_on
    for name, day in (("contracts", "effective_on"), ("payments", "due_on"), ("tickets", "opened_on")):
        facts = telecom[name].to_pandas()
        gone_on = facts.customer_id.map(left)
        assert not (gone_on.notna() & (pd.to_datetime(facts[day]) > pd.to_datetime(gone_on))).any(), name


@pytest.mark.parametrize("name", ["payments", "tickets"])
def test_what_was_open_is_closed_by_a_later_version(telecom: Tables, name: str) -> None:
    key, closed = {"payments": ("payment_id", "paid_on"), "tickets": ("ticket_id", "closed_on")}[name]
    facts = telecom[name].sort_by("recorded_at").rename_columns({closed: "closed"})
    nulls_too = pc.ScalarAggregateOptions(skip_nulls=False)
    told = [("closed", "first", nulls_too), ("closed", "last", nulls_too), ("recorded_at", "count")]
    versions = facts.group_by(key, use_threads=False).aggregate(told)
    twice = versions.filter(pc.equal(versions["recorded_at_count"], 2))
    assert len(twice) > 100
    assert pc.max(versions["recorded_at_count"]).as_py() == 2
    assert twice["closed_first"].null_count == len(twice)
    assert twice["closed_last"].null_count == 0


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    assert _bytes(Simulation(12_000, 3, seed=1)) == _bytes(Simulation(12_000, 3, seed=1))
    assert _bytes(Simulation(12_000, 3, seed=1)) != _bytes(Simulation(12_000, 3, seed=2))


def test_a_longer_simulation_begins_like_a_shorter_one() -> None:
    short, long = (next(blocks(Simulation(2_000, months))) for months in (3, 5))
    usage = long["usage_monthly"].filter(pc.less(long["usage_monthly"]["month"], date(2024, 4, 1)))
    assert usage.equals(short["usage_monthly"])


def test_no_customer_is_in_two_blocks() -> None:
    first, second = blocks(Simulation(20_000, 6))
    assert not set(first["customers"]["customer_id"].to_pylist()) & set(second["customers"]["customer_id"].to_pylist())
    assert block_count(Simulation(20_001)) == 3


def test_the_smallest_telecom_has_all_tables() -> None:
    (block,) = blocks(Simulation(1, 1))
    assert {name: table.schema for name, table in block.items()} == SCHEMAS


@pytest.fixture(scope="module")
def sound() -> Tables:
    return next(blocks(Simulation(3_000, 6)))


def _with_fault(fault: str) -> Tables:
    return next(blocks(Simulation(3_000, 6, faults=(fault,))))


def _last(table: pa.Table) -> pa.Table:
    return table.filter(pc.equal(table["month"], date(2024, 6, 1)))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_changes_one_table_and_there_the_last_month_alone(sound: Tables, fault: str) -> None:
    faulty = _with_fault(fault)
    changed = [name for name in SCHEMAS if not faulty[name].equals(sound[name])]
    assert changed == ["contracts" if fault == "new_plan_code" else "usage_monthly"]
    before = {
        name: tables["usage_monthly"].filter(pc.less(tables["usage_monthly"]["month"], date(2024, 6, 1)))
        for name, tables in (("sound", sound), ("faulty", faulty))
    }
    assert before["faulty"].equals(before["sound"])
    assert all(faulty[name].schema == SCHEMAS[name] for name in SCHEMAS)


def test_a_late_month_is_unknown_on_the_first_night() -> None:
    usage = _last(_with_fault("late_month")["usage_monthly"])
    assert pc.min(usage["recorded_at"]).as_py().date() > date(2024, 7, 1)


def test_a_missing_month_is_nowhere() -> None:
    assert len(_last(_with_fault("missing_month")["usage_monthly"])) == 0


def test_a_duplicated_month_is_there_twice(sound: Tables) -> None:
    usage = _last(_with_fault("duplicated_month")["usage_monthly"]).to_pandas()
    assert len(usage) == 2 * len(_last(sound["usage_monthly"]))
    assert usage.duplicated().sum() == len(usage) / 2


def test_seconds_for_minutes_are_sixty_times_as_many(sound: Tables) -> None:
    seconds, minutes = (
        _last(tables["usage_monthly"])["minutes"].to_numpy() for tables in (_with_fault("seconds_for_minutes"), sound)
    )
    np.testing.assert_allclose(seconds, 60 * minutes)


def test_a_new_plan_code_is_the_newest_version_of_every_tenth_contract_that_is_live() -> None:
    tables = _with_fault("new_plan_code")
    contracts = tables["contracts"].to_pandas().sort_values("recorded_at")
    newest = contracts.drop_duplicates("contract_id", keep="last")
    new = newest[newest.plan_code == "P9"]
    assert len(new) == pytest.approx(300, rel=0.1)
    assert not new.customer_id.isin(tables["churn_events"].to_pandas().customer_id).any()
    assert (new.effective_on == date(2024, 7, 1) - timedelta(days=1)).all()


def test_a_null_column_has_no_value_in_the_last_month() -> None:
    assert _last(_with_fault("null_column")["usage_monthly"])["data_gb"].null_count == len(
        _last(_with_fault("null_column")["usage_monthly"])
    )


def test_faults_add_up() -> None:
    usage = _last(next(blocks(Simulation(3_000, 6, faults=("duplicated_month", "null_column"))))["usage_monthly"])
    assert len(usage) > 5_800
    assert usage["data_gb"].null_count == len(usage)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"faults": ("late_month", "flood")}, "no fault is called flood"),
        ({"customers": 0}, "0 customers"),
        ({"months": 0}, "0 months"),
        ({"seed": -1}, "-1 is below 0"),
        ({"start": date(2024, 1, 2)}, "no first of a month"),
        ({"customers": 50_000_000}, "more than keys have digits for"),
    ],
)
def test_an_impossible_simulation_is_refused(asked: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Simulation(**{"customers": 10, **asked})  # type: ignore[arg-type]


def test_an_unknown_fault_is_answered_with_the_names_of_all() -> None:
    with pytest.raises(RequestError, match="seconds_for_minutes"):
        Simulation(10, faults=("flood",))


def _odds(probability: float) -> float:
    return probability / (1 - probability)


def _bytes(simulation: Simulation) -> bytes:
    sink = pa.BufferOutputStream()
    for block in blocks(simulation):
        for table in block.values():
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
    return bytes(sink.getvalue())
