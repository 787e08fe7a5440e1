"""Keeps what trials told of actions: the cards of those whose effects pay as signed models, and a row for each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from churn.contract import arrow_schema
from churn.scorecard import Scorecard
from churn.training.lessons import LABEL, digest_of
from churn.training.uplift import HELD_OUT
from churn.training.uplift_trial import Before, Trial
from schemas.contract import Contract
from schemas.manifest import ModelManifest, TrainingEntry
from schemas.uplift import UPLIFT, UpliftVerdict
from store.artifacts import Model, save_model
from store.intervention_tables import uplift
from store.migrations import migrated_engine
from store.model_files import card_entry
from store.settings import Settings
from store.tables import answering
from store.texts import keep_text
from store.uplifts import ARMS, cards_named, kept_uplift, uplift_digest

PROBE_ROWS = 20


@dataclass(frozen=True, slots=True)
class Told:
    """What trials of a base told, which customers of waves taught the cards, up to which moment, and by which code.

    `standing` is the digest of the effects that lists go by since an earlier trial, None where there are none.
    """

    contract: Contract
    known_at: datetime
    code_version: str
    members: pa.Table
    trials: Sequence[Trial]
    standing: str | None = None


def keep_uplift(settings: Settings, told: Told) -> pa.Table:
    """Keeps the cards of each action whose effects pay and a row of UPLIFT for each action; gives the rows.

    What was kept for the same moment before gives way in one transaction.
    """
    paying = [trial for trial in told.trials if trial.verdict is UpliftVerdict.PAYS]
    digest = _keep_cards(settings, told, paying) if paying else None
    rows = [_row(trial, digest if trial in paying else None) | _of_all(told) for trial in told.trials]
    engine = migrated_engine(settings)
    same = uplift.c.contract == told.contract.name, uplift.c.known_at == told.known_at
    with answering(engine), engine.begin() as connection:
        connection.execute(uplift.delete().where(*same))
        if rows:
            connection.execute(uplift.insert(), rows)
    return pa.Table.from_pylist(rows, schema=arrow_schema(UPLIFT))


def tried_before(settings: Settings, contract: str, known_at: datetime) -> Before:
    """The looks that were taken with what was known before that moment, and the effects that lists go by.

    Effects whose cards are gone are none, so that they can be learnt anew.
    """
    looks: dict[str, dict[str, int]] = {}
    for row in _tried(settings, contract, known_at):
        theirs = looks.setdefault(row.action, {})
        # Trials of earlier releases did not say of whom they were: each was a look.
        theirs.setdefault(row.members_digest or str(row.known_at), len(theirs) + 1)
    digest = uplift_digest(settings, contract, known_at)
    return Before(looks, kept_uplift(settings, digest) if digest else None)


def _tried(settings: Settings, contract: str, known_at: datetime) -> Sequence[sa.Row[Any]]:
    """Action, moment and members of each trial of an action that could be judged before that moment, in order."""
    tried = sa.select(uplift.c.action, uplift.c.known_at, uplift.c.members_digest).where(
        uplift.c.contract == contract, uplift.c.known_at < known_at, uplift.c.gained.is_not(None)
    )
    engine = migrated_engine(settings)
    with answering(engine), engine.connect() as connection:
        return connection.execute(tried.order_by(uplift.c.known_at)).all()


def _keep_cards(settings: Settings, told: Told, paying: Sequence[Trial]) -> str:
    """Keeps each new card as a model of its own, and a text that names all of them."""
    before = cards_named(settings, told.standing) if told.standing else {}
    named = {
        trial.action: before[trial.action] if trial.standing else _saved(settings, told, trial) for trial in paying
    }
    text = {"contract": told.contract.name, "known_at": told.known_at.isoformat(), "actions": named}
    return keep_text(json.dumps(text, indent=1, sort_keys=True), settings)


def _saved(settings: Settings, told: Told, trial: Trial) -> dict[str, str]:
    cards = zip(ARMS, trial.cards or (), strict=True)
    return {arm: save_model(_model(told, card, trial.action, arm), settings) for arm, card in cards}


def _model(told: Told, card: Scorecard, action: str, arm: str) -> Model:
    theirs = _of_arm(told.members, action, arm)
    names = [feature.name for feature in card.features]
    manifest = ModelManifest(
        contract=told.contract.name,
        contract_digest=told.contract.digest,
        contract_text=told.contract.text,
        code_version=told.code_version,
        training=_training(theirs, names, f"{arm} by the waves' lot, for {action}"),
        metrics={},
        reference={},
        card=card_entry(card),
    )
    return Model(card, manifest, theirs.select(names).slice(0, PROBE_ROWS))


def _of_arm(members: pa.Table, action: str, arm: str) -> pa.Table:
    named = np.array(members["action"].to_pylist()) == action
    held_out = np.array(members[HELD_OUT].to_pylist(), np.bool_)
    return members.filter(pa.array(named & (held_out == (arm == "held_out"))))


def _training(rows: pa.Table, names: Sequence[str], split: str) -> TrainingEntry:
    as_ofs: tuple[date, ...] = tuple(sorted(set(rows["as_of"].to_pylist())))
    return TrainingEntry(
        split=split,
        fit_as_ofs=as_ofs,
        test_as_of=as_ofs[-1],
        rows=rows.num_rows,
        churners=sum(rows[LABEL].to_pylist()),
        duplicates=0,
        constants=(),
        sampling_rate=1.0,
        slope=1.0,
        shift=0.0,
        data_digest=digest_of(rows.select([*names, LABEL])),
    )


def _of_all(told: Told) -> dict[str, Any]:
    return {"contract": told.contract.name, "known_at": told.known_at}


def _row(trial: Trial, digest: str | None) -> dict[str, Any]:
    value, low, high = trial.gained or (None, None, None)
    return {
        "action": trial.action,
        **trial.drawn._asdict(),
        "needed": trial.needed,
        "gained": value,
        "gained_low": low,
        "gained_high": high,
        "verdict": trial.verdict.value,
        "says": trial.says,
        "look": trial.look if trial.gained else None,
        "gained_surely": trial.surely,
        "uplift_digest": digest,
        "members_digest": trial.members_digest,
    }
