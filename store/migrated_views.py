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

    Those of store/views.py come back with the tables of runs, see store/structure.py.
    """
    for name in sorted(set(sa.inspect(connection).get_view_names()) & {*MIGRATED_VIEWS, *OVER_MIGRATED_TABLES}):
        connection.exec_driver_sql(f"DROP VIEW {name}")
