"""Settles which past nights to score, tries one after the other, and tells what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from prefect import runtime
from prefect.artifacts import create_table_artifact

from churn.backfill import caught_up_until, nights_between, nights_missed, nights_to_list
from churn.errors import ContractError, PublicationError, RequestError, SettingsError, StoreUnreachable
from churn.night import chosen_known_at
from store.contracts import read_contract
from store.publication import Publisher, open_publisher
from store.runs import nights_published, shown_run
from store.settings import current_settings
from store.source import Extract as Extract  # flows name it as a type
from tasks import scoring
from tasks.intake import scheduled_day
from tasks.night import Champions, Night, Result
from tasks.orchestrator import worth_no_failure
from tasks.parameters import FOR_THE_LIST, NOW, THEN
from tasks.progress import LOGGER
from tasks.publishing import OUTREACH, SCORES, later_facts
from tasks.step import LATER, step

PUBLISHED, UNCHANGED, KEPT, FAILED = "published", "already published", "kept", "failed"
NOT_OF_ONE_NIGHT = (SettingsError, ContractError, StoreUnreachable)  # the next night would fail the same way


@dataclass(frozen=True, slots=True)
class Plan:
    """Nights to score, the oldest first, and how.

    `known_at` is the moment up to which facts count, None for each night's own. `listed` are the nights that may get
    an outreach list, if they never had one. `model` says who scores, THEN or NOW, and `reasons` for whom they are told.
    """

    contract: str
    base: str
    nights: tuple[date, ...]
    known_at: str | None = None
    listed: tuple[date, ...] = ()
    model: str = NOW
    reasons: str = FOR_THE_LIST
    force: bool = False

    def __str__(self) -> str:
        return f"{self.base}, {self.nights[0]} to {self.nights[-1]}" if self.nights else self.base


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one night: its scores and its list where there are any, and else why not."""

    as_of: date
    state: str
    scores: Result | None = None
    outreach: Result | None = None
    reason: str = ""


@step("settle the nights of {contract} from {first} to {last}")
def nights_asked_for(contract: str, first: str, last: str, known_at: str | None) -> Plan:
    """The nights of the range; RequestError where there can be no such, or where the moment has not come."""
    settings, terms = current_settings(), read_contract(contract)
    now = datetime.now(settings.zone).replace(tzinfo=None)
    nights = nights_between(first, last, today=now.date())
    if known_at is not None:
        chosen_known_at(known_at, as_of=nights[-1], now=now)
    if terms.flat and len(nights) > 1:
        raise RequestError(
            "a flat table has no dates inside, and describes one of them",
            where=f"{terms.name}, {first} to {last}",
            to_do="Ask for one night, and name the table that was delivered for it.",
        )
    return Plan(contract, terms.name, nights, known_at)


@step("see which nights of {contract} were missed", again_after=LATER)
def nights_missed_by(contract: str, until: str | None) -> Plan:
    """The nights that were never published, and today's where it lacks its list: that alone would not be stale.

    RequestError where no night was ever published, or where more than a month is missing.
    """
    settings, base = current_settings(), read_contract(contract).name
    publisher, today = open_publisher(settings), datetime.now(settings.zone).date()
    scored, last = nights_published(publisher, base, SCORES), caught_up_until(until, today=today)
    if not scored:
        raise RequestError("no night is published yet", where=base, to_do="Run `churn night` for the first one.")
    missed = nights_missed(scored, last)
    if missed:
        days = ", ".join(map(str, missed))
        LOGGER.info("%s: %s missing", base, f"{days} are" if missed[1:] else f"{days} is", extra={"missing": missed})
    listed = nights_to_list(nights_published(publisher, base, OUTREACH), last, today=today)
    return Plan(contract, base, tuple(sorted({*missed, *listed})), listed=listed)


