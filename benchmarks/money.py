"""What decision rules earn on simulated telecoms, by what would truly have become of every customer.

Each telecom is simulated for 24 months. The model is trained once, and in each of the last six months every rule picks
whom to contact, and how, from the same scores under the same capacity and consent. A customer who would have left and
does not brings his value; every contact costs, and whoever stays takes the offer. Only the oracle looks at the truth.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.beliefs import Belief, believing, expected_gains, keep_probabilities, learned
from benchmarks.scored_truth import kept_or_made
from churn.allocation import NOWHERE
from churn.experiment import Experiment, held_out, units_of
from churn.scorecard import Floats, one_array
from churn.simulator import Simulation
from churn.training.uplift import FEWEST_CHURNERS
from churn.wave import Candidates, draw
from schemas.policy import Action, Channel, Policy, Team
from store.policies import read_policy

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

MONTHS, TEST_MONTHS, CAPACITY = 24, 6, 2_000

# What these telecoms earned was looked at before causes, the share held out and when to learn were settled.
SEEN = range(1, 21)

# The telecom's policy has no such action. Its agent takes four minutes to go through the customer's bill.
PLAN = Action(
    name="plan_recommendation",
    channel="phone",
    offer_cost=0.0,
    contact_cost=1.0,
    keep_probability=0.2,
    says="Recommend the plan that would have been cheapest.",
)

# How far off the policy's beliefs may be: trials of other companies tell little of this one.
SPREADS = {"complaint": 0.15, "ticket": 0.15, "old_handset": 0.10, "dearer_plan": 0.10}

# What actions were believed to keep of whoever has the reason, whatever the cause: p*g*V.
ONE_BELIEF = {
    "service_call": {"keep_probability": 0.35, "answers": ("complaints_open",)},
    "device_upgrade": {"keep_probability": 0.15, "answers": ("handset_age_days",)},
    "discount": {"keep_probability": 0.20, "answers": ("price_change_3m", "price_change_6m")},
}

# The same by cause, and how far off those may be: who does not know what was published knows less.
IGNORANT = {"complaint": (0.35, 0.25), "ticket": (0.35, 0.25), "old_handset": (0.15, 0.15), "dearer_plan": (0.20, 0.15)}


class Earned(NamedTuple):
    """Money of all months by what became of customers, and by the probabilities behind it; how many were contacted.

    `lot` is what those who were held out would have brought, by probabilities: the price of learning.
    """

    money: float
    expected: float
    contacts: float
    lot: float


class Choice(NamedTuple):
    """What a rule makes of a month: what each action is worth [n, actions], and who is left out by lot [n]."""

    worth: Floats
    held_out: Flags


class Listed(NamedTuple):
    """The places of those who are contacted, those whom the lot left out, and the action for each customer."""

    contacted: Ints
    spared: Ints
    action: Ints


Rule = Callable[[pa.Table, pa.Table], Choice]  # of a month's customers, and of all members of earlier waves

RULES = {
    "oracle": "Who gains most by the true probabilities, with all four actions",
    "policy": "The telecom's policy as it ships: causes with published beliefs; one in fifty is held out by lot",
    "beliefs_alone": "The same causes and beliefs, nobody held out",
    "learning": "The policy, its beliefs moved by each wave however small",
    "lot_alone": "The same without what was published: one belief per action, moved by each wave",
    "risk_value": "p*g*V: one g per action, for who has a reason that it answers",
    "risk_reasons": "The highest risks of those who have a reason that an action answers, with that action",
    "risk_only": "The highest risks, with a plan recommendation",
    "random": "Anybody, with any action of the policy",
}
COMPARED = ("beliefs_alone", "learning", "lot_alone", "risk_value", "risk_reasons", "risk_only", "random")


def main() -> None:
    """Lets every rule decide for every telecom, prints the table, and the figures as the last line."""
    chosen = _arguments()
    began = time.perf_counter()
    with ProcessPoolExecutor(chosen.processes, get_context("spawn")) as elsewhere:
        seeds = range(chosen.seed, chosen.seed + chosen.seeds)
        earned = list(elsewhere.map(partial(money_of, customers=chosen.customers, keep=chosen.keep), seeds))
    unseen = [one for seed, one in zip(seeds, earned, strict=True) if seed not in SEEN]
    found = figures(earned) | {
        "unseen": figures(unseen) if unseen else None,
        "seeds": chosen.seeds,
        "customers": chosen.customers,
        "seconds": round(time.perf_counter() - began),
        "load": round(os.getloadavg()[0], 1),
    }
    page = _page(earned, found, chosen)
    if chosen.to:
        chosen.to.write_text(page, encoding="utf-8")
    print(page)
    print(json.dumps(found))


def money_of(seed: int, customers: int, keep: Path | None = None) -> dict[str, Earned]:
    """What each rule earns of one telecom in its last months."""
    rows = kept_or_made(Simulation(customers, MONTHS, seed), TEST_MONTHS, keep)
    as_ofs = sorted(pc.unique(rows["as_of"]).to_pylist())
    months = [allowed(rows.filter(pc.equal(rows["as_of"], pa.scalar(as_of)))) for as_of in as_ofs]
    return {name: earned_by(rule, months) for name, rule in rules(seed).items()}


def figures(earned: Sequence[Mapping[str, Earned]]) -> dict[str, Any]:
    """The mean money of a telecom by rule, shares of the oracle's, and by how much the policy is ahead, with ends."""
    money, expected = ({name: _of(earned, name, kind) for name in RULES} for kind in ("money", "expected"))
    means: dict[str, Any] = {name: round(float(of_rule.mean())) for name, of_rule in money.items()}
    return (
        means
        | {f"share_{name}": _share_with_ends(money[name], money["oracle"]) for name in ("policy", "risk_value")}
        | {"share_policy_by_probabilities": _share_with_ends(expected["policy"], expected["oracle"])}
        | {f"policy_over_{name}": _mean_with_ends(money["policy"] - money[name]) for name in COMPARED}
        | {f"policy_over_{name}_expected": _mean_with_ends(expected["policy"] - expected[name]) for name in COMPARED}
        | {"cost_of_the_lot": _mean_with_ends(_of(earned, "policy", "lot"))}
    )


