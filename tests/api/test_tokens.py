"""A token is one of ours, of now, and unchanged, or it is nothing; keys are changed while tokens are in use."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from api.tokens import CLAIMS, LONGEST_LIFE, TokenReader, TokenRefused, issue_token
from churn.errors import SettingsError
from schemas.users import Role, User
from store.keyring import Keyring, add_key, open_keyring
from store.settings import Settings, read_settings

ADA = User("ada", Role.AGENT, ("prepaid",), ("R01", "R02"))
Forger = Callable[[dict[str, Any], dict[str, Any], Keyring], str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    add_key(tmp_path / "keys")
    return tmp_path / "keys"


def signed(claims: dict[str, Any], headers: dict[str, Any], keyring: Keyring) -> str:
    return jwt.encode(claims, keyring.keys.signing, "EdDSA", headers=headers)


def in_time(**ahead: float) -> Forger:
    """With claims of so many minutes ahead of now: of when the test runs, which may be long after it was gathered."""

    def forge(good: dict[str, Any], headers: dict[str, Any], keyring: Keyring) -> str:
        return signed(good | {claim: moment(minutes=minutes) for claim, minutes in ahead.items()}, headers, keyring)

    return forge


def changed(**claims: Any) -> Forger:
    return lambda good, headers, keyring: signed(good | claims, headers, keyring)


def without(claim: str) -> Forger:
    return lambda good, headers, keyring: signed({n: v for n, v in good.items() if n != claim}, headers, keyring)


def headed(**fields: Any) -> Forger:
    return lambda good, headers, keyring: signed(good, headers | fields, keyring)


def nameless(good: dict[str, Any], headers: dict[str, Any], keyring: Keyring) -> str:
    return signed(good, {"typ": headers["typ"]}, keyring)


def unsigned(good: dict[str, Any], headers: dict[str, Any], keyring: Keyring) -> str:
    return jwt.encode(good, None, "none", headers=headers)


def signed_with_the_public_key(good: dict[str, Any], headers: dict[str, Any], keyring: Keyring) -> str:
    public = keyring.keys.verifying[headers["kid"]].public_bytes_raw()
    return jwt.encode(good, public, "HS256", headers=headers)


def signed_by_another_key(good: dict[str, Any], headers: dict[str, Any], keyring: Keyring) -> str:
    return jwt.encode(good, Ed25519PrivateKey.generate(), "EdDSA", headers=headers)


def widened(good: dict[str, Any], headers: dict[str, Any], keyring: Keyring) -> str:
    head, _, signature = signed(good, headers, keyring).split(".")
    body = urlsafe_b64encode(json.dumps(good | {"role": "operator"}).encode()).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


def deep(good: dict[str, Any], headers: dict[str, Any], keyring: Keyring) -> str:
    return f"{urlsafe_b64encode(b'[' * 2_900).decode()}.e30.e30"


def moment(**ahead: float) -> int:
    return int((datetime.now(UTC) + timedelta(**ahead)).timestamp())


BAD = {
    "lapsed": in_time(iat=-20, exp=-5.2),
    "of a time to come": in_time(iat=5, exp=10),
    "good for longer than ours": in_time(exp=40),
    "of another issuer": changed(iss="elsewhere"),
    "for another audience": changed(aud="bi"),
    "unsigned": unsigned,
    "signed with the public key as a secret": signed_with_the_public_key,
    "signed by another key": signed_by_another_key,
    "of a key that nobody knows": headed(kid="0" * 16),
    "of a key without a name": nameless,
    "an identity token": headed(typ="JWT"),
    "changed after it was signed": widened,
    "of a role that there is not": changed(role="admin"),
    "with segments that are no list": changed(segments="prepaid"),
    "nobody's": changed(sub=""),
    "of an edition that is no number": changed(edition="2"),
    "a header without end": deep,
    "too long": lambda *given: "a" * 5_000,
    "no token at all": lambda *given: "let me in",
    **{f"without {claim}": without(claim) for claim in CLAIMS},
}


@pytest.mark.parametrize("forge", BAD.values(), ids=BAD)
def test_a_token_that_is_not_ours_of_now_and_unchanged_is_refused(path: Path, forge: Forger):
    keyring = Keyring(path)
    good = issue_token(ADA, keyring)
    headers = {name: jwt.get_unverified_header(good)[name] for name in ("kid", "typ")}
    claims = jwt.decode(good, options={"verify_signature": False})
    reader = TokenReader(keyring)
    assert reader.read(signed(claims, headers, keyring)) == ADA, "the table's tokens start from a good one"
    with pytest.raises(TokenRefused):
        reader.read(forge(claims, headers, keyring))


def test_a_token_says_who_asks_and_whom_he_may_see(path: Path):
    keyring = Keyring(path)
    assert TokenReader(keyring).read(issue_token(ADA, keyring)) == ADA


def test_no_token_lives_longer_than_a_quarter_of_an_hour(path: Path):
    token = issue_token(ADA, Keyring(path), timedelta(days=1))
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == LONGEST_LIFE.total_seconds() == 900


def test_a_remembered_token_lapses_like_any_other(path: Path):
    keyring = Keyring(path)
    reader, token = TokenReader(keyring), issue_token(ADA, keyring, timedelta(seconds=0))
    for _ in range(2):
        with pytest.raises(TokenRefused):
            reader.read(token)


def test_a_key_is_changed_while_tokens_are_in_use(path: Path):
    here, there = Keyring(path), Keyring(path)  # as two workers hold them
    readers = [TokenReader(keyring) for keyring in (here, there)]
    old = issue_token(ADA, here)
    name = add_key(path)
    assert there.verifying(name), "a key that another worker used first is looked for at once"
    new = issue_token(ADA, there)
    assert jwt.get_unverified_header(new)["kid"] == name
    assert {reader.read(token) for reader in readers for token in (old, new)} == {ADA}


def test_a_stolen_key_is_worth_nothing_once_the_new_one_stands_alone(path: Path):
    keyring = Keyring(path)
    reader, old = TokenReader(keyring), issue_token(ADA, keyring)
    assert reader.read(old) == ADA
    add_key(path, alone=True)
    keyring._look_again()
    with pytest.raises(TokenRefused):
        reader.read(old)


def test_only_the_newest_two_keys_are_kept_and_for_their_owner_alone(path: Path):
    names = [add_key(path) for _ in range(3)]
    assert list(Keyring(path).keys.verifying) == [names[2], names[1]]
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_of_keys_that_breaks_changes_nothing_but_the_log(path: Path, caplog: pytest.LogCaptureFixture):
    keyring = Keyring(path)
    reader, token = TokenReader(keyring), issue_token(ADA, keyring)
    secret = b64encode(b"half a key").decode()
    path.write_text(secret)
    keyring._look_again()
    assert reader.read(token) == ADA
    assert "the last good keys stay" in caplog.text
    assert secret not in caplog.text


def test_in_production_nothing_starts_without_a_key(tmp_path: Path):
    with pytest.raises(SettingsError, match="CHURN_TOKEN_KEYS: no key is named"):
        open_keyring(read_settings({"CHURN_HOME": str(tmp_path)}))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_named_is_not_made(tmp_path: Path):
    named = {"CHURN_TOKEN_KEYS": str(tmp_path / "lost"), "CHURN_MODE": "development"}
    with pytest.raises(SettingsError, match="lost cannot be read"):
        open_keyring(read_settings({"CHURN_HOME": str(tmp_path), **named}))


def test_development_makes_a_key_of_its_own_and_says_so(settings: Settings, caplog: pytest.LogCaptureFixture):
    first = open_keyring(settings).keys.signing_id
    assert open_keyring(settings).keys.signing_id == first
    assert caplog.text.count("which this machine made for itself") == 1
