"""Decides whom to contact: filter first, rank after, exactly as many as capacity allows.

The base comes in parts (its buckets). Each part is judged by itself and hands up its candidates; the wave is drawn once
from all of them, so the list does not depend on how the base was split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.actions import Offers, offers
from churn.experiment import Experiment, arms, held_out, units_of
from churn.past import Past
from churn.prior import Prior
from churn.profit import Floats
from churn.scorecard import one_array
from churn.traffic import MODEL_ARM, Dealt, Traffic
from churn.uplift import Uplift
from churn.wave import Candidates
from schemas.columns import Role
from schemas.contract import Contract
from schemas.outreach import ModelArm, Status
from schemas.policy import Policy, Suppression

MODEL = "model_digest"
CODED = pa.dictionary(pa.int32(), pa.string())

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a list is decided by, the same for all parts of the base.

    `household` is the column that says who lives together, empty where nobody asks or knows. `consents` are those that
    say who may be contacted: of whom they say nothing may not. `titles` is what people call each feature. `uplift` is
    what lots have told of actions; None where nothing is known that would earn more than the policy's own beliefs.
    `traffic` says which challengers decide about a share; None where the champions decide about all. `prior` is the
    share of churners that is believed in place of the models' own; None where scores are taken as they are.
    """

    policy: Policy
    policy_digest: str
    as_of: date
    household: str = ""
    consents: frozenset[str] = frozenset()
    titles: Mapping[str, str] = field(default_factory=dict)
    uplift: Uplift | None = None
    traffic: Traffic | None = None
    prior: Prior | None = None

    @classmethod
    def of(cls, policy: Policy, digest: str, as_of: date, contract: Contract) -> Terms:
        """The terms of a policy for a contract's customers."""
        household = contract.one(Role.HOUSEHOLD) if policy.looks_at_households else None
        consents = frozenset(column.name for column in contract.customer.columns if column.has(Role.CONSENT))
        titles = {column.name: column.words for column in contract.features}
        return cls(policy, digest, as_of, household.name if household else "", consents, titles)

    @property
    def whatever_the_reasons(self) -> Terms:
        """The same terms, but that every action is offered to everybody: whoever fails these fails those, too."""
        actions = tuple(action.model_copy(update={"answers": ()}) for action in self.policy.actions)
        return replace(self, policy=self.policy.model_copy(update={"actions": actions}))

    @property
    def columns(self) -> list[str]:
        """The columns of the customer row that are looked at."""
        learnt = self.uplift.columns if self.uplift else ()
        return sorted({*self.policy.columns, *learnt, *([self.household] if self.household else [])})

    def effects(self, rows: pa.Table) -> Floats | None:
        """By how much each action lowers each customer's risk, as lots have told; [n, actions]."""
        return self.uplift.effects(rows, self.policy) if self.uplift else None

    def believed(self, rows: pa.Table) -> pa.Table:
        """The rows with the probabilities that contacts are valued by."""
        return rows if self.prior is None else self.prior.corrected(rows)

    def dealt(self, customers: pa.Table, contract: Contract) -> Dealt | None:
        """Who of the contract's customers are a challenger's; None where there is none."""
        if self.traffic is None:
            return None
        keys, homes = one_array(customers, contract.key), _households(customers, self)
        return self.traffic.dealt(customers, contract, _challenged(keys, homes, self))


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One part of the base, each customer with a verdict; all of shape (n,), but those of `candidates`.

    A verdict is the number of the suppression rule that applies first, or the rules' count and the place of a status.
    Candidates are beyond capacity until the wave is drawn; `place` says where in the part each of them is. `models` has
    the arm and the digest of the model by whose score each was judged, null where the scores do not say.
    """

    customer_id: pa.Array
    verdict: npt.NDArray[np.int16]
    offers: Offers
    wave_since: pa.Array
    candidates: Candidates
    place: Ints
    models: pa.Table


def judge(rows: pa.Table, terms: Terms, past: Past) -> Judged:
    """Filters and values one part of the base.

    `rows` has customer_id, probability, customer_value, the score table's reason columns where the policy asks for
    reasons, the terms' columns, and model_digest where there is a prior; of whom a challenger decides, its scores and
    reasons.
    """
    rows = terms.believed(rows)
    policy, keys = terms.policy, rows["customer_id"].combine_chunks()
    offered = offers(rows, _customer_value(rows, policy), policy, terms.effects(rows))
    stays = _stays(keys, past)
    is_open = np.stack([~_among(keys, closed) for closed in past.closed], axis=1) & ~stays.resting[:, None]
    verdict = _verdicts(rows, terms, offered, is_open)
    place = np.flatnonzero(verdict == code_of(policy, Status.BEYOND_CAPACITY))
    worth = np.where(_pays(offered, policy) & is_open, offered.worth, -np.inf)[place]
    candidates = _candidates(rows.take(pa.array(place)), worth, stays.of(place), terms)
    candidates = replace(candidates, homes_lately=_homes_lately(rows, stays, place, terms))
    return Judged(keys, verdict, offered, stays.since, candidates, place, _models(rows))


def homes_away(parts: Iterable[Judged], past: Past) -> pa.Array:
    """The household of each who was in a wave lately and is in no part: he counts for its limit like who is."""
    here = [part.customer_id.filter(pc.is_valid(part.wave_since)).cast(pa.string()) for part in parts]
    away = pc.invert(pc.is_in(past.wave["customer_id"], pa.concat_arrays([pa.array([], pa.string()), *here])))
    return past.wave.filter(away)["household"].combine_chunks()


def code_of(policy: Policy, status: Status) -> int:
    """The verdict that stands for a status of the program's own."""
    return len(policy.suppress) + list(Status).index(status)


