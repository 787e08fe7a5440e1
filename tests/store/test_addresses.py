"""A database's URL is taken in every form that means ours, and refused by the name of its variable in all others."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from churn.errors import SettingsError, SourceMissing
from store.service_database import service_engine
from store.settings import read_settings
from store.source_names import source_url
from store.tables import address_of, engine_for, session_options
from tests.command import churn_here

TAKEN = {
    "sqlite:///churn.db": "sqlite:///churn.db",
    "sqlite:////data/churn.db": "sqlite:////data/churn.db",
    "postgresql+psycopg://ada:word@db/churn": "postgresql+psycopg://ada:word@db/churn",
    "postgresql://ada:word@db:5433/churn": "postgresql+psycopg://ada:word@db:5433/churn",
    "postgres://ada:w%40rd@db/churn?sslmode=require": "postgresql+psycopg://ada:w%40rd@db/churn?sslmode=require",
    "postgresql:///churn?host=/run/postgresql": "postgresql+psycopg:///churn?host=/run/postgresql",
}
REFUSED = [
    "churn.db",
    "sqlite://",
    "sqlite:///:memory:",
    "mysql://ada:s3cret@db/churn",
    "postgresql+psycopg2://ada:s3cret@db/churn",
    "postgresql://ada:s3cret@rest@db/churn",
    "postgresql://ada:s3cret@db:port/churn",
    "hello",
]


@pytest.mark.parametrize(("url", "address"), TAKEN.items())
def test_every_form_of_our_databases_is_taken(url: str, address: str):
    assert address_of(url) == make_url(address)


@pytest.mark.parametrize("url", REFUSED)
@pytest.mark.parametrize("opened", [engine_for, service_engine])
def test_what_is_of_no_database_of_ours_is_refused_by_name_and_never_repeated(url: str, opened):
    with pytest.raises(SettingsError, match="CHURN_DATABASE_URL") as refused:
        opened(url)
    assert "s3cret" not in str(refused.value)
    assert "rest" not in str(refused.value)


def test_a_command_says_which_variable_to_mend(tmp_path: Path):
    done = churn_here("verify", home=tmp_path, CHURN_DATABASE_URL="mysql://ada:s3cret@db/churn")
    assert (done.returncode, "CHURN_DATABASE_URL" in done.stderr, "s3cret" in done.stderr) == (3, True, False)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"CHURN_DATABASE_URL: the folder .*file/below cannot be made"):
        engine_for(f"sqlite:///{tmp_path}/file/below/churn.db")


def test_variables_that_are_set_to_nothing_are_not_set():
    assert read_settings({"CHURN_DATABASE_URL": "", "CHURN_SOURCE_URL": ""}) == read_settings({})


def test_what_a_url_asks_of_its_sessions_stays_beside_what_the_service_asks():
    asked = "postgresql://db/churn?options=-csearch_path%3Dchurn"
    assert session_options(make_url(asked), "-c own=1") == "-csearch_path=churn -c own=1"
    assert session_options(make_url("postgresql://db/churn"), "-c own=1") == "-c own=1"


def test_a_source_at_a_port_that_is_no_number_is_refused_without_its_password():
    with pytest.raises(SourceMissing, match="this postgresql URL cannot be read as one"):
        source_url("postgresql://ada:s3cret@db:port/churn")
