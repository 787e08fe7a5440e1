"""Users are added without their password ever being an argument, keys are changed, and reading the log is logged."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from churn.errors import ChurnError, RequestError, SettingsError
from cli.app import app
from schemas.users import Role, User
from store.audit import Look, audit_key
from store.keyring import Keyring
from store.settings import Settings
from store.users import open_users

PASSWORD = "correct horse battery"


@pytest.fixture
def home(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CHURN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return settings


def churn(*arguments: str, sent: str | None = None) -> str:
    """What the command writes to standard output."""
    result = CliRunner().invoke(app, ["user", *arguments], input=sent)
    if isinstance(result.exception, ChurnError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_user_is_added_with_the_password_from_standard_input(home: Settings):
    limits = ("--segment", "prepaid", "--segment", "b2b", "--region", "R01")
    said = churn("add", "ada", "--role", "agent", *limits, "--who", "opal", sent=f"{PASSWORD}\n")
    assert said == "ada may ask as agent.\n"
    known = open_users(home).recognised("ada", PASSWORD)
    assert known == User("ada", Role.AGENT, ("prepaid", "b2b"), ("R01",))


def test_a_segment_that_no_contract_has_is_told_of(home: Settings):
    command = ["user", "add", "ada", "--role", "agent", "--segment", "prepiad", "--segment", "prepaid"]
    told = CliRunner().invoke(app, command, input=PASSWORD).stderr
    assert told.startswith("No contract that ships has the segment prepiad; they have ")
    assert "prepaid" in told


def test_the_list_says_who_may_what(home: Settings):
    assert "There are no users" in churn("list")
    churn("add", "ada", "--role", "agent", "--segment", "prepaid", "--who", "opal", sent=PASSWORD)
    churn("disable", "ada", "--who", "opal")
    row = next(line for line in churn("list").splitlines() if "ada" in line)
    assert [cell.strip() for cell in row.split("│")[1:5]] == ["ada", "agent", "prepaid", "all"]
    assert open_users(home).recognised("ada", PASSWORD) is None


def test_a_user_is_changed_and_what_is_left_out_stays(home: Settings):
    churn("add", "ada", "--role", "agent", "--segment", "prepaid", "--region", "R01", "--who", "opal", sent=PASSWORD)
    said = churn("change", "ada", "--role", "analyst", "--region", "R02", "--region", "R03", "--who", "opal")
    assert said == "ada is changed. The service refuses tokens from before within ten seconds.\n"
    assert open_users(home).of("ada") == User("ada", Role.ANALYST, ("prepaid",), ("R02", "R03"))
    churn("change", "ada", "--segment", "all", "--who", "opal")
    assert open_users(home).of("ada").segments == ()


def test_a_change_of_nothing_or_of_all_and_one_is_refused(home: Settings):
    churn("add", "ada", "--role", "agent", "--who", "opal", sent=PASSWORD)
    with pytest.raises(RequestError, match="nothing is to change"):
        churn("change", "ada", "--who", "opal")
    with pytest.raises(RequestError, match="all stands beside others"):
        churn("change", "ada", "--segment", "all", "--segment", "prepaid", "--who", "opal")
    assert open_users(home).of("ada").segments == ()


def test_who_was_disabled_is_enabled_again(home: Settings):
    churn("add", "ada", "--role", "agent", "--who", "opal", sent=PASSWORD)
    churn("disable", "ada", "--who", "opal")
    assert open_users(home).recognised("ada", PASSWORD) is None
    assert churn("enable", "ada", "--who", "opal") == "ada gets tokens again.\n"
    assert open_users(home).recognised("ada", PASSWORD) == User("ada", Role.AGENT)


def test_a_password_is_changed(home: Settings):
    churn("add", "ada", "--role", "agent", "--who", "opal", sent=PASSWORD)
    churn("password", "ada", sent="another password")
    assert open_users(home).recognised("ada", "another password")


def test_no_password_is_no_user(home: Settings):
    with pytest.raises(RequestError, match="it has 0 letters"):
        churn("add", "ada", "--role", "agent", "--who", "opal", sent="")
    assert open_users(home).all() == []


def test_a_key_is_put_before_the_one_that_signs_now(home: Settings):
    file = home.data / "keys" / "tokens"
    first, second = (churn("key").split()[0] for _ in range(2))
    assert list(Keyring(file).keys.verifying) == [second, first]
    alone = churn("key", "--alone").split()[0]
    assert list(Keyring(file).keys.verifying) == [alone]


def test_in_production_a_key_needs_a_place(home: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("CHURN_MODE", "production")
    with pytest.raises(SettingsError, match="CHURN_TOKEN_KEYS: no file is named"):
        churn("key")
    assert churn("key", "--to", str(tmp_path / "mine")).split()[0] in Keyring(tmp_path / "mine").keys.verifying


def test_reading_the_log_of_looks_stands_in_it(home: Settings):
    engine = open_users(home).engine
    with engine.begin() as connection:
        Look("ada", "incoming call", audit_key(home)).record(connection, "lookup", "C1")
    shown = churn("audit", "--why", "a complaint", "--customer", "C1", "--who", "anna")
    assert "incoming call" in shown
    again = churn("audit", "--why", "who read it", "--name", "anna", "--who", "opal")
    assert "a complaint" in again
    with pytest.raises(RequestError, match="--why: it says nothing"):
        churn("audit", "--why", " ")
