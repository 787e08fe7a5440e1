"""What challengers do in the shadow: who waits for a place, how the nights went, and the newest scores."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Makes the tables; store/migrated_views.py makes the views behind every step."""
    _make_shadows()
    _make_nights()
    _make_scores()


def _make_shadows() -> None:
    op.create_table(
        "shadow",
        *_wish(),
        _column(
            "expected_version", sa.BigInteger, "Champion of the place when it was judged; null: none", nullable=True
        ),
        _column("nights", sa.BigInteger, "Nights that it has to score"),
        _column("gate", sa.Text, "Name of the gate that asks for them"),
        _column("who", sa.Text, "Person or flow that asked for the place"),
        _column("why", sa.Text, "The reason given"),
        _column("asked_at", sa.DateTime, "When, UTC"),
        _column("ended_at", sa.DateTime, "When its time in the shadow was over, UTC", nullable=True),
        _column("ending", sa.Text, "How it ended; null while it goes on", nullable=True),
        _column("says", sa.Text, "Why it ended so", nullable=True),
        sa.PrimaryKeyConstraint("contract", "segment", "version"),
        comment="Every challenger that passed a gate and scores some nights unseen before it may become champion",
    )


def _make_nights() -> None:
    op.create_table(
        "shadow_night",
        *_wish(),
        _column("as_of", sa.Date, "Date of the night"),
        _column("customers", sa.BigInteger, "Customers whom it would score"),
        _column("mean", sa.Double, "Mean probability by the challenger", nullable=True),
        _column("champion_mean", sa.Double, "The same by who scored them that night"),
        _column("calibrated_to", sa.Double, "Churn rate that the challenger was calibrated to", nullable=True),
        _column("overlap", sa.Double, "Share of the riskiest, as many as lists have places, of both", nullable=True),
        _column("red", sa.Text, "What is wrong; null where nothing is", nullable=True),
        _column("run_id", sa.Text, "Run of the champion's scores"),
        sa.PrimaryKeyConstraint("contract", "segment", "version", "as_of"),
        comment="How each challenger in the shadow scored a night, beside who was champion",
    )


def _make_scores() -> None:
    op.create_table(
        "shadow_score",
        *_wish(),
        _column("as_of", sa.Date, "Date of the night"),
        _column("customer_id", sa.Text, "Key of the customer"),
        _column("log_odds", sa.Double, "Log-odds of leaving within the horizon, by the challenger"),
        _column("probability", sa.Double, "Calibrated probability of leaving within the horizon, by the challenger"),
        _column("champion_probability", sa.Double, "The same by who scored him that night"),
        sa.PrimaryKeyConstraint("contract", "segment", "version", "customer_id"),
        comment="Scores of challengers in the shadow, of their newest night; no list is made from them",
    )


def _wish() -> tuple[sa.Column[Any], ...]:
    return (
        _column("contract", sa.Text, "Contract of the base"),
        _column("segment", sa.Text, "Segment whose place the challenger wants, or all"),
        _column("version", sa.BigInteger, "Number of the challenger"),
    )


def _column(name: str, kind: type[TypeEngine[Any]], comment: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, comment=comment)
