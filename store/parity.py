"""Reads the scores of sampled customers from the table that readers see, and keeps how the service's compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from churn.parity import Parity
from schemas.parity import ParityState
from store.claims import database_now
from store.migrations import migrated_engine
from store.parity_tables import parity
from store.settings import Settings
from store.tables import FENCE, answering, engine_for, publication, scores


def rows_of(settings: Settings, run_id: str, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """The rows of these customers in the score table, by key; who is not among the run's rows is not among them."""
    engine = engine_for(settings.database_url)
    with answering(engine), engine.connect() as connection:
        # By a fence that is given, PostgreSQL opens the run's partition alone.
        fence = connection.scalar(sa.select(publication.c[FENCE]).where(publication.c.run_id == run_id))
        theirs = sa.select(scores).where(scores.c[FENCE] == fence, scores.c.customer_id.in_(keys))
        return {row["customer_id"]: dict(row) for row in connection.execute(theirs).mappings()}


def keep_parity(settings: Settings, night: Mapping[str, object], found: Parity) -> None:
    """Keeps what came of a run, in the place of what an earlier look found.

    `night` are the columns of PARITY that say which: contract, as_of, run_id and service.
    """
    engine = migrated_engine(settings)
    told = {
        "state": found.state.value,
        "sampled": found.sampled,
        "compared": found.compared,
        "unequal": found.unequal,
        "worst": found.worst,
        "differs_in": ", ".join(found.columns) or None,
        "says": found.says,
    }
    with answering(engine), engine.begin() as connection:
        connection.execute(sa.delete(parity).where(parity.c.run_id == night["run_id"]))
        connection.execute(sa.insert(parity).values(**night, **told, asked_at=database_now(connection)))


def kept_parity(settings: Settings, run_id: str) -> Parity | None:
    """What holding the run's scores against the service came to; None where nobody did."""
    engine = migrated_engine(settings)
    with answering(engine), engine.connect() as connection:
        row = connection.execute(sa.select(parity).where(parity.c.run_id == run_id)).mappings().one_or_none()
    return _parity(row) if row else None


def _parity(row: sa.RowMapping) -> Parity:
    return Parity(
        state=ParityState(row["state"]),
        sampled=row["sampled"],
        says=row["says"],
        compared=row["compared"],
        unequal=row["unequal"],
        worst=row["worst"],
        columns=tuple(row["differs_in"].split(", ")) if row["differs_in"] else (),
    )
