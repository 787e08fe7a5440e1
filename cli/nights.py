"""`churn night`, `train`, `score` and `outreach`: run a flow in this process and show what came out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Literal

import typer
from rich.console import Console

from churn.errors import SourceMissing, SourceUnreachable, Stopped
from cli.progress import progress_shown
from cli.terminal import terminal
from cli.view import show_evaluation, show_night, show_result, show_retraining
from store.claims import Unit
from store.contracts import read_contract
from store.failures import failures_recorded
from store.gates import read_gate
from store.policies import policy_asked_for
from store.readiness import require_room, unit_asked_for
from store.settings import current_settings, use_source
from store.signatures import require_trust
from tasks.progress import begun, warned

LOAD = "load the program"  # seconds of imports, with an orchestrator that stands most of the wait
CONNECT = "connect to the orchestrator"  # one that stands, or one that is started for this command alone

Contract = Annotated[str, typer.Option(help="Contract: a name in schemas/contracts, or a YAML file.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        help="Date to score. Default: today, for which a source that ends earlier has no facts; "
        "`latest` is the last date that the source covers."
    ),
]
TrainedAsOf = Annotated[
    str | None,
    typer.Option(
        help="Date whose past teaches: the months whose outcomes were known by then. Default: today; "
        "`latest` is the last date that the source covers."
    ),
]
KnownAt = Annotated[
    str | None, typer.Option(help="Moment up to which facts count. Default: the start of the as-of date.")
]
Source = Annotated[
    str | None,
    typer.Option(help="Database URL, CSV or Parquet file, or folder of Parquet files. Default: CHURN_SOURCE_URL."),
]
Policy = Annotated[str | None, typer.Option(help="Decision policy: a name in schemas/policies, or a YAML file.")]
Force = Annotated[bool, typer.Option("--force", help="Publish again even where the same result is there.")]
Reasons = Annotated[
    Literal["list", "base"],
    typer.Option(help="Whose scores a champion that is no scorecard explains: those on the list, or the whole base."),
]
EstimatorKind = Literal["scorecard", "hist_gradient_boosting", "logistic_regression", "random_forest"]
Promote = Literal["auto", "ask", "never"]
Evaluate = Annotated[bool, typer.Option("--evaluate", help="Also cross-validate: 5 stratified folds, seed 42.")]


def kept_apart(source: str | None) -> str | None:
    """A path may be a parameter, which the orchestrator keeps; a URL may hold a password and goes beside it."""
    if source is None or "://" not in source:
        return source
    use_source(source)
    return None


def look_over(contract: str, source: str | None, unit: Unit | None = None) -> None:
    """Refuses within a second what a flow would only refuse once the orchestrator is up.

    A source that does not answer may do so later, so that it is a warning; where it cannot be the right one, the
    `unit` has failed, unless it is published.
    """
    from store.source import require_source  # the database drivers import pandas, and --help needs none of it

    settings = current_settings()
    require_room(settings)
    with failures_recorded(unit, begun=False):
        try:
            require_source(read_contract(contract), source or settings.source_url)
        except SourceMissing:
            raise
        except SourceUnreachable as failure:
            warned(f"{failure.where}: {failure.what}\n  It will be asked again a few times.")


@contextmanager
def flow_shown(console: Console) -> Iterator[None]:
    """Shows the progress of the flow that runs in the block, and tells in words what stops it."""
    with progress_shown(console, LOAD) as published, failures_in_words(published):
        yield


@contextmanager
def failures_in_words(published: Sequence[str]) -> Iterator[None]:
    """Tells refused parameters, a lost orchestrator and Ctrl-C as errors of ours, and what is `published` all the same.

    Whoever runs the block appends to `published` what readers see by then.
    """
    try:
        from tasks.orchestrator import orchestrator_in_words  # Prefect takes seconds to import, and --help needs none
        from tasks.parameters import refused_in_words

        with refused_in_words(), orchestrator_in_words():
            yield
    except KeyboardInterrupt:
        raise Stopped(_so_far(published), to_do="Run the command again to go on.") from None
    except Exception:
        if published:
            terminal(errors=True, unbroken=True).print(_so_far(published))
        raise


def _so_far(published: Sequence[str]) -> str:
    return f"Published and there to stay: {', '.join(published)}." if published else "Nothing was published."


def night(
    contract: Contract = "telco",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    source: Source = None,
    policy: Policy = None,
    force: Force = False,
    evaluate: Evaluate = False,
    reasons: Reasons = "list",
) -> None:
    """Score a night: take the base in, check it, score everyone with reasons, write the outreach list."""
    unit = unit_asked_for(contract, as_of, known_at, current_settings())
    with failures_recorded(unit, begun=False):
        policy_asked_for(read_contract(contract), policy)
    look_over(contract, source, unit)
    console = terminal()
    with flow_shown(console):
        from flows.nightly import nightly

        begun(CONNECT)
        summary = nightly(contract, as_of, known_at, kept_apart(source), policy, force, evaluate, reasons)
    show_night(console, summary)
    if summary.evaluation is not None:
        show_evaluation(console, summary.evaluation, one_snapshot=read_contract(contract).flat)


def train(
    contract: Contract = "telco",
    as_of: TrainedAsOf = None,
    known_at: KnownAt = None,
    source: Source = None,
    estimator: Annotated[EstimatorKind, typer.Option(help="Kind of model.")] = "scorecard",
    per_segment: Annotated[bool, typer.Option(help="Also train for each segment with enough matured churners.")] = True,
    promote: Annotated[
        Promote, typer.Option(help="Promote who passes the gate, say how to approve them, or only register them.")
    ] = "auto",
    gate: Annotated[str, typer.Option(help="Gate: a name in schemas/gates, or a YAML file.")] = "default",
    explanation: Annotated[str, typer.Option(help="Why the contract is another than the champion's.")] = "",
    embargo_days: Annotated[
        int | None, typer.Option(help="Days between a label's last fact and the date predicted. [the contract's]")
    ] = None,
    test_as_of: Annotated[str | None, typer.Option(help="Month to test on, not a later one. [the newest]")] = None,
    sampled_rows: Annotated[int | None, typer.Option(help="Rows to fit on at most. [50,000]")] = None,
) -> None:
    """Train candidates on matured months, let the gate judge them beside the champions, and promote who passes."""
    require_trust(current_settings(), to_sign=True)
    read_gate(gate)
    unit_asked_for(contract, as_of, known_at, current_settings())
    look_over(contract, source)
    console = terminal()
    with flow_shown(console):
        from flows.retraining import retraining

        begun(CONNECT)
        facts = (contract, as_of, known_at, kept_apart(source))
        judged_by, learning = (promote, gate, explanation), (embargo_days, test_as_of, sampled_rows)
        trained = retraining(*facts, estimator, per_segment, *judged_by, *learning)
    show_retraining(console, trained)


def score(
    contract: Contract = "telco",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    source: Source = None,
    force: Force = False,
    reasons: Reasons = "list",
) -> None:
    """Score the base and publish the scores; writes no list."""
    look_over(contract, source, unit_asked_for(contract, as_of, known_at, current_settings()))
    console = terminal()
    with flow_shown(console):
        from flows.scoring import scoring

        begun(CONNECT)
        scores = scoring(contract, as_of, known_at, kept_apart(source), force, reasons)
    show_result(console, scores)


def outreach(
    contract: Contract = "telco",
    as_of: AsOf = None,
    known_at: KnownAt = None,
    source: Source = None,
    policy: Policy = None,
    force: Force = False,
    reasons: Reasons = "list",
) -> None:
    """Decide the outreach list of a night, and publish its scores first where they are not yet."""
    unit = unit_asked_for(contract, as_of, known_at, current_settings())
    with failures_recorded(unit, begun=False):
        policy_asked_for(read_contract(contract), policy)
    look_over(contract, source, unit)
    console = terminal()
    with flow_shown(console):
        from flows.outreach import outreach as decide

        begun(CONNECT)
        listed = decide(contract, as_of, known_at, kept_apart(source), policy, force, reasons)
    show_result(console, listed)
