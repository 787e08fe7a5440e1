"""Keeps what watching the nights found, and gives it back: sizes, alarms, mutes, and what became of past scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from churn.alarms import Alarm, EarlierNights, Mute, Standing
from churn.contract import arrow_schema
from churn.errors import RequestError
from churn.findings import Finding, Key
from schemas.columns import Table
from schemas.lift import ALL_ACTIONS, LIFT, Scope
from schemas.monitoring import ALARMS, BACKTEST, MUTES, AlarmKind, AlarmState, Remedy
from store.claims import database_now
from store.intervention_tables import lift
from store.lake import write_text
from store.migrations import migrated_engine
from store.monitoring_tables import alarms, backtest, decisions, mutes
from store.registry_tables import registry_metadata
from store.settings import Settings
from store.tables import answering


def keep_night(settings: Settings, contract: str, as_of: date, found: Mapping[str, pa.Table]) -> None:
    """Keeps a night's rows by the name of their table, in the place of what an earlier watch of it found.

    One transaction: readers see the whole watch of a night, or none of it. When people were told of an alarm stays,
    also by another watch of the night that ended meanwhile.
    """
    engine = migrated_engine(settings)
    with answering(engine), engine.begin() as connection:
        earlier = sa.select(alarms).where(alarms.c.contract == contract, alarms.c.as_of == as_of)
        told = [row for row in connection.execute(earlier.with_for_update()).mappings() if row["told_at"]]
        for name, rows in found.items():
            table = registry_metadata.tables[name]
            connection.execute(table.delete().where(table.c.contract == contract, table.c.as_of == as_of))
            if rows.num_rows:
                connection.execute(table.insert(), rows.to_pylist())
        for row in told:
            same = (alarms.c[name] == row[name] for name in ALARMS.primary_key)
            raised = alarms.c.state == AlarmState.RAISED.value
            connection.execute(alarms.update().where(*same, raised).values(told_at=row["told_at"]))


def kept_night(settings: Settings, schema: Table, contract: str, as_of: date | None = None) -> pa.Table:
    """The rows of one of the night's tables, of a night or the newest that was watched; in order of their key."""
    table = registry_metadata.tables[schema.name]
    newest = sa.select(sa.func.max(table.c.as_of)).where(table.c.contract == contract).scalar_subquery()
    chosen = sa.select(table).where(table.c.contract == contract, table.c.as_of == (as_of or newest))
    return _rows(settings, chosen.order_by(*(table.c[name] for name in schema.primary_key)), schema)


def keep_backtest(settings: Settings, rows: pa.Table) -> None:
    """Keeps what became of past nights, in the place of what was told of them before."""
    engine = migrated_engine(settings)
    nights = rows.select(["contract", "as_of"]).group_by(["contract", "as_of"]).aggregate([]).to_pylist()
    with answering(engine), engine.begin() as connection:
        for night in nights:
            connection.execute(backtest.delete().where(*(backtest.c[name] == value for name, value in night.items())))
        if rows.num_rows:
            connection.execute(backtest.insert(), rows.to_pylist())


def backtested_runs(settings: Settings, contract: str) -> dict[str, datetime | None]:
    """The runs of which it is known what became of their scores, and up to when the source told it.

    None where an earlier release looked back, which did not say.
    """
    engine = migrated_engine(settings)
    runs = sa.select(backtest.c.run_id, sa.func.max(backtest.c.known_at)).where(backtest.c.contract == contract)
    with answering(engine), engine.connect() as connection:
        return dict(connection.execute(runs.group_by(backtest.c.run_id)).tuples().all())


def kept_backtest(settings: Settings, contract: str, until: date) -> pa.Table:
    """What became of the nights up to a date, the oldest first."""
    chosen = sa.select(backtest).where(backtest.c.contract == contract, backtest.c.as_of <= until)
    in_order = chosen.order_by(*(backtest.c[name] for name in BACKTEST.primary_key))
    return _rows(settings, in_order, BACKTEST)


def latest_lift(settings: Settings, contract: str, known_at: datetime) -> dict[str, object]:
    """What all matured waves together changed and saved, as it was measured last by then: a row of LIFT, or nothing."""
    together = (lift.c.contract == contract, lift.c.scope == Scope.WAVES.value, lift.c.action == ALL_ACTIONS)
    newest = (
        sa.select(lift)
        .where(*together, lift.c.known_at <= known_at)
        .order_by(lift.c.known_at.desc(), lift.c.last_as_of.desc())
        .limit(1)
    )
    return next(iter(_rows(settings, newest, LIFT).to_pylist()), {})


def past_of(settings: Settings, contract: str, as_of: date) -> EarlierNights:
    """What the nights before this one left of alarms, and who has muted what."""
    engine = migrated_engine(settings)
    before = sa.select(sa.func.max(decisions.c.as_of)).where(
        decisions.c.contract == contract, decisions.c.as_of < as_of
    )
    earlier = sa.select(alarms).where(alarms.c.contract == contract, alarms.c.as_of < as_of).order_by(alarms.c.as_of)
    with answering(engine), engine.connect() as connection:
        standings = [_standing(row) for row in connection.execute(earlier).mappings()]
        night_before = connection.scalar(before)
    return EarlierNights({one.key: one for one in standings}, night_before, mutes_of(settings, contract))


