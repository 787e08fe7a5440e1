"""Learns from the lot of ended waves what actions change, and keeps it where that earns more than the belief."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.metadata import version

import pyarrow as pa
import pyarrow.compute as pc
from prefect.artifacts import create_markdown_artifact

from churn.spending import with_terms
from churn.training import TrainingPlan
from churn.training.uplift_trial import teaching, tried
from store.code import code_digest
from store.contracts import read_contract
from store.policies import policy_for, read_policy
from store.settings import current_settings
from store.source import Extract
from store.uplift_trials import Told, keep_uplift, tried_before
from tasks.lift import KeptWave, ended
from tasks.orchestrator import worth_no_failure
from tasks.progress import begun
from tasks.step import LATER, step
from tasks.wave_customers import with_customers

STEP = "learn what actions change"

# Effects are small beside their noise: pairs and many rounds would learn the noise, see docs/uplift.md.
PLAN = TrainingPlan(interactions=0, outer_bags=2, max_rounds=500)

log = logging.getLogger(__name__)


@step("learn from waves of {contract} what actions change", again_after=LATER)
def learn(
    contract: str, waves: Sequence[KeptWave], extract: Extract, known_at: str | None, policy: str | None = None
) -> tuple[str, ...]:
    """Tries the effect of each action of the policy in force, keeps those that pay, and says so of each.

    Later lists skip the customers whom a kept effect advises against, until a later trial refutes it.
    """
    begun(STEP)
    settings, terms = current_settings(), read_contract(contract)
    over = ended(contract, waves, extract, known_at, policy)
    kept = {wave.as_of: wave.customers for wave in waves if wave.customers and wave.as_of in over.as_ofs}
    members = with_customers(with_terms(over.members, over.policies), kept)
    members = members.append_column("label", pc.cast(members["churned"], pa.int64()))
    columns = [column for column in terms.features if column.name in members.column_names]
    before = tried_before(settings, terms.name, over.known_at)
    trials = tried(members, columns, read_policy(policy or policy_for(terms.name)).policy, PLAN, before=before)
    code, standing = f"{version('churn')}+{code_digest()[:12]}", before.uplift.digest if before.uplift else None
    keep_uplift(settings, Told(terms, over.known_at, code, teaching(members), trials, standing))
    return tuple(f"{trial.action}: {trial.says}" for trial in trials)


@step("show what waves taught")
def show_uplift(contract: str, learnt: Sequence[str]) -> None:
    """Leaves the verdict on each action as an artifact and in the log."""
    title = f"What waves of {contract} taught about actions"
    with worth_no_failure("what waves taught"):
        lines = "\n".join(f"- {said}" for said in learnt)
        create_markdown_artifact(key="uplift", description=title, markdown=f"# {title}\n\n{lines}\n")
    for said in learnt:
        log.info("%s", said)