def catalogue() -> Policy:
    """The telecom's actions and the plan recommendation, for one team that reaches whom it wants as it wants."""
    policy = read_policy("telco").policy
    anyhow = [action.model_copy(update={"channel": "any"}) for action in (*policy.actions, PLAN)]
    return policy.model_copy(
        update={
            "actions": tuple(anyhow),
            "channels": (Channel(name="any"),),
            "teams": (Team(name="retention", capacity=CAPACITY),),
            "team_by": "",
            "household_limit": None,
        }
    )


def allowed(rows: pa.Table) -> pa.Table:
    """Those whom the telecom may contact."""
    return rows.filter(pc.and_(rows["marketing_consent"], pc.invert(rows["do_not_contact"])))


def numbers(rows: pa.Table, name: str) -> Floats:
    """The column as float64; true is 1. Shape (n,)."""
    return np.asarray(one_array(rows, name).cast(pa.float64()).to_numpy(zero_copy_only=False))


def rules(seed: int) -> dict[str, Rule]:
    """Each rule by its name; chance is that of the seed."""
    policy, chance = catalogue(), np.random.default_rng(seed)
    return {
        "oracle": lambda rows, _: _everybody(_true_gains(rows, policy)),
        "policy": lambda rows, _: _with_lot(rows, policy),
        "beliefs_alone": lambda rows, _: _everybody(_gains(rows, policy, _standing(rows, policy))),
        "learning": lambda rows, members: _with_lot(rows, believing(policy, learned(published(), members))),
        "lot_alone": lambda rows, members: _with_lot(rows, believing(policy, learned(ignorant(), members))),
        "risk_value": lambda rows, _: _everybody(_gains(rows, policy, _standing(rows, by_reasons(policy)))),
        "risk_reasons": lambda rows, _: _everybody(_by_risk(rows, _standing(rows, by_reasons(policy)))),
        "risk_only": lambda rows, _: _everybody(_by_risk(rows, _only(rows, policy, PLAN.name))),
        "random": lambda rows, _: _everybody(_anyhow(rows, policy, chance)),
    }


