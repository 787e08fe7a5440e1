"""Models as folders of data, signed and named by their content: read back to the same bits or refused, never run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from churn.errors import ArtifactRefused
from churn.estimators import Estimator
from churn.scorecard import Scorecard
from schemas.contract import Contract
from schemas.manifest import ModelManifest
from store.model_files import ESTIMATOR_FILES, SCORECARD_FILES, WrongFile, files_of, manifest_of, read_files
from store.settings import Settings
from store.signatures import sign, verify

if TYPE_CHECKING:
    from churn.training import Trained

SUMS, SIGNATURE = "SHA256SUMS", "SIGNATURE"
STAGED, DELETED = LEFT_BEHIND = ".staged-", ".deleted-"  # folders on their way in or out, which nobody reads
ABANDONED_SECONDS = 24 * 60 * 60  # no save takes a day
LARGEST_FILE = 256 << 20  # bytes; what is larger is refused before it is read
LARGEST_LIST = 4 << 10  # bytes of the list of files, and of its signature
SUM_LINE = re.compile(r"[0-9a-f]{64}  (.+)")

NOT_TRUSTED = "Do not use it: train and register again, or restore the folder from a copy with the same digest."


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model with what is known of it. `digest` names its artifact, and is empty until it is saved."""

    model: Scorecard | Estimator
    manifest: ModelManifest
    probe: pa.Table
    digest: str = ""

    @property
    def card(self) -> Scorecard:
        """The model where it is a scorecard; ArtifactRefused where it is none."""
        if not isinstance(self.model, Scorecard):
            raise ArtifactRefused(
                f"it is a {self.model.kind}, not a scorecard",
                where=f"model {self.digest[:12]}",
                to_do="Ask for a version that is a scorecard.",
            )
        return self.model


def model_of(trained: Trained, contract: Contract, code_version: str) -> Model:
    """The model that a training gave, ready to be saved."""
    return Model(trained.model, manifest_of(trained, contract, code_version), trained.probe)


def save_model(model: Model, settings: Settings) -> str:
    """Writes the model's folder whole or not at all and returns its digest; the same model is written once.

    SettingsError where it should be signed and there is no key: `signatures.require_trust` tells so beforehand.
    ArtifactRefused where it could not be read back.
    """
    contents = _contents(model)
    sums = "".join(f"{_sum_line(name, content)}\n" for name, content in sorted(contents.items())).encode()
    digest = _sha256(sums)
    folder = model_folder(digest, settings)
    signature = sign(sums, settings)
    files = {**contents, SUMS: sums} | ({SIGNATURE: signature} if signature else {})
    if folder.exists() and not _lies_whole(folder, files):
        delete_model(digest, settings)
    if not folder.exists():
        sweep_models(settings)
        _write_folder(folder, files)
    return digest


def load_model(digest: str, settings: Settings) -> Model:
    """The model of that digest; nothing in its folder is parsed before the signature and every checksum are verified.

    Raises ArtifactRefused, naming the file, where the model is not signed by a trusted key, where a file is missing,
    added or changed, where the files are of no model, or where a probe row does not score what it did when the model
    was saved. SettingsError where the environment trusts no key, and is not in development mode.
    """
    folder = model_folder(digest, settings)
    contents = _verified(folder, digest, settings)
    try:
        model, manifest, probe = read_files(contents)
    except WrongFile as error:
        raise _refused(folder / error.name, error.what) from None
    return Model(model, manifest, probe, digest)


def verify_model(digest: str, settings: Settings) -> None:
    """Returns where the model can be loaded; else raises what `load_model` raises."""
    load_model(digest, settings)


def sweep_models(settings: Settings) -> int:
    """Removes what a save or a deletion that was killed more than a day ago left; gives the number of folders."""
    oldest = time.time() - ABANDONED_SECONDS
    left = [folder for name in LEFT_BEHIND for folder in _models(settings).glob(f"{name}*")]
    abandoned = [folder for folder in left if folder.stat().st_mtime < oldest]
    for folder in abandoned:
        shutil.rmtree(folder, ignore_errors=True)
    return len(abandoned)


def delete_model(digest: str, settings: Settings) -> None:
    """Removes the model's folder, which nobody sees half of; one that is not there is no error."""
    folder = model_folder(digest, settings)
    with contextlib.suppress(FileNotFoundError):
        folder.rename(folder.with_name(f"{DELETED}{secrets.token_hex(8)}"))
    for deleted in folder.parent.glob(f"{DELETED}*"):  # a killed predecessor may have left its own
        shutil.rmtree(deleted, ignore_errors=True)


