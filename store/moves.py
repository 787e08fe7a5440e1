"""The rules of a change of champion: who is there, who was there before, and what the gate said of who wants to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from churn.errors import NoChampion, PromotionRefused
from churn.segments import ALL
from store.registry_entries import PROMOTION, ROLLBACK, Event, Promotion, Rollback, VerdictEntry
from store.registry_queries import Place, champions, last_verdict, of, required
from store.registry_tables import alias_event


def promotions(connection: Connection, wishes: Sequence[Promotion], at: datetime) -> list[Event]:
    """The changes that grant all wishes; there is none to make where the version is champion already.

    Raises what `Registry.promote` raises, where one of them cannot be granted.
    """
    before = champions(connection)
    hoped = {(wish.contract, segment): wish.version for wish in wishes for segment in wish.segments}
    held, changes = dict(before), []
    for wish in wishes:
        required(connection, wish.contract, wish.version)
        for segment in wish.segments:
            place = wish.contract, segment
            if held.get(place) != wish.version:
                _require_champion(place, held.get(place), wish.expected_in(segment))
                overridden = _overridden(connection, wish, segment, _rivals(place, before, hoped))
                changes.append(_promotion(wish, segment, at, overridden))
                held[place] = wish.version
    return changes


def rollbacks(connection: Connection, wish: Rollback, at: datetime) -> list[Event]:
    """The changes that grant the wish; raises what `Registry.rollback` raises."""
    held = _held(connection, wish)
    return [
        Event(at, wish.contract, segment, ROLLBACK, held[segment], earlier, wish.who, wish.why)
        for segment, earlier in _earlier_champions(connection, wish, held).items()
        if earlier != held[segment]
    ]


def way_back(connection: Connection, wish: Rollback) -> Rollback:
    """The wish with every place's champion now and then by number; raises what `Registry.rollback` raises."""
    held = _held(connection, wish)
    expected = {segment: wish.expected_in(segment) or now for segment, now in held.items()}
    return replace(wish, to=_earlier_champions(connection, wish, held), expected=expected)


def _held(connection: Connection, wish: Rollback) -> dict[str, int | None]:
    held = champions(connection)
    return {segment: held.get((wish.contract, segment)) for segment in wish.segments}


def _earlier_champions(connection: Connection, wish: Rollback, held: Mapping[str, int | None]) -> dict[str, int]:
    return {segment: _earlier_champion(connection, wish, segment, now) for segment, now in held.items()}


def _promotion(wish: Promotion, segment: str, at: datetime, overridden: str | None) -> Event:
    return Event(
        happened_at=at,
        contract=wish.contract,
        segment=segment,
        kind=PROMOTION,
        from_version=wish.expected_in(segment),
        to_version=wish.version,
        who=wish.who,
        why=wish.why,
        overridden=overridden,
    )


def _require_champion(place: Place, now: int | None, expected: int | None) -> None:
    if now != expected:
        raise PromotionRefused(
            f"{_named(now)} is champion, not {_named(expected)}",
            where=f"{place[0]}, segment {place[1]}",
            to_do="Look at who was promoted meanwhile, and decide again.",
        )


def _rivals(place: Place, before: Mapping[Place, int], hoped: Mapping[Place, int]) -> tuple[int | None, ...]:
    """With whom the gate has to have compared: who scores the segment now, first, or the model of all that will."""
    of_all = place[0], ALL
    return (before[place],) if place in before else (before.get(of_all), hoped.get(of_all))


def _overridden(connection: Connection, wish: Promotion, segment: str, rivals: tuple[int | None, ...]) -> str | None:
    """What the wish overrides; None where no gate objects, PromotionRefused where the objection stands."""
    objection = _objection(wish.version, last_verdict(connection, wish.contract, wish.version, segment), rivals)
    if objection and not wish.override:
        raise PromotionRefused(
            objection,
            where=f"{wish.contract}, segment {segment}",
            to_do="Promote another version, train again so that the gate judges it now, or override and say why.",
        )
    return objection


def _objection(version: int, verdict: VerdictEntry | None, rivals: tuple[int | None, ...]) -> str | None:
    scores_now = rivals[0]
    if verdict and not verdict.passed:
        return f"the gate {verdict.gate} refused version {version} by its rule {verdict.rule}: {verdict.says}"
    if scores_now is None:
        return None  # the first model of a base has nobody to be compared with
    if verdict is None:
        return f"no gate has judged version {version}, and {_named(scores_now)} scores the segment"
    if verdict.against_version not in rivals:
        compared = f"the gate {verdict.gate} compared version {version} with {_named(verdict.against_version)}"
        return f"{compared}, and {_named(scores_now)} scores the segment"
    return None


def _earlier_champion(connection: Connection, wish: Rollback, segment: str, now: int | None) -> int:
    to, expected = wish.to_in(segment), wish.expected_in(segment)
    if to is not None and to == now and expected not in (None, now):
        return to  # the same wish was granted before, and who asked again has not heard of it
    if expected is not None:
        _require_champion((wish.contract, segment), now, expected)
    before = _champion_before(connection, wish.contract, segment) if to is None else to
    required(connection, wish.contract, before)
    _require_earlier_champion(connection, (wish.contract, segment), before, now)
    return before


def _champion_before(connection: Connection, contract: str, segment: str) -> int:
    line = _line(connection, contract, segment)
    if len(line) < 2:
        raise NoChampion("nobody was champion before", where=f"{contract}, segment {segment}")
    return line[-2]


def _line(connection: Connection, contract: str, segment: str) -> list[int]:
    """The champions that led to the present one: a promotion adds to them, a rollback takes away whom it undid.

    So going back again and again comes to the first champion, however often one of them was promoted.
    """
    moves = sa.select(alias_event.c.kind, alias_event.c.to_version).where(*of(alias_event, contract, segment))
    line: list[int] = []
    for kind, version in connection.execute(moves.order_by(alias_event.c.event)):
        while kind == ROLLBACK and version in line and line[-1] != version:
            line.pop()
        if line[-1:] != [version]:  # earlier releases also wrote down who was promoted to the place that he had
            line.append(version)
    return line


def _require_earlier_champion(connection: Connection, place: Place, number: int, now: int | None) -> None:
    contract, segment = place
    was = sa.select(alias_event.c.event).where(*of(alias_event, contract, segment), alias_event.c.to_version == number)
    is_now = number == now
    if is_now or connection.scalar(was.limit(1)) is None:
        raise NoChampion(
            f"version {number} {'is champion now' if is_now else 'was never champion'}",
            where=f"{contract}, segment {segment}",
            to_do="Name an earlier champion, or promote this version.",
        )


def _named(version: int | None) -> str:
    return f"version {version}" if version else "nobody"