def published() -> list[Belief]:
    """What the policy believes before the first wave."""
    actions = read_policy("telco").policy.actions
    return [Belief(action.name, cause, SPREADS[cause.name]) for action in actions for cause in action.causes]


def ignorant() -> list[Belief]:
    """What is believed of the same causes by who does not know what was published."""
    believed = [(belief, *IGNORANT[belief.cause.name]) for belief in published()]
    return [
        Belief(belief.action, belief.cause.model_copy(update={"keeps": keeps}), spread)
        for belief, keeps, spread in believed
    ]


def by_reasons(policy: Policy) -> Policy:
    """The policy with one belief per action, which goes to who has a reason that it answers."""
    actions = (action.model_copy(update={"causes": (), **ONE_BELIEF.get(action.name, {})}) for action in policy.actions)
    return policy.model_copy(update={"actions": tuple(actions)})


def _with_lot(rows: pa.Table, policy: Policy) -> Choice:
    """By causes, and who is left out by the policy's own lot."""
    lots = policy.holdout
    as_of = rows["as_of"][0].as_py()
    units = units_of(one_array(rows, "customer_id"), one_array(rows, "household_id"))
    spared = held_out(units, Experiment.on(lots.experiment, as_of, lots.valid_days), lots.share)
    return Choice(_gains(rows, policy, _standing(rows, policy)), spared)


def _standing(rows: pa.Table, policy: Policy) -> Floats:
    """The policy's own keep probabilities, of the actions that the telecom has."""
    keep = keep_probabilities(rows, policy)
    keep[:, _place(policy, PLAN.name)] = np.nan
    return keep


def _only(rows: pa.Table, policy: Policy, action: str) -> Floats:
    keep = np.full((rows.num_rows, len(policy.actions)), np.nan)
    keep[:, _place(policy, action)] = 1.0
    return keep


def _gains(rows: pa.Table, policy: Policy, keep: Floats) -> Floats:
    risk = numbers(rows, "probability")
    return expected_gains(risk, risk[:, None] * keep, numbers(rows, "customer_value"), policy)


def _true_gains(rows: pa.Table, policy: Policy) -> Floats:
    risk = numbers(rows, "p0")
    effects = np.stack([risk - numbers(rows, f"p1_{action.name}") for action in policy.actions], axis=1)
    return expected_gains(risk, effects, numbers(rows, "customer_value"), policy)


def _by_risk(rows: pa.Table, keep: Floats) -> Floats:
    """The risk, for the action that is offered and keeps most."""
    best = keep == np.nanmax(np.where(np.isnan(keep), -np.inf, keep), axis=1, keepdims=True)
    return np.where(best, numbers(rows, "probability")[:, None], -np.inf)


def _anyhow(rows: pa.Table, policy: Policy, chance: np.random.Generator) -> Floats:
    worth = np.full((rows.num_rows, len(policy.actions)), -np.inf)
    own = [place for place, action in enumerate(policy.actions) if action.name != PLAN.name]
    worth[np.arange(rows.num_rows), chance.choice(own, rows.num_rows)] = chance.random(rows.num_rows)
    return worth


def _everybody(worth: Floats) -> Choice:
    return Choice(worth, np.zeros(len(worth), np.bool_))


def earned_by(rule: Rule, months: Sequence[pa.Table]) -> Earned:
    """The rule's months one after the other: of each it learns only from the waves before."""
    policy, members, sums = catalogue(), _no_members(months[0]), []
    for rows in months:
        listed = _listed(rule(rows, members), rows, policy)
        members = pa.concat_tables([members, _members(rows, listed, policy)])
        sums.append(_brought(rows, listed, policy))
    return Earned(*np.sum(sums, axis=0).tolist())


