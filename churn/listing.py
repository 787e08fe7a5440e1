"""Writes down what was decided: the list, everybody's status, and how each team's places were used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.actions import Offers, sentences
from churn.allocation import NOWHERE
from churn.experiment import units_of
from churn.outreach import Judged, Terms, code_of
from churn.profit import Floats
from churn.wave import Places, Wave
from schemas.outreach import OUTREACH, STATUSES, TEAMS, Arm, Status
from schemas.policy import Policy
from schemas.scores import SCORES

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

NOBODY = -1
FROM_SCORES = [name for name in OUTREACH.names if name in SCORES.names]
_FROM_STATUSES = ("expected_value", "team", "action", "wave_since")


def status_rows(judged: Judged, places: Places, terms: Terms) -> pa.Table:
    """Everybody's status in the shape of `schemas.outreach.STATUSES`, in the part's own order."""
    policy, count = terms.policy, len(judged.verdict)
    codes, channel = _final(judged, places, policy), _spread(judged, places.channel)
    names, rules = _words(policy)
    columns = {
        "as_of": _repeated(terms.as_of, pa.date32(), count),
        "customer_id": judged.customer_id,
        "status": pa.DictionaryArray.from_arrays(codes, names),
        "rule": pa.DictionaryArray.from_arrays(codes, rules),
        "expected_value": _money(_worth_there(judged.offers, channel)),
        "team": _named(_spread(judged, judged.candidates.team), [team.name for team in policy.teams]),
        "action": _named(_actions(judged.offers, channel), [action.name for action in policy.actions]),
        "arm": _named(_spread(judged, judged.candidates.held_out.astype(np.int64)), list(Arm)),
        "wave_since": _since(judged, channel, terms.as_of),
        "customer_value": _money(judged.offers.customer_value),
        "unit": _units(judged, places, policy),
        "policy_digest": _repeated(terms.policy_digest, pa.string(), count),
        **{name: judged.models[name] for name in judged.models.column_names},
    }
    return pa.table({name: columns[name] for name in STATUSES.names})


def is_listed(judged: Judged, places: Places) -> Flags:
    """Which customers of the part are on the list. Shape (n,)."""
    listed = np.zeros(len(judged.verdict), np.bool_)
    listed[judged.place] = (places.channel != NOWHERE) & ~judged.candidates.held_out
    return listed


def listed_rows(scores: pa.Table, statuses: pa.Table, judged: Judged, places: Places) -> pa.Table:
    """The part's customers on the list, with what `list_rows` makes its rows of.

    `scores` has the columns FROM_SCORES of those customers alone, in the part's order; `statuses` is of all of it.
    """
    listed = is_listed(judged, places)
    theirs = statuses.select(_FROM_STATUSES).filter(pa.array(listed))
    columns = dict(zip(scores.column_names, scores.columns, strict=True))
    columns |= dict(zip(theirs.column_names, theirs.columns, strict=True))
    offered, channel = judged.offers, _spread(judged, places.channel)
    columns["customer_value"] = pa.array(offered.customer_value[listed])
    columns["keep_probability"] = pa.array(offered.keep[listed, channel[listed]])
    columns["cause"] = pa.array(offered.cause[listed, channel[listed]])
    return pa.table(columns)


def list_rows(listed: Iterable[pa.Table], terms: Terms) -> pa.Table:
    """The outreach list in the shape of `schemas.outreach.OUTREACH`, best first, from the listed rows of all parts."""
    together = pa.concat_tables(listed, promote_options="permissive")
    ordered = together.sort_by([("expected_value", "descending"), ("customer_id", "ascending")])
    actions, count = terms.policy.actions, ordered.num_rows
    number = _numbers(ordered["action"], [action.name for action in actions])
    columns = {name: ordered[name] for name in OUTREACH.names if name in ordered.column_names}
    columns |= {
        "rank": pa.array(np.arange(1, count + 1, dtype=np.int64)),
        "channel": _named(number, [action.channel for action in actions]),
        "agent_says": _said(ordered, number, terms),
        "listed_since": ordered["wave_since"],
        "policy_digest": _repeated(terms.policy_digest, pa.string(), count),
    }
    return pa.table({name: columns[name] for name in OUTREACH.names})


def team_rows(parts: Sequence[Judged], wave: Wave, terms: Terms) -> pa.Table:
    """How each team's places were used, in the shape of `schemas.outreach.TEAMS`."""
    policy, count = terms.policy, len(terms.policy.teams)
    team = np.concatenate([part.candidates.team for part in parts])
    channel = np.concatenate([places.channel for places in wave.parts])
    held_out = np.concatenate([part.candidates.held_out for part in parts]) & (channel != NOWHERE)
    listed = np.flatnonzero((channel != NOWHERE) & ~held_out)
    worth = np.concatenate([part.candidates.worth for part in parts])[listed, channel[listed]]
    columns = {
        "as_of": _repeated(terms.as_of, pa.date32(), count),
        "team": pa.array([team.name for team in policy.teams], pa.string()),
        "capacity": pa.array([team.capacity for team in policy.teams], pa.int64()),
        "listed": pa.array(np.bincount(team[listed], minlength=count)),
        "held_out": pa.array(np.bincount(team[held_out], minlength=count)),
        "expected_value": pa.array(_sums(team[listed], worth, count)),
        "shadow_price": pa.array(wave.shadow_prices),
        "uplift_digest": _repeated(terms.uplift and terms.uplift.digest, pa.string(), count),
        "traffic_digest": _repeated(terms.traffic and terms.traffic.digest, pa.string(), count),
        "prior_digest": _repeated(terms.prior and terms.prior.digest, pa.string(), count),
        "policy": _repeated(policy.name, pa.string(), count),
        "policy_version": _repeated(policy.version, pa.string(), count),
        "policy_digest": _repeated(terms.policy_digest, pa.string(), count),
    }
    return pa.table({name: columns[name] for name in TEAMS.names}).sort_by("team")


