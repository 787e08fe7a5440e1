"""Keeps how far each night ranks its customers as an earlier one did, and no stability of what has no bins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0019"


def upgrade() -> None:
    """Adds the columns, and forgets the stability of numbers of which a model kept but one bin: no KS either."""
    kept = "Rank correlation of the scores of who was scored on an earlier night, too; null of too few"
    op.add_column("monitoring_score", sa.Column("order_kept", sa.Double, comment=kept))
    as_of = "That night: the last whose customers nobody doubts"
    op.add_column("monitoring_score", sa.Column("order_as_of", sa.Date, comment=as_of))
    size = "Population stability index over the model's bins: a size, no alarm; null where they tell no values apart"
    # SQLite changes no column, and the table is made anew.
    with _views_let_alone(), op.batch_alter_table("monitoring_feature") as table:
        table.alter_column("psi", existing_type=sa.Double, existing_nullable=False, nullable=True, comment=size)
    op.execute("UPDATE monitoring_feature SET psi = NULL WHERE ks IS NULL AND mean IS NOT NULL")


@contextmanager
def _views_let_alone() -> Iterator[None]:
    """SQLite reads every view when it renames a table, and refuses where somebody's own asks for the one just gone."""
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    if on_sqlite:
        op.execute("PRAGMA legacy_alter_table = ON")
    try:
        yield
    finally:
        if on_sqlite:
            op.execute("PRAGMA legacy_alter_table = OFF")
