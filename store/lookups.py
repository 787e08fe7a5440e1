"""What the tables say of one customer: the newest score, the decision about him, his nights and his contacts.

Every statement finds its rows by an index, however large the base and however many nights are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from store.intervention_tables import intervention
from store.tables import FENCE, LISTED, night_pointer, outreach, publication, scores, statuses

_RUN = ("contract", "run_id", "known_at", "revision", "published_at")
_DECISION = ("status", "rule", "expected_value", "team", "action")
_ON_THE_LIST = ("rank", "channel", "agent_says")
_OF_A_NIGHT = ("segment", "region", "probability", "log_odds", "band", "percentile", "customer_value", "model_version")
_EVENT = ("as_of", "occurred_at", "event", "channel", "action", "team", "agent")


@dataclass(frozen=True, slots=True)
class NightOfCustomer:
    """One night of a customer: his score, the run that it is of, and what the night's list said, if there is one."""

    run: RowMapping
    score: RowMapping
    decision: RowMapping | None


def newest_score(connection: Connection, contract: str, customer_id: str) -> RowMapping | None:
    """The customer's row in the newest published night, with `age_hours` and whether it is `stale`; else None."""
    now = _SCORES_NOW.c
    query = sa.select(_SCORES_NOW).where(now.contract == contract, now.customer_id == customer_id)
    return connection.execute(query).mappings().one_or_none()


def score_of_night(
    connection: Connection, contract: str, customer_id: str, as_of: date | None = None
) -> RowMapping | None:
    """The customer's date, segment and region in that night, or in the newest; None where he was not scored in it."""
    runs = _shown(contract, scores.name).order_by(night_pointer.c.as_of.desc()).limit(1)
    fence = runs.where(night_pointer.c.as_of == as_of) if as_of else runs
    columns = [scores.c[name] for name in ("as_of", "segment", "region")]
    query = sa.select(*columns).where(scores.c[FENCE] == fence.scalar_subquery(), scores.c.customer_id == customer_id)
    return connection.execute(query).mappings().one_or_none()


def decision_about(connection: Connection, contract: str, customer_id: str, as_of: date) -> RowMapping | None:
    """What the list of that night said, with his place on it; None where the night has no list.

    A list is published after its scores, and may be a night behind them.
    """
    fence = _shown(contract, LISTED).where(night_pointer.c.as_of == as_of).scalar_subquery()
    same = (outreach.c[FENCE] == statuses.c[FENCE]) & (outreach.c.customer_id == statuses.c.customer_id)
    columns = [*(statuses.c[name] for name in _DECISION), *(outreach.c[name] for name in _ON_THE_LIST)]
    query = sa.select(*columns).select_from(statuses.outerjoin(outreach, same))
    of_customer = (statuses.c[FENCE] == fence, statuses.c.customer_id == customer_id)
    return connection.execute(query.where(*of_customer)).mappings().one_or_none()


def contacts_with(connection: Connection, contract: str, customer_id: str, most: int) -> Sequence[RowMapping]:
    """What teams wrote back of their contacts with the customer, the newest first; times are naive and in UTC."""
    event = intervention.c
    query = sa.select(*(event[name] for name in _EVENT))
    query = query.where(event.contract == contract, event.customer_id == customer_id)
    newest = query.order_by(event.occurred_at.desc(), event.key).limit(most)
    return connection.execute(newest).mappings().all()


def nights_of(connection: Connection, contract: str, customer_id: str, most: int) -> list[NightOfCustomer]:
    """The customer's scores of the newest nights, at most so many nights back, the newest first."""
    runs = _newest_runs(connection, contract, most)
    scored = _by_fence(connection, scores, _OF_A_NIGHT, customer_id, [run[FENCE] for run in runs])
    lists = _lists(connection, contract, [run["as_of"] for run in runs if run[FENCE] in scored])
    decided = _by_fence(connection, statuses, _DECISION, customer_id, list(lists.values()))
    return [
        NightOfCustomer(run, scored[run[FENCE]], decided.get(lists.get(run["as_of"], 0)))
        for run in runs
        if run[FENCE] in scored
    ]


def _view_of_scores() -> sa.TableClause:
    shown = [column for column in scores.c if column.name != FENCE]
    run = [publication.c[name] for name in _RUN]
    ages = [sa.column("age_hours", sa.Double), sa.column("stale", sa.Boolean)]
    columns = [*(sa.column(column.name, column.type) for column in (*shown, *run)), *ages]
    return sa.table("score_current", *columns)


_SCORES_NOW = _view_of_scores()


def _shown(contract: str, kind: str) -> sa.Select[Any]:
    pointer = night_pointer.c
    return sa.select(pointer[FENCE]).where(pointer.contract == contract, pointer.kind == kind)


def _newest_runs(connection: Connection, contract: str, most: int) -> Sequence[RowMapping]:
    joined = night_pointer.join(publication, publication.c.run_id == night_pointer.c.run_id)
    run = [publication.c[name] for name in ("as_of", "known_at", "revision", FENCE)]
    shown = night_pointer.c
    query = sa.select(*run).select_from(joined).where(shown.contract == contract, shown.kind == scores.name)
    return connection.execute(query.order_by(shown.as_of.desc()).limit(most)).mappings().all()


def _lists(connection: Connection, contract: str, nights: Sequence[date]) -> dict[date, int]:
    """The fence of each night's list, where there is one."""
    query = _shown(contract, LISTED).add_columns(night_pointer.c.as_of).where(night_pointer.c.as_of.in_(nights))
    return {row.as_of: row.fence for row in connection.execute(query)}


def _by_fence(
    connection: Connection, table: sa.Table, names: Sequence[str], customer_id: str, fences: Sequence[int]
) -> Mapping[int, RowMapping]:
    """The customer's rows of these runs. By fences that are given, PostgreSQL opens their partitions alone."""
    columns = [table.c[name] for name in (FENCE, *names)]
    query = sa.select(*columns).where(table.c[FENCE].in_(fences), table.c.customer_id == customer_id)
    return {row[FENCE]: row for row in connection.execute(query).mappings()}
