"""Says in plainer words what columns of watched nights hold, for those who read them in a database tool."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

_TOLD = (
    # table                 column                    type       what it holds
    (
        "monitoring_feature",
        "forgone",
        sa.Double,
        "Money that tonight's list loses because the feature drifted; null where the model is no scorecard",
    ),
    (
        "monitoring_feature",
        "overlap",
        sa.Double,
        "Share of the list that it would be, had the feature not drifted, that is also on tonight's",
    ),
    (
        "monitoring_score",
        "order_as_of",
        sa.Date,
        "That night: the last that was watched and that nobody doubts",
    ),
    (
        "monitoring_score",
        "em_rate",
        sa.Double,
        "Estimate: the share of churners by EM from the scores alone (Saerens 2002); null of a segment that has no "
        "champion of its own",
    ),
    (
        "monitoring_decision",
        "expected_profit_before",
        sa.Double,
        "What the best list of that night would have earned by its own scores, in money",
    ),
    (
        "monitoring_decision",
        "overlap_before",
        sa.Double,
        "Share of the list that its scores would give tonight that is also on tonight's list",
    ),
    (
        "monitoring_backtest",
        "squares",
        sa.Double,
        "Sum of the churners' squared weights; the number of churners where each counts as one",
    ),
)


def upgrade() -> None:
    """Changes the comments, which SQLite does not keep."""
    if op.get_bind().dialect.supports_comments:
        for table, column, kind, told in _TOLD:
            op.alter_column(table, column, existing_type=kind, existing_nullable=True, comment=told)
