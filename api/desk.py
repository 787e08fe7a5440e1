"""A process beside a worker of the service, which fetches for it what takes libraries that the worker does without.

A worker is asked for thousands of customers a second and stays small; what is asked seldom, and of the lake, is done
here: see api/clerk.py for who asks. This program ends when nobody has asked for a while, and with its worker.
"""

from __future__ import annotations

import logging
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from multiprocessing.connection import Connection
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from churn.errors import ChurnError, StoreUnreachable
from store.process_memory import do_without, keep_one_heap

if TYPE_CHECKING:
    from schemas.contract import Contract
    from store.settings import Settings

IDLE_SECONDS = 3_600.0  # after which nobody is expected to ask again soon; whoever does may wait for it to start
THREADS = 4  # as many as a worker asks at once: two live, two that may take longer
MOST_MEMORY = 2 << 30  # bytes
LAST_SECONDS = 5  # for what is under way when the worker is gone

log = logging.getLogger(__name__)


class OnceNeeded(logging.Handler):
    """Lets lines be made as the service makes them, from the first on; to begin with that costs a sixth of a second."""

    def emit(self, record: logging.LogRecord) -> None:
        """Takes itself away."""
        from api.logs import log_as_json

        log_as_json()
        logging.getLogger(record.name).handle(record)


class Question(NamedTuple):
    """What is to be fetched: which of the duties, and with what."""

    number: int
    duty: str
    given: tuple[Any, ...]


class Answer(NamedTuple):
    """What a question came to: the value, or an error."""

    number: int
    value: Any = None
    error: Exception | None = None


def main() -> None:
    """Answers what comes through the socket whose number it is given."""
    for package in ("pandas", "greenlet"):
        do_without(package)
    keep_one_heap()
    logging.basicConfig(handlers=[OnceNeeded()])
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    asked = Connection(int(sys.argv[1]))
    answer_all(asked, IDLE_SECONDS)
    signal.alarm(LAST_SECONDS)  # whatever still hangs then ends as well


def answer_all(asked: Connection, idle_seconds: float) -> None:
    """Until the other end is closed, or nothing was asked for so long and nothing is under way."""
    send, threads = partial(_send, asked, Lock()), ThreadPoolExecutor(THREADS)
    under_way: set[int] = set()
    while asked.poll(idle_seconds) or under_way:
        if not asked.poll():
            continue
        try:
            question = Question(*asked.recv())
        except (EOFError, OSError):  # which of them, depends on what the worker left unread when it ended
            break
        under_way.add(question.number)
        threads.submit(_answer, question, send).add_done_callback(partial(_forget, under_way, question.number))
    threads.shutdown(wait=False, cancel_futures=True)
    asked.close()


def _send(asked: Connection, one_at_a_time: Lock, answer: Answer) -> None:
    with one_at_a_time:
        asked.send(tuple(answer))


def _forget(under_way: set[int], number: int, _: object) -> None:
    under_way.discard(number)


def _answer(question: Question, send: Callable[[Answer], None]) -> None:
    try:
        answer = Answer(question.number, DUTIES[question.duty](*question.given))
    except Exception as failed:
        answer = Answer(question.number, error=_told(failed))
    try:
        send(answer)
    except OSError:
        log.info("the worker is gone")
    except Exception as failed:  # the answer cannot be written, and nothing of it has been
        send(Answer(question.number, error=_told(failed)))


def _told(failed: Exception) -> Exception:
    """The failure as one of the family; what nobody foresaw by its name alone, since it may quote a customer."""
    if isinstance(failed, ChurnError):
        return failed
    if isinstance(failed, MemoryError):
        return StoreUnreachable("it takes more memory than one question may", to_do="Ask an operator for it.")
    from store.service_database import is_outage

    if is_outage(failed):
        return StoreUnreachable("the database does not answer", to_do="Ask again in a moment.")
    log.error("a question failed", exc_info=failed)
    return RuntimeError(f"an unforeseen {type(failed).__name__} at the desk")


def _row(steps: Any) -> Any:
    from store.one_row import one_row  # DuckDB, see there

    return one_row(steps)


def _receipt(settings: Settings, contract: Contract, customer_id: str, night: date, whole: bool) -> Any:
    from churn.receipt import for_agent  # brings all that a night reckons with
    from store.receipts import receipts_of

    (made,) = receipts_of(settings, contract, [customer_id], night)
    return made if whole else for_agent(made, contract)


DUTIES: Mapping[str, Callable[..., Any]] = MappingProxyType({"row": _row, "receipt": _receipt})

if __name__ == "__main__":
    main()
