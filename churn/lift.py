"""What waves saved: listed customers against those held out by lot, whether they were contacted or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from churn.experiment import units_of
from churn.lift_figures import MODEL_SCOPES, CustomersDealt, Figure, Heads, Lift, Size, in_words, which_saved_more
from churn.scorecard import Floats, one_array
from churn.spending import Terms, Yes, flags_of, with_terms
from churn.trial import (
    Arms,
    Interval,
    Losses,
    clustering,
    customers_needed,
    loss_difference,
    risk_difference,
    sample_ratio_p,
)
from schemas.lift import ALL_ACTIONS, Scope, Verdict

NO_LOT = 0.001  # a lot splits customers so unevenly once in a thousand waves
ENOUGH_CHURNERS = 10  # of those held out, to take their rate for what happens without contacts
DAYS_A_WEEK = 7
EXAMPLES = 3

_STRATUM = ("policy_digest", "segment", "band")


def lifts(members: pa.Table, policies: Sequence[Terms]) -> list[Lift]:
    """The comparisons of `members`: of all waves together, then of each; all actions together, then each.

    Where a challenger decided about a share, those of its and of the champion's share come last, for all actions.
    A customer counts once. Columns: MEMBERS, churned, contacted, accepted. Strata are policy, segment and risk band of
    the published score, which is the champion's of a challenger's share, too: it was known before the lot, so that both
    sides of each comparison are alike in it, and bands of one model are the same customers' in either share.
    The lot and the money are told by the terms of the policy that decided the wave, where those are known.
    """
    if not members.num_rows:
        return []
    members = with_terms(members, policies)
    dates = sorted(pc.unique(members["as_of"]).to_pylist())
    weeks = ((dates[-1] - dates[0]).days + 1) / DAYS_A_WEEK
    found = [
        _lift(_Compared(scope, action, part), of_action.num_rows / weeks)
        for action, of_action in _by_action(members)
        for scope, part in _by_scope(of_action)
    ]
    return found + _of_models(members, weeks)


class _Compared:
    """The customers of one comparison, as arrays."""

    def __init__(self, scope: Scope, action: str, members: pa.Table) -> None:
        self.scope, self.action, self.members = scope, action, members
        self.held_out = flags_of(members, "held_out")
        self.churned = flags_of(members, "churned")
        self.stratum = _strata(members)
        self.unit = _units(members)

    @property
    def heads(self) -> Heads:
        contacted, accepted = (flags_of(self.members, name) for name in ("contacted", "accepted"))
        listed = ~self.held_out
        counted = (
            listed,
            self.held_out,
            listed & self.churned,
            self.held_out & self.churned,
            listed & contacted,
            listed & accepted,
            self.held_out & contacted,
        )
        return Heads(*(int(which.sum()) for which in counted))

    @property
    def effect(self) -> Figure | None:
        """How much less of the listed left; None where no stratum has both arms."""
        arms = [self._summed(arm) for held_out in (False, True) for arm in self._arm(held_out=held_out)]
        return _widened(_figure(risk_difference(Arms(*arms))), self._clustering(self.churned.astype(np.float64)))

    @property
    def kept(self) -> Figure | None:
        """The value that contacts kept per listed customer, before what they cost."""
        each = _figure(loss_difference(self._losses(held_out=False), self._losses(held_out=True)))
        lost = _widened(each, self._clustering(self.churned * _numbers(self.members, "customer_value")))
        return None if lost is None else Figure(-lost.value, -lost.high, -lost.low)

    @property
    def spent(self) -> float:
        """What the contacts cost, of those whose cost is known."""
        return float(pc.sum(self.members["spent"]).as_py() or 0.0)

    @property
    def saved(self) -> Figure | None:
        """The value kept less what contacts cost; None where nobody knows a customer's value or cost."""
        kept, listed = self.kept, int((~self.held_out).sum())
        if kept is None or self.members["spent"].null_count or self.members["customer_value"].null_count:
            return None
        return Figure(*(listed * each - self.spent for each in kept))

    @property
    def sample_ratio_p(self) -> float | None:
        """The chance of so uneven a lot among those whose policy is known; None where those hold nobody out.

        A unit counts once, with its first customer: its later lots may be the same one, or drawn anew.
        """
        share = _numbers(self.members, "share")
        _, first = np.unique(self.unit, return_index=True)
        drawn = first[share[first] > 0.0]
        return sample_ratio_p(self.held_out[drawn], share[drawn], self.stratum[drawn]) if drawn.size else None

    def _clustering(self, outcome: Floats) -> float:
        return clustering(outcome, self.held_out, self.stratum, self.unit)

    def _arm(self, *, held_out: bool) -> tuple[Yes, Yes]:
        arm = self.held_out == held_out
        return arm, arm & self.churned

    def _losses(self, *, held_out: bool) -> Losses:
        arm, left = self._arm(held_out=held_out)
        value = _numbers(self.members, "customer_value")
        return Losses(self._summed(arm), self._summed(left, value), self._summed(left, value**2))

    def _summed(self, which: Yes, weights: Floats | None = None) -> Floats:
        """How many of the customers each stratum has, or the sum of their weights."""
        chosen = None if weights is None else weights[which]
        strata = int(self.stratum.max()) + 1
        return np.bincount(self.stratum[which], chosen, minlength=strata).astype(np.float64)


