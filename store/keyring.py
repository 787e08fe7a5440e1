"""The keys that sign access tokens: a file of them, the newest first, read again whenever it changes."""

from __future__ import annotations

import logging
import os
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from churn.errors import SettingsError
from store.exports import SECRET
from store.settings import Settings, is_raw_key
from store.signatures import key_id

# Each function imports cryptography itself, as in store/signatures.py.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

VARIABLE = "CHURN_TOKEN_KEYS"
LOOK_AGAIN_SECONDS = 1.0  # after which a signer looks whether there is a newer key
KEYS_KEPT = 2  # the newest signs; tokens that the one before it signed are good until they lapse

MAKE_ONE = f"Make one with `churn user key --to FILE`, and name that file in {VARIABLE}."

log = logging.getLogger("churn.trust")


@dataclass(frozen=True, slots=True)
class Keys:
    """The newest key, which signs, and those that verify, by the id that tokens name them by (`kid`)."""

    signing_id: str
    signing: Ed25519PrivateKey = field(repr=False)
    verifying: Mapping[str, Ed25519PublicKey]


class Keyring:
    """The keys of a file. Where a changed file cannot be read, the last good keys stay and the log says so."""

    def __init__(self, path: Path) -> None:
        """Reads the file; SettingsError where it holds no key, or anything that is none."""
        self._path = path
        self._lock = Lock()
        self._seen = _stamp(path)
        self._looked_at = time.monotonic()
        self._keys = _read(path)

    @property
    def keys(self) -> Keys:
        """The keys as they were a second ago at most."""
        if time.monotonic() - self._looked_at >= LOOK_AGAIN_SECONDS:
            self._look_again()
        return self._keys

    def verifying(self, name: str) -> Ed25519PublicKey | None:
        """The key of that id. An unknown one makes it look at once: another worker may know it already."""
        known = self.keys.verifying.get(name)
        if known is None:
            self._look_again()
            known = self._keys.verifying.get(name)
        return known

    def _look_again(self) -> None:
        with self._lock:
            self._looked_at = time.monotonic()
            stamp = _stamp(self._path)
            if stamp == self._seen:
                return
            self._seen = stamp
            try:
                self._keys = _read(self._path)
            except SettingsError as unreadable:
                log.warning("the last good keys stay: %s", unreadable)


def open_keyring(settings: Settings) -> Keyring:
    """The keys that the environment names; SettingsError where it names none.

    In development one is made in data/, and said aloud: it is nobody's default, each machine has its own.
    """
    path = key_file(settings)
    if path is None:
        raise SettingsError("no key is named, so nobody could be let in", where=VARIABLE, to_do=MAKE_ONE)
    if settings.token_keys is None:
        make_once(path, _new_line()[0])
        _say_that_it_is_for_development(path)
    return Keyring(path)


def key_file(settings: Settings) -> Path | None:
    """Where the keys are: where the environment says or, in development, in data/."""
    if settings.token_keys is None and settings.development:
        return settings.data / "keys" / "tokens"
    return settings.token_keys


def add_key(path: Path, *, alone: bool = False) -> str:
    """Puts a new key before the others and gives its id; `alone` drops all others, whose tokens end at once.

    Whoever reads the file sees either the keys of before or those of now. SettingsError where it cannot be written.
    """
    new, name = _new_line()
    older = [] if alone or not path.exists() else _lines(path)[: KEYS_KEPT - 1]
    with _beside(path, "".join(f"{line}\n" for line in (new, *older))) as written:
        written.replace(path)
    return name


def make_once(path: Path, secret: str) -> None:
    """Writes a file for its owner alone, unless it is there, even if several processes make it at the same time."""
    if not path.exists():
        with _beside(path, f"{secret}\n") as written, suppress(FileExistsError):
            os.link(written, path)


def _new_line() -> tuple[str, str]:
    """A new key as the file has it, and its id."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    new = Ed25519PrivateKey.generate()
    return b64encode(new.private_bytes_raw()).decode(), key_id(new.public_key())


@contextmanager
def _beside(path: Path, content: str) -> Iterator[Path]:
    """A whole file beside the path, gone afterwards; SettingsError where anything of that is not possible."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET), "w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield beside
    except OSError as failed:
        raise SettingsError(f"it cannot be written: {failed.strerror}", where=str(path), to_do=MAKE_ONE) from None
    finally:
        beside.unlink(missing_ok=True)


def _read(path: Path) -> Keys:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pairs = [Ed25519PrivateKey.from_private_bytes(b64decode(line)) for line in _lines(path)]
    named = {key_id(private.public_key()): private.public_key() for private in pairs}
    return Keys(next(iter(named)), pairs[0], named)


def _lines(path: Path) -> list[str]:
    """The keys in base64. The error names the file alone, since a mistyped key is still a secret."""
    try:
        lines = path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        lines = []
    if not lines or not all(is_raw_key(line) for line in lines):
        raise SettingsError(
            f"{path} cannot be read, or is no list of keys: 32 bytes in base64 a line", where=VARIABLE, to_do=MAKE_ONE
        )
    return lines


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Differs once the file was replaced or written to."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@cache
def _say_that_it_is_for_development(path: Path) -> None:
    """Once per process."""
    log.warning("development mode: access tokens are signed by %s, which this machine made for itself", path)
