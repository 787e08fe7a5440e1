"""What a whole night needs: an orchestrator, a telecom, and a home in which one night is published already."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.settings import current_settings, library_environment
from tests.end_to_end.nights import Nights, living_in
from tests.end_to_end.remembered import Remembering
from tests.end_to_end.telecom import FIRST_NIGHT, simulated
from tests.sharing import made_once

UNREAD = ("EVENT_PERSISTER", "TRIGGERS")  # of the server; nobody asks it for events


@pytest.fixture(scope="session")
def orchestrator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One Prefect server for all nights, which calls nobody, and one process that makes their checks."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_HOME, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    # Each flow waits up to a second at its end for its heartbeat's thread.
    ours = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_HOME: tmp_path_factory.mktemp("prefect")}
    with pytest.MonkeyPatch.context() as environment, temporary_settings(ours), Remembering() as checks:
        environment.setattr("tasks.checks.inspector", lambda: checks)
        for name, value in library_environment(current_settings()).items():
            environment.setenv(name, value)
        environment.setenv("PREFECT_LOGGING_LEVEL", "CRITICAL")
        for name in UNREAD:
            environment.setenv(f"PREFECT_SERVER_SERVICES_{name}_ENABLED", "false")
        environment.delenv("PREFECT_HOME")
        with prefect_test_harness(server_startup_timeout=180):
            yield


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a simulated telecom in SQLite; its truth is gone before any night begins."""

    def simulate(folder: Path) -> None:
        simulated(f"sqlite:///{folder / 'telco.db'}", truth=folder / "truth")
        shutil.rmtree(folder / "truth")

    return f"sqlite:///{made_once('source', simulate, tmp_path_factory) / 'telco.db'}"


@pytest.fixture(scope="session")
def published_home(source: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A home with one published night and the champion that it trained; tests take copies."""

    def publish(home: Path) -> None:
        request.getfixturevalue("orchestrator")
        with living_in(home):
            Nights(home, source).run(FIRST_NIGHT)

    return made_once("home", publish, tmp_path_factory)


@pytest.fixture
def nights(orchestrator: None, published_home: Path, source: str, tmp_path: Path) -> Iterator[Nights]:
    """A home of the test's own, in which the first night is published."""
    home = tmp_path / "home"
    shutil.copytree(published_home, home)
    with living_in(home):
        yield Nights(home, source)


@pytest.fixture(scope="module")
def shared_nights(
    orchestrator: None, published_home: Path, source: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nights]:
    """The same, for the tests of a module that only read."""
    home = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(published_home, home)
    with living_in(home):
        yield Nights(home, source)
