"""`churn night` as an operator meets it: what it prints, and how it ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from prefect.settings import PREFECT_API_URL

from tests.command import Done, churn, churn_here
from tests.end_to_end.nights import BUCKETS, Nights
from tests.end_to_end.telecom import FIRST_NIGHT, NEXT_NIGHT, delivered, replaced, tables


def command(nights: Nights, *words: str, **environment: str) -> Done:
    """The command on the server of the tests: one of its own takes twenty seconds to start."""
    served = {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "CHURN_BUCKETS": str(BUCKETS)} | environment
    return churn(*words, home=nights.home, **served)


def test_a_night_that_is_published_already_says_so_and_shows_where_everything_is(nights: Nights) -> None:
    done = churn_here("night", "--as-of", FIRST_NIGHT, "--source", nights.source, home=nights.home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("already published, nothing to do") == 2
    for words in (f"telco as of {FIRST_NIGHT}", "Top of the outreach list", "Where everything is", str(nights.home)):
        assert words in done.stdout


def test_a_night_that_fails_its_checks_ends_with_their_code_and_readers_keep_what_they_had(
    nights: Nights, tmp_path: Path
) -> None:
    customers = tables()["customers"]["customer_id"]
    feed = delivered(replaced(tables(), "customers", "segment", "hybrid", customers), tmp_path / "feed")
    before = nights.shown()
    done = command(nights, "night", "--as-of", NEXT_NIGHT, "--source", feed)
    assert done.returncode == 6
    assert done.stderr.startswith("QualityError telco customer/segment: segment is one of prepaid, postpaid: broken in")
    assert "Traceback" not in done.stdout + done.stderr
    assert nights.shown() == before


def test_an_orchestrator_that_is_lost_before_the_end_is_told_in_sentences(nights: Nights) -> None:
    """A run with little to do, since any of them loses it in the same way."""
    with door_that_shuts(str(PREFECT_API_URL.value()), at=b'"COMPLETED"') as url:
        lost = {"PREFECT_API_URL": url, "PREFECT_CLIENT_MAX_RETRIES": "0"}
        done = command(nights, "catch-up", "--until", FIRST_NIGHT, "--source", nights.source, **lost)
    assert done.returncode == 12, done.stderr
    error, advice = [line for line in done.stderr.splitlines() if "development mode" not in line]
    assert error == f"OrchestratorUnreachable PREFECT_API_URL {url}: the orchestrator does not answer"
    assert advice.startswith("  Start it")


@contextmanager
def door_that_shuts(url: str, *, at: bytes) -> Iterator[str]:
    """The URL of a door to a server, which shuts for good when somebody says `at`."""
    server = urlsplit(url)
    shut = threading.Event()

    def passed(sender: socket.socket, receiver: socket.socket) -> None:
        with suppress(OSError), sender, receiver:
            while (said := sender.recv(1 << 16)) and at not in said and not shut.is_set():
                receiver.sendall(said)
            if at in said:
                shut.set()
                door.shutdown(socket.SHUT_RDWR)  # wakes who waits at it, and refuses whoever comes

    with socket.create_server(("127.0.0.1", 0)) as door:

        def opened() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = door.accept()
                    behind = socket.create_connection((str(server.hostname), int(server.port or 0)))
                    for ends in ((caller, behind), (behind, caller)):
                        threading.Thread(target=passed, args=ends, daemon=True).start()

        threading.Thread(target=opened, daemon=True).start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}{server.path}"
