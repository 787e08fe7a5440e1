"""The views over tables that migrations change; they are made anew behind every step."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from store.list_views import list_views
from store.monitoring_views import monitoring_views
from store.parity_tables import parity_views
from store.shadow_tables import shadow_views
from store.views import OVER_MIGRATED_TABLES, View


def migrated_views() -> tuple[View, ...]:
    """All of them."""
    return (*list_views(), *monitoring_views(), *parity_views(), *shadow_views())


MIGRATED_VIEWS = tuple(view.name for view in migrated_views())


def drop_views(connection: Connection) -> None:
    """Takes the views away that are there, so that their tables may change.

    Those of store/views.py come back with the tables of runs, whose digest every migration changes.
    """
    for name in sorted(set(sa.inspect(connection).get_view_names()) & {*MIGRATED_VIEWS, *OVER_MIGRATED_TABLES}):
        connection.exec_driver_sql(f"DROP VIEW {name}")


def make_views(connection: Connection) -> None:
    """Makes the views, with what they and their columns are where the database keeps that."""

    def text(query: sa.ClauseElement) -> str:
        return str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))

    for view in migrated_views():
        connection.exec_driver_sql(f"CREATE VIEW {view.name} AS {text(view.query)}")
        if connection.dialect.supports_comments:
            told = {f"VIEW {view.name}": view.description}
            told |= {f"COLUMN {view.name}.{name}": said for name, said in view.described().items()}
            for what, said in told.items():
                connection.exec_driver_sql(f"COMMENT ON {what} IS {text(sa.literal(said))}")
