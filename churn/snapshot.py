"""The customer row as of a moment, as SQL texts in DuckDB's dialect; whoever runs them gives $as_of and $known_at.

The texts ask for tables called as in the contract, and for two context tables, which hold what no single bucket
of customers can know: `households` and `regions`. They are put together from constants and quoted names alone.
"""

# ruff: noqa: S608

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from churn.errors import RequestError
from schemas.columns import Column, LogicalType, Table
from schemas.contract import Contract

CONTEXT_TABLES = ("households", "regions")
DECIMALS = 4  # of a number; rounding keeps the last bits of a mean out of bins, reasons and files

_DUCKDB_TYPES = {
    LogicalType.INTEGER: "BIGINT",
    LogicalType.NUMBER: "DOUBLE",
    LogicalType.STRING: "VARCHAR",
    LogicalType.BOOLEAN: "BOOLEAN",
    LogicalType.DATE: "DATE",
    LogicalType.TIMESTAMP: "TIMESTAMP",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A date to describe, and the moment up to which facts had arrived; RequestError where that is before the date."""

    as_of: date
    known_at: datetime

    def __post_init__(self) -> None:
        if self.known_at < midnight(self.as_of):
            raise RequestError(
                f"known_at {self.known_at} is before {self.as_of} begins, so its last facts cannot have arrived",
                where="known_at",
                to_do=f"Give a moment from {midnight(self.as_of)} on.",
            )

    @classmethod
    def at(cls, as_of: date) -> Moment:
        """The date as it was known when it began."""
        return cls(as_of, midnight(as_of))

    @property
    def parameters(self) -> dict[str, date | datetime]:
        """The parameters of the SQL texts."""
        return {"as_of": self.as_of, "known_at": self.known_at}


@dataclass(frozen=True, slots=True)
class TrainingWindow:
    """The dates to learn from, and the moment up to which their labels had arrived."""

    as_ofs: tuple[date, ...]
    known_at: datetime

    def at(self, as_of: date) -> Moment:
        """One of the dates, as it is known now."""
        return Moment(as_of, self.known_at)

    def require_matured(self, horizon_days: int) -> None:
        """RequestError unless by now everyone who left within the horizon after each date can be known."""
        for as_of in self.as_ofs:
            matured = midnight(as_of + timedelta(days=horizon_days))
            if self.known_at < matured:
                raise RequestError(
                    f"the labels of {as_of} are known from {matured} on, which is after {self.known_at}",
                    where="as_of",
                    to_do=f"Learn from dates that are at least {horizon_days} days old.",
                )


def midnight(day: date) -> datetime:
    """The moment at which the day begins, in business time."""
    return datetime.combine(day, time.min)


def month_after(month: date) -> date:
    """The first day of the next month; `month` is any day of one."""
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1)


def customer_sql(contract: Contract) -> str:
    """One row per live customer in the contract's columns, ordered by key; a flat contract's rows as they are."""
    if contract.flat:
        return f"SELECT {_selected(contract)} FROM {_quoted(contract.customer.name)} ORDER BY {_everything(contract)}"
    subjects = ",\n".join((_LIVE, _STANDING, _USAGE, _TICKETS, _PAYMENTS, _CUSTOMER))
    return f"WITH {subjects}\nSELECT {_selected(contract)} FROM customer ORDER BY customer_id"


def empty_table_sql(table: Table) -> str:
    """Makes a source table that holds nothing yet, by the contract's names and types."""
    columns = ", ".join(f"{_quoted(column.name)} {_DUCKDB_TYPES[column.logical_type]}" for column in table.columns)
    return f"CREATE TABLE {_quoted(table.name)} ({columns})"


def context_sql(name: str) -> str:
    """One of the context tables, ordered, over the source tables of all buckets."""
    return {"households": _HOUSEHOLDS, "regions": _REGIONS}[name]


def departures_sql(horizon_days: int) -> str:
    """Everyone who left before the horizon after $as_of ends: customer_id, ordered, and whether before $as_of even."""
    return f"""
WITH {_LEFT}
SELECT customer_id, churned_on < $as_of AS had_left FROM departed
WHERE churned_on < $as_of + INTERVAL {int(horizon_days)} DAY
ORDER BY customer_id"""


def known_departures_sql() -> str:
    """Everyone of whom it is known by $known_at that he left: customer_id, ordered, and churned_on."""
    return f"WITH {_LEFT}\nSELECT customer_id, churned_on FROM departed ORDER BY customer_id"


def covered_months_sql() -> str:
    """The first and the last calendar month that has usage; null where there is none."""
    return "SELECT min(month), max(month) FROM usage_monthly"


def _selected(contract: Contract) -> str:
    return ",\n  ".join(_cast(column) for column in contract.customer.columns)


def _everything(contract: Contract) -> str:
    """The key first; where it occurs twice the other columns decide, so that the order is never chance."""
    others = (name for name in contract.customer.names if name != contract.key)
    return ", ".join(_quoted(name) for name in (contract.key, *others))


def _cast(column: Column) -> str:
    name = _quoted(column.name)
    value = f"round({name}, {DECIMALS})" if column.logical_type is LogicalType.NUMBER else name
    return f"CAST({value} AS {_DUCKDB_TYPES[column.logical_type]}) AS {name}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _newest(name: str, table: str, key: str, facts: str = "true") -> str:
    """Two CTEs, the last called `name`: of each fact the newest version that had arrived.

    Of versions that arrived at the same moment the one of the largest values counts, whatever order a file has.
    Few facts are ever corrected, and ordering versions is dear: so only facts that have several are ordered,
    which takes a third of the time of ordering them all.
    """
    return f"""
{name}_versions AS MATERIALIZED (
  SELECT * FROM {table} WHERE recorded_at <= $known_at AND {facts}
),
{name}_corrected AS MATERIALIZED (
  SELECT {key} FROM {name}_versions GROUP BY ALL HAVING count(*) > 1
),
{name} AS (
  SELECT * FROM {name}_versions ANTI JOIN {name}_corrected USING ({key})
  UNION ALL
  SELECT {name}_versions.* FROM {name}_versions SEMI JOIN {name}_corrected USING ({key})
  QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY recorded_at DESC, {name}_versions DESC) = 1
)"""


# A second key stands in every arg_max: of two answers of the same moment the larger counts, not the first in the file.
# A fact's date lies before as_of. Who has left stays in the base until the news of it has arrived.
_LEFT = """
departed AS (
  SELECT customer_id, arg_max(churned_on, (recorded_at, churned_on)) AS churned_on
  FROM churn_events WHERE recorded_at <= $known_at GROUP BY customer_id
)"""

_LIVE = f"""{_newest("person", "customers", "customer_id")},
{_LEFT},
live AS (
  SELECT * FROM person ANTI JOIN (SELECT customer_id FROM departed WHERE churned_on < $as_of) USING (customer_id)
  WHERE joined_on < $as_of
)"""

# The version in force is the one that took effect last. arg_max passes over nulls, and no end is an answer here.
_STANDING = f"""{_newest("term", "contracts", "contract_id, effective_on", "effective_on < $as_of")},
standing AS (
  SELECT
    customer_id,
    arg_max(plan_code, in_order) AS plan_code,
    arg_max(monthly_price, in_order) AS monthly_price,
    arg_max(monthly_price, in_order) FILTER (effective_on < $as_of - INTERVAL 3 MONTH) AS price_3_months_ago,
    arg_max(monthly_price, in_order) FILTER (effective_on < $as_of - INTERVAL 6 MONTH) AS price_6_months_ago,
    arg_max_null(allowance_gb, in_order) AS allowance_gb,
    arg_max_null(allowance_minutes, in_order) AS allowance_minutes,
    arg_max_null(ends_on, in_order) AS ends_on,
    max(ends_on) FILTER (ends_on < $as_of) AS last_bound_on,
    max(handset_since) FILTER (handset_since < $as_of) AS handset_since
  FROM (SELECT *, (effective_on, contract_id) AS in_order FROM term)
  GROUP BY customer_id
)"""


def _levels(measure: str, name: str) -> str:
    return f"""
    avg({measure}) FILTER (age = 1) AS {name}_last_month,
    avg({measure}) FILTER (age <= 3) AS {name}_mean_3m,
    avg({measure}) AS {name}_mean_6m,
    avg({measure}) FILTER (age BETWEEN 2 AND 4) AS {name}_months_2_to_4,
    avg({measure}) FILTER (age > 3) AS {name}_months_4_to_6"""


# A month is a fact of its last day, so the running one is never seen. Rows that came twice differ in nothing,
# a correction came later: that tells a fault at the source from its everyday work.
_USAGE = f"""{
    _newest(
        "month_used",
        "usage_monthly",
        "customer_id, month",
        "month < date_trunc('month', $as_of) AND month >= date_trunc('month', $as_of) - INTERVAL 6 MONTH",
    )
},
repeated AS (
  SELECT customer_id, sum(rows - 1) AS usage_repeated_last_month
  FROM (
    SELECT customer_id, count(*) AS rows
    FROM month_used_versions SEMI JOIN month_used_corrected USING (customer_id, month)
    WHERE month = date_trunc('month', $as_of) - INTERVAL 1 MONTH
    GROUP BY customer_id, recorded_at
  )
  GROUP BY customer_id
),
usage AS (
  SELECT
    customer_id,{_levels("minutes", "minutes")},{_levels("data_gb", "data_gb")},{_levels("sms", "sms")},
    avg(overage_amount) FILTER (age = 1) AS overage_last_month,
    avg(overage_amount) FILTER (age <= 3) AS overage_mean_3m,
    avg(roaming_amount) FILTER (age <= 3) AS roaming_mean_3m,
    sum(calls) FILTER (age = 1) AS calls_last_month,
    sum(calls) FILTER (age <= 3) AS calls_3m,
    sum(dropped_calls) FILTER (age = 1) AS dropped_last_month,
    sum(dropped_calls) FILTER (age <= 3) AS dropped_3m,
    count(*) AS usage_months_known,
    count(*) FILTER (age = 1) AS months_known_last_month
  FROM (SELECT *, date_diff('month', month, date_trunc('month', $as_of)) AS age FROM month_used)
  GROUP BY customer_id
)"""

# Every closed ticket and every paid payment has two versions, so here grouping is cheaper than ordering.
# What ends a fact on as_of or later has not happened yet.
_TICKETS = """
ticket AS (
  SELECT
    arg_max(customer_id, (recorded_at, customer_id)) AS customer_id,
    arg_max(opened_on, (recorded_at, opened_on)) AS opened_on,
    arg_max_null(closed_on, (recorded_at, closed_on)) AS closed_on,
    arg_max(is_complaint, (recorded_at, is_complaint)) AS is_complaint
  FROM tickets WHERE recorded_at <= $known_at GROUP BY ticket_id
),
service AS (
  SELECT
    customer_id,
    count(*) FILTER (is_open) AS tickets_open,
    count(*) FILTER (is_open AND is_complaint) AS complaints_open,
    count(*) FILTER (days <= 30) AS tickets_30d,
    count(*) FILTER (days <= 90) AS tickets_90d,
    count(*) FILTER (days <= 180) AS tickets_180d,
    count(*) FILTER (days <= 90 AND is_complaint) AS complaints_90d,
    count(*) FILTER (days <= 180 AND is_complaint) AS complaints_180d,
    min(days) AS days_since_ticket,
    round(avg(closed_on - opened_on) FILTER (days <= 180 AND NOT is_open), 1) AS ticket_days_to_close
  FROM (SELECT *, closed_on IS NULL OR closed_on >= $as_of AS is_open, $as_of - opened_on AS days FROM ticket)
  WHERE opened_on < $as_of
  GROUP BY customer_id
)"""

# A correction says when, how and how much was paid; it never moves the day on which a payment was due.
_PAYMENTS = """
payment AS (
  SELECT
    customer_id,
    payment_id,
    max(due_on) AS due_on,
    arg_max_null(paid_on, (recorded_at, paid_on)) AS paid_on,
    arg_max(amount, (recorded_at, amount)) AS amount,
    arg_max(method, (recorded_at, method)) AS method
  FROM payments
  WHERE recorded_at <= $known_at AND due_on < $as_of AND due_on >= $as_of - INTERVAL 6 MONTH
  GROUP BY customer_id, payment_id
),
paying AS (
  SELECT
    customer_id,
    count(*) FILTER (is_open OR paid_on > due_on) AS payments_late_6m,
    round(avg(paid_on - due_on) FILTER (NOT is_open), 1) AS payment_delay_days,
    sum(amount) FILTER (is_open) AS open_amount,
    arg_max(method, (due_on, payment_id)) AS payment_method
  FROM (SELECT *, paid_on IS NULL OR paid_on >= $as_of AS is_open FROM payment)
  GROUP BY customer_id
)"""


def _trends(name: str) -> str:
    return f"""
    {name}_last_month / nullif({name}_months_2_to_4, 0) AS {name}_trend_1m,
    {name}_mean_3m / nullif({name}_months_4_to_6, 0) AS {name}_trend_3m,"""


_CUSTOMER = f"""
customer AS (
  SELECT
    * REPLACE (
      coalesce(usage_months_known, 0) AS usage_months_known,
      coalesce(usage_repeated_last_month, 0) AS usage_repeated_last_month,
      coalesce(tickets_open, 0) AS tickets_open,
      coalesce(complaints_open, 0) AS complaints_open,
      coalesce(tickets_30d, 0) AS tickets_30d,
      coalesce(tickets_90d, 0) AS tickets_90d,
      coalesce(tickets_180d, 0) AS tickets_180d,
      coalesce(complaints_90d, 0) AS complaints_90d,
      coalesce(complaints_180d, 0) AS complaints_180d,
      coalesce(payments_late_6m, 0) AS payments_late_6m,
      coalesce(open_amount, 0) AS open_amount,
      coalesce(household_size, 1) AS household_size,
      coalesce(household_left_6m, 0) AS household_left_6m
    ),{_trends("minutes")}{_trends("data_gb")}{_trends("sms")}
    CAST(
      coalesce(months_known_last_month, 0) = 0
      AND joined_on < date_trunc('month', $as_of) - INTERVAL 1 MONTH AS INTEGER
    ) AS usage_missing_last_month,
    date_sub('month', joined_on, $as_of) AS tenure_months,
    monthly_price + coalesce(overage_mean_3m, 0) + coalesce(roaming_mean_3m, 0) AS monthly_revenue,
    monthly_price - coalesce(price_3_months_ago, monthly_price) AS price_change_3m,
    monthly_price - coalesce(price_6_months_ago, monthly_price) AS price_change_6m,
    coalesce(ends_on >= $as_of, false) AS in_contract,
    greatest(coalesce(ends_on - $as_of + 1, 0), 0) AS contract_days_left,
    CASE WHEN ends_on >= $as_of THEN 0 ELSE $as_of - last_bound_on END AS days_out_of_contract,
    $as_of - handset_since AS handset_age_days,
    overage_mean_3m / nullif(monthly_price, 0) AS overage_share,
    minutes_last_month / nullif(allowance_minutes, 0) AS minutes_allowance_used,
    data_gb_last_month / nullif(allowance_gb, 0) AS data_allowance_used,
    dropped_last_month / nullif(calls_last_month, 0) AS dropped_share_last_month,
    dropped_3m / nullif(calls_3m, 0) AS dropped_share_3m
  FROM live
  LEFT JOIN standing USING (customer_id)
  LEFT JOIN usage USING (customer_id)
  LEFT JOIN repeated USING (customer_id)
  LEFT JOIN service USING (customer_id)
  LEFT JOIN paying USING (customer_id)
  LEFT JOIN households USING (household_id)
  LEFT JOIN regions USING (region)
)"""

_HOUSEHOLDS = f"""
WITH {_LIVE}
SELECT
  household_id,
  count(is_live) AS household_size,
  count(*) FILTER (
    churned_on < $as_of AND churned_on >= $as_of - INTERVAL 6 MONTH
  ) AS household_left_6m
FROM person
LEFT JOIN (SELECT customer_id, true AS is_live FROM live) USING (customer_id)
LEFT JOIN departed USING (customer_id)
WHERE household_id IS NOT NULL
GROUP BY household_id
ORDER BY household_id"""

_REGIONS = f"""
WITH {_newest("person", "customers", "customer_id")},
{
    _newest(
        "month_used",
        "usage_monthly",
        "customer_id, month",
        "month < date_trunc('month', $as_of) AND month >= date_trunc('month', $as_of) - INTERVAL 2 MONTH",
    )
},
share AS (
  SELECT region, month, sum(dropped_calls) / nullif(sum(calls), 0) AS dropped
  FROM month_used JOIN person USING (customer_id)
  GROUP BY region, month
)
SELECT
  region,
  any_value(dropped) FILTER (month = date_trunc('month', $as_of) - INTERVAL 1 MONTH) AS region_dropped_share,
  region_dropped_share
    - any_value(dropped) FILTER (month = date_trunc('month', $as_of) - INTERVAL 2 MONTH) AS region_dropped_share_change
FROM share GROUP BY region ORDER BY region"""
