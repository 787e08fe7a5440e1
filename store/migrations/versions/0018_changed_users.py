"""Counts what changes of a user, so that tokens from before a change are good no more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"

TABLE = "service_user"


def upgrade() -> None:
    """Adds the columns; who was added before is in his first edition."""
    counted = "How often the user was added or changed: tokens of earlier editions are refused"
    op.add_column(TABLE, sa.Column("edition", sa.Integer, nullable=False, server_default="1", comment=counted))
    changed = "When the user was last changed, in UTC; null where never"
    op.add_column(TABLE, sa.Column("changed_at", sa.DateTime, comment=changed))
    op.add_column(TABLE, sa.Column("changed_by", sa.String(200), comment="Who changed the user last"))
