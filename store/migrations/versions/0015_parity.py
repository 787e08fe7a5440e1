"""Whether the service scores each night's customers as the table says."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Makes the table; store/migrated_views.py makes its view behind every step."""
    op.create_table(
        "parity",
        _column("contract", sa.Text, "Contract of the base"),
        _column("as_of", sa.Date, "Date of the night"),
        _column("run_id", sa.Text, "Run of the scores that the service was held against"),
        _column("asked_at", sa.DateTime, "When the service was asked, UTC"),
        _column("service", sa.Text, "Address of the service; empty where the night started one for itself"),
        _column("state", sa.Text, "What came of it"),
        _column("sampled", sa.BigInteger, "Customers of the night who were drawn"),
        _column(
            "compared", sa.BigInteger, "Those whom the night's own model scored in the service, or who were refused"
        ),
        _column("unequal", sa.BigInteger, "Those of the compared whose scores differ, or whom one side did not score"),
        _column("worst", sa.Double, "Largest difference in probability or log-odds", nullable=True),
        _column("differs_in", sa.Text, "Columns that the service takes otherwise, the likeliest first", nullable=True),
        _column("says", sa.Text, "All of it in a sentence"),
        sa.PrimaryKeyConstraint("contract", "as_of", "run_id"),
        comment="Whether the service scores customers of each published night as the table says, by a sample of them",
    )


def _column(name: str, kind: type[TypeEngine[Any]], comment: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, comment=comment)
