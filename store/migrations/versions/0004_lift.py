"""What waves saved, each time it was measured."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "lift",
        *_compared(),
        *_figures(),
        sa.PrimaryKeyConstraint("contract", "known_at", "scope", "first_as_of", "last_as_of", "action"),
        comment="What waves saved, by intention to treat: churn of the listed against churn of those held out by lot",
    )


def _compared() -> list[sa.Column[Any]]:
    return [
        _column("contract", sa.Text, "Contract of the base"),
        _column("known_at", sa.DateTime, "Moment up to which departures and contacts count, business time"),
        _column("scope", sa.Text, "wave or waves"),
        _column("first_as_of", sa.Date, "Date of the first wave that counts"),
        _column("last_as_of", sa.Date, "Date of the last wave that counts"),
        _column("action", sa.Text, "Action of the policy, or all"),
        _column("listed", sa.BigInteger, "Customers who came onto the list"),
        _column("held_out", sa.BigInteger, "Customers who would have, and were held out by lot"),
        _column("listed_churned", sa.BigInteger, "Of the listed, who left within the horizon, contacted or not"),
        _column("held_out_churned", sa.BigInteger, "Of those held out, who left within the horizon"),
    ]


def _figures() -> list[sa.Column[Any]]:
    effect = "Share that left, listed less held out, over strata; negative saves"
    return [
        _column("effect", sa.Double, effect, nullable=True),
        _column("effect_low", sa.Double, "Lower end of its 95 % interval", nullable=True),
        _column("effect_high", sa.Double, "Upper end of its 95 % interval", nullable=True),
        _column("saved", sa.Double, "Value kept less what the contacts cost, in money", nullable=True),
        _column("saved_low", sa.Double, "Lower end of its 95 % interval", nullable=True),
        _column("saved_high", sa.Double, "Upper end of its 95 % interval", nullable=True),
        _column("spent", sa.Double, "What the contacts and accepted offers cost, in money"),
        _column("contacted", sa.BigInteger, "Of the listed, whom somebody tried to contact, as written back"),
        _column("accepted", sa.BigInteger, "Of the listed, who accepted an offer, as written back"),
        _column("leaked", sa.BigInteger, "Of those held out, whom somebody contacted nevertheless: should be 0"),
        _column("sample_ratio_p", sa.Double, "Chance of so uneven a lot; below 0.001 it was no lot", nullable=True),
        _column("needed", sa.BigInteger, "Customers that show a fifth less churn in 8 of 10 cases", nullable=True),
        _column("weeks_more", sa.BigInteger, "Weeks until so many are there; 0 where they are", nullable=True),
        _column("verdict", sa.Text, "What the comparison shows"),
        _column("alarm", sa.Text, "What is wrong with the lot or the holdout; null where nothing is", nullable=True),
        _column("says", sa.Text, "The verdict in a sentence"),
    ]


def _column(name: str, kind: type[TypeEngine[Any]], comment: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=nullable, comment=comment)
