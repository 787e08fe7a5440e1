"""Brings the tables that hold what people wrote to the shape that this code asks for, one numbered step at a time.

These are those of `registry_metadata`. The tables of runs are not among them: they are derived from the schemas, and
so is the way from one shape of theirs to the next, see store/structure.py.

To change a table: change its `sa.Table`, copy the newest module in versions/ under the next number, write in it what
makes the old shape the new one (`op.add_column`, `op.create_table`, ... spelt out, never taken from the `sa.Table`,
which will have moved on when somebody's old database passes here), name the module before it as `down_revision`, and
raise HEAD. tests/store/test_migrations.py fails until steps and tables agree, on SQLite and on PostgreSQL. A step that
was released never changes again. There is no way back but a backup: undoing a step would lose what was added since.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from churn.errors import RegistryError
from store.migrated_views import drop_views, migrated_views
from store.roles import grant_again
from store.settings import Settings
from store.tables import alone, answering, engine_for, permitted
from store.views import of_ours_alone

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0022"
FIRST = "0001"  # made as they stood by those releases that had no migrations yet

_NUMBER = sa.table("alembic_version", sa.column("version_num", sa.String))


def migrated_engine(settings: Settings) -> Engine:
    """An engine on the settings' database, whose tables have the shape that this code asks for.

    StoreUnreachable where the database does not answer, SettingsError where its user may not do the steps, and what
    `bring_up_to_date` raises.
    """
    engine = engine_for(settings.database_url)
    with answering(engine), permitted():
        bring_up_to_date(engine)
    return engine


def bring_up_to_date(engine: Engine) -> None:
    """Does the steps that the database has not seen yet, in one transaction, however many processes ask at once.

    RegistryError where a newer release than this one has changed the database, PublicationError where somebody's own
    view stands on one of ours.
    """
    with engine.connect() as connection:
        found = _number(connection)
    if found != HEAD:
        with alone(engine) as connection, of_ours_alone():
            migrate(connection)


def migrate(connection: Connection) -> None:
    """Does the steps that the database has not seen yet, in a transaction that is `alone`; RegistryError as above."""
    found = _number(connection)
    if found != HEAD:
        _migrate(connection, found)


def _number(connection: Connection) -> str | None:
    """The number of the last step that the database has seen; None where it has seen none."""
    if not sa.inspect(connection).has_table(_NUMBER.name):
        return None
    return connection.scalar(sa.select(_NUMBER.c.version_num))


def _migrate(connection: Connection, found: str | None) -> None:
    # Alembic costs a process 0.3 s, and a database changes once a release.
    from alembic import command

    config = _config(connection)
    _require_known(found, config, connection)
    if found is None and sa.inspect(connection).has_table("model_version"):
        command.stamp(config, FIRST)
    drop_views(connection)
    command.upgrade(config, HEAD)
    for statement in (text for view in migrated_views() for text in view.statements(connection.dialect)):
        connection.exec_driver_sql(statement)
    grant_again(connection)


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _require_known(found: str | None, config: Config, connection: Connection) -> None:
    from alembic.script import ScriptDirectory

    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise RegistryError(
            f"its tables are of step {found}, and this release knows the steps up to {HEAD}",
            where=connection.engine.url.set(query={}).render_as_string(hide_password=True),
            to_do="Use the release that changed them, or a newer one.",
        )
