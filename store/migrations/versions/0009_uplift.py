"""What lots have told of each action, and by whose effects lists go."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0009"
down_revision = "0011"  # steps are named when they are planned, and chained as they land


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "uplift",
        _column("contract", sa.Text, "Contract of the base"),
        _column("known_at", sa.DateTime, "Moment up to which departures and contacts count, business time"),
        _column("action", sa.Text, "Action of the policy"),
        _column("listed", sa.BigInteger, "Customers who came onto the list for it, and whose row is kept"),
        _column("held_out", sa.BigInteger, "Customers who would have, and were held out by lot"),
        _column("listed_churned", sa.BigInteger, "Of the listed, who left within the horizon, contacted or not"),
        _column("held_out_churned", sa.BigInteger, "Of those held out, who left within the horizon"),
        _column("needed", sa.BigInteger, "Customers of waves from whom two scorecards can learn", nullable=True),
        _column("gained", sa.Double, "Money a customer of the waves that the effects gain over beliefs", nullable=True),
        _column("gained_low", sa.Double, "Lower end of its 95 % interval", nullable=True),
        _column("gained_high", sa.Double, "Upper end of its 95 % interval", nullable=True),
        _column("verdict", sa.Text, "What the lot shows"),
        _column("says", sa.Text, "The verdict in a sentence"),
        _column("uplift_digest", sa.Text, "sha256 of the effects that lists go by; null: of none", nullable=True),
        sa.PrimaryKeyConstraint("contract", "known_at", "action"),
        comment="What two scorecards of each action's effect would have earned of the waves' customers, by their lot",
    )


def _column(name: str, kind: type[TypeEngine[Any]], comment: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, comment=comment)
