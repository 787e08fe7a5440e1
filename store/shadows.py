"""Keeps which challengers wait in the shadow for which places and how their nights went, and grants the wishes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from churn.errors import PromotionRefused, RegistryError
from schemas.shadow import SHADOW_SCORES, Ending
from store.claims import database_now
from store.loading import loader
from store.migrations import migrated_engine
from store.partitions import delete_by_and_by
from store.registry import Promotion, open_registry
from store.settings import Settings
from store.shadow_tables import of_the_same_wish, shadow_nights, shadow_scores, shadows
from store.tables import alone, answering


@dataclass(frozen=True, slots=True)
class Wish:
    """A challenger that passed the gate and wants a place, after so many nights in the shadow.

    `expected_version` is the champion of the place when it was judged; None where the place had none of its own.
    """

    contract: str
    segment: str
    version: int
    expected_version: int | None
    nights: int
    gate: str
    who: str
    why: str


def send_into_shadow(settings: Settings, wishes: Sequence[Wish]) -> None:
    """Keeps the wishes; one that was kept before stays as it is, and an older one for the same place is overtaken."""
    engine = migrated_engine(settings)
    with answering(engine), alone(engine) as connection:
        for wish in wishes:
            waiting = [one for one in _open(connection, wish.contract) if one.segment == wish.segment]
            if wish not in waiting:
                for older in waiting:
                    _end(connection, older, Ending.OVERTAKEN, f"version {wish.version} wants the place")
                _begin(connection, wish)
    _forget_of_nobody(engine)


def in_shadow(settings: Settings, contract: str) -> tuple[Wish, ...]:
    """The wishes of the contract that wait for their nights, in order of segment."""
    engine = migrated_engine(settings)
    with answering(engine), engine.connect() as connection:
        return _open(connection, contract)


def proven(settings: Settings, contract: str, as_of: date) -> tuple[Wish, ...]:
    """Of the wishes that wait, those that had a night before that date, and none that went wrong."""
    engine = migrated_engine(settings)
    with answering(engine), engine.connect() as connection:
        return tuple(
            wish
            for wish in _open(connection, contract)
            if _nights(connection, wish, as_of) and not _red(connection, wish)
        )


def keep_shadow_night(settings: Settings, wish: Wish, night: dict[str, Any], scores: pa.Table) -> None:
    """Keeps the scores of a night in the place of those of the night before, and then how it went.

    `night` are the columns of SHADOW_NIGHTS that do not name the wish, `scores` rows of SHADOW_SCORES. In SQLite they
    come and go by portions, so that nobody else waits for long: who reads meanwhile sees a part. A night counts once
    all of it is there.
    """
    engine = migrated_engine(settings)
    place = {"contract": wish.contract, "segment": wish.segment, "version": wish.version}
    same = (*_of(wish, shadow_nights), shadow_nights.c.as_of == night["as_of"])
    with answering(engine):
        with engine.begin() as connection:
            connection.execute(shadow_nights.delete().where(*same))
        _forget(engine, *_of(wish, shadow_scores))
        _load(engine, scores)
        with engine.begin() as connection:
            connection.execute(shadow_nights.insert().values(night | place))


def settle(settings: Settings, contract: str) -> dict[Wish, Ending]:
    """Grants the wishes whose nights are over, together, and ends those that had a red night; says how each ended.

    A wish stays open where its nights are not over. Where the registry refuses one of those that are due, none of them
    is granted, since they were judged beside each other.
    """
    engine = migrated_engine(settings)
    with answering(engine), engine.connect() as connection:
        waiting = _open(connection, contract)
        ended = {wish: (Ending.RED, red) for wish in waiting if (red := _red(connection, wish))}
        due = [wish for wish in waiting if wish not in ended and _nights(connection, wish) >= wish.nights]
    if due:
        refused = _refused(settings, due)
        promoted = Ending.PROMOTED, "its nights are over, and nothing was wrong"
        ended |= dict.fromkeys(due, (Ending.OVERTAKEN, refused) if refused else promoted)
    with answering(engine), alone(engine) as connection:
        for wish, (ending, says) in ended.items():
            _end(connection, wish, ending, says)
    _forget_of_nobody(engine)
    return {wish: ending for wish, (ending, _) in ended.items()}


def _refused(settings: Settings, due: Sequence[Wish]) -> str:
    """Why the registry does not grant the wishes; empty where it did."""
    why = "its nights in the shadow went well: {}"
    wanted = [
        Promotion(one.contract, one.version, one.expected_version, one.who, why.format(one.why), (one.segment,))
        for one in due
    ]
    try:
        open_registry(settings).promote(*wanted)
    except (PromotionRefused, RegistryError) as refusal:
        return str(refusal.what)
    return ""


def _open(connection: Connection, contract: str) -> tuple[Wish, ...]:
    query = sa.select(*(shadows.c[name] for name in Wish.__slots__)).order_by(shadows.c.segment, shadows.c.version)
    waiting = query.where(shadows.c.contract == contract, shadows.c.ending.is_(None))
    return tuple(Wish(*row) for row in connection.execute(waiting))


def _begin(connection: Connection, wish: Wish) -> None:
    """Writes the wish down, in the place of what came of an earlier one for the same version and place."""
    for table in (shadow_nights, shadows):
        connection.execute(table.delete().where(*_of(wish, table)))
    row = {name: getattr(wish, name) for name in Wish.__slots__}
    connection.execute(shadows.insert().values(row | {"asked_at": database_now(connection)}))


def _end(connection: Connection, wish: Wish, ending: Ending, says: str) -> None:
    values = {"ended_at": database_now(connection), "ending": ending.value, "says": says}
    connection.execute(shadows.update().where(*_of(wish), shadows.c.ending.is_(None)).values(values))


def _load(engine: Engine, scores: pa.Table) -> None:
    with loader(engine) as load:
        for rows in load.portions(scores):
            load.append(SHADOW_SCORES.name, rows)
            load.commit()


def _forget_of_nobody(engine: Engine) -> None:
    """Removes the scores of challengers that wait no longer; those that a killed run left, too."""
    waits = sa.exists().where(*of_the_same_wish(shadow_scores), shadows.c.ending.is_(None))
    with answering(engine):
        _forget(engine, ~waits)


def _forget(engine: Engine, *where: sa.ColumnElement[bool]) -> None:
    """Removes scores, in SQLite as they are loaded."""
    if engine.dialect.name == "sqlite":
        delete_by_and_by(engine, shadow_scores, *where)
        return
    with engine.begin() as connection:
        connection.execute(shadow_scores.delete().where(*where))


def _red(connection: Connection, wish: Wish) -> str:
    """The first night on which something was wrong, and what; empty where nothing was."""
    nights = sa.select(shadow_nights.c.as_of, shadow_nights.c.red).where(*_of(wish, shadow_nights))
    wrong = nights.where(shadow_nights.c.red.is_not(None)).order_by(shadow_nights.c.as_of)
    row = connection.execute(wrong.limit(1)).first()
    return f"as of {row.as_of} {row.red}" if row else ""


def _nights(connection: Connection, wish: Wish, before: date = date.max) -> int:
    theirs = *_of(wish, shadow_nights), shadow_nights.c.as_of < before
    return int(connection.scalar(sa.select(sa.func.count()).select_from(shadow_nights).where(*theirs)) or 0)


def _of(wish: Wish, table: sa.Table = shadows) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        table.c.contract == wish.contract,
        table.c.segment == wish.segment,
        table.c.version == wish.version,
    )
