"""The registry's tables; store/migrations/ makes them and changes them, this is what the program asks them by."""

from __future__ import annotations

import sqlalchemy as sa

registry_metadata = sa.MetaData()

model_version = sa.Table(
    "model_version",
    registry_metadata,
    sa.Column("contract", sa.String(100), primary_key=True, comment="Name of the contract the model is for"),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False, comment="1, 2, ... within the contract"),
    sa.Column("digest", sa.String(64), nullable=False, comment="sha256 that names the artifact"),
    sa.Column("registered_at", sa.DateTime, nullable=False, comment="When, in UTC"),
    sa.Column("deleted_at", sa.DateTime, comment="When the artifact was given up, in UTC; null while it is kept"),
    sa.Column("deleted_by", sa.String(200), comment="Person or flow that deleted it"),
    sa.Column("why_deleted", sa.Text, comment="The reason given"),
    comment="Every model ever registered",
)
sa.Index(
    "model_version_kept",
    model_version.c.contract,
    model_version.c.digest,
    unique=True,
    sqlite_where=model_version.c.deleted_at.is_(None),
    postgresql_where=model_version.c.deleted_at.is_(None),
)

_IS_A_VERSION = ["model_version.contract", "model_version.version"]

alias = sa.Table(
    "alias",
    registry_metadata,
    sa.Column("contract", sa.String(100), primary_key=True, comment="Name of the contract"),
    sa.Column("segment", sa.String(100), primary_key=True, comment="Segment that the champion scores, or all"),
    sa.Column("version", sa.Integer, nullable=False, comment="The champion; it cannot be deleted while it is"),
    sa.ForeignKeyConstraint(["contract", "version"], _IS_A_VERSION),
    comment="The champion of each segment now",
)

alias_event = sa.Table(
    "alias_event",
    registry_metadata,
    sa.Column("event", sa.Integer, primary_key=True, comment="1, 2, ... in the order in which they happened"),
    sa.Column("happened_at", sa.DateTime, nullable=False, comment="When, in UTC"),
    sa.Column("contract", sa.String(100), nullable=False, comment="Name of the contract"),
    sa.Column("segment", sa.String(100), nullable=False, comment="Segment whose champion changed"),
    sa.Column("kind", sa.String(20), nullable=False, comment="promotion or rollback"),
    sa.Column("from_version", sa.Integer, comment="Champion before; null if there was none"),
    sa.Column("to_version", sa.Integer, nullable=False, comment="Champion from then on"),
    sa.Column("who", sa.String(200), nullable=False, comment="Person or flow that moved it"),
    sa.Column("why", sa.Text, nullable=False, comment="The reason given"),
    sa.Column("overridden", sa.Text, comment="The refusal of the gate that was overridden; null if there was none"),
    sa.ForeignKeyConstraint(["contract", "to_version"], _IS_A_VERSION),
    comment="Every change of champion; rows are only ever added",
)

verdict = sa.Table(
    "verdict",
    registry_metadata,
    sa.Column("verdict", sa.Integer, primary_key=True, comment="1, 2, ... in the order in which they were given"),
    sa.Column("judged_at", sa.DateTime, nullable=False, comment="When, in UTC"),
    sa.Column("contract", sa.String(100), nullable=False, comment="Name of the contract"),
    sa.Column("version", sa.Integer, nullable=False, comment="The challenger that was judged"),
    sa.Column("segment", sa.String(100), nullable=False, comment="Segment whose place it wants, or all"),
    sa.Column("against_version", sa.Integer, comment="Champion it was compared with; null if there was none"),
    sa.Column("gate", sa.String(100), nullable=False, comment="Name of the gate: the policy that judged"),
    sa.Column("gate_digest", sa.String(64), nullable=False, comment="sha256 of the gate's text"),
    sa.Column("passed", sa.Boolean, nullable=False, comment="Whether it may become champion"),
    sa.Column("rule", sa.String(100), comment="The first rule that refused; null if it passed"),
    sa.Column("says", sa.Text, nullable=False, comment="What the gate found, with figures and intervals"),
    sa.ForeignKeyConstraint(["contract", "version"], _IS_A_VERSION),
    comment="What the gate said of each challenger; rows are only ever added",
)
