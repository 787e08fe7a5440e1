"""The registry: versions, the champion of each segment, and every change of champion."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

COUNTED = "1, 2, ... within the contract"
IS_A_VERSION = ["model_version.contract", "model_version.version"]


def upgrade() -> None:
    """Makes the three tables, as databases from before the first migration have them already."""
    _create_model_version()
    _create_alias()
    _create_alias_event()


def _create_model_version() -> None:
    op.create_table(
        "model_version",
        sa.Column("contract", sa.String(100), primary_key=True, comment="Name of the contract the model is for"),
        sa.Column(
            "version", sa.Integer, primary_key=True, autoincrement=False, comment="1, 2, ... within the contract"
        ),
        sa.Column("digest", sa.String(64), nullable=False, comment="sha256 that names the artifact"),
        sa.Column("registered_at", sa.DateTime, nullable=False, comment="When, in UTC"),
        sa.UniqueConstraint("contract", "digest"),
        comment="Every model ever registered",
    )


def _create_alias() -> None:
    op.create_table(
        "alias",
        sa.Column("contract", sa.String(100), primary_key=True, comment="Name of the contract"),
        sa.Column("segment", sa.String(100), primary_key=True, comment="Segment that the champion scores, or all"),
        sa.Column("version", sa.Integer, nullable=False, comment="The champion; it cannot be deleted while it is"),
        sa.ForeignKeyConstraint(["contract", "version"], IS_A_VERSION),
        comment="The champion of each segment now",
    )


def _create_alias_event() -> None:
    op.create_table(
        "alias_event",
        sa.Column("event", sa.Integer, primary_key=True, comment="1, 2, ... in the order in which they happened"),
        sa.Column("happened_at", sa.DateTime, nullable=False, comment="When, in UTC"),
        sa.Column("contract", sa.String(100), nullable=False, comment="Name of the contract"),
        sa.Column("segment", sa.String(100), nullable=False, comment="Segment whose champion changed"),
        sa.Column("kind", sa.String(20), nullable=False, comment="promotion or rollback"),
        sa.Column("from_version", sa.Integer, comment="Champion before; null if there was none"),
        sa.Column("to_version", sa.Integer, nullable=False, comment="Champion from then on"),
        sa.Column("who", sa.String(200), nullable=False, comment="Person or flow that moved it"),
        sa.Column("why", sa.Text, nullable=False, comment="The reason given"),
        sa.ForeignKeyConstraint(["contract", "to_version"], IS_A_VERSION),
        comment="Every change of champion; rows are only ever added",
    )
