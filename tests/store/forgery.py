"""Model folders as somebody would leave them who wants to change what is scored, or worse."""

from __future__ import annotations

import hashlib
from pathlib import Path

from store.artifacts import SIGNATURE, SUMS, Model, model_folder, save_model
from store.settings import Settings
from store.signatures import sign


def saved(model: Model, settings: Settings) -> Path:
    """The folder of the model, as it should be."""
    return model_folder(save_model(model, settings), settings)


def forged(settings: Settings, model: Model, file: str, content: bytes) -> str:
    """The digest of a copy of the model in which one file has another content, and all checksums agree with it.

    It is signed as well as the settings can, as if the forger held the key.
    """
    folder = saved(model, settings)
    (folder / file).write_bytes(content)
    return resealed(folder, settings)


def resealed(folder: Path, settings: Settings) -> str:
    """The digest under which the folder now lies, its list of files and its signature made anew from what is in it."""
    names = sorted(path.name for path in folder.iterdir() if path.name not in (SUMS, SIGNATURE))
    sums = "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names).encode()
    (folder / SUMS).write_bytes(sums)
    signature = sign(sums, settings)
    if signature:
        (folder / SIGNATURE).write_bytes(signature)
    digest = hashlib.sha256(sums).hexdigest()
    folder.rename(folder.with_name(digest))
    return digest
