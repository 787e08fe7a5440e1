"""A PostgreSQL server for the tests: one that is named, or a private one that lives as long as the session."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from tests.memory import quick_folder

NAMED_SERVER = "CHURN_TEST_POSTGRES_URL"
SCRIPT = Path(__file__).parent.parent / "scripts" / "postgres"
SUPERUSER = "postgres"


# The data of a test need not outlive the machine, so nothing waits for the disk, and little is written twice.
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
FORGETFUL |= {"wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "128MB"}


@contextmanager
def server(**settings: str) -> Iterator[URL]:
    """The URL of a server on which databases may be created; the test fails where none can be had.

    A private one has these settings, or else those of a server whose data need not outlive the machine.
    """
    named = os.environ.get(NAMED_SERVER)
    if named:
        yield _answering(make_url(named))
    else:
        with _private_server(settings or FORGETFUL) as url:
            yield url


@contextmanager
def database(server_url: URL, template: str = "template0") -> Iterator[str]:
    """The URL of a fresh database, empty or a copy of one that nobody is connected to; dropped afterwards."""
    name = f"churn_{secrets.token_hex(6)}"
    _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        yield server_url.set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def _answering(url: URL) -> URL:
    url = url.set(drivername="postgresql+psycopg")
    try:
        _execute(url, "SELECT 1")
    except OperationalError as error:
        pytest.fail(f"{NAMED_SERVER} names a server that does not answer: {error.orig}", pytrace=False)
    return url


@contextmanager
def _private_server(settings: Mapping[str, str]) -> Iterator[URL]:
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="churn-postgres-", dir=quick_folder()))
    port, password = _free_port(), secrets.token_hex(16)
    try:
        _create_cluster(programs, folder, password)
        options = _options({"port": str(port), "unix_socket_directories": str(folder), **settings})
        _pg_ctl(programs, folder, "start", "--wait", "--log", str(folder / "log"), "--options", options)
        try:
            yield URL.create("postgresql+psycopg", SUPERUSER, password, "127.0.0.1", port, "postgres")
        finally:
            _pg_ctl(programs, folder, "stop", "--mode", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = subprocess.run([SCRIPT], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.fail(f"these tests need PostgreSQL, and it is not to be had:\n{found.stderr}", pytrace=False)
    return Path(found.stdout.strip())


def _create_cluster(programs: Path, folder: Path, password: str) -> None:
    secret = folder / "password"
    secret.write_text(password)
    if os.geteuid() == 0:
        shutil.chown(folder, SUPERUSER)
        shutil.chown(secret, SUPERUSER)
    initdb = [str(programs / "initdb"), "--pgdata", str(folder / "cluster"), "--username", SUPERUSER, "--no-sync"]
    # A night opens thirty connections, and scram-sha-256 takes two thirds of the time of each.
    _run([*initdb, "--encoding=UTF8", "--locale=C", "--auth=md5", f"--pwfile={secret}"])
    secret.unlink()


def _options(settings: Mapping[str, object]) -> str:
    return " ".join(f"-c {name}={value}" for name, value in {"listen_addresses": "127.0.0.1", **settings}.items())


def _pg_ctl(programs: Path, folder: Path, *words: str) -> None:
    _run([str(programs / "pg_ctl"), "--pgdata", str(folder / "cluster"), *words])


def _run(command: list[str]) -> None:
    """Runs a program of PostgreSQL, which refuses to run as root, as the package's own user."""
    as_user = ["runuser", "-u", SUPERUSER, "--"] if os.geteuid() == 0 else []
    # pg_ctl's server inherits these streams: a pipe would stay open as long as the server lives.
    with tempfile.TemporaryFile() as said:
        done = subprocess.run([*as_user, *command], stdout=said, stderr=said, cwd="/", check=False)
        if done.returncode:
            said.seek(0)
            pytest.fail(f"{Path(command[0]).name} failed:\n{said.read().decode(errors='replace')}", pytrace=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _execute(url: URL, statement: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()
