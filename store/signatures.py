"""Whose models are used: Ed25519 signatures, by keys that the environment names."""

from __future__ import annotations

import hashlib
import logging
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn.errors import ArtifactRefused, NotSigned, SettingsError
from store.settings import PEM_BEGINS, Settings, is_raw_key

# Each function imports cryptography itself: it takes about 20 ms, which unsigned development need not pay.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LOGGER = logging.getLogger("churn.trust")
UNSIGNED_ALLOWED = (
    "development mode: models are not signed, anyone who can write to artifacts/ can change what is scored"
)

ALGORITHM = "ed25519"
SIGNATURE_LINE = re.compile(rf"{ALGORITHM} ([0-9a-f]{{16}}) ([A-Za-z0-9+/]{{86}}==)\n")
KEY_ID_LETTERS = 16

SIGNING, TRUSTED, MODE = "CHURN_SIGNING_KEY", "CHURN_TRUSTED_KEYS", "CHURN_MODE"
SIGN_AGAIN = f"Do not use it: train and register again or, if you know who made it, name his key in {TRUSTED}."


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Two halves of a key in base64: `signing` for CHURN_SIGNING_KEY, `trusted` for everybody's CHURN_TRUSTED_KEYS."""

    signing: str = field(repr=False)
    trusted: str
    key_id: str


def new_key_pair() -> KeyPair:
    """A fresh pair; it is written nowhere."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    return KeyPair(_base64(private.private_bytes_raw()), _base64(public.public_bytes_raw()), key_id(public))


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal letters of the sha256 of the public key's bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:KEY_ID_LETTERS]


def require_trust(settings: Settings, *, to_sign: bool = False) -> None:
    """SettingsError, naming the variables, where no model could be loaded, or `to_sign`: none saved, as things stand.

    Ask it before work whose result is a model.
    """
    if _unsigned_will_do(settings):
        return
    if not settings.signing_key and (to_sign or not settings.trusted_keys):
        needed = SIGNING if to_sign else f"{SIGNING} or {TRUSTED}"
        purpose = "signed" if to_sign else "trusted"
        raise SettingsError(f"no key is named, so no model can be {purpose}", where=needed, to_do=_make_a_key(needed))
    _trusted(settings)
    if to_sign:
        _private(settings)


def sign(content: bytes, settings: Settings) -> bytes | None:
    """The signature file of the content; None where development goes without. SettingsError as `require_trust`."""
    require_trust(settings, to_sign=True)
    if _unsigned_will_do(settings):
        _say_that_nothing_is_signed()
        return None
    private = _private(settings)
    return f"{ALGORITHM} {key_id(private.public_key())} {_base64(private.sign(content))}\n".encode()


def verify(content: bytes, signature: bytes | None, settings: Settings, where: Path) -> None:
    """Returns where a trusted key signed the content, or where development has named no key at all.

    Raises ArtifactRefused, NotSigned where no trusted key made the signature, naming `where` it should be, and
    SettingsError as `require_trust`.
    """
    require_trust(settings)
    if _unsigned_will_do(settings):
        _say_that_nothing_is_signed()
        return
    if signature is None:
        raise NotSigned("it is not signed", where=str(where), to_do=SIGN_AGAIN)
    line = SIGNATURE_LINE.fullmatch(signature.decode("ascii", errors="replace"))
    if line is None:
        raise _refused("it is no signature", where)
    signer = _trusted(settings).get(line[1])
    if signer is None:
        unknown = f"it is signed by the key {line[1]}, which is not trusted"
        raise NotSigned(unknown, where=str(where), to_do=SIGN_AGAIN)
    if not _is_signed(content, b64decode(line[2]), signer):
        raise _refused("it is the signature of something else", where)


def _unsigned_will_do(settings: Settings) -> bool:
    return settings.development and not (settings.signing_key or settings.trusted_keys)


@cache
def _say_that_nothing_is_signed() -> None:
    """Once per process."""
    LOGGER.warning(UNSIGNED_ALLOWED)


def _is_signed(content: bytes, signature: bytes, key: Ed25519PublicKey) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _private(settings: Settings) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = _read(
        settings.signing_key, SIGNING, Ed25519PrivateKey.from_private_bytes, lambda pem: load_pem_private_key(pem, None)
    )
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(SIGNING)
    return key


def _public(key: str) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    public = _read(key, TRUSTED, Ed25519PublicKey.from_public_bytes, load_pem_public_key)
    if not isinstance(public, Ed25519PublicKey):
        raise _no_key(TRUSTED)
    return public


def _trusted(settings: Settings) -> dict[str, Ed25519PublicKey]:
    """The public keys by their id; whoever holds a signing key trusts what it signs."""
    keys = [_public(key) for key in settings.trusted_keys]
    if settings.signing_key:
        keys.append(_private(settings).public_key())
    return {key_id(key): key for key in keys}


def _read(key: str, name: str, of_bytes: Any, of_pem: Any) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = _without_name(key, name)
        return of_bytes(b64decode(key)) if is_raw_key(key) else of_pem(_pem(key))
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        # What a library says of a key it cannot read may quote it, so nothing of that is passed on.
        raise _no_key(name) from None


def _without_name(key: str, name: str) -> str:
    """The key that a file of variables holds, as `churn model key --to` writes one; else the key as it was given."""
    if key.lstrip().startswith(PEM_BEGINS) or is_raw_key(key):
        return key
    line = re.search(rf"^\s*(?:export\s+)?{name}=(.+?)\s*$", Path(key).read_text(encoding="utf-8"), re.MULTILINE)
    return line[1] if line else key


def _pem(key: str) -> bytes:
    if key.lstrip().startswith(PEM_BEGINS):
        return key.replace("\\n", "\n").encode()  # as a file of variables, which has one line for each, holds it
    return Path(key).read_bytes()


def _no_key(name: str) -> SettingsError:
    half = "private" if name == SIGNING else "public"
    return SettingsError(f"it is no {half} Ed25519 key without a password", where=name, to_do=_make_a_key(name))


def _make_a_key(name: str) -> str:
    return f"Make a key with `churn model key` and set {name}, or, on a machine of your own, {MODE}=development."


def _refused(what: str, where: Path) -> ArtifactRefused:
    return ArtifactRefused(what, where=str(where), to_do=SIGN_AGAIN)


def _base64(content: bytes) -> str:
    return b64encode(content).decode()
