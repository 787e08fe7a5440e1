"""The views: the stable face of the tables for BI, which shows whole published nights and says how old they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError

from churn.errors import PublicationError
from store.tables import (
    FENCE,
    LAPSED,
    LISTED,
    MOST_BASES,
    SCORED,
    current_pointer,
    hours_since,
    night_pointer,
    outreach,
    publication,
    quarantine,
    scores,
    statuses,
    teams,
)

# Releases that did not write down from when a run's readers are behind had no due time: here it is 06:00 UTC.
_BEHIND_AFTER_HOURS = 30

_OF_THE_RUN = ("contract", "run_id", "known_at", "revision", "published_at")
_STILL_ASKED = "2BP01"  # dependent_objects_still_exist
_AGE = "Hours since the rows were published, by the database's clock"
_STALE = "Whether a newer night is due by now, by the database's clock"
# The table as store/parity_tables.py has it, which needs this module.
_PARITY = sa.table("parity", *map(sa.column, ("contract", "as_of", "run_id", "asked_at", "state", "says")))
OVER_MIGRATED_TABLES = ("night_alerts",)  # of these views; they go before those tables change


@dataclass(frozen=True, slots=True)
class View:
    """A view, and what it and those of its columns are that no table has."""

    name: str
    query: sa.Select[Any] | sa.CompoundSelect[Any]
    description: str
    columns: Mapping[str, str] = field(default_factory=dict)

    def described(self) -> dict[str, str]:
        """What each of its columns is, in order."""
        return {column.name: self._description(column) for column in self.query.selected_columns}

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """The statements that make it, with its comments where the database keeps them."""
        yield f"CREATE VIEW {self.name} AS {_compiled(self.query, dialect)}"
        if dialect.supports_comments:
            yield f"COMMENT ON VIEW {self.name} IS {_compiled(sa.literal(self.description), dialect)}"
            for column, description in self.described().items():
                yield f'COMMENT ON COLUMN {self.name}."{column}" IS {_compiled(sa.literal(description), dialect)}'

    def _description(self, column: sa.ColumnElement[Any]) -> str:
        own = self.columns.get(column.name)
        return own or next(str(base.comment) for base in column.base_columns if isinstance(base, sa.Column))


@contextmanager
def of_ours_alone() -> Iterator[None]:
    """PublicationError where what is dropped inside has to stay, as a view that is not of ours asks it."""
    try:
        yield
    except DBAPIError as failed:
        told = getattr(failed.orig, "diag", None)  # of PostgreSQL's driver alone
        if told is None or told.sqlstate != _STILL_ASKED:
            raise
        raise PublicationError(
            f"a view of your own stands on one of ours: {', '.join(told.message_detail.splitlines())}",
            where="the database of CHURN_DATABASE_URL",
            to_do="Drop it, run this again, then make it anew: a release may change the columns that it asks for.",
        ) from None


def _compiled(query: sa.ClauseElement, dialect: Dialect) -> str:
    return str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


@cache
def views(dialect: str) -> tuple[View, ...]:
    """All views, in the form that suits the database: sqlite or postgresql."""
    age = MappingProxyType({"age_hours": _AGE, "stale": _STALE})
    return (
        View("score_current", _current(scores, dialect), "Scores of the newest published night", age),
        View("score_history", _history(scores), "Scores of every night, in its latest revision"),
        View("score_revisions", _revisions(scores), "Scores of every night, in each revision that is kept", _SHOWN),
        View(
            "quarantine_current",
            _current(quarantine, dialect, SCORED),
            "Rows set aside in the newest night",
            age,
        ),
        View("outreach_current", _current(outreach, dialect), "Outreach list of the newest published night", age),
        View("outreach_history", _history(outreach), "Outreach lists of every night"),
        View(
            "outreach_status_current",
            _current(statuses, dialect, LISTED),
            "Why each customer of the newest night is on the list or not",
            age,
        ),
        View(
            "outreach_team_current",
            _current(teams, dialect, LISTED),
            "How each team's places were used in the newest list, and what one more would have been worth",
            age,
        ),
        View(
            "night_status",
            _nights(),
            "Which nights there are, what became of the last run of each, and what readers see meanwhile",
            _NIGHT,
        ),
        View(
            "night_alerts",
            _alerts(),
            "Every run that was refused, failed, died, or that the service tells otherwise, also of later nights",
            _ALERT,
        ),
    )


_SHOWN = MappingProxyType({"shown": "Whether it is the revision that the other views show of its night"})

_NIGHT = MappingProxyType(
    {
        "last_state": "What became of the night's last run: published, rejected, failed, abandoned, or still under way",
        "last_run": "Name of that run",
        "last_at": "When that run ended, or began where it has not ended, UTC",
        "reason": "Why that run ended without being published",
        "run_id": "Name of the run whose rows readers of the night see; null where it was never published",
        "age_hours": "Hours since those rows were published, by the database's clock",
        "shown_as_of": "The newest night, which readers of the current views see meanwhile",
        "shown_age_hours": "Hours since that one was published, by the database's clock",
        "stale": "Whether a newer night than that one is due",
    }
)


_ALERT = MappingProxyType(
    {
        "alert": "What became of the run: rejected, as its rows were not good enough, failed, or abandoned, as it "
        "died, or parity broken, as the service scores its customers otherwise",
        "at": "When that was, UTC",
        "sentence": "Why, in a sentence",
    }
)


def _current(table: sa.Table, dialect: str, kind: str = "") -> sa.Select[Any]:
    """The rows of the newest night of each base, with what their run knows and how old they are."""
    rows = _rows_of(table, current_pointer, kind)
    age = hours_since(publication.c.published_at).label("age_hours")
    query = rows.add_columns(age, _is_stale(publication))
    return query.where(table.c[FENCE].in_(_fences(kind or table.name))) if dialect == "postgresql" else query


def _history(table: sa.Table) -> sa.Select[Any]:
    return _rows_of(table, night_pointer)


def _revisions(table: sa.Table) -> sa.Select[Any]:
    """The rows of every run that was published and is kept, whatever the pointers show."""
    joined = table.join(publication, publication.c[FENCE] == table.c[FENCE])
    joined = joined.outerjoin(night_pointer, night_pointer.c.run_id == publication.c.run_id)
    shown = night_pointer.c.run_id.is_not(None).label("shown")
    kept = (publication.c.state == "published") & publication.c.folder.is_not(None)  # see store/clearing.py
    return _rows_and_run(table, joined).add_columns(shown).where(kept)


def _rows_of(table: sa.Table, pointer: sa.Table, kind: str = "") -> sa.Select[Any]:
    """The rows that the pointer shows, with what their run knows: contract, moment, revision."""
    pointed = (pointer.c[FENCE] == table.c[FENCE]) & (pointer.c.kind == (kind or table.name))
    joined = table.join(pointer, pointed).join(publication, publication.c.run_id == pointer.c.run_id)
    return _rows_and_run(table, joined)


def _rows_and_run(table: sa.Table, joined: sa.FromClause) -> sa.Select[Any]:
    night = [] if "as_of" in table.c else [publication.c.as_of]
    own = (column for column in table.c if column.name != FENCE)
    return sa.select(*night, *own, *(publication.c[name] for name in _OF_THE_RUN)).select_from(joined)


def _fences(kind: str) -> list[sa.ScalarSelect[Any]]:
    """The fences of the runs that are current, each as a query of its own; null behind the last.

    PostgreSQL passes the partitions of other runs by when it compares with single values, and reads all when it joins.
    """
    pointers = sa.select(current_pointer.c[FENCE]).where(current_pointer.c.kind == kind)
    in_order = pointers.order_by(current_pointer.c.contract).correlate(None).limit(1)
    return [in_order.offset(place).scalar_subquery() for place in range(MOST_BASES)]


def _nights() -> sa.Select[Any]:
    """One row per night: its last run, the run that readers of the night see, and the newest night that they see."""
    last, seen, newest = (publication.alias(name) for name in ("last", "seen", "newest"))
    joined = (
        last.outerjoin(night_pointer, _same(last, night_pointer, "contract", "kind", "as_of"))
        .outerjoin(seen, seen.c.run_id == night_pointer.c.run_id)
        .outerjoin(current_pointer, _same(last, current_pointer, "contract", "kind"))
        .outerjoin(newest, newest.c.run_id == current_pointer.c.run_id)
    )
    columns = (
        *(last.c[name] for name in ("contract", "kind", "as_of")),
        last.c.state.label("last_state"),
        last.c.run_id.label("last_run"),
        sa.func.coalesce(last.c.ended_at, last.c.claimed_at).label("last_at"),
        last.c.reason,
        *(seen.c[name] for name in ("run_id", "revision", "rows", "known_at", "published_at")),
        hours_since(seen.c.published_at).label("age_hours"),
        newest.c.as_of.label("shown_as_of"),
        hours_since(newest.c.published_at).label("shown_age_hours"),
        _is_stale(newest),
    )
    return sa.select(*columns).select_from(joined).where(_is_last(last))


def _alerts() -> sa.CompoundSelect[Any]:
    """One row per run that somebody should know of; one that gave way as its rows were there already is none."""
    run = publication.c
    told = (run.contract, run.kind, run.as_of, run.run_id)
    columns = (run.ended_at.label("at"), run.state.label("alert"), *told, run.reason.label("sentence"))
    ended = sa.select(*columns).where(run.state.in_(("rejected", "failed")) | (run.reason == LAPSED))
    return sa.union_all(ended, _told_otherwise())


def _told_otherwise() -> sa.Select[Any]:
    """The runs of scores whose customers the service scores otherwise."""
    held = _PARITY.c
    alert, kind = (sa.literal(text).label(name) for text, name in (("parity broken", "alert"), (SCORED, "kind")))
    told = sa.select(held.asked_at.label("at"), alert, held.contract, kind, held.as_of, held.run_id)
    return told.add_columns(held.says.label("sentence")).where(held.state == "broken")


def _is_last(run: sa.FromClause) -> sa.ColumnElement[bool]:
    """Whether no later run of the same night is there."""
    younger = publication.alias("younger")
    return ~sa.exists().where(younger.c[FENCE] > run.c[FENCE], _same(run, younger, "contract", "kind", "as_of"))


def _same(one: sa.FromClause, other: sa.FromClause, *names: str) -> sa.ColumnElement[bool]:
    return sa.and_(*(other.c[name] == one.c[name] for name in names))


def _is_stale(run: sa.FromClause) -> sa.Label[bool]:
    behind = sa.func.coalesce(hours_since(run.c.behind_from), hours_since(run.c.as_of) - _BEHIND_AFTER_HOURS)
    return (behind > 0).label("stale")
