"""What the environment says, read once: where things are, how much machine to use, and whose models to trust."""

from __future__ import annotations

import os
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from zoneinfo import ZoneInfo

from churn.errors import SettingsError

DEFAULT_ZONE = "Europe/London"
DEFAULT_DUE = time(6)
HOURS_AND_MINUTES = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
DEFAULT_BUCKETS = 16
DEVELOPMENT, PRODUCTION = "development", "production"
PEM_BEGINS = "-----BEGIN"
KEY_BYTES = 32  # of an Ed25519 key, private or public
FOR_A_PERSON = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    # 2 + 4 + 8 seconds for each request that a lost server leaves unanswered, where the default waits for a minute.
    "PREFECT_CLIENT_MAX_RETRIES": "3",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """Where data, artifacts and databases are; the business zone; cores and buckets to use; who may sign what.

    A key is the path of a PEM file, its text, or its 32 bytes in base64, or the path of a file that sets its variable;
    store/signatures.py reads them.
    """

    data: Path
    artifacts: Path
    database_url: str
    source_url: str
    zone: ZoneInfo
    cores: int
    buckets: int
    development: bool = False
    signing_key: str = field(default="", repr=False)  # private: it is shown nowhere, and named only by its variable
    trusted_keys: tuple[str, ...] = ()
    token_keys: Path | None = None  # a file, since keys change while the service runs
    audit_key: str = field(default="", repr=False)
    redis_url: str = field(default="", repr=False)
    due: time = DEFAULT_DUE  # each morning, in the zone, the night's scores are to be there
    rates: Mapping[str, int] = field(default_factory=dict)  # what a person may ask the API in a minute, by kind

    @property
    def lake(self) -> Path:
        """The folder of extracts, snapshots and published runs."""
        return self.data / "lake"


def read_settings(env: Mapping[str, str]) -> Settings:
    """The settings that `env` describes; SettingsError names the variable that is wrong."""
    home = Path(env.get("CHURN_HOME", ".")).resolve()
    data = _folder(env, "CHURN_DATA", home / "data")
    return Settings(
        data=data,
        artifacts=_folder(env, "CHURN_ARTIFACTS", home / "artifacts"),
        database_url=env.get("CHURN_DATABASE_URL") or f"sqlite:///{data / 'churn.db'}",
        source_url=env.get("CHURN_SOURCE_URL") or f"sqlite:///{data / 'source' / 'telco.db'}",
        zone=_zone(env),
        due=_time(env, "CHURN_DUE", DEFAULT_DUE),
        cores=_count(env, "CHURN_CORES", os.cpu_count() or 1),
        buckets=_count(env, "CHURN_BUCKETS", DEFAULT_BUCKETS),
        development=_mode(env) == DEVELOPMENT,
        signing_key=_key("CHURN_SIGNING_KEY", env.get("CHURN_SIGNING_KEY", "")),
        trusted_keys=tuple(_key("CHURN_TRUSTED_KEYS", key) for key in _listed(env, "CHURN_TRUSTED_KEYS")),
        token_keys=Path(env["CHURN_TOKEN_KEYS"]).resolve() if env.get("CHURN_TOKEN_KEYS") else None,
        audit_key=env.get("CHURN_AUDIT_KEY", ""),
        redis_url=env.get("CHURN_REDIS_URL", ""),
        rates=_counts(env, "CHURN_RATES"),
    )


def current_settings() -> Settings:
    """The settings of this process's environment."""
    return read_settings(os.environ)


def use_source(url: str) -> None:
    """Makes the URL this process's source, so that no parameter, which the orchestrator keeps, holds its password."""
    os.environ["CHURN_SOURCE_URL"] = url


def settle_libraries(settings: Settings, *, quiet: bool = False) -> None:
    """Tells the libraries where to live and to call nobody; what the environment already says stands.

    Must run before Prefect is imported, since Prefect reads its settings at import. `quiet` keeps its log lines and
    tracebacks off the terminal, the server still gets them, and lets a person wait no longer than a server restarts.
    """
    for name, value in (library_environment(settings) | (FOR_A_PERSON if quiet else {})).items():
        os.environ.setdefault(name, value)
    # Prefect's server cannot open its database in a folder that is not there, and only says that it timed out.
    make_folder(Path(os.environ["PREFECT_HOME"]), "CHURN_DATA, or PREFECT_HOME where it is set")


def library_environment(settings: Settings) -> dict[str, str]:
    """The variables that the libraries need from us."""
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_HOME": str(settings.data / "prefect"),
        # An ephemeral server needs 17-22 s to start, more on a busy machine; the default of 20 s fails there.
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "GX_ANALYTICS_ENABLED": "false",
    }


def make_folder(folder: Path, where: str) -> None:
    """Makes the folder unless it is there; SettingsError names `where` it was asked for."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failed:
        raise SettingsError(
            f"the folder {folder} cannot be made: {failed.strerror}",
            where=where,
            to_do="Name a folder that this user may write to.",
        ) from None


def _folder(env: Mapping[str, str], name: str, default: Path) -> Path:
    return Path(env.get(name, default)).resolve()


def _zone(env: Mapping[str, str]) -> ZoneInfo:
    name = env.get("CHURN_ZONE", DEFAULT_ZONE)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise SettingsError(
            f"{name!r} is no time zone", where="CHURN_ZONE", to_do="Name a zone such as Europe/London."
        ) from None


def _time(env: Mapping[str, str], name: str, default: time) -> time:
    text = env.get(name, f"{default:%H:%M}")
    if not HOURS_AND_MINUTES.fullmatch(text):
        raise SettingsError(f"{text!r} is no time of the day", where=name, to_do=f"Give one such as {default:%H:%M}.")
    return time.fromisoformat(text)


def _count(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"{text!r} is not a whole number above 0", where=name, to_do="Give a number such as 4.")
    return int(text)


def _counts(env: Mapping[str, str], name: str) -> dict[str, int]:
    """Written like `predictions=6000,lookups=60`."""
    given = dict(part.replace(" ", "").partition("=")[::2] for part in _listed(env, name))
    for kind, text in given.items():
        if not text.isdecimal() or int(text) < 1:
            raise SettingsError(f"{kind}={text} gives no whole number above 0", where=name, to_do="Write lookups=60.")
    return {kind: int(text) for kind, text in given.items()}


def _mode(env: Mapping[str, str]) -> str:
    mode = env.get("CHURN_MODE") or PRODUCTION
    if mode not in (DEVELOPMENT, PRODUCTION):
        raise SettingsError(
            f"{mode!r} is no mode", where="CHURN_MODE", to_do=f"Say {DEVELOPMENT}, or {PRODUCTION} (the default)."
        )
    return mode


def _listed(env: Mapping[str, str], name: str) -> list[str]:
    return [part for part in (part.strip() for part in env.get(name, "").split(",")) if part]


def _key(name: str, key: str) -> str:
    """The key as it was given. The error names the variable alone, since a mistyped key is still a secret."""
    if key and not (key.lstrip().startswith(PEM_BEGINS) or is_raw_key(key) or _is_file(key)):
        raise SettingsError(
            "it is neither a PEM file that is there, nor PEM text, nor 32 bytes in base64",
            where=name,
            to_do="Give the path of the key's PEM file, or the key itself.",
        )
    return key


def is_raw_key(key: str) -> bool:
    """Whether the text is an Ed25519 key's 32 bytes in base64."""
    try:
        return len(b64decode(key, validate=True)) == KEY_BYTES
    except (NotBase64, ValueError):
        return False


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # too long or a zero byte in it: whatever it is, no file
        return False