def _by_action(members: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    yield ALL_ACTIONS, members
    actions = pc.unique(members["action"].drop_null()).to_pylist()
    if len(actions) > 1:
        yield from ((action, members.filter(pc.equal(members["action"], action))) for action in sorted(actions))


def _by_scope(members: pa.Table) -> Iterator[tuple[Scope, pa.Table]]:
    yield Scope.WAVES, members
    for as_of in sorted(pc.unique(members["as_of"]).to_pylist()):
        yield Scope.WAVE, members.filter(pc.equal(members["as_of"], as_of))


def _of_models(members: pa.Table, weeks: float) -> list[Lift]:
    """What the champion's share saved and what the challenger's did, which also says who saved more."""
    arm_of = members["model_arm"].cast(pa.string())
    arms = {arm: members.filter(pc.equal(arm_of, arm.value)) for arm in MODEL_SCOPES}
    if not all(theirs.num_rows for theirs in arms.values()):
        return []
    champion, challenger = (
        _lift(_Compared(arm, ALL_ACTIONS, theirs), theirs.num_rows / weeks) for arm, theirs in arms.items()
    )
    which = which_saved_more(champion, challenger, _dealt(members.filter(pc.is_valid(arm_of))))
    return [champion, replace(challenger, says=f"{challenger.says} {which}")]


def _dealt(members: pa.Table) -> CustomersDealt | None:
    """How many customers the lot dealt to either model in the waves of these; None where one of them did not tell."""
    names = [f"{name}_customers" for name in CustomersDealt._fields]
    of_waves = members.group_by("as_of").aggregate([(name, "max") for name in names])
    summed = [pc.sum(of_waves[f"{name}_max"], skip_nulls=False).as_py() for name in names]
    return None if None in summed else CustomersDealt(*summed)


def _lift(one: _Compared, pace: float) -> Lift:
    """`pace` is how many customers come into waves in a week."""
    heads, effect, dates = one.heads, one.effect, one.members["as_of"]
    ratio, size, saved = one.sample_ratio_p, _size(one, heads, pace), one.saved
    verdict = _verdict(heads, effect, size, ratio)
    return Lift(
        scope=one.scope,
        first_as_of=pc.min(dates).as_py(),
        last_as_of=pc.max(dates).as_py(),
        action=one.action,
        heads=heads,
        effect=effect,
        saved=saved,
        spent=one.spent,
        sample_ratio_p=ratio,
        size=size,
        verdict=verdict,
        alarm=_alarm(one, heads, ratio),
        says=in_words(verdict, heads, size, effect, saved),
    )


def _size(one: _Compared, heads: Heads, pace: float) -> Size:
    rate = _rate_without_contacts(one, heads)
    if not (heads.listed and heads.held_out and 0.0 < rate < 1.0):
        return Size(None, None)
    needed = customers_needed(rate, heads.held_out / heads.both)
    if one.scope is Scope.WAVE:
        return Size(needed, None)
    # Not a horizon more: waves come of age as steadily as they are drawn, and those of the last horizon are under way.
    return Size(needed, ceil(max(needed - heads.both, 0) / pace))


def _rate_without_contacts(one: _Compared, heads: Heads) -> float:
    """As many as left of those held out; where too few did to say, as many as the scores predicted."""
    if heads.held_out_churned >= ENOUGH_CHURNERS:
        return heads.held_out_churned / heads.held_out
    return float(_numbers(one.members, "probability").mean())


def _alarm(one: _Compared, heads: Heads, ratio: float | None) -> str | None:
    found = []
    if ratio is not None and ratio < NO_LOT:
        split = f"{heads.held_out} of {heads.both} held out"
        found.append(f"{split} is no lot of the policy's share, over all and in each stratum (p = {ratio:.1g})")
    if heads.leaked:
        nevertheless = pa.array(one.held_out & flags_of(one.members, "contacted"))
        keys = one.members["customer_id"].filter(nevertheless).slice(0, EXAMPLES).to_pylist()
        found.append(f"{heads.leaked} held out were contacted nevertheless: {', '.join(map(str, keys))}")
    return "; ".join(found) or None


def _verdict(heads: Heads, effect: Figure | None, size: Size, ratio: float | None) -> Verdict:
    if ratio is not None and ratio < NO_LOT:
        return Verdict.NOT_TRUSTED
    if effect is None or size.needed is None or heads.both < size.needed:
        return Verdict.NOT_YET
    if effect.high < 0.0:
        return Verdict.SAVES
    return Verdict.HARMS if effect.low > 0.0 else Verdict.NO_DIFFERENCE


def _figure(found: Interval) -> Figure | None:
    """The interval in plain numbers; None where it could not be told."""
    figure = Figure(*(float(each) for each in found))
    return figure if np.isfinite(figure).all() else None


def _widened(figure: Figure | None, factor: float) -> Figure | None:
    """The figure with an interval that is so many times as wide."""
    if figure is None:
        return None
    value, low, high = figure
    return Figure(value, value - factor * (value - low), value + factor * (high - value))


def _units(members: pa.Table) -> npt.NDArray[np.int64]:
    """The number of what each customer's lot was drawn for; his own where a list of an earlier release did not tell."""
    alone = units_of(one_array(members, "customer_id"), None)
    named = pc.coalesce(one_array(members, "unit").cast(pa.string()), alone)
    return np.asarray(named.dictionary_encode().indices.to_numpy(), np.int64)


def _strata(members: pa.Table) -> npt.NDArray[np.int64]:
    """The number of each customer's stratum."""
    parts = [members[name].cast(pa.string()) for name in _STRATUM]
    joined = pc.binary_join_element_wise(*parts, "\n", null_handling="replace", null_replacement="")
    return np.asarray(joined.combine_chunks().dictionary_encode().indices.to_numpy(), np.int64)


def _numbers(members: pa.Table, name: str) -> Floats:
    return np.asarray(one_array(members, name).fill_null(0.0).to_numpy(zero_copy_only=False), np.float64)
