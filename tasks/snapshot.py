"""Builds the snapshot: the customers as of the night's date, from the facts known by its moment."""

from __future__ import annotations

from store import snapshots
from store.contracts import read_contract
from store.lake import MANIFEST, bucket_file, describe, read_manifest, write_manifest
from tasks.night import Night
from tasks.progress import begun
from tasks.progress_page import part_shown
from tasks.step import SOON, step

STEP = "build the snapshot"


@step("build what buckets share", again_after=SOON)
def build_context(night: Night) -> None:
    """Counts what no bucket of customers can know by itself: households and regions."""
    begun(STEP)
    snapshots.build_context(night.extract, read_contract(night.contract), night.when, night.snapshot)


@step("build bucket {bucket}", again_after=SOON)
def build_bucket(night: Night, bucket: int) -> None:
    """Writes one bucket of the snapshot; one that is there was made from the same facts and stays."""
    if not (night.snapshot / bucket_file(bucket)).exists():
        snapshots.build_bucket(night.extract, read_contract(night.contract), night.when, bucket, night.snapshot)
    part_shown(STEP, night.buckets)


@step("seal the snapshot")
def seal_snapshot(night: Night) -> int:
    """Writes the snapshot's manifest, once, and gives its rows.

    The quarantine that the checks add later is no part of it: a second run must find the digest of the first.
    """
    if not (night.snapshot / MANIFEST).exists():
        facts = {"extract": night.extract_digest, "known_at": night.known_at.isoformat()}
        write_manifest(describe(night.snapshot, facts), night.snapshot)
    manifest = read_manifest(night.snapshot)
    return sum(file.rows for file in manifest.files if file.path.startswith("bucket="))
