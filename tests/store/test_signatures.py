"""Whose models are used: a mode, a signing key and trusted keys, each of which may be wrong in its own way."""

from __future__ import annotations

import logging
import traceback
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from churn.errors import ArtifactRefused, SettingsError
from store import signatures
from store.settings import Settings, read_settings
from store.signatures import new_key_pair, require_trust, sign, verify

CONTENT = b"what a model is made of"
WHERE = Path("SIGNATURE")
OURS, THEIRS = new_key_pair(), new_key_pair()
# Keys are new in each process, and the names of tests must not be.
NAMES = {OURS.signing: "ours", OURS.trusted: "ours", THEIRS.trusted: "theirs", "": "none"}


def settings_of(**environment: str) -> Settings:
    return read_settings({f"CHURN_{name}": value for name, value in environment.items()})


def pem(key: object, encryption: KeySerializationEncryption | None = None) -> str:
    how = encryption or NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()  # type: ignore[attr-defined]


# mode, signing key, trusted keys | may load unsigned | may save
WHO_MAY_WHAT = [
    ("", "", "", "refused", "refused"),
    ("production", "", "", "refused", "refused"),
    ("", "", OURS.trusted, "only signed", "refused"),
    ("", OURS.signing, "", "only signed", "signs"),
    ("", OURS.signing, THEIRS.trusted, "only signed", "signs"),
    ("development", "", "", "unsigned too", "goes without"),
    ("development", "", OURS.trusted, "only signed", "refused"),
    ("development", OURS.signing, "", "only signed", "signs"),
]


@pytest.mark.parametrize(("mode", "signing", "trusted", "loading", "saving"), WHO_MAY_WHAT, ids=NAMES.get)
def test_who_may_use_and_make_models(mode: str, signing: str, trusted: str, loading: str, saving: str):
    settings = settings_of(MODE=mode, SIGNING_KEY=signing, TRUSTED_KEYS=trusted)
    assert how_loading_goes(settings) == loading
    assert how_saving_goes(settings) == saving


def how_loading_goes(settings: Settings) -> str:
    try:
        verify(CONTENT, None, settings, WHERE)
    except SettingsError:
        return "refused"
    except ArtifactRefused:
        return "only signed"
    return "unsigned too"


def how_saving_goes(settings: Settings) -> str:
    try:
        signature = sign(CONTENT, settings)
    except SettingsError:
        return "refused"
    return "signs" if signature else "goes without"


def test_a_refusal_names_the_variables():
    with pytest.raises(SettingsError, match=r"CHURN_SIGNING_KEY or CHURN_TRUSTED_KEYS: .*\n.*CHURN_MODE=development"):
        require_trust(settings_of())
    with pytest.raises(SettingsError, match=r"CHURN_SIGNING_KEY: .*\n.*CHURN_MODE=development"):
        require_trust(settings_of(TRUSTED_KEYS=OURS.trusted), to_sign=True)


def test_a_key_may_be_a_file_its_text_on_one_line_or_base64(tmp_path: Path):
    private = Ed25519PrivateKey.generate()
    file, public = tmp_path / "key.pem", tmp_path / "public.pem"
    file.write_text(pem(private))
    public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    raw = b64encode(private.private_bytes_raw()).decode()
    reader = settings_of(TRUSTED_KEYS=f"{THEIRS.trusted}, {public}")
    for given in (str(file), pem(private), pem(private).replace("\n", "\\n"), raw):
        verify(CONTENT, sign(CONTENT, settings_of(SIGNING_KEY=given)), reader, WHERE)


@pytest.mark.parametrize(
    ("signature", "refusal"),
    [
        (sign(CONTENT, settings_of(SIGNING_KEY=THEIRS.signing)), f"the key {THEIRS.key_id}, which is not trusted"),
        (sign(b"another", settings_of(SIGNING_KEY=OURS.signing)), "the signature of something else"),
        (b"", "it is no signature"),
        (b"ed25519 \xff", "it is no signature"),
        (b"none " + OURS.key_id.encode() + b" \n", "it is no signature"),
    ],
    ids=["another's", "of something else", "empty", "no text", "no scheme"],
)
def test_what_no_trusted_key_has_signed_is_refused(signature: bytes, refusal: str):
    with pytest.raises(ArtifactRefused, match=refusal):
        verify(CONTENT, signature, settings_of(TRUSTED_KEYS=OURS.trusted), WHERE)


def test_the_name_of_a_trusted_key_on_a_signature_of_another_does_not_help():
    theirs = sign(CONTENT, settings_of(SIGNING_KEY=THEIRS.signing))
    renamed = theirs.replace(THEIRS.key_id.encode(), OURS.key_id.encode())
    with pytest.raises(ArtifactRefused, match="something else"):
        verify(CONTENT, renamed, settings_of(TRUSTED_KEYS=OURS.trusted), WHERE)


CANARY = "canary-of-a-private-key"
WRONG_KEYS = {
    "no file": f"/nowhere/{CANARY}.pem",
    "too short": b64encode(CANARY.encode()).decode(),
    "no PEM": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
    "another kind": pem(generate_private_key(SECP256R1())),
    "a password": pem(Ed25519PrivateKey.generate(), BestAvailableEncryption(CANARY.encode())),
    "zero bytes": f"{CANARY}\0",
    "very long": CANARY * 1_000,
}


@pytest.mark.parametrize("key", WRONG_KEYS.values(), ids=WRONG_KEYS)
@pytest.mark.parametrize("variable", ["SIGNING_KEY", "TRUSTED_KEYS"])
def test_a_key_that_cannot_be_read_is_refused_by_its_variable_and_never_quoted(variable: str, key: str):
    with pytest.raises(SettingsError, match=f"CHURN_{variable}") as refused:
        require_trust(settings_of(**{variable: key}), to_sign=variable == "SIGNING_KEY")
    told = "".join(traceback.format_exception(refused.value))
    assert CANARY not in told
    assert key not in told


@pytest.mark.parametrize("key", [OURS.signing, pem(Ed25519PrivateKey.generate())], ids=["base64", "PEM"])
def test_the_signing_key_is_shown_nowhere(key: str):
    settings = settings_of(SIGNING_KEY=key)
    assert key not in repr(settings) + str(settings)
    assert OURS.signing not in repr(OURS)


def test_a_mode_that_there_is_not_is_refused():
    with pytest.raises(SettingsError, match="CHURN_MODE: 'developement' is no mode"):
        settings_of(MODE="developement")


def test_development_without_keys_says_so_aloud_and_once(caplog: pytest.LogCaptureFixture):
    signatures._say_that_nothing_is_signed.cache_clear()
    settings = settings_of(MODE="development")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            verify(CONTENT, sign(CONTENT, settings), settings, WHERE)
    assert caplog.messages == [signatures.UNSIGNED_ALLOWED]


def test_a_key_may_stay_in_the_file_of_variables_that_was_written_for_it(tmp_path: Path):
    file = tmp_path / "churn.env"
    file.write_text(f"# ours\nexport CHURN_SIGNING_KEY={OURS.signing}\nCHURN_TRUSTED_KEYS={OURS.trusted}\n")
    signature = sign(CONTENT, settings_of(SIGNING_KEY=str(file)))
    verify(CONTENT, signature, settings_of(TRUSTED_KEYS=str(file)), WHERE)
    file.write_text(f"CHURN_TRUSTED_KEYS={OURS.trusted}\n")
    with pytest.raises(SettingsError, match="CHURN_SIGNING_KEY"):
        sign(CONTENT, settings_of(SIGNING_KEY=str(file)))
