"""Moves champions: gives places to versions, gives them back, and says who is champion then."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from prefect.artifacts import create_table_artifact

from churn.contract import parse_contract
from churn.errors import RequestError
from churn.segments import require_places
from schemas.gate import Gate
from store.artifacts import load_model, verify_model
from store.contracts import read_contract
from store.gates import DEFAULT, read_gate
from store.registry import Event, Promotion, Registry, Rollback, open_registry
from store.settings import current_settings
from store.shadows import Wish, send_into_shadow
from tasks.events import MODEL_PROMOTED, tell
from tasks.night import Candidate, Move
from tasks.orchestrator import worth_no_failure
from tasks.step import LATER, step

WHO, PASSED = "the retraining flow", "it passed the gate"
NOBODY = 0  # what is expected where no champion is; versions count from 1

log = logging.getLogger(__name__)


@step("promote who passed for {base}", again_after=LATER)
def promote_passed(base: str, candidates: Sequence[Candidate], gate: str = DEFAULT) -> tuple[str, ...]:
    """Gives all candidates that passed the gate their segments' places at once, or sends them into the shadow.

    Gives the segments that have a new champion. Nobody is promoted where somebody else has got one of the places
    meanwhile: the segments' models were judged beside each other.
    """
    settings = current_settings()
    passed = [candidate for candidate in candidates if candidate.verdict.passed]
    asks = read_gate(gate)
    if asks.shadow_nights and open_registry(settings).resolve_all(base):
        send_into_shadow(settings, [_shadow(base, candidate, asks) for candidate in passed])
        log.info("%d challengers score %d nights in the shadow first", len(passed), asks.shadow_nights)
        return ()
    _grant(*(_wish(base, candidate, PASSED) for candidate in passed))
    return tuple(candidate.segment for candidate in passed)


@step("promote the first model of {base}", again_after=LATER)
def promote_first(base: str, candidate: Candidate) -> None:
    """Makes the candidate the first champion, also against the gate, since without one nobody would be scored.

    A refusal stays in the history beside it.
    """
    _grant(_wish(base, candidate, "the first model of this base", override=True))


@step("read the wish for {contract}")
def wished(contract: str, version: int | None, segments: str, expected: int | None) -> Move:
    """What is to be moved where; `segments` are separated by commas, and nobody is expected at 0."""
    places = tuple(dict.fromkeys(place.strip() for place in segments.split(",") if place.strip()))
    if not places:
        raise RequestError("no segment is named", where="segments", to_do="Give all, or names separated by commas.")
    return Move(read_contract(contract).name, version, places, expected)


@step("verify version {move.version} of {move.base}", again_after=LATER)
def promotion_of(move: Move, *, who: str, why: str, override: bool) -> Promotion:
    """The wish for the version as champion of all the places, whose files were verified."""
    if move.version is None:
        raise RequestError("no version is named", where="version", to_do="Give the number of the version to promote.")
    settings = current_settings()
    registry = open_registry(settings)
    manifest = load_model(registry.version(move.base, move.version).digest, settings).manifest
    contract = parse_contract(manifest.contract_text, where=f"contract inside version {move.version}")
    require_places(move.segments, contract, learnt_from=manifest.segment)
    return Promotion(move.base, move.version, _expected(registry, move), who, why, move.segments, override)


@step("promote version {wish.version} of {wish.contract}", again_after=LATER)
def promote(wish: Promotion) -> None:
    """Grants the wish; a second try changes nothing more."""
    _grant(wish)


@step("verify the earlier champions of {move.base}", again_after=LATER)
def way_back(move: Move, *, who: str, why: str) -> Rollback:
    """The wish that gives each place back to its champion before, or to the version named; their files were verified.

    It names who is champion now and who shall be, so that it undoes nobody else and may be tried again.
    """
    settings = current_settings()
    registry = open_registry(settings)
    wish = registry.way_back(Rollback(move.base, who, why, move.segments, move.version, move.expected))
    for number in wish.earlier:
        verify_model(registry.version(move.base, number).digest, settings)
    return wish


@step("roll {wish.contract} back", again_after=LATER)
def roll_back(wish: Rollback) -> None:
    """Grants the wish; a second try changes nothing more."""
    open_registry(current_settings()).rollback(wish)


@step("show the champions of {base}", again_after=LATER)
def show_champions(base: str) -> dict[str, int]:
    """Each segment's champion now, also left as an artifact with the changes that led there."""
    registry = open_registry(current_settings())
    champions = {segment: version.version for segment, version in registry.resolve_all(base).items()}
    table = [{"segment": segment, "champion": version} for segment, version in champions.items()]
    changes = [_told(event) for event in reversed(registry.history(base, None))]
    with worth_no_failure("the champions"):
        create_table_artifact(key="champions", table=table, description=f"Champions of {base}")
        create_table_artifact(key="champion-history", table=changes, description=f"Changes of champion of {base}")
    return champions


def _grant(*wishes: Promotion) -> None:
    open_registry(current_settings()).promote(*wishes)
    for wish in wishes:
        for segment in wish.segments:
            said = {"contract": wish.contract, "segment": segment, "version": wish.version, "why": wish.why}
            tell(MODEL_PROMOTED, about=f"{wish.contract}.{segment}", payload=said)


def _told(event: Event) -> dict[str, str]:
    return {
        "when (UTC)": f"{event.happened_at:%Y-%m-%d %H:%M:%S}",
        "segment": event.segment,
        "what": event.kind,
        "from": str(event.from_version or "nobody"),
        "to": str(event.to_version),
        "who": event.who,
        "why": event.why,
        "against the gate": event.overridden or "",
    }


def _shadow(base: str, candidate: Candidate, gate: Gate) -> Wish:
    return Wish(
        contract=base,
        segment=candidate.segment,
        version=candidate.version,
        expected_version=candidate.expected,
        nights=gate.shadow_nights,
        gate=gate.name,
        who=WHO,
        why=PASSED,
    )


def _wish(base: str, candidate: Candidate, why: str, *, override: bool = False) -> Promotion:
    return Promotion(base, candidate.version, candidate.expected, WHO, why, (candidate.segment,), override)


def _expected(registry: Registry, move: Move) -> Mapping[str, int | None] | int | None:
    if move.expected is None:
        return {segment: version.version for segment, version in registry.resolve_all(move.base).items()}
    return None if move.expected == NOBODY else move.expected