def trusted_runs(settings: Settings, contract: str) -> frozenset[str]:
    """The runs of scores that were watched, and did not seem to be of other customers: not by an alarm in any state."""
    engine = migrated_engine(settings)
    same_night = (alarms.c.contract == decisions.c.contract, alarms.c.as_of == decisions.c.as_of)
    doubted = sa.exists().where(*same_night, alarms.c.kind == AlarmKind.IDENTITY.value)
    trusted = sa.select(decisions.c.run_id).where(decisions.c.contract == contract, ~doubted)
    with answering(engine), engine.connect() as connection:
        return frozenset(connection.scalars(trusted))


def alarms_since(settings: Settings, contract: str, since: date) -> pa.Table:
    """The alarms of the nights from a date on, the newest first and of each night the largest."""
    chosen = sa.select(alarms).where(alarms.c.contract == contract, alarms.c.as_of >= since)
    return _rows(settings, chosen.order_by(alarms.c.as_of.desc(), alarms.c.size.desc()), ALARMS)


def told_of(settings: Settings, contract: str, as_of: date) -> dict[Key, datetime]:
    """When people were told of the night's alarms, of those that they were told of."""
    rows = kept_night(settings, ALARMS, contract, as_of).to_pylist()
    return {(row["kind"], row["subject"], row["place"]): row["told_at"] for row in rows if row["told_at"]}


def untold(settings: Settings, contract: str, until: date) -> tuple[Alarm, ...]:
    """The alarms of the nights up to a date that people have to be told of and were not, as far as anybody knows.

    Those of the newest night first, and of each the largest.
    """
    waiting = (alarms.c.state == AlarmState.RAISED.value, alarms.c.told_at.is_(None))
    chosen = sa.select(alarms).where(alarms.c.contract == contract, alarms.c.as_of <= until, *waiting)
    rows = _rows(settings, chosen.order_by(alarms.c.as_of.desc(), alarms.c.size.desc()), ALARMS)
    return tuple(_alarm(row) for row in rows.to_pylist())


def keep_told(settings: Settings, contract: str, told: Iterable[Alarm]) -> None:
    """Keeps that people were told of these alarms just now."""
    engine = migrated_engine(settings)
    with answering(engine), engine.begin() as connection:
        now = database_now(connection)
        for one in told:
            key = zip((alarms.c.kind, alarms.c.subject, alarms.c.place), one.finding.key, strict=True)
            of_night = (alarms.c.contract == contract, alarms.c.as_of == one.raised_as_of)
            same = (column == value for column, value in key)
            connection.execute(alarms.update().where(*of_night, *same).values(told_at=now))


def mute(settings: Settings, contract: str, wish: Mute, why: str) -> None:
    """Mutes a subject, or changes until when it is muted; RequestError where nobody says who, or why."""
    if not wish.who.strip() or not why.strip():
        raise RequestError("nobody says who mutes it, or why", where=wish.subject, to_do="Give --who and --why.")
    row = {"contract": contract, "subject": wish.subject, "until": wish.until, "who": wish.who, "why": why}
    engine = migrated_engine(settings)
    with answering(engine), engine.begin() as connection:
        connection.execute(mutes.insert().values(**row, recorded_at=database_now(connection)))


def keep_page(page: str, contract: str, as_of: date, settings: Settings) -> Path:
    """Writes the page of a night, over an older one, and says where it lies."""
    path = settings.data / "reports" / "monitoring" / contract / f"{as_of}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, path)
    return path


def mutes_of(settings: Settings, contract: str) -> tuple[Mute, ...]:
    """The last wish of each subject, also of those that are over."""
    chosen = sa.select(mutes).where(mutes.c.contract == contract).order_by(mutes.c.recorded_at)
    last = {row["subject"]: row for row in _rows(settings, chosen, MUTES).to_pylist()}
    return tuple(Mute(row["subject"], row["until"], row["who"]) for row in last.values())


def _rows(settings: Settings, chosen: sa.Select[tuple[object, ...]], schema: Table) -> pa.Table:
    engine = migrated_engine(settings)
    with answering(engine), engine.connect() as connection:
        rows: Iterable[dict[str, object]] = [dict(row) for row in connection.execute(chosen).mappings()]
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(schema))


def _standing(row: sa.RowMapping) -> Standing:
    key = row["kind"], row["subject"], row["place"]
    return Standing(key, row["as_of"], AlarmState(row["state"]), row["raised_as_of"])


def _alarm(row: Mapping[str, Any]) -> Alarm:
    """An alarm that was raised, as its row has it."""
    told = {name: row[name] for name in ("subject", "size", "money", "says", "to_do", "place")}
    remedy = Remedy(row["remedy"] or Remedy.PEOPLE)
    return Alarm(Finding(AlarmKind(row["kind"]), **told, remedy=remedy), AlarmState.RAISED, row["as_of"])
