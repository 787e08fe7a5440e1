"""What is known of a model, read without its numbers: a list of models needs no more."""

from __future__ import annotations

import hashlib

from pydantic import ValidationError

from churn.errors import ArtifactRefused
from schemas.manifest import ModelManifest
from store.artifacts import LARGEST_FILE, LARGEST_LIST, SUMS, model_folder, read_plain
from store.model_files import MANIFEST
from store.settings import Settings


def read_model_manifest(digest: str, settings: Settings) -> ModelManifest:
    """The manifest of the model of that digest; ArtifactRefused where it cannot be read or is not the one registered.

    It is for people to look at: whoever scores loads the whole model, which verifies its signature and its numbers.
    """
    folder = model_folder(digest, settings)
    sums, content = read_plain(folder / SUMS, LARGEST_LIST), read_plain(folder / MANIFEST, LARGEST_FILE)
    try:
        listed = f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}" in sums.decode().splitlines()
        if hashlib.sha256(sums).hexdigest() == digest and listed:
            return ModelManifest.model_validate_json(content)
    except (ValidationError, UnicodeDecodeError):
        pass  # refused in one sentence, and `verify` tells the rest
    raise ArtifactRefused(
        "its manifest is not the one that was registered", where=str(folder), to_do="`churn model verify` says more."
    )