def _listed(choice: Choice, rows: pa.Table, policy: Policy) -> Listed:
    """The wave as the night draws it: filter first, rank after, and who is held out takes no place."""
    action, worth = choice.worth.argmax(axis=1), choice.worth.max(axis=1)
    place = np.flatnonzero(worth > 0.0)
    count = len(place)
    candidates = Candidates(
        customer_id=one_array(rows, "customer_id").take(pa.array(place)),
        household=pa.nulls(count, pa.string()),
        team=np.zeros(count, np.int64),
        worth=worth[place, None],
        staying=np.zeros(count, np.bool_),
        held_out=choice.held_out[place],
    )
    seated = draw([candidates], policy).parts[0].channel != NOWHERE
    spared = candidates.held_out
    return Listed(place[seated & ~spared], place[seated & spared], action)


def _brought(rows: pa.Table, listed: Listed, policy: Policy) -> Earned:
    """What a month brought."""
    money = expected = lot = 0.0
    for place, action in enumerate(policy.actions):
        contacted, spared = (
            rows.take(pa.array(arm[listed.action[arm] == place])) for arm in (listed.contacted, listed.spared)
        )
        money += _paid(contacted, "churned_untouched", f"churned_{action.name}", action)
        expected += _paid(contacted, "p0", f"p1_{action.name}", action)
        lot += _paid(spared, "p0", f"p1_{action.name}", action)
    return Earned(money, expected, len(listed.contacted), lot)


def _paid(rows: pa.Table, untouched: str, touched: str, action: Action) -> float:
    """What contacts bring: the value of who would have left and stays, less contacts, and offers to who stays."""
    before, after = numbers(rows, untouched), numbers(rows, touched)
    kept = (before - after) * numbers(rows, "customer_value")
    return float((kept - action.contact_cost - action.offer_cost * (1.0 - after)).sum())


def _members(rows: pa.Table, listed: Listed, policy: Policy) -> pa.Table:
    """The wave as the company can see it: who was listed or held out, for which action, and who left."""
    places = np.concatenate([listed.contacted, listed.spared])
    spared = np.arange(len(places)) >= len(listed.contacted)
    those, actions = rows.take(pa.array(places)), listed.action[places]
    fates = ["churned_untouched", *(f"churned_{action.name}" for action in policy.actions)]
    outcomes = np.stack([numbers(those, name) for name in fates], axis=1)
    columns = {
        "action": pa.array([action.name for action in policy.actions]).take(pa.array(actions)),
        "held_out": pa.array(spared),
        "churned": pa.array(outcomes[np.arange(len(places)), np.where(spared, 0, actions + 1)]),
    }
    return pa.table(columns | {name: those[name] for name in _remembered()})


def _no_members(rows: pa.Table) -> pa.Table:
    nobody = np.empty(0, np.int64)
    return _members(rows.slice(0, 0), Listed(nobody, nobody, nobody), catalogue())


def _remembered() -> list[str]:
    return ["probability", *sorted({name for action in catalogue().actions for name in action.cause_columns})]


def _place(policy: Policy, name: str) -> int:
    return [action.name for action in policy.actions].index(name)


def _of(earned: Sequence[Mapping[str, Earned]], rule: str, kind: str) -> Floats:
    return np.array([getattr(one[rule], kind) for one in earned])


def _mean_with_ends(values: Floats) -> list[int]:
    return [round(value) for value in (values.mean(), *np.percentile(_again(values).mean(axis=1), (2.5, 97.5)))]


def _share_with_ends(part: Floats, whole: Floats) -> list[float]:
    together = _again(np.stack([part, whole], axis=1)).sum(axis=1)
    ends = np.percentile(together[:, 0] / together[:, 1], (2.5, 97.5))
    return [round(float(share), 3) for share in (part.sum() / whole.sum(), *ends)]


def _again(values: Floats) -> Floats:
    """The telecoms drawn again and again with replacement: 10,000 samples of as many."""
    drawn = np.random.default_rng(0).integers(0, len(values), (10_000, len(values)))
    return np.asarray(values[drawn])


