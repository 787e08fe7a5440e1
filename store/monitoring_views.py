"""The views that BI reads the watching of nights through; they are made anew behind every step of the migrations."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

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


def drop_views(connection: Connection) -> None:
    """Takes the views away that are there, so that their tables may change."""
    for name in sorted(set(sa.inspect(connection).get_view_names()) & set(MONITORING_VIEWS)):
        connection.exec_driver_sql(f"DROP VIEW {name}")


def make_views(connection: Connection) -> None:
    """Makes the views, with what they and their columns are where the database keeps that."""

    def text(query: sa.ClauseElement) -> str:
        return str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))

    for view in monitoring_views():
        connection.exec_driver_sql(f"CREATE VIEW {view.name} AS {text(view.query)}")
        if connection.dialect.supports_comments:
            told = {f"VIEW {view.name}": view.description}
            told |= {f"COLUMN {view.name}.{name}": said for name, said in view.described().items()}
            for what, said in told.items():
                connection.exec_driver_sql(f"COMMENT ON {what} IS {text(sa.literal(said))}")


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


MONITORING_VIEWS = tuple(view.name for view in monitoring_views())
