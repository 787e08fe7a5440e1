"""Users are added once, known by a password that is kept nowhere, and whatever changes of them is counted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa

from churn.errors import RequestError
from schemas.users import Role, User
from store.access_tables import service_user
from store.migrations import bring_up_to_date
from store.settings import Settings
from store.tables import engine_for
from store.users import Users, open_users

HOUR = timedelta(hours=1)
ADA = User("ada", Role.AGENT, ("prepaid",), ("R01", "R02"))
PASSWORD = "correct horse battery"


@pytest.fixture
def users(settings: Settings) -> Users:
    return open_users(settings)


def test_a_user_is_known_by_the_password_alone(database_url: str):
    engine = engine_for(database_url)
    bring_up_to_date(engine)
    users = Users(engine)
    users.add(ADA, PASSWORD, "opal")
    assert users.recognised("ada", PASSWORD) == ADA
    assert users.recognised("ada", f"{PASSWORD} ") is None
    assert users.recognised("Ada", PASSWORD) is None
    assert [(known.user, known.created_by, known.disabled_at) for known in users.all()] == [(ADA, "opal", None)]


def test_no_password_is_kept(users: Users):
    users.add(ADA, PASSWORD, "opal")
    with users.engine.connect() as connection:
        row = connection.execute(sa.select(service_user)).one()
    assert PASSWORD not in str(row)
    assert row.password_hash.startswith("$argon2id$v=19$m=12288,t=3,p=1$")


def test_who_is_disabled_is_nobody_and_stays_in_the_list(users: Users):
    users.add(ADA, PASSWORD, "opal")
    users.disable("ada", "opal")
    assert users.recognised("ada", PASSWORD) is None
    assert [known.disabled_at is not None for known in users.all()] == [True]
    assert (users.changed_within(HOUR), users.changed_within(-HOUR)) == ({"ada": 2}, {})
    users.enable("ada", "opal")
    assert users.recognised("ada", PASSWORD) == ADA
    assert users.changed_within(HOUR) == {"ada": 3}, "tokens from before he was disabled stay refused"


def test_a_change_of_rights_is_the_users_from_then_on(users: Users):
    users.add(ADA, PASSWORD, "opal")
    assert users.changed_within(HOUR) == {}
    users.change(User("ada", Role.ANALYST, (), ("R03",)), "opal")
    known = users.recognised("ada", PASSWORD)
    assert known == users.of("ada") == User("ada", Role.ANALYST, (), ("R03",))
    assert (known and known.edition, users.changed_within(HOUR)) == (2, {"ada": 2})


def test_a_changed_password_is_the_only_one(users: Users):
    users.add(ADA, PASSWORD, "opal")
    users.change_password("ada", "another password", "opal")
    assert (users.recognised("ada", PASSWORD), users.recognised("ada", "another password")) == (None, ADA)


def test_a_name_is_given_once(users: Users):
    users.add(ADA, PASSWORD, "opal")
    with pytest.raises(RequestError, match="there is a user ada already"):
        users.add(User("ada", Role.OPERATOR), PASSWORD, "opal")
    assert users.recognised("ada", PASSWORD) == ADA


@pytest.mark.parametrize("name", ["", " ada", "a da", "a\x00", "-ada", "ключ", "a" * 65, "a'--", "ada\n"])
def test_what_can_be_no_name_is_refused(users: Users, name: str):
    with pytest.raises(RequestError, match="cannot be a name"):
        users.add(User(name, Role.AGENT), PASSWORD, "opal")


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * 257])
def test_a_password_is_neither_short_nor_endless(users: Users, password: str):
    with pytest.raises(RequestError, match=f"it has {len(password)} letters"):
        users.add(ADA, password, "opal")


def test_what_is_asked_of_nobody_is_refused(users: Users):
    asks: list[Callable[[], object]] = [
        lambda: users.disable("ada", "opal"),
        lambda: users.enable("ada", "opal"),
        lambda: users.change(ADA, "opal"),
        lambda: users.change_password("ada", PASSWORD, "opal"),
        lambda: users.of("ada"),
    ]
    for ask in asks:
        with pytest.raises(RequestError, match="there is no user ada"):
            ask()
