"""The rows of one run in the tables: in PostgreSQL a partition of their own, in SQLite those with the run's fence.

A partition grows as a table of its own, of which readers know nothing, and is attached once it is whole. To drop it
again asks for a lock that shuts readers out, so that nobody waits long for that lock: while a reader holds it off,
the next readers would queue behind.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateTable

from store.tables import FENCE, IN_FLIGHT

LOCK_MILLISECONDS = 50  # readers are promised that they never wait for more than 100
# Looks once into the index for each run, where DISTINCT would read all of it.
_EACH_FENCE = """
WITH RECURSIVE found (fence) AS (
    SELECT min(fence) FROM {table}
    UNION ALL SELECT (SELECT min(fence) FROM {table} WHERE fence > found.fence) FROM found WHERE fence IS NOT NULL
)
SELECT fence FROM found WHERE fence IS NOT NULL
"""
# Rows that SQLite, where one writes at a time, adds or removes in one commit, and the pause after it. Who waits looks
# again after 1 ms, 2, 5, 10, up to 100: what is left free has to be a good part of the time, or he may look in vain.
AT_ONCE = 2_000
GIVE_WAY_SECONDS = 0.002
DROP_TRIES = 4
BREATH_SECONDS = 0.1  # in which the readers that queued behind a try go on
_ASKED_FOR = (FENCE, "as_of")
# The role of loaders through which the user may make a run's table; none for whoever owns the tables himself.
_ROLE_OF_THE_USER = """
SELECT given.name FROM database_role AS given JOIN pg_roles ON rolname = given.name
WHERE role = 'loader' AND pg_has_role(given.name, 'MEMBER')
AND NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = to_regclass(:whole)), 'MEMBER') ORDER BY 1 LIMIT 1
"""
_SORT_MEMORY = "256MB"  # for the index of a million rows without a file beside


def run_table(table: sa.Table, fence: int) -> str:
    """The name of the table that holds a run's rows in PostgreSQL."""
    return f"{table.name}_run_{fence}"


def fences_in(connection: Connection, table: sa.Table) -> set[int]:
    """The fences of the runs of which the database holds rows, seen by readers or not."""
    if connection.dialect.name == "sqlite":
        return set(connection.exec_driver_sql(_EACH_FENCE.format(table=table.name)).scalars())
    tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ :name AND pg_table_is_visible(oid)"
    names = connection.scalars(sa.text(tables), {"name": f"^{run_table(table, 0)[:-1]}[0-9]+$"})
    return {int(name.rpartition("_")[2]) for name in names}


def is_attached(connection: Connection, table: sa.Table, fence: int) -> bool:
    """Whether the run's rows are part of the table, and so are all there."""
    attached = "SELECT relispartition FROM pg_class WHERE oid = to_regclass(:name)"
    return bool(connection.scalar(sa.text(attached), {"name": run_table(table, fence)}))


def make_run_table(connection: Connection, table: sa.Table, fence: int, without: Iterable[str]) -> None:
    """An empty table for a run's rows without some of their columns; what was left there before is gone.

    What a user makes who has it of a role belongs to that role: the tables' owner can only take over from a role that
    he is a member of, and another user of the role may have to clear up.
    """
    name = run_table(table, fence)
    columns = (sa.Column(c.name, c.type, nullable=c.nullable) for c in table.columns if c.name not in set(without))
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    connection.execute(CreateTable(sa.Table(name, sa.MetaData(), *columns)))
    role = connection.scalar(sa.text(_ROLE_OF_THE_USER), {"whole": table.name})
    if role:
        quoted = connection.dialect.identifier_preparer.quote_identifier(role)
        connection.exec_driver_sql(f"ALTER TABLE {name} OWNER TO {quoted}")


def complete_run_table(connection: Connection, table: sa.Table, fence: int, fixed: Mapping[str, Any]) -> None:
    """Adds the columns whose value all of the run's rows share, what tells the planner so, and the index.

    PostgreSQL keeps such a value once for the table and not in each row, a third of a score row's bytes.
    """
    name = run_table(table, fence)
    parts = [part for column, value in fixed.items() for part in _fixed_column(connection, table.c[column], value)]
    connection.exec_driver_sql(f"ALTER TABLE {name} {', '.join(parts)}")
    connection.exec_driver_sql(f"SET LOCAL maintenance_work_mem = '{_SORT_MEMORY}'")
    for index in table.indexes:
        columns = ", ".join(_quoted(connection, column) for column in index.columns)
        unique = "UNIQUE " if index.unique else ""
        connection.exec_driver_sql(f"CREATE {unique}INDEX {index.name}_{fence} ON {name} ({columns})")


