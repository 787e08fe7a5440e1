"""The service's log: one JSON object a line on standard output, without anything that a caller sent."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or "structlog" in sys.modules:
    import structlog
else:
    # Where there is rich, structlog takes it along for coloured tracebacks: 5 MB and a third of a second for a program
    # that writes JSON. A module that is None cannot be imported, and structlog can do without it.
    rich = sys.modules.pop("rich", None)
    sys.modules["rich"] = None
    import structlog

    del sys.modules["rich"]
    if rich is not None:
        sys.modules["rich"] = rich

OURS = ("api", "churn", "store", "uvicorn")  # whose news is told; of other libraries only warnings are

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def log_as_json() -> None:
    """Makes every line of this process such an object, those of libraries too."""
    shared: list[Any] = [structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_messages,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)


def places(error: BaseException) -> list[str]:
    """Where it happened. What the error says may repeat what a caller sent, and stays out of the log."""
    return [f"{place.filename}:{place.lineno} {place.name}" for place in traceback.extract_tb(error.__traceback__)]


def _without_messages(logger: Any, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replaces what a library logs of an exception by its kind and its places."""
    information = event.pop("exc_info", None)
    if isinstance(information, tuple) and information[1] is not None:
        event["error"] = type(information[1]).__name__
        event["trace"] = places(information[1])
    return event
