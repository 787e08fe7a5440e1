"""A database comes to the shape of this release from any older one, once, and loses nothing; on both databases."""

from __future__ import annotations

import logging
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import store.access_tables
import store.intervention_tables
import store.migrations
import store.monitoring_tables
from churn.errors import PublicationError, RegistryError
from store.migrations import HEAD, bring_up_to_date
from store.registry import Promotion, Registry, Rollback, open_registry
from store.registry_tables import registry_metadata
from store.settings import Settings
from store.tables import alone, engine_for
from tests.faults.processes import PROCESSES

# As the releases before the first migration made the tables.
BEFORE_MIGRATIONS = """
CREATE TABLE model_version (
    contract VARCHAR(100) NOT NULL,
    version INTEGER NOT NULL,
    digest VARCHAR(64) NOT NULL,
    registered_at TIMESTAMP NOT NULL,
    PRIMARY KEY (contract, version),
    UNIQUE (contract, digest)
);
CREATE TABLE alias (
    contract VARCHAR(100) NOT NULL,
    segment VARCHAR(100) NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (contract, segment),
    FOREIGN KEY(contract, version) REFERENCES model_version (contract, version)
);
CREATE TABLE alias_event (
    event SERIAL NOT NULL,
    happened_at TIMESTAMP NOT NULL,
    contract VARCHAR(100) NOT NULL,
    segment VARCHAR(100) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    from_version INTEGER,
    to_version INTEGER NOT NULL,
    who VARCHAR(200) NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (event),
    FOREIGN KEY(contract, to_version) REFERENCES model_version (contract, version)
);
INSERT INTO model_version VALUES ('telco', 1, 'aaaa', '2026-01-01 10:00:00.000000');
INSERT INTO model_version VALUES ('telco', 2, 'bbbb', '2026-02-01 10:00:00.000000');
INSERT INTO alias VALUES ('telco', 'all', 2);
INSERT INTO alias_event (happened_at, contract, segment, kind, from_version, to_version, who, why)
    VALUES ('2026-01-01 11:00:00.000000', 'telco', 'all', 'promotion', NULL, 1, 'Ada', 'the first');
INSERT INTO alias_event (happened_at, contract, segment, kind, from_version, to_version, who, why)
    VALUES ('2026-02-01 11:00:00.000000', 'telco', 'all', 'promotion', 1, 2, 'Ada', 'better');
INSERT INTO alias_event (happened_at, contract, segment, kind, from_version, to_version, who, why)
    VALUES ('2026-03-01 11:00:00.000000', 'telco', 'all', 'promotion', 2, 2, 'Ada', 'the same again');
"""


def make_as_before_migrations(engine: sa.Engine) -> None:
    whole = BEFORE_MIGRATIONS
    if engine.dialect.name == "sqlite":
        whole = whole.replace("TIMESTAMP", "DATETIME").replace("SERIAL", "INTEGER")
    with engine.begin() as connection:
        for statement in filter(str.strip, whole.split(";")):
            connection.exec_driver_sql(statement)


def differences(engine: sa.Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), registry_metadata))


def numbers(engine: sa.Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(sa.text("SELECT version_num FROM alembic_version")))


def start(url: str) -> None:
    """What each process does that opens the registry."""
    bring_up_to_date(engine_for(url))


def test_all_steps_together_make_the_tables_that_the_program_asks(database_url: str):
    engine = engine_for(database_url)
    lacking = [one for one in differences(engine) if one[0] == "add_table"]
    assert len(lacking) == len(registry_metadata.tables), "an empty database lacks every table"
    bring_up_to_date(engine)
    assert differences(engine) == []
    assert numbers(engine) == [HEAD]


def test_the_newest_step_is_the_one_that_databases_are_compared_with():
    assert ScriptDirectory(store.migrations.__path__[0]).get_heads() == [HEAD]


def test_a_database_from_before_migrations_is_taken_over_without_loss(database_url: str):
    engine = engine_for(database_url)
    make_as_before_migrations(engine)
    bring_up_to_date(engine)
    registry = Registry(engine)
    assert [(version.version, version.digest) for version in registry.versions("telco")] == [(1, "aaaa"), (2, "bbbb")]
    assert [(event.from_version, event.to_version, event.why) for event in registry.history("telco")] == [
        (None, 1, "the first"),
        (1, 2, "better"),
        (2, 2, "the same again"),
    ]
    assert registry.rollback(Rollback("telco", who="Grace", why="complaints")) == {"all": 1}
    registry.promote(
        Promotion("telco", registry.register("telco", "cccc"), 1, who="Ada", why="the third", override=True)
    )
    assert [event.to_version for event in registry.history("telco")] == [1, 2, 2, 1, 3]
    registry.delete("telco", 1, who="Ada", why="room")
    assert [registry.register("telco", digest) for digest in ("aaaa", "bbbb")] == [4, 2]
    # In PostgreSQL the old tables had comments, too, which are not repeated here.
    assert [one for one in differences(engine) if "comment" not in str(one[0])] == []


