"""What the environment says to the service alone: how often to look at the registry, whose pages may call it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from churn.errors import SettingsError

POLL_SECONDS = 2.0
WAITING_JOBS = 50
JOBS_MEGABYTES = 10_240
ON, OFF = "on", "off"
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Seconds between two looks at the registry; whose pages may call; whether /docs is shown, None for the mode's.

    `waiting_jobs` is how many of one owner may wait or run at once, `jobs_megabytes` what the files of all may take.
    `answer_cache` says where predictions are kept for a minute: off, memory or redis, see store/answer_shelves.py.
    """

    poll_seconds: float = POLL_SECONDS
    origins: tuple[str, ...] = ()
    docs: bool | None = None
    answer_cache: str = OFF
    waiting_jobs: int = WAITING_JOBS
    jobs_megabytes: int = JOBS_MEGABYTES


def read_service_settings(env: Mapping[str, str]) -> ServiceSettings:
    """The settings that `env` describes; SettingsError names the variable that is wrong."""
    origins = (part.strip() for part in env.get("CHURN_CORS_ORIGINS", "").split(","))
    return ServiceSettings(
        poll_seconds=_seconds(env, "CHURN_POLL_SECONDS", POLL_SECONDS),
        origins=tuple(_origin(part) for part in origins if part),
        docs=_switch(env, "CHURN_DOCS"),
        answer_cache=env.get("CHURN_ANSWER_CACHE") or OFF,
        waiting_jobs=_count(env, "CHURN_WAITING_JOBS", WAITING_JOBS),
        jobs_megabytes=_count(env, "CHURN_JOBS_MEGABYTES", JOBS_MEGABYTES),
    )


def current_service_settings() -> ServiceSettings:
    """The settings of this process's environment."""
    return read_service_settings(os.environ)


def keep_to_one_thread() -> None:
    """Lets no numeric library start threads in the programs that this one becomes or starts.

    One customer is scored in microseconds: a pool of threads would only cost 113 ms of processor for its first row.
    """
    for name in ONE_THREAD:
        os.environ[name] = "1"


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, str(default))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not (isfinite(seconds) and seconds > 0):
        raise SettingsError(f"{text!r} is no number of seconds above 0", where=name, to_do="Give a number such as 2.")
    return seconds


def _count(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and int(text[:19]) > 0):
        raise SettingsError(f"{text!r} is no whole number above 0", where=name, to_do=f"Say one such as {default}.")
    return int(text[:19])


def _origin(text: str) -> str:
    """An origin as browsers send it. A star would let every page in the world call in a person's name."""
    scheme, divided, host = text.partition("://")
    if scheme not in ("http", "https") or not divided or not host or "/" in host or "*" in host:
        raise SettingsError(
            f"{text!r} is no origin",
            where="CHURN_CORS_ORIGINS",
            to_do="Name each as scheme and host, such as https://desk.example.com, with commas between.",
        )
    return text


def _switch(env: Mapping[str, str], name: str) -> bool | None:
    text = env.get(name, "")
    if text not in ("", ON, OFF):
        raise SettingsError(f"{text!r} is neither {ON} nor {OFF}", where=name, to_do=f"Say {ON} or {OFF}.")
    return text == ON if text else None