def _spread(judged: Judged, values: Ints) -> Ints:
    """What is known of the candidates, for the whole part: NOBODY where a customer is none. Shape (n,)."""
    whole = np.full(len(judged.verdict), NOBODY, np.int64)
    whole[judged.place] = values
    return whole


def _final(judged: Judged, places: Places, policy: Policy) -> npt.NDArray[np.int32]:
    verdict = judged.verdict.astype(np.int32)
    seated = places.channel != NOWHERE
    for status, applies in (
        (Status.HOUSEHOLD_LIMIT, places.crowded_out),
        (Status.LISTED, seated & ~judged.candidates.held_out),
        (Status.HELD_OUT, seated & judged.candidates.held_out),
    ):
        verdict[judged.place[applies]] = code_of(policy, status)
    return verdict


def _worth_there(offered: Offers, channel: Ints) -> Floats:
    """What a contact is worth through the customer's channel, or through the best where he has none."""
    best = np.where(channel == NOWHERE, offered.worth.argmax(axis=1), channel)
    return np.asarray(offered.worth[np.arange(len(best)), best])


def _actions(offered: Offers, channel: Ints) -> Ints:
    seated = channel != NOWHERE
    return np.where(seated, offered.action[np.arange(len(channel)), np.where(seated, channel, 0)], NOBODY)


def _since(judged: Judged, channel: Ints, as_of: date) -> pa.Array:
    staying = _spread(judged, judged.candidates.staying.astype(np.int64)) == 1
    begins = pa.array((channel != NOWHERE) & ~staying)
    return pc.if_else(begins, pa.scalar(as_of, pa.date32()), judged.wave_since)


def _units(judged: Judged, places: Places, policy: Policy) -> pa.Array:
    """What the lot was drawn for; null for who is not in the wave."""
    candidates, seated = judged.candidates, np.flatnonzero(places.channel != NOWHERE)
    chosen = pa.array(seated)
    homes = candidates.household.take(chosen) if policy.holdout.unit == "household" else None
    place = np.full(len(judged.verdict), NOBODY, np.int64)
    place[judged.place[seated]] = np.arange(len(seated))
    return units_of(candidates.customer_id.take(chosen), homes).take(pa.array(place, mask=place == NOBODY))


def _said(listed: pa.Table, number: Ints, terms: Terms) -> pa.Array:
    """What the agent reads of each listed customer, whose action has that number."""
    said = pa.nulls(listed.num_rows, pa.string())
    for place, action in enumerate(terms.policy.actions):
        said = pc.if_else(pa.array(number == place), sentences(listed, action, terms.titles), said)
    return said


def _words(policy: Policy) -> tuple[pa.Array, pa.Array]:
    own = {
        Status.LISTED: "among the contacts that are worth most within the capacity",
        Status.HELD_OUT: "worth a place on the list, and left out by lot so that the effect of contacts can be told",
        Status.COOLING_DOWN: "contacted, answered or was in a wave too short a while ago",
        Status.HOUSEHOLD_LIMIT: f"no more than {policy.household_limit} of a household; others come first or just did",
        Status.NO_ACTION: f"no action answers the customer's {'causes' if policy.asks_for_causes else 'reasons'}",
        Status.NOT_WORTH_IT: f"expected value is not above {policy.minimum_expected_value:g}",
        Status.BEYOND_CAPACITY: "worth a contact, but others are worth more within the capacity",
    }
    names = [rule.status for rule in policy.suppress] + list(Status)
    rules = [rule.because for rule in policy.suppress] + [own[status] for status in Status]
    return pa.array(names, pa.string()), pa.array(rules, pa.string())


def _named(codes: Ints, names: Sequence[str]) -> pa.DictionaryArray:
    indices = pa.array(codes.astype(np.int32), mask=codes == NOBODY)
    return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))


def _numbers(texts: pa.ChunkedArray, names: Sequence[str]) -> Ints:
    """The place of each text among the names."""
    return np.asarray(pc.index_in(texts.cast(pa.string()), pa.array(names, pa.string()))).astype(np.int64)


def _sums(team: Ints, worth: Floats, count: int) -> Floats:
    """The money of each team, added up in an order that does not depend on how the base was split."""
    order = np.lexsort((worth, team))
    return np.bincount(team[order], weights=worth[order], minlength=count).astype(np.float64)


def _money(worth: Floats) -> pa.Array:
    return pa.array(worth, mask=~np.isfinite(worth))


def _repeated(value: object, kind: pa.DataType, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, kind), count)
