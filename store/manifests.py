"""What is known of a model, read without its numbers: a list of models needs no more."""

from __future__ import annotations

import hashlib

from pydantic import ValidationError

from churn.errors import ArtifactRefused
from schemas.manifest import ModelManifest
from store.artifacts import SUMS, model_folder
from store.model_files import MANIFEST
from store.settings import Settings


def read_manifest(digest: str, settings: Settings) -> ModelManifest:
    """The manifest of the model of that digest; ArtifactRefused where it is not the one that was registered.

    It is for people to look at: whoever scores loads the whole model, which verifies its signature and its numbers.
    """
    folder = model_folder(digest, settings)
    try:
        sums, content = (folder / SUMS).read_bytes(), (folder / MANIFEST).read_bytes()
        listed = f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}" in sums.decode().splitlines()
        if hashlib.sha256(sums).hexdigest() == digest and listed:
            return ModelManifest.model_validate_json(content)
    except (OSError, ValidationError, UnicodeDecodeError):
        pass  # refused in one sentence, and `verify` tells the rest
    raise ArtifactRefused(
        "its manifest is not the one that was registered", where=str(folder), to_do="`churn model verify` says more."
    )
