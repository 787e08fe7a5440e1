"""Access tokens: who asks, signed by this system, for a quarter of an hour at most."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.users import Role, User
from store.keyring import Keyring

# Ed25519: whoever verifies needs no secret, so a gateway or another service can check a token and cannot make one; and
# the project's keys are all of this one kind. The algorithm is never read from the token, so "none" and HS256 with the
# public key as its secret are refused before anything is computed.
ALGORITHM = "EdDSA"
KIND = "at+jwt"  # RFC 9068: an access token, which no identity token of the same keys can pass for
ISSUER, AUDIENCE = "churn", "churn-api"
LONGEST_LIFE = timedelta(minutes=15)
LONGEST_TOKEN = 4_096  # letters; one of ours with forty regions has about 900
CLOCKS_DIFFER = timedelta(seconds=5)  # between the machines that sign and verify
CLAIMS = ("iss", "aud", "sub", "iat", "exp", "jti", "role", "segments", "regions")
KNOWN_TOKENS = 1_024  # verified ones that a process remembers: verifying takes 0.1 ms of CPU, remembering 0.001


class TokenRefused(Exception):
    """The token is not one of ours, or no longer good; nobody is told which, lest he learn how to mend it."""


@dataclass(frozen=True, slots=True)
class _Verified:
    """What a token said once it was verified, and when and by which key it stops to hold."""

    holder: User
    key: str
    until: float


def issue_token(user: User, keyring: Keyring, life: timedelta = LONGEST_LIFE) -> str:
    """A token for the user, signed by the newest key."""
    import jwt

    keys, now = keyring.keys, datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user.name,
        "jti": secrets.token_urlsafe(12),
        "iat": now,
        "exp": now + min(life, LONGEST_LIFE),
        "role": user.role.value,
        "segments": list(user.segments),
        "regions": list(user.regions),
        "edition": user.edition,
    }
    return jwt.encode(claims, keys.signing, ALGORITHM, headers={"kid": keys.signing_id, "typ": KIND})


class TokenReader:
    """Verifies tokens, and remembers those that it verified until they lapse or their key goes."""

    def __init__(self, keyring: Keyring) -> None:
        """Imports what reads tokens, which takes 0.1 s, so that no request has to wait for it."""
        import jwt  # noqa: F401

        self._keyring = keyring
        self._known: OrderedDict[str, _Verified] = OrderedDict()
        self._editions: Mapping[str, int] = {}

    def shut_out(self, editions: Mapping[str, int]) -> None:
        """Refuses tokens of these names from before their edition, and nobody else's, however long they would hold."""
        self._editions = editions

    def read(self, token: str) -> User:
        """Who holds the token; TokenRefused where it is not ours or not good now."""
        if len(token) > LONGEST_TOKEN:
            raise TokenRefused
        found = self._known.get(token)
        if found is None or found.key not in self._keyring.keys.verifying:
            found = self._remembered(token, self._verified(token))
        holder = found.holder
        if datetime.now(UTC).timestamp() >= found.until or holder.edition < self._editions.get(holder.name, 0):
            self._known.pop(token, None)
            raise TokenRefused
        return holder

    def _remembered(self, token: str, found: _Verified) -> _Verified:
        self._known[token] = found
        if len(self._known) > KNOWN_TOKENS:
            self._known.popitem(last=False)
        return found

    def _verified(self, token: str) -> _Verified:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            key = self._key(header)
            options: Any = {"require": list(CLAIMS)}
            claims = jwt.decode(
                token, key, [ALGORITHM], options, audience=AUDIENCE, issuer=ISSUER, leeway=CLOCKS_DIFFER
            )
            return _Verified(_holder(claims), header["kid"], _end(claims))
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise TokenRefused from None

    def _key(self, header: dict[str, Any]) -> Any:
        name = header.get("kid")
        key = self._keyring.verifying(name) if isinstance(name, str) and header.get("typ") == KIND else None
        if key is None:
            raise TokenRefused
        return key


def _holder(claims: dict[str, Any]) -> User:
    """Raises ValueError or TypeError where a claim is not of its kind."""
    if not claims["sub"]:
        raise ValueError
    segments, regions = _texts(claims["segments"]), _texts(claims["regions"])
    # A service of the release before gives none; while its workers end one by one, theirs are of the first edition.
    return User(claims["sub"], Role(claims["role"]), segments, regions, _whole(claims.get("edition", 1)))


def _texts(given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise TypeError
    return tuple(given)


def _whole(given: object) -> int:
    if type(given) is not int:
        raise TypeError
    return given


def _end(claims: dict[str, Any]) -> float:
    """When the token lapses, in seconds since 1970; ValueError where it would live longer than any of ours."""
    if claims["exp"] - claims["iat"] > LONGEST_LIFE.total_seconds():
        raise ValueError
    return float(claims["exp"])
