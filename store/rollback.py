"""Takes a night back to a run that is kept: its rows are published once more, under a fence of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

from churn.errors import AuditFailed, PublicationError
from store.claims import Claim, Content
from store.lake import MANIFEST, differences, read_manifest, sha256_of
from store.publication import Published, Publisher
from store.runs import Run, published_runs
from store.tables import TABLES_OF


def roll_back(publisher: Publisher, run_id: str) -> Published:
    """Shows the rows of an earlier run to the readers of its night, as that night's next revision.

    Where they see those rows already, it is the publication that they see. Who reads newer nights sees no change.
    PublicationError where no such run is kept; AuditFailed where its files are not as they were published.
    """
    kept = _kept(publisher, run_id)
    claim = publisher.claim(kept.unit, Content(kept.content_key, kept.extract_digest))
    if isinstance(claim, Published):
        return claim
    try:
        return _published_again(publisher, claim, kept.folder)
    except BaseException as failure:
        publisher.release(claim, f"the night could not be taken back to run {run_id}: {failure}")
        raise


def _kept(publisher: Publisher, run_id: str) -> Run:
    runs = {run.run_id: run for run in published_runs(publisher)}
    run = runs.get(run_id)
    if run is None:
        raise PublicationError(
            "no such run is kept",
            where=f"run {run_id}",
            to_do=f"Name one of {', '.join(list(runs)[-3:]) or 'the runs of a night that was published'}.",
        )
    manifest = run.folder / MANIFEST
    if not manifest.is_file() or sha256_of(manifest) != run.manifest_sha256:
        raise _damaged(run, MANIFEST)
    for path in differences(read_manifest(run.folder), run.folder):
        raise _damaged(run, path)
    return run


def _damaged(run: Run, path: str) -> AuditFailed:
    return AuditFailed(
        f"file {path} is not as it was published", where=str(run), to_do="Run `churn verify --rebuild` first."
    )


def _published_again(publisher: Publisher, claim: Claim, folder: Path) -> Published:
    with publisher.keeping(claim):
        staged = publisher.stage(claim)
        for table in TABLES_OF[claim.unit.kind]:
            if (folder / table.name).is_dir():  # an earlier release may have had one table fewer
                shutil.copytree(folder / table.name, staged / table.name, dirs_exist_ok=True)
        publisher.seal(claim)
        publisher.load(claim)
        return publisher.publish(claim)