def attach_run_table(connection: Connection, table: sa.Table, fence: int) -> None:
    """Makes the run's rows part of the table. Readers go on meanwhile: the lock is one that they do not ask for."""
    _wait_briefly(connection)
    connection.execute(sa.select(sa.func.attach_run(table.name, fence)))


def attach_function(tables: Iterable[sa.Table]) -> str:
    """The statement that makes `attach_run`, by which a role that owns none of the tables adds a run's rows to one.

    From then on the rows belong to the tables' owner and to nobody else, so that whoever loaded them cannot change what
    readers will see, neither by himself nor by what he left on the table: rights, triggers, rules or policies.
    """
    names = ", ".join(f"'{table.name}'" for table in tables)
    states = ", ".join(f"'{state}'" for state in IN_FLIGHT)
    # The names are constants of ours.
    function = f"""
CREATE OR REPLACE FUNCTION attach_run(whole text, run_fence bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    part text := quote_ident(whole || '_run_' || run_fence);
    oid_of_part oid := to_regclass(part);
    allowed text;
BEGIN
    IF whole NOT IN ({names}) THEN
        RAISE EXCEPTION 'no run is loaded into the table %', whole;
    END IF;
    IF NOT EXISTS (SELECT FROM publication WHERE fence = run_fence AND state IN ({states})) THEN
        RAISE EXCEPTION 'no run with the fence % is under way', run_fence;
    END IF;
    IF EXISTS (SELECT FROM pg_trigger WHERE tgrelid = oid_of_part) OR
       EXISTS (SELECT FROM pg_rewrite WHERE ev_class = oid_of_part) OR
       EXISTS (SELECT FROM pg_policy WHERE polrelid = oid_of_part) THEN
        RAISE EXCEPTION 'the table % has triggers, rules or policies', part;
    END IF;
    EXECUTE 'ALTER TABLE ' || part || ' OWNER TO ' || quote_ident(current_user);
    FOR allowed IN
        SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
        FROM pg_class, aclexplode(relacl) WHERE oid = oid_of_part AND grantee <> relowner
        UNION
        SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
        FROM pg_attribute, aclexplode(attacl) WHERE attrelid = oid_of_part
    LOOP
        EXECUTE 'REVOKE ALL ON ' || part || ' FROM ' || allowed;
    END LOOP;
    EXECUTE 'ALTER TABLE ' || whole || ' ATTACH PARTITION ' || part || ' FOR VALUES IN (' || run_fence || ')';
END
$$"""  # noqa: S608
    return function.replace("%", "%%")  # for the driver, to which a single one announces a parameter


def forget_rows(engine: Engine, table: sa.Table, fence: int) -> None:
    """Removes a run's rows; OperationalError where readers of the table hold that off at the moment.

    In SQLite they go by and by, so that nobody else waits for long: of a run that readers see, they would see a part.
    """
    if engine.dialect.name == "sqlite":
        delete_by_and_by(engine, table, table.c[FENCE] == fence)
        return
    with engine.begin() as connection:
        _wait_briefly(connection)
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {run_table(table, fence)}")


def drop_quietly(engine: Engine, table: sa.Table, fence: int) -> bool:
    """Removes a run's rows unless readers of the table hold that off for longer; whether they are gone."""
    for _ in range(DROP_TRIES):
        try:
            forget_rows(engine, table, fence)
        except OperationalError:
            time.sleep(BREATH_SECONDS)
        else:
            return True
    return False


def delete_by_and_by(engine: Engine, table: sa.Table, *where: sa.ColumnElement[bool]) -> None:
    """Deletes rows in SQLite, where one writes at a time, by portions, so that nobody else waits for long."""
    rowid = sa.literal_column("rowid", sa.BigInteger)
    some = sa.select(rowid).select_from(table).where(*where).limit(AT_ONCE)
    more = True
    while more:
        with engine.begin() as connection:
            more = connection.execute(sa.delete(table).where(rowid.in_(some))).rowcount == AT_ONCE
        if more:
            time.sleep(GIVE_WAY_SECONDS)


def _wait_briefly(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")


def _fixed_column(connection: Connection, column: sa.Column[Any], value: Any) -> Iterator[str]:
    """The parts of an ALTER TABLE that add the column, and let queries for other runs and dates pass the table by."""
    name, kind = _quoted(connection, column), column.type.compile(connection.dialect)
    literal = sa.literal(value, column.type).compile(connection, compile_kwargs={"literal_binds": True})
    yield f"ADD COLUMN {name} {kind}{'' if column.nullable else ' NOT NULL'} DEFAULT {literal}"
    if column.name in _ASKED_FOR:
        yield f"ADD CHECK ({name} = {literal})"


def _quoted(connection: Connection, column: sa.Column[Any]) -> str:
    return connection.dialect.identifier_preparer.quote(column.name)