def model_folder(digest: str, settings: Settings) -> Path:
    """Where the model of that digest lies; ArtifactRefused if this can be no digest."""
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ArtifactRefused(f"{digest!r} is no sha256", where="model digest", to_do="Take it from the registry.")
    return _models(settings) / digest


def read_plain(path: Path, limit: int) -> bytes:
    """The bytes of a plain file that lies here itself; ArtifactRefused where it is none or larger than the limit."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # neither a link nor a pipe that would block
        with os.fdopen(file, "rb") as opened:
            _require_plain(os.fstat(file), path, limit)
            return opened.read(limit + 1)
    except OSError as error:
        raise _refused(path, f"it cannot be read ({error.strerror})") from None


def _models(settings: Settings) -> Path:
    return settings.artifacts / "models"


def _contents(model: Model) -> dict[str, bytes]:
    try:
        contents = files_of(model.model, model.manifest, model.probe)
    except WrongFile as error:
        raise ArtifactRefused(error.what, where=error.name, to_do="Train another kind of model.") from None
    for name, content in contents.items():
        if len(content) > LARGEST_FILE:
            raise ArtifactRefused(
                f"it would have {len(content):,} bytes, more than the {LARGEST_FILE:,} that are read",
                where=name,
                to_do="Train a smaller model: fewer or smaller trees.",
            )
    return contents


def _verified(folder: Path, digest: str, settings: Settings) -> dict[str, bytes]:
    """The files' bytes, read once, so that what was checked is what is used."""
    if folder.resolve() != folder:
        raise _refused(folder, "it is a link to another place")
    sums = read_plain(folder / SUMS, LARGEST_LIST)
    if _sha256(sums) != digest:
        raise _refused(folder / SUMS, "it is not the list of files that the digest stands for")
    there = {path.name for path in folder.iterdir()}
    signature = read_plain(folder / SIGNATURE, LARGEST_LIST) if SIGNATURE in there else None
    verify(sums, signature, settings, folder / SIGNATURE)
    names = _listed(sums, folder)
    extra = sorted(there - {*names, SUMS, SIGNATURE})
    if extra:
        raise _refused(folder / extra[0], "it is no part of the model")
    contents = {name: read_plain(folder / name, LARGEST_FILE) for name in names}
    for name, content in contents.items():
        if _sum_line(name, content) not in sums.decode().splitlines():
            raise _refused(folder / name, "its sha256 is not the one it was saved with")
    return contents


def _listed(sums: bytes, folder: Path) -> tuple[str, ...]:
    """The files that the list names: those of a scorecard or those of an estimator, and no others."""
    lines = [SUM_LINE.fullmatch(line) for line in sums.decode(errors="replace").splitlines()]
    named = sorted(line[1] if line else "" for line in lines)
    for names in (SCORECARD_FILES, ESTIMATOR_FILES):
        if named == sorted(names):
            return names
    raise _refused(folder / SUMS, "it does not list the files of a model")


def _lies_whole(folder: Path, files: Mapping[str, bytes]) -> bool:
    try:
        found = {path.name: read_plain(path, LARGEST_FILE) for path in folder.iterdir()}
    except (ArtifactRefused, OSError):
        return False
    return {**found, **files} == found and found.keys() - files.keys() <= {SIGNATURE}  # which development leaves alone


def _write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    from store.lake import sync  # brings Parquet along, which whoever loads a model need not wait for

    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=STAGED, dir=folder.parent))
    try:
        for name, content in contents.items():
            (staged / name).write_bytes(content)
            sync(staged / name)
        staged.chmod(0o755)  # a temporary folder is its owner's alone, a model is for all who score
        sync(staged)
        _rename(staged, folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _rename(staged: Path, folder: Path) -> None:
    try:
        staged.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process has just written the same content
            raise


def _require_plain(found: os.stat_result, path: Path, limit: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, "it is no plain file")
    if found.st_size > limit:
        raise _refused(path, f"it has {found.st_size:,} bytes, more than {limit:,}")


def _refused(where: Path, what: str) -> ArtifactRefused:
    return ArtifactRefused(what, where=str(where), to_do=NOT_TRUSTED)


def _sum_line(name: str, content: bytes) -> str:
    """A line as `sha256sum --check` reads it."""
    return f"{_sha256(content)}  {name}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