def _page(earned: Sequence[Mapping[str, Earned]], found: Mapping[str, Any], chosen: argparse.Namespace) -> str:
    """What was done, what each rule earned, and by how much the policy is ahead of the others."""
    share, by_probabilities = found["share_policy"], found["share_policy_by_probabilities"]
    return "\n".join(
        [
            *_preface(chosen),
            "| rule | what it does | money | by true probabilities | contacts | share of the oracle's |",
            "|---|---|---:|---:|---:|---:|",
            *(_line(name, earned) for name in RULES),
            "\nThe policy is ahead by so much, with the 95 % interval over telecoms:\n",
            "| of | EUR a telecom | from | to | by true probabilities | from | to |",
            "|---|---:|---:|---:|---:|---:|---:|",
            *(_ahead(name, found) for name in COMPARED),
            f"\nIt earns {_share(share)} of the oracle's money, and {_share(by_probabilities)} by true probabilities,"
            f" without their luck. The cost of the holdout is included: {found['cost_of_the_lot'][0]:,} EUR.\n",
            "Nights decide by the row policy: its actions, causes, beliefs and lot are those of"
            " schemas/policies/telco.yaml, whose limits by team, channel, household and rest come on top. Waves of some"
            " hundreds hold out too few to learn from: beliefs that each wave moves earn less (learning). So only who"
            " writes the policy moves them, and measured effects leave a customer alone at the earliest once"
            f" {FEWEST_CHURNERS} of those held out have left, which here they never have.\n",
            *_of_the_unseen(found["unseen"], chosen),
        ]
    )


def _of_the_unseen(found: Mapping[str, Any] | None, chosen: argparse.Namespace) -> Iterator[str]:
    """What the policy earned where nobody had looked before its causes and its lot were settled."""
    last = chosen.seed + chosen.seeds - 1
    if found is None or chosen.seed > SEEN.start:
        return
    value, low, high = found["policy_over_risk_value"]
    by_probabilities, from_, to = found["policy_over_risk_value_expected"]
    yield (
        f"Seeds {SEEN.start} to {SEEN.stop - 1} were looked at before causes, the share held out and when to learn were"
        f" settled. Over seeds {SEEN.stop} to {last} alone, which nobody had seen, it earns"
        f" {_share(found['share_policy'])} of the oracle's money, and {value:,} EUR ({low:,} to {high:,}) more than"
        f" risk_value; by true probabilities {by_probabilities:,} EUR ({from_:,} to {to:,}).\n"
    )


def _preface(chosen: argparse.Namespace) -> Iterator[str]:
    yield "# What the outreach list earns\n"
    yield (
        f"{chosen.seeds} simulated telecoms (seeds {chosen.seed} to {chosen.seed + chosen.seeds - 1}) of"
        f" {chosen.customers:,} customers, {TEST_MONTHS} months each, at most {CAPACITY:,} contacts a month. Money is"
        " in EUR a telecom, counted by what would truly have become of each customer with and without the contact.\n"
    )
    yield f"Made by `{_command(chosen)} --to docs/money.md`.\n"


def _ahead(name: str, found: Mapping[str, Any]) -> str:
    figures_of = (*found[f"policy_over_{name}"], *found[f"policy_over_{name}_expected"])
    return f"| {name} | {' | '.join(f'{figure:,}' for figure in figures_of)} |"


def _share(figure: Sequence[float]) -> str:
    value, low, high = figure
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


def _line(name: str, earned: Sequence[Mapping[str, Earned]]) -> str:
    money, expected, contacts, _ = np.mean([one[name] for one in earned], axis=0).tolist()
    share = money / _of(earned, "oracle", "money").mean()
    return f"| {name} | {RULES[name]} | {money:,.0f} | {expected:,.0f} | {contacts:,.0f} | {share:.1%} |"


def _command(chosen: argparse.Namespace) -> str:
    return f"python benchmarks/money.py --seeds {chosen.seeds} --seed {chosen.seed} --customers {chosen.customers}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--keep", type=Path, help="a folder to keep scored telecoms in, and to read them from")
    parser.add_argument("--to", type=Path, help="where to write the page, such as docs/money.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
