"""Each role of the database can do its own work, and none of the others'."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

import store.access_tables
import store.intervention_tables  # noqa: F401 - as that before it: they add their tables to the metadata
from churn.errors import Fenced, SettingsError
from churn.parity import not_compared
from schemas.users import Role, User
from store import loading
from store.audit import Look, record_alarm
from store.claims import LEASE, Claim
from store.handovers import hand_over
from store.interventions import record
from store.migrations import bring_up_to_date
from store.parity import keep_parity
from store.partitions import attach_run_table, run_table
from store.publication import Publisher, open_publisher
from store.rate_limits import Rate, open_buckets
from store.registry import Promotion, Registry, open_registry
from store.registry_tables import registry_metadata
from store.roles import ROLES, grant_roles
from store.runs import shown_run
from store.service_database import night_shown
from store.settings import Settings, current_settings
from store.shadows import Wish, send_into_shadow
from store.structure import create_all
from store.tables import engine_for
from store.users import Users
from store.verification import missing_views
from tasks.backtest import follow_up
from tasks.monitoring import watch_night
from tasks.night import Result
from tasks.shadow import run_in_shadow
from tests.end_to_end.nights import living_in
from tests.store.small_runs import publish
from tests.store.test_handovers import REACHED
from tests.store.test_publication import D1, FIRST, SECOND, made_of, published, seen, write
from tests.watched_nights import customers, publish_night, save_card

SYSTEM = "information_schema"
REFUSALS = ("permission denied", "must be owner", "cannot update view", "cannot delete from view")

pytestmark = pytest.mark.postgres

ALLOWED = """
loader     SELECT state FROM publication
loader     SELECT renew_run('x', 60)
loader     SELECT hold_run('x')
loader     CREATE TABLE scores_run_99 (fence bigint)
publisher  SELECT renew_run('x', 60)
publisher  SELECT count(*) FROM scores
publisher  UPDATE current_pointer SET fence = fence
publisher  UPDATE night_pointer SET fence = fence
publisher  UPDATE publication SET reason = 'mine'
publisher  SELECT count(*) FROM intervention
publisher  INSERT INTO handover VALUES ('telco', '2026-01-01', '000001-x', now())
publisher  SELECT count(*) FROM handover
publisher  SELECT count(*) FROM mute
publisher  DELETE FROM alarm
publisher  INSERT INTO lift SELECT * FROM lift
publisher  INSERT INTO uplift SELECT * FROM uplift
publisher  UPDATE shadow SET says = 'over'
reader     SELECT * FROM score_current
reader     SELECT * FROM score_history
reader     SELECT * FROM score_revisions
reader     SELECT * FROM outreach_current
reader     SELECT * FROM outreach_history
reader     SELECT * FROM outreach_status_current
reader     SELECT * FROM outreach_team_current
reader     SELECT * FROM quarantine_current
reader     SELECT * FROM night_status
reader     SELECT * FROM night_alerts
reader     SELECT * FROM data_dictionary
auditor    SELECT * FROM publication
auditor    SELECT * FROM current_pointer
auditor    SELECT * FROM alias_event
auditor    SELECT * FROM verdict
auditor    SELECT * FROM intervention
auditor    SELECT * FROM rate_bucket
auditor    SELECT * FROM night_status
auditor    SELECT * FROM night_alerts
service    SELECT * FROM score_current
service    SELECT * FROM night_status
service    SELECT * FROM scores
service    SELECT * FROM alias_event
service    SELECT * FROM service_user
service    SELECT * FROM job
service    DELETE FROM answered_request
service    INSERT INTO intervention SELECT * FROM intervention
service    INSERT INTO handover VALUES ('telco', '2026-01-01', '000001-x', now())
service    INSERT INTO rate_bucket VALUES ('x', now())
service    DELETE FROM rate_bucket
service    INSERT INTO lookup_audit (happened_at, principal, purpose, what) VALUES (now(), 'x', 'x', 'x')
"""
FORBIDDEN = """
loader     UPDATE current_pointer SET fence = fence
loader     UPDATE night_pointer SET fence = fence
loader     INSERT INTO current_pointer VALUES ('telco', 'scores', '2026-01-01', '1', 1)
loader     DELETE FROM current_pointer
loader     UPDATE publication SET lease_until = now()
loader     UPDATE publication SET state = 'published'
loader     DELETE FROM publication
loader     DELETE FROM scores
loader     DELETE FROM scores_run_1
loader     UPDATE scores_run_1 SET probability = 0
loader     DROP TABLE scores_run_1
loader     DROP TABLE scores
loader     SELECT * FROM score_current
loader     UPDATE alias SET version = 1
publisher  UPDATE alias SET version = 1
publisher  DELETE FROM mute
publisher  DELETE FROM model_version
publisher  INSERT INTO scores SELECT * FROM scores
publisher  UPDATE scores SET probability = 0
publisher  DELETE FROM scores
publisher  TRUNCATE scores
publisher  SELECT attach_run('scores', 1)
publisher  DELETE FROM publication
publisher  CREATE TABLE mine (one bigint)
reader     SELECT * FROM scores
reader     SELECT * FROM scores_run_1
reader     SELECT * FROM publication
reader     UPDATE score_current SET probability = 0
reader     DELETE FROM night_status
reader     SELECT attach_run('scores', 1)
reader     CREATE TABLE mine (one bigint)
auditor    UPDATE publication SET state = 'published'
auditor    DELETE FROM publication
auditor    UPDATE current_pointer SET fence = fence
auditor    DELETE FROM alias_event
auditor    UPDATE alias_event SET why = 'mine'
auditor    SELECT * FROM scores
auditor    SELECT * FROM scores_run_1
auditor    SELECT * FROM score_current
auditor    CREATE TABLE mine (one bigint)
auditor    SELECT * FROM service_user
auditor    SELECT * FROM lookup_audit
auditor    SELECT * FROM answered_request
reader     SELECT * FROM lookup_audit
loader     SELECT * FROM service_user
publisher  DELETE FROM lookup_audit
reader     SELECT renew_run('x', 60)
reader     SELECT hold_run('x')
auditor    SELECT renew_run('x', 60)
service    SELECT renew_run('x', 60)
service    SELECT attach_run('scores', 1)
service    SELECT * FROM lookup_audit
service    UPDATE lookup_audit SET purpose = 'mine'
service    DELETE FROM lookup_audit
service    UPDATE intervention SET event = 'accepted'
service    DELETE FROM intervention
service    DELETE FROM handover
service    UPDATE service_user SET role = 'operator'
service    DELETE FROM service_user
service    UPDATE publication SET state = 'published'
service    UPDATE current_pointer SET fence = fence
service    UPDATE night_pointer SET fence = fence
service    UPDATE scores SET probability = 0
service    DELETE FROM scores
service    UPDATE alias SET version = 1
service    INSERT INTO alias_event SELECT * FROM alias_event
service    DELETE FROM model_version
service    CREATE TABLE mine (one bigint)
"""


@pytest.fixture
def superuser(postgres_url: str) -> Engine:
    return engine_for(postgres_url)


@pytest.fixture
def schema() -> str:
    """The schema of the tables."""
    return "public"


@pytest.fixture
def owner(superuser: Engine, schema: str, settings: Settings) -> Iterator[Publisher]:
    """Who owns the database and may make roles, and is no superuser."""
    name, password = f"churn{secrets.token_hex(4)}_owner", secrets.token_hex(8)
    with superuser.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD '{password}'")
        connection.exec_driver_sql(f"ALTER DATABASE {superuser.url.database} OWNER TO {name}")
        connection.exec_driver_sql(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        connection.exec_driver_sql(f'ALTER SCHEMA "{schema}" OWNER TO {name}')
        connection.exec_driver_sql(f'ALTER DATABASE {superuser.url.database} SET search_path = "{schema}"')
    url = superuser.url.set(username=name, password=password).render_as_string(hide_password=False)
    there = replace(settings, database_url=url)
    open_registry(there)
    yield open_publisher(there)
    with superuser.begin() as connection:
        connection.exec_driver_sql(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
        connection.exec_driver_sql(f"DROP ROLE {name}")


@pytest.fixture
def users(superuser: Engine, owner: Publisher) -> Iterator[dict[str, Publisher]]:
    """The publisher as it is for a user who has one of the roles, for each."""
    prefix = f"churn{secrets.token_hex(4)}"
    names, password = grant_roles(owner.engine, prefix), secrets.token_hex(8)
    made = [*names.values()]
    with owner.engine.begin() as connection:
        for role in ROLES:
            made.append(f"{prefix}_{role}_user")
            login = f"CREATE ROLE {made[-1]} LOGIN PASSWORD '{password}' IN ROLE {names[role]}"
            connection.exec_driver_sql(login)
    yield {role: as_user(owner, f"{prefix}_{role}_user", password) for role in ROLES}
    with superuser.begin() as connection:
        for name in reversed(made):
            connection.exec_driver_sql(f"DROP OWNED BY {name}")
            connection.exec_driver_sql(f"DROP ROLE {name}")


def as_user(owner: Publisher, name: str, password: str) -> Publisher:
    url = owner.engine.url.set(username=name, password=password)
    return replace(owner, engine=engine_for(url.render_as_string(hide_password=False)))


def statements(table: str) -> list[tuple[str, str]]:
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in table.strip().splitlines()]


def test_each_role_does_its_own_work_and_is_refused_that_of_others(
    owner: Publisher, users: dict[str, Publisher]
) -> None:
    published(owner, FIRST)
    tried = statements(ALLOWED) + statements(FORBIDDEN)
    outcomes = {(role, statement): outcome(users[role], statement) for role, statement in tried}
    wrong = [pair for pair in statements(ALLOWED) if outcomes[pair] != "done"]
    wrong += [pair for pair in statements(FORBIDDEN) if outcomes[pair] not in REFUSALS]
    assert {pair: outcomes[pair] for pair in wrong} == {}


def outcome(user: Publisher, statement: str) -> str:
    """What became of the statement, of which nothing stays."""
    with user.engine.connect() as connection:
        try:
            connection.exec_driver_sql(statement)
        except DBAPIError as refused:
            said = str(refused.orig)
            return next((reason for reason in REFUSALS if reason in said), said)
        return "done"


@pytest.mark.parametrize("schema", ["public", "Churn"])
def test_loader_and_publisher_publish_a_night_together(
    superuser: Engine,
    schema: str,
    owner: Publisher,
    users: dict[str, Publisher],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "best_way", lambda: loading.Way.ADBC)  # as whole nights load
    publisher, loader = users["publisher"], users["loader"]
    claim = publisher.claim(SECOND, made_of("k"))
    assert isinstance(claim, Claim)
    write(publisher, claim)
    publisher.seal(claim)
    loader.load(claim)
    run = publisher.publish(claim)
    assert seen(users["reader"]) == {(SECOND.as_of, run.run_id, 100)}
    there = sa.inspect(superuser)
    assert [name for name in there.get_schema_names() if there.get_table_names(name) and name != SYSTEM] == [schema]


def test_whoever_may_make_nothing_is_told_which_variable_names_him(
    superuser: Engine, owner: Publisher, settings: Settings
) -> None:
    name, password = f"churn{secrets.token_hex(4)}_nobody", secrets.token_hex(8)
    with superuser.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    nobody = as_user(owner, name, password)
    try:
        with pytest.raises(SettingsError, match="CHURN_DATABASE_URL: its user may not do that: permission denied"):
            open_publisher(replace(settings, database_url=url_of(nobody)))
        with pytest.raises(SettingsError, match="CREATEROLE"):
            grant_roles(nobody.engine, name)
    finally:
        with superuser.begin() as connection:
            connection.exec_driver_sql(f"DROP ROLE {name}")


def test_a_publisher_claims_a_night_although_he_cannot_make_a_view_that_somebody_dropped(
    owner: Publisher, users: dict[str, Publisher]
) -> None:
    with owner.engine.begin() as connection:
        connection.exec_driver_sql("DROP VIEW score_current")
    assert isinstance(users["publisher"].claim(FIRST, made_of("k")), Claim)
    assert missing_views(owner) == ["score_current"]


def test_the_service_writes_down_what_it_is_asked_and_told(
    owner: Publisher, users: dict[str, Publisher], settings: Settings
) -> None:
    engine = users["service"].engine
    there = replace(settings, database_url=engine.url.render_as_string(hide_password=False))
    publish(owner, D1)
    list_of_night = publish(owner, D1, kind="outreach")
    Registry(owner.engine).register("telco", "a" * 64)
    with engine.begin() as connection:
        Look("ada", "a call", b"key").record(connection, "score", "C00001")
    record_alarm(engine, "ada", "two hundred look-ups in a minute")
    assert open_buckets(there, engine).lease("ada lookups", 1, Rate(60, 1)).granted == 1
    Users(engine).add(User("ada", Role.AGENT), "correct horse battery", "opal")
    assert Users(engine).recognised("ada", "correct horse battery")
    hand_over(engine, list_of_night.unit, list_of_night.run_id)
    assert record(there, [REACHED]).new == 1
    assert Registry(engine).versions("telco")
    assert night_shown(engine, "telco") is not None


def test_who_loads_and_publishes_a_night_also_watches_it_and_lets_challengers_score_it(
    owner: Publisher, users: dict[str, Publisher], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    registry, digest = Registry(owner.engine), save_card(settings)
    for _ in range(2):
        registry.register("telco", digest)
    registry.promote(Promotion("telco", 1, None, "Ada", "the first"))
    loader, user = (str(users[role].engine.url.username) for role in ("loader", "publisher"))
    with owner.engine.begin() as connection:
        connection.exec_driver_sql(f"GRANT {loader.removesuffix('_user')} TO {user}")
    with living_in(settings.data.parent, CHURN_DATABASE_URL=url_of(users["publisher"])):
        there = current_settings()
        send_into_shadow(there, [Wish("telco", "all", 2, 1, 3, "default", "Ada", "it passed the gate")])
        night = publish_night(there, D1, customers(), digest)
        run = shown_run(open_publisher(there), "telco", "scores", D1)
        assert run
        follow_up.fn("telco", D1)
        assert watch_night.fn("telco", D1).as_of == D1
        run_in_shadow.fn(night, Result("scores", run.run_id, run.revision, run.rows, run.folder, new=True))
        keep_parity(there, {"contract": "telco", "as_of": D1, "run_id": run.run_id, "service": ""}, not_compared("", 0))
    assert "could not" not in caplog.text
    with owner.engine.connect() as connection:
        for kept in ("monitoring_decision", "shadow_night", "parity"):
            assert connection.scalar(sa.text(f"SELECT count(*) FROM {kept}")) == 1


def url_of(user: Publisher) -> str:
    return user.engine.url.render_as_string(hide_password=False)


def test_a_night_of_loader_or_publisher_finds_its_champions(owner: Publisher, users: dict[str, Publisher]) -> None:
    registry = Registry(owner.engine)
    registry.promote(Promotion("telco", registry.register("telco", "a" * 64), None, "Ada", "the first"))
    for role in ("loader", "publisher"):
        bring_up_to_date(users[role].engine)
        assert Registry(users[role].engine).resolve("telco").version == 1
    with pytest.raises(DBAPIError, match="permission denied"):
        Registry(users["publisher"].engine).register("telco", "b" * 64)


def test_the_loader_cannot_change_a_run_once_it_is_attached_nor_attach_one_that_nobody_claimed(
    owner: Publisher, users: dict[str, Publisher]
) -> None:
    run = published(owner, FIRST)
    with users["loader"].engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE scores_run_7 (fence bigint)")
        for wanted, refusal in (("'scores', 7", "no run with the fence 7"), ("'publication', 1", "no run is loaded")):
            with pytest.raises(sa.exc.DatabaseError, match=refusal), connection.begin_nested():
                connection.exec_driver_sql(f"SELECT attach_run({wanted})")
    assert seen(owner) == {(D1, run.run_id, 100)}


def test_the_loader_keeps_a_run_alive_for_a_lease_at_most_and_gives_nobody_s_night_away(
    users: dict[str, Publisher],
) -> None:
    publisher, loader = users["publisher"], users["loader"]
    claim = publisher.claim(FIRST, made_of("k"), lease=timedelta(minutes=1))
    assert isinstance(claim, Claim)
    until = [left(publisher, claim)]
    for seconds in (1, 60, 1e9):
        with loader.engine.begin() as connection:
            assert connection.scalar(sa.text("SELECT renew_run(:run, :of)"), {"run": claim.run_id, "of": seconds})
        until.append(left(publisher, claim))
    assert until == pytest.approx([60, 60, 60, LEASE.total_seconds()], abs=20)
    publisher.release(claim, "it is not needed")
    with pytest.raises(Fenced):
        loader.renew(claim)


def left(publisher: Publisher, claim: Claim) -> float:
    """The seconds until the claim lapses."""
    seconds = "SELECT extract(epoch FROM lease_until - timezone('utc', now())) FROM publication WHERE run_id = :run"
    with publisher.engine.connect() as connection:
        return float(connection.execute(sa.text(seconds), {"run": claim.run_id}).scalar_one())


LEFT_BEHIND = {
    "rights of the role": "GRANT ALL ON {part} TO {role}",
    "rights of everybody": "GRANT ALL ON {part} TO PUBLIC",
    "rights on a column": "GRANT UPDATE (probability) ON {part} TO {role}",
    "a policy": "CREATE POLICY half ON {part} USING (probability > 0.5)",
    "a rule": "CREATE RULE blind AS ON UPDATE TO {part} DO INSTEAD NOTHING",
}


@pytest.mark.parametrize("left", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_the_loader_leaves_nothing_on_a_run_by_which_it_changes_what_readers_see(
    users: dict[str, Publisher], monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    publisher, loader = users["publisher"], users["loader"]
    role = str(loader.engine.url.username).removesuffix("_user")

    def attach(connection: Connection, table: sa.Table, fence: int) -> None:
        if table.name == "scores":
            connection.exec_driver_sql(left.format(part=run_table(table, fence), role=role))
        attach_run_table(connection, table, fence)

    monkeypatch.setattr(loading, "attach_run_table", attach)
    claim = publisher.claim(FIRST, made_of("k"))
    assert isinstance(claim, Claim)
    write(publisher, claim)
    publisher.seal(claim)
    if "GRANT" not in left:
        with pytest.raises(DBAPIError, match="has triggers, rules or policies"):
            loader.load(claim)
        return
    loader.load(claim)
    publisher.publish(claim)
    assert outcome(loader, f"UPDATE scores_run_{claim.fence} SET probability = 0.5") in REFUSALS


def test_roles_may_be_granted_again(owner: Publisher, users: dict[str, Publisher]) -> None:
    prefix = str(users["reader"].engine.url.username).removesuffix("_reader_user")
    assert grant_roles(owner.engine, prefix) == {role: f"{prefix}_{role}" for role in ROLES}
    assert outcome(users["reader"], "SELECT * FROM score_current") == "done"


def test_tables_and_views_that_are_made_anew_are_granted_with_them(
    owner: Publisher, users: dict[str, Publisher]
) -> None:
    with owner.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE structure SET digest = 'of another release'")
        for table in (*reversed(registry_metadata.sorted_tables), "alembic_version"):
            connection.exec_driver_sql(f"DROP TABLE {table} CASCADE")
        connection.exec_driver_sql("DROP FUNCTION refuse_change, refuse_unrecorded_move")
    create_all(owner.engine)
    bring_up_to_date(owner.engine)
    outcomes = {(role, statement): outcome(users[role], statement) for role, statement in statements(ALLOWED)}
    assert {pair: said for pair, said in outcomes.items() if said != "done"} == {}


def test_sqlite_has_no_roles(tmp_path: object) -> None:
    with pytest.raises(SettingsError, match="SQLite has no roles"):
        grant_roles(engine_for(f"sqlite:///{tmp_path}/churn.db"))