def test_sizes_of_an_older_release_stay_where_bins_tell_values_apart(database_url: str):
    engine = engine_for(database_url)
    with alone(engine) as connection:
        command.upgrade(store.migrations._config(connection), "0019")
    texts = dict.fromkeys(("contract", "place", "run_id"), "word") | {"as_of": date(2026, 1, 1)}
    sizes = dict.fromkeys(("missing", "missing_before", "unseen", "unseen_before", "first_reason"), 0.0) | {"psi": 0.2}
    told = [
        {"feature": "a category", "mean": None, "ks": None},
        {"feature": "a number", "mean": 1.0, "ks": 0.1},
        {"feature": "a number without bins", "mean": 1.0, "ks": None},
    ]
    feature = sa.Table("monitoring_feature", sa.MetaData(), autoload_with=engine)
    with engine.begin() as connection:
        connection.execute(feature.insert(), [texts | sizes | one for one in told])
        connection.exec_driver_sql("CREATE VIEW mine AS SELECT feature, psi FROM monitoring_feature")
    bring_up_to_date(engine)
    assert differences(engine) == []
    with engine.connect() as connection:
        kept = dict(connection.exec_driver_sql("SELECT feature, psi FROM mine").tuples().all())
    assert kept == {"a category": 0.2, "a number": 0.2, "a number without bins": None}


@pytest.mark.postgres
def test_a_view_of_somebody_s_own_on_one_of_ours_is_named_before_a_step(postgres_url: str):
    engine = engine_for(postgres_url)
    with alone(engine) as connection:
        command.upgrade(store.migrations._config(connection), "0019")
        connection.exec_driver_sql("CREATE VIEW alarm_current AS SELECT subject FROM alarm")
        connection.exec_driver_sql("CREATE VIEW mine AS SELECT subject FROM alarm_current")
    with pytest.raises(PublicationError, match="view mine depends on view alarm_current"):
        bring_up_to_date(engine)
    assert numbers(engine) == ["0019"]
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP VIEW mine")
    bring_up_to_date(engine)
    assert numbers(engine) == [HEAD]


def test_processes_that_start_at_once_migrate_once(database_url: str):
    make_as_before_migrations(engine_for(database_url))
    with ProcessPoolExecutor(4, mp_context=PROCESSES) as pool:
        list(pool.map(start, [database_url] * 4))
    assert numbers(engine_for(database_url)) == [HEAD]
    assert len(Registry(engine_for(database_url)).history("telco")) == 3


def test_a_step_that_fails_leaves_the_database_as_it_was(database_url: str):
    engine = engine_for(database_url)
    make_as_before_migrations(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE verdict (mine INTEGER)")
    before = sorted(sa.inspect(engine).get_table_names())
    with pytest.raises(sa.exc.DBAPIError, match="verdict"):
        bring_up_to_date(engine)
    assert sorted(sa.inspect(engine).get_table_names()) == before


def test_a_database_of_a_newer_release_is_refused_in_a_sentence(settings: Settings):
    engine = open_registry(settings).engine
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(
        RegistryError, match=rf"its tables are of step 9999, and this release knows the steps up to {HEAD}"
    ):
        open_registry(settings)
    assert numbers(engine) == ["9999"]


def test_a_database_that_is_up_to_date_costs_no_import_of_alembic(tmp_path: Path):
    program = (
        "import sys; from store.settings import read_settings; from store.registry import open_registry;"
        f"open_registry(read_settings({{'CHURN_HOME': {str(tmp_path)!r}}}));"
        "print('alembic' in sys.modules)"
    )
    told = [
        subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [(done.stdout.strip(), done.stderr) for done in told] == [("True", ""), ("False", "")]


def test_migrating_leaves_the_program_s_logging_alone(settings: Settings):
    root = logging.getLogger()
    before = (root.level, list(root.handlers), logging.getLogger("churn").disabled)
    open_registry(settings)
    assert (root.level, list(root.handlers), logging.getLogger("churn").disabled) == before