def _verdicts(rows: pa.Table, terms: Terms, offered: Offers, is_open: Flags) -> npt.NDArray[np.int16]:
    """The first that applies: a suppression rule, then each of the program's own statuses in this order, from below."""
    policy = terms.policy
    pays = _pays(offered, policy)
    # A customer who would be worth it, had the one channel that answers him not been used lately, is cooling down.
    only_closed = (pays & ~is_open).any(axis=1)
    verdict = np.full(rows.num_rows, code_of(policy, Status.NOT_WORTH_IT), np.int16)
    for status, applies in (
        (Status.COOLING_DOWN, only_closed),
        (Status.BEYOND_CAPACITY, (pays & is_open).any(axis=1)),
        (Status.NO_ACTION, ~offered.answered),
        (Status.COOLING_DOWN, ~is_open.any(axis=1)),
    ):
        verdict[applies] = code_of(policy, status)
    for number, rule in reversed(list(enumerate(policy.suppress))):
        verdict[_applies(rule, rows, where_unknown=rule.column in terms.consents)] = number
    return verdict


def _pays(offered: Offers, policy: Policy) -> Flags:
    return np.asarray(offered.worth > policy.minimum_expected_value)


@dataclass(frozen=True, slots=True, eq=False)
class _Stays:
    """Since when each customer was in a wave, if late; whether the stay goes on, and whether he is held out in it.

    `homes` has the household and the arm of everybody whose stay goes on, in whatever part of the base he is.
    """

    since: pa.Array
    staying: Flags
    held_out: Flags
    homes: pa.Table

    @property
    def resting(self) -> Flags:
        """Whose stay is over too short a while."""
        return np.asarray(pc.is_valid(self.since)) & ~self.staying

    def of(self, place: Ints) -> _Stays:
        return _Stays(self.since.take(pa.array(place)), self.staying[place], self.held_out[place], self.homes)


def _candidates(rows: pa.Table, worth: Floats, stays: _Stays, terms: Terms) -> Candidates:
    keys = rows["customer_id"].combine_chunks()
    homes = _households(rows, terms)
    return Candidates(
        customer_id=keys,
        household=homes,
        team=_teams(rows, homes, terms.policy),
        worth=worth,
        staying=stays.staying,
        held_out=_held_out(keys, homes, stays, terms),
    )


def _households(rows: pa.Table, terms: Terms) -> pa.Array:
    """The household of each, null where none is known: a blank is no name, or all whom it stands for would be one."""
    if not terms.household:
        return pa.nulls(rows.num_rows, pa.string())
    named = rows[terms.household].combine_chunks().cast(pa.string())
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(named), ""), None, named)


