"""Removes what the retention policy keeps no longer, and tells in a table what went."""

from __future__ import annotations

from dataclasses import dataclass

from prefect.artifacts import create_table_artifact

from store.clearing import cleared
from store.publication import open_publisher
from store.retention import read_retention
from store.settings import current_settings
from tasks.orchestrator import worth_no_failure
from tasks.step import LATER, step


@dataclass(frozen=True, slots=True)
class Cleared:
    """How many things went, or would go; how many stay until readers cannot be at them; and what was freed."""

    went: int
    held: int
    bytes: int
    rows: int


@step("remove what is kept no longer", again_after=LATER)
def clear(policy: str, *, dry_run: bool) -> Cleared:
    """Does, or says, what the policy asks; leaves a table of it as an artifact."""
    rules, publisher = read_retention(policy), open_publisher(current_settings())
    told = list(cleared(publisher, rules, dry_run=dry_run))
    went = [going for going, gone in told if gone or dry_run]
    table = [{"what": going.what, "why": going.why, "frees": going.frees, "gone": gone} for going, gone in told]
    with worth_no_failure("what went"):
        create_table_artifact(
            key="retention", table=table, description=f"What the retention policy {rules} keeps no longer"
        )
    return Cleared(len(went), len(told) - len(went), sum(one.bytes for one in went), sum(one.rows for one in went))