def attempted(as_of: date, score: Callable[[date], Outcome]) -> Outcome:
    """What became of the night; a failure that is its own is told and stops no other night."""
    try:
        outcome = score(as_of)
    except NOT_OF_ONE_NIGHT:
        raise
    except Exception as failure:
        outcome = Outcome(as_of, FAILED, reason=f"{type(failure).__name__} {failure}")
    LOGGER.info("%s: %s", as_of, outcome.state, extra={"outcome": outcome})
    return outcome


@step("see what is published of {as_of}", again_after=LATER)
def kept(plan: Plan, as_of: date) -> Outcome | None:
    """The outcome of a night whose readers know later facts than those that are asked for: it stays as it is.

    None where there is work to do. Without this a rerun for old facts would take a correction back.
    """
    if plan.force:
        return None
    now = datetime.now(current_settings().zone).replace(tzinfo=None)
    later = later_facts(plan.base, as_of, chosen_known_at(plan.known_at, as_of=as_of, now=now))
    return Outcome(as_of, KEPT, reason=f"{later}, later ones than were asked for") if later else None


@step("pin the champions of {night.as_of}", again_after=LATER)
def champions_for(night: Night, plan: Plan) -> Champions:
    """The champions of the night's own publication, or today's: for a night that has none, or where they are asked for.

    The models are causes of a night like its facts. So a night that is published changes for new facts alone, however
    many promotions came since, and a range may be asked for again at no cost; one that was missed gets what the night
    itself would have got, had it run late. `model="now"` scores all of them with today's, as a trial of it.
    """
    shown = shown_run(_publisher(), night.base, SCORES, night.as_of) if plan.model == THEN else None
    return scoring.pin_champions.fn(night, plan.reasons, shown.claimed_at if shown else None)


@step("see whether {night.as_of} may get a list", again_after=LATER)
def may_get_a_list(night: Night, plan: Plan) -> bool:
    """Whether the plan wants a list for the night and there never was one: what was sent is never altered."""
    return night.as_of in plan.listed and _publisher().published(night.base, OUTREACH, night.as_of) is None


def is_todays(night: Night) -> bool:
    """Whether teams work off the night's list: it is of the day that the run is of, also where that ends after it."""
    return night.as_of == scheduled_day(current_settings())


def outcome_of(night: Night, scores: Result, outreach: Result | None) -> Outcome:
    """The outcome of a night that went well."""
    return Outcome(night.as_of, PUBLISHED if scores.new else UNCHANGED, scores, outreach)


@step("tell what became of {plan}")
def tell(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Leaves a table of the nights as an artifact; PublicationError where one of them failed."""
    table = [_told(outcome) for outcome in outcomes]
    with worth_no_failure("the nights"):
        create_table_artifact(key="nights", table=table, description=f"Nights: {plan}")
    failed = [outcome for outcome in outcomes if outcome.state == FAILED]
    if failed:
        raise PublicationError(
            f"{len(failed)} of {len(outcomes)} nights failed: {'; '.join(_in_short(one) for one in failed)}",
            where=str(plan),
            to_do="Mend what they name and ask again: what is published by now is not scored twice.",
        )
    return tuple(outcomes)


def range_name() -> str:
    """The contract and the range that was asked for."""
    asked = runtime.flow_run.parameters
    return f"{asked['contract']} from {asked['first']} to {asked['last']}"


def until_name() -> str:
    """The contract, and until when."""
    asked = runtime.flow_run.parameters
    return f"{asked['contract']} until {asked['until'] or datetime.now(current_settings().zone).date()}"


def _in_short(outcome: Outcome) -> str:
    return f"{outcome.as_of} {outcome.reason.splitlines()[0]}"


def _told(outcome: Outcome) -> dict[str, str]:
    return {
        "night": str(outcome.as_of),
        "scores": outcome.state,
        "revision": str(outcome.scores.revision) if outcome.scores else "",
        "rows": f"{outcome.scores.rows:,}" if outcome.scores else "",
        "list": f"{outcome.outreach.rows:,} customers" if outcome.outreach else "",
        "why": outcome.reason,
    }


def _publisher() -> Publisher:
    return open_publisher(current_settings())