def _homes_lately(rows: pa.Table, stays: _Stays, candidates: Ints, terms: Terms) -> pa.Array:
    """The household of each who was in a wave lately and is no candidate: he still counts for its limit."""
    lately = np.asarray(pc.is_valid(stays.since)).copy()
    lately[candidates] = False
    return _households(rows.filter(pa.array(lately)), terms)


def _held_out(keys: pa.Array, homes: pa.Array, stays: _Stays, terms: Terms) -> Flags:
    holdout = terms.policy.holdout
    units = units_of(keys, homes if holdout.unit == "household" else None)
    lot = held_out(units, Experiment.on(holdout.experiment, terms.as_of, holdout.valid_days), holdout.share)
    if holdout.unit == "household":
        lot = _as_at_home(lot, homes, stays)
    # A stay keeps its arm when lots are drawn anew: else who was held out would be contacted while he is watched.
    return np.where(stays.staying, stays.held_out, lot)


def _as_at_home(lot: Flags, homes: pa.Array, stays: _Stays) -> Flags:
    """The lot, but of whose household a member stays that member's arm: what one is told the others hear.

    Where some of a household stay in either arm, since one of them moved there, nobody joins those who are contacted.
    """
    spared, called = (
        _among(homes, stays.homes.filter(arm)["household"].drop_null().combine_chunks())
        for arm in (stays.homes["held_out"], pc.invert(stays.homes["held_out"]))
    )
    return spared | (lot & ~called)


def _challenged(keys: pa.Array, homes: pa.Array, terms: Terms) -> Flags:
    lot = terms.policy.challenger_traffic
    units = units_of(keys, homes if lot.unit == "household" else None)
    period = Experiment.on(lot.experiment, terms.as_of, lot.valid_days)
    return np.asarray(arms(units, period, [1.0 - lot.share, lot.share]) == list(ModelArm).index(ModelArm.CHALLENGER))


def _models(rows: pa.Table) -> pa.Table:
    """By places in dictionaries, since the words are few and the customers many."""
    untold = pa.nulls(rows.num_rows, CODED)
    told = {name: rows[name].cast(CODED) for name in (MODEL_ARM, MODEL) if name in rows.column_names}
    return pa.table({name: told.get(name, untold) for name in (MODEL_ARM, MODEL)})


def _teams(rows: pa.Table, homes: pa.Array, policy: Policy) -> Ints:
    """The place of each customer's team among the policy's; chance deals a household to one team as a whole."""
    if not policy.team_by:
        keys = units_of(rows["customer_id"].combine_chunks(), homes)
        return arms(keys, Experiment(f"{policy.name}-teams"), [team.share for team in policy.teams])
    column = rows[policy.team_by].combine_chunks()
    rest = next(place for place, team in enumerate(policy.teams) if not team.of)
    place = np.full(len(column), rest, np.int64)
    for number, team in enumerate(policy.teams):
        if team.of:
            place[_among(column, pa.array(team.of))] = number
    return place


def _stays(keys: pa.Array, past: Past) -> _Stays:
    found = pc.index_in(keys.cast(pa.string()), past.wave["customer_id"].combine_chunks())
    since, staying, spared = (
        past.wave[name].combine_chunks().take(found) for name in ("wave_since", "staying", "held_out")
    )
    go_on = past.wave.filter(past.wave["staying"])
    return _Stays(since, np.asarray(pc.fill_null(staying, False)), np.asarray(pc.fill_null(spared, False)), go_on)


def _customer_value(rows: pa.Table, policy: Policy) -> Floats:
    """What keeping each is worth; NaN where that is not known, or beyond all numbers."""
    value = policy.customer_value
    money = np.asarray(rows[value.column or "customer_value"], np.float64) * value.multiplier
    return np.where(np.isfinite(money), money, np.nan)


def _applies(rule: Suppression, rows: pa.Table, *, where_unknown: bool) -> Flags:
    column = rows[rule.column]
    wanted = pa.scalar(rule.equals).cast(column.type)
    return np.asarray(pc.fill_null(pc.equal(column, wanted), where_unknown))


def _among(values: pa.Array, wanted: pa.Array) -> Flags:
    plain = values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values
    return np.asarray(pc.is_in(plain, wanted.cast(plain.type)))
