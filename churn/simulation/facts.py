"""What the company's systems record of a block's months, late and mistaken as systems are, and the truth beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from churn.simulation.dealings import Change
from churn.simulation.hazard import UNPREVENTABLE
from churn.simulation.life import Month
from churn.simulation.population import PLAN_GB, PLAN_MINUTES, People
from churn.simulation.scenario import Flags
from churn.simulation.standing import NEVER, TERM_DAYS
from churn.simulation.tables import (
    CATEGORIES,
    CHANNELS,
    GENDERS,
    KINDS,
    METHODS,
    PLANS,
    SEGMENTS,
    days,
    keys,
    moments,
    names,
    table,
)

MORNING, DAY, EVENING = 6, 18, 23  # hours at which facts of a day are recorded

LATE_USAGE, LATE_USAGE_DAYS = 0.02, 10
CORRECTED_USAGE, CORRECTED_AFTER_DAYS = 0.005, 20
MISTAKEN_PART = 0.6  # of the usage is in the first version of a row that is corrected later
LATE_CHURN, LATE_CHURN_DAYS = 0.04, 5

KEY_DIGITS, MONTH_DIGITS = 9, 5  # months of a key are counted in days since 1970-01-01

Columns = dict[str, np.ndarray]


@dataclass(slots=True)
class Ledger:
    """The facts of a block by table, in the order in which they were taken down."""

    rng: np.random.Generator
    end: int
    pages: dict[str, list[Columns]] = field(default_factory=dict)

    def note(self, name: str, columns: Columns) -> None:
        """Takes a page of facts down."""
        self.pages.setdefault(name, []).append(columns)

    def tables(self) -> dict[str, pa.Table]:
        """All facts as tables, empty ones included."""
        return {name: table(name, write(_gathered(self.pages[name]))) for name, write in _WRITERS.items()}


def record(ledger: Ledger, months: Iterable[Month]) -> dict[str, pa.Table]:
    """The source tables and the truth of these months."""
    for month in months:
        if not ledger.pages:
            _note_those_there(ledger, month)
        _note_month(ledger, month)
    return ledger.tables()


def _note_those_there(ledger: Ledger, month: Month) -> None:
    """Customers from before the simulation: their contract is as their last renewal or handset made it."""
    people, standing = month.base.people, month.base.standing
    _note_customers(ledger, people, month.sign.live)
    since = np.maximum(standing.handset_since, standing.bound_until - TERM_DAYS)
    change = Change(month.sign.live, np.maximum(since, people.joined_on), standing)
    _note_change(ledger, people, change, hour=DAY)


def _note_month(ledger: Ledger, month: Month) -> None:
    people, live = month.base.people, month.sign.live
    _note_customers(ledger, people, ~live)
    _note_change(ledger, people, Change(~live, people.joined_on, month.base.standing), hour=DAY)
    if month.rise:
        _note_change(ledger, people, month.rise, hour=MORNING)
    still_there = live & ~month.fate.churned
    _note_change(ledger, people, replace(month.change, changed=month.change.changed & still_there), hour=DAY)
    _note_usage(ledger, month)
    _note_payments(ledger, month)
    _note_tickets(ledger, month)
    _note_churn(ledger, month)
    _note_truth(ledger, month)


def _note_customers(ledger: Ledger, people: People, where: Flags) -> None:
    ledger.note("customers", {name: getattr(people, name)[where] for name in _CUSTOMER_COLUMNS})


def _note_change(ledger: Ledger, people: People, change: Change, *, hour: int) -> None:
    at = np.flatnonzero(change.changed)
    ledger.note(
        "contracts",
        {
            "number": people.number[at],
            "plan": people.plan[at],
            "starts_on": people.joined_on[at],
            "ends_on": change.standing.bound_until[at],
            "monthly_price": change.standing.price[at],
            "handset_since": change.standing.handset_since[at],
            "effective_on": change.effective_on[at],
            "hour": np.full(len(at), hour),
        },
    )


def _note_usage(ledger: Ledger, month: Month) -> None:
    usage, rows = month.usage, len(month.base.people.number)
    late, delay, wrong, repair = ledger.rng.random((4, rows))
    recorded_on = month.following - 1 + np.where(late < LATE_USAGE, 1 + (LATE_USAGE_DAYS * delay).astype(np.int64), 0)
    corrected = wrong < CORRECTED_USAGE
    part = np.where(corrected, MISTAKEN_PART, 1.0)
    columns = {
        "number": month.base.people.number,
        "month": np.full(rows, month.first, np.int64),
        "minutes": np.rint(usage.minutes * part * 10) / 10,
        "sms": usage.sms,
        "data_gb": np.rint(usage.data_gb * part * 1000) / 1000,
        "overage_amount": usage.overage,
        "roaming_amount": usage.roaming,
        "calls": usage.calls,
        "dropped_calls": usage.dropped_calls,
        "recorded_on": recorded_on,
    }
    ledger.note("usage_monthly", columns)
    later = recorded_on + 1 + (CORRECTED_AFTER_DAYS * repair).astype(np.int64)
    corrections = columns | {"minutes": usage.minutes, "data_gb": usage.data_gb, "recorded_on": later}
    ledger.note("usage_monthly", {name: values[corrected] for name, values in corrections.items()})


def _note_payments(ledger: Ledger, month: Month) -> None:
    payment, people = month.payment, month.base.people
    billed = month.sign.live & ~(month.fate.churned & (month.fate.churned_on <= payment.due_on))
    on_time = {
        "number": people.number,
        "due_on": np.full(len(people.number), payment.due_on, np.int64),
        "paid_on": payment.paid_on,
        "open": payment.late,
        "amount": payment.amount,
        "method": people.method,
        "recorded_on": np.where(payment.late, payment.due_on, payment.paid_on),
    }
    ledger.note("payments", {name: values[billed] for name, values in on_time.items()})
    late = billed & payment.late & (payment.paid_on < ledger.end)
    paid = on_time | {"open": np.zeros(len(late), np.bool_), "recorded_on": payment.paid_on}
    ledger.note("payments", {name: values[late] for name, values in paid.items()})


def _note_tickets(ledger: Ledger, month: Month) -> None:
    ticket = month.ticket
    gone = month.fate.churned & (ticket.opened_on >= month.fate.churned_on)
    opened = ticket.opened & (ticket.opened_on >= month.base.people.joined_on) & ~gone
    fresh = {
        "number": month.base.people.number,
        "month": np.full(len(opened), month.first, np.int64),
        "opened_on": ticket.opened_on,
        "closed_on": ticket.closed_on,
        "open": np.ones(len(opened), np.bool_),
        "category": ticket.category,
        "is_complaint": ticket.complaint,
        "recorded_on": ticket.opened_on,
    }
    ledger.note("tickets", {name: values[opened] for name, values in fresh.items()})
    closed = opened & (ticket.closed_on < ledger.end)
    done = fresh | {"open": np.zeros(len(opened), np.bool_), "recorded_on": ticket.closed_on}
    ledger.note("tickets", {name: values[closed] for name, values in done.items()})


def _note_churn(ledger: Ledger, month: Month) -> None:
    fate = month.fate
    at = np.flatnonzero(fate.churned)
    late, delay = ledger.rng.random((2, len(at)))
    days_late = np.where(late < LATE_CHURN, 1 + (LATE_CHURN_DAYS * delay).astype(np.int64), 0)
    ledger.note(
        "churn_events",
        {
            "number": month.base.people.number[at],
            "churned_on": fate.churned_on[at],
            "kind": np.where(fate.u[at] < UNPREVENTABLE, 1, 0),
            "recorded_on": fate.churned_on[at] + days_late,
        },
    )


def _note_truth(ledger: Ledger, month: Month) -> None:
    fate, live = month.fate, month.sign.live
    columns = {
        "number": month.base.people.number,
        "month": np.full(len(live), month.first, np.int64),
        "p0": fate.p0,
        "u": fate.u,
        "churned_untouched": fate.u < fate.p0,
    }
    for action, p1 in fate.p1.items():
        columns |= {f"p1_{action}": p1, f"churned_{action}": fate.u < p1}
    ledger.note("truth", {name: values[live] for name, values in columns.items()})


_CUSTOMER_COLUMNS = (
    "number",
    "household",
    "joined_on",
    "prepaid",
    "region",
    "birth_year",
    "gender",
    "marketing_consent",
    "do_not_contact",
    "channel",
)


def _gathered(pages: list[Columns]) -> Columns:
    return {name: np.concatenate([page[name] for page in pages]) for name in pages[0]}


def _customers(facts: Columns) -> Mapping[str, pa.Array]:
    return facts | {
        "customer_id": _customer_id(facts),
        "household_id": keys("H", (facts["household"], KEY_DIGITS), unknown=facts["household"] == 0),
        "joined_on": days(facts["joined_on"]),
        "segment": names((~facts["prepaid"]).astype(np.int8), SEGMENTS),
        "region": keys("R", (facts["region"] + 1, 2)),
        "gender": names(facts["gender"], GENDERS),
        "preferred_channel": names(facts["channel"], CHANNELS),
        "recorded_at": moments(facts["joined_on"], DAY),
    }


def _contracts(facts: Columns) -> Mapping[str, pa.Array]:
    plan = facts["plan"]
    return facts | {
        "contract_id": keys("K", (facts["number"], KEY_DIGITS)),
        "customer_id": _customer_id(facts),
        "plan_code": names(plan, PLANS),
        "starts_on": days(facts["starts_on"]),
        "ends_on": days(facts["ends_on"], facts["ends_on"] == NEVER),
        "allowance_gb": PLAN_GB[plan],
        "allowance_minutes": PLAN_MINUTES[plan],
        "handset_since": days(facts["handset_since"]),
        "effective_on": days(facts["effective_on"]),
        "recorded_at": moments(facts["effective_on"], facts["hour"]),
    }


def _usage(facts: Columns) -> Mapping[str, pa.Array]:
    return facts | {
        "customer_id": _customer_id(facts),
        "month": days(facts["month"]),
        "recorded_at": moments(facts["recorded_on"], EVENING),
    }


def _payments(facts: Columns) -> Mapping[str, pa.Array]:
    return facts | {
        "payment_id": keys("B", (facts["number"], KEY_DIGITS), (facts["due_on"], MONTH_DIGITS)),
        "customer_id": _customer_id(facts),
        "due_on": days(facts["due_on"]),
        "paid_on": days(facts["paid_on"], facts["open"]),
        "method": names(facts["method"], METHODS),
        "recorded_at": moments(facts["recorded_on"], EVENING),
    }


def _tickets(facts: Columns) -> Mapping[str, pa.Array]:
    return facts | {
        "ticket_id": keys("T", (facts["number"], KEY_DIGITS), (facts["month"], MONTH_DIGITS)),
        "customer_id": _customer_id(facts),
        "opened_on": days(facts["opened_on"]),
        "closed_on": days(facts["closed_on"], facts["open"]),
        "category": names(facts["category"], CATEGORIES),
        "recorded_at": moments(facts["recorded_on"], DAY),
    }


def _churn_events(facts: Columns) -> Mapping[str, pa.Array]:
    return facts | {
        "customer_id": _customer_id(facts),
        "churned_on": days(facts["churned_on"]),
        "kind": names(facts["kind"], KINDS),
        "recorded_at": moments(facts["recorded_on"], EVENING),
    }


def _truth(facts: Columns) -> Mapping[str, pa.Array]:
    return facts | {"customer_id": _customer_id(facts), "month": days(facts["month"])}


def _customer_id(facts: Columns) -> pa.Array:
    return keys("C", (facts["number"], KEY_DIGITS))


_WRITERS = {
    "customers": _customers,
    "contracts": _contracts,
    "usage_monthly": _usage,
    "payments": _payments,
    "tickets": _tickets,
    "churn_events": _churn_events,
    "truth": _truth,
}
