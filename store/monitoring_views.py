"""The views that BI reads the watching of nights through."""

from __future__ import annotations

import sqlalchemy as sa

from schemas.monitoring import EVERYTHING
from store.monitoring_tables import alarms, backtest, decisions, features, score_spreads
from store.views import View

SEGMENT = "segment"
_FIGURES = ("auc", "auc_error", "auc_before", "lift_10", "calibration_slope", "empc", "profit_at_capacity")


def monitoring_views() -> tuple[View, ...]:
    """All of them, in order of their names."""
    watched = "of the newest night that was watched"
    return (
        View("alarm_current", _newest(alarms), f"What changed decisions, {watched}"),
        View("backtest", _of_segments(), "What became of every past night's scores, of all and of each segment"),
        View("backtest_local", _of_values(), "How many left against how many were predicted, by a feature's value"),
        View("monitoring_decision_current", _newest(decisions), f"What changed in whom to contact, {watched}"),
        View("monitoring_feature_current", _newest(features), f"How each feature lies, and what it costs, {watched}"),
        View("monitoring_score_current", _newest(score_spreads), f"How the scores are spread, {watched}"),
    )


def _newest(table: sa.Table) -> sa.Select[tuple[object, ...]]:
    watched = decisions.alias("watched")
    newest = sa.select(sa.func.max(watched.c.as_of)).where(watched.c.contract == table.c.contract)
    return sa.select(table).where(table.c.as_of == newest.correlate(table).scalar_subquery())


def _of_segments() -> sa.Select[tuple[object, ...]]:
    told = [column for column in backtest.c if column.name not in ("feature", "value")]
    columns = [*told[:2], backtest.c.value.label(SEGMENT), *told[2:]]
    return sa.select(*columns).where(backtest.c.feature.in_((EVERYTHING, SEGMENT)))


def _of_values() -> sa.Select[tuple[object, ...]]:
    told = [column for column in backtest.c if column.name not in (*_FIGURES, "model_version")]
    return sa.select(*told).where(backtest.c.feature.not_in((EVERYTHING, SEGMENT)))
