"""From which size of a randomised trial on two scorecards tell better whom a service call keeps than p*g*V does.

Customers of some telecoms get the call by lot, half of them; what they teach is tried on another telecom, whose months
are a trial of the same kind: so the gain is known by truth, and as its own lot would tell it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.beliefs import expected_gains, keep_probabilities
from benchmarks.money import CAPACITY, MONTHS, TEST_MONTHS, allowed, catalogue, numbers
from benchmarks.scored_truth import kept_or_made
from churn.off_policy import NOTHING, Ints, Logged, Value, pays, value_gained
from churn.ranking import Floats
from churn.simulator import Simulation
from churn.training.plan import TrainingPlan
from churn.training.uplift import FEWEST_CHURNERS, train_uplift
from churn.trial import customers_needed
from churn.uplift import card_effects
from schemas.policy import Policy
from store.contracts import read_contract
from store.policies import read_policy

CALL = "service_call"
CUSTOMERS = 50_000
A_MONTH = CAPACITY / CUSTOMERS  # the part of a base that is in waves
MONTHLY_CHURN, TO_SEE = 0.02, 0.1  # a tenth less of it is 0.2 points
PLAN = TrainingPlan(interactions=0, outer_bags=1, max_rounds=500)
# What a service call may have to do with; with all fifty features each card takes five times as long.
FEATURES = (
    *("complaints_open", "tickets_open", "tickets_90d", "complaints_90d", "tenure_months", "segment"),
    *("handset_age_days", "contract_days_left", "overage_mean_3m", "minutes_trend_3m", "monthly_revenue"),
)


def main() -> None:
    """Prints a line of figures for each size of the trial, and writes them as a page where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--telecoms", type=int, default=2, help="how many teach; the next one tries")
    parser.add_argument("--arms", type=int, nargs="+", default=[12_500, 50_000, 200_000])
    parser.add_argument("--keep", type=Path, help="a folder to keep scored telecoms in, and to read them from")
    parser.add_argument("--to", type=Path, help="where to write the page, such as docs/uplift.md")
    chosen = parser.parse_args()
    taught = pa.concat_tables([_trial(seed, chosen.keep) for seed in range(1, chosen.telecoms + 1)])
    tried = _trial(chosen.telecoms + 1, chosen.keep)
    found = []
    for arm in chosen.arms:
        found.append({"size": arm} | _figures(_part(taught, 2 * arm), tried))
        print(json.dumps(found[-1]), flush=True)
    if chosen.to:
        chosen.to.write_text(_page(found, chosen.telecoms), encoding="utf-8")


def _page(found: Sequence[Mapping[str, Any]], telecoms: int) -> str:
    sizes = " ".join(str(one["size"]) for one in found)
    lines = [
        "# From which size on uplift pays\n",
        _below(found),
        f"A service call is given by lot to half of the customers of {telecoms} simulated telecoms of {CUSTOMERS:,}"
        f" (seeds 1 to {telecoms}), {TEST_MONTHS} months each. Two scorecards learn from so many of each half who gains"
        f" by it, and call up to {CAPACITY:,} a month of the next telecom, as p*g*V does. Money is in EUR, by true"
        " probabilities; the gain is also told by the lot of that telecom, with its 95 % interval, as a company would"
        " see it.\n",
        f"Made by `python benchmarks/uplift.py --telecoms {telecoms} --arms {sizes} --to docs/uplift.md`.\n",
        "| customer-months in each half | who left | uplift | p*g*V | gain by the lot | pays |",
        "|---:|---:|---:|---:|---:|---|",
    ]
    return "\n".join([*lines, *map(_line, found), _of_nights(found)]) + "\n"


def _below(found: Sequence[Mapping[str, Any]]) -> str:
    """The size of a base below which p*g*V decides, by the power of a test on a year of its waves."""
    shipped = read_policy("telco").policy.holdout.share
    base, of_halves = (_base_that_shows(share) for share in (shipped, 0.5))
    halves = customers_needed(MONTHLY_CHURN, 0.5, TO_SEE) // 2
    effect = f"{100.0 * MONTHLY_CHURN * TO_SEE:.1f} points less of a churn of {MONTHLY_CHURN:.0%} a month"
    return (
        f"Below {base:,} customers of a base count on p*g*V alone: only from there on does a year of waves, into which"
        f" {A_MONTH:.0%} of a base come a month and of which the shipped policy holds {shipped:.0%} out, show in 8 of"
        f" 10 cases {effect}. Two equal halves need {halves:,} customers each for that, so where half of each wave is"
        f" held out a base of {of_halves:,} is enough. To see an effect is not yet to rank by it: the largest size"
        f" below is {found[-1]['per_arm']:,} in each half, and {_who_earns(found[-1])} there.\n"
    )


def _who_earns(largest: Mapping[str, Any]) -> str:
    return "effects earn more" if largest["uplift"] > largest["risk_value"] else "p*g*V still earns more"


def _base_that_shows(share: float) -> int:
    """How many customers a base has whose waves of a year show the effect with that share held out, in thousands."""
    return ceil(customers_needed(MONTHLY_CHURN, share, TO_SEE) / (12 * A_MONTH) / 1_000) * 1_000


def _of_nights(found: Sequence[Mapping[str, Any]]) -> str:
    """What this means for lists, which go by effects only where their own lot says so."""
    better = [one["per_arm"] for one in found if one["uplift"] > one["risk_value"]]
    size = f"{better[0]:,} in each half" if better else f"more than the {found[-1]['per_arm']:,} tried here"
    return (
        "\nSo lists rank by p*g*V, and a base's own effects only leave customers alone: a lot was drawn of those in"
        " waves, which tells what sparing some of them earns, and nothing of others. `churn lift` learns an action's"
        f" effect from half of its waves' customers once {FEWEST_CHURNERS} of those listed for it and {FEWEST_CHURNERS}"
        " of those held out have left. On the other half it tries the very rule that lists would go by: to leave alone"
        " whom the effect advises against. Lists do so where the gain is above 0 by a bound that holds for all actions"
        " and all looks together: at look k a part 1/(k(k+1)) of an error of 2.5 % is spent, so that looking each week"
        " makes no effect seem real. To ask the same of the same customers again is no further look, and effects that"
        " pay stay until a look is sure that they lose, since of whom lists spare by them nobody is in a wave. A place"
        " that becomes free goes to the next by p*g*V, and a customer who has another action coming to him may get that"
        " one, by its own belief: of neither has a lot told. By the truth of"
        f" these telecoms it takes {size} for ranking by effects to earn"
        " more. `churn lift` says what is missing, and receipts name the effects that left customers alone.\n"
    )


def _line(one: Mapping[str, Any]) -> str:
    gain, low, high = one["gained_by_lot"]
    numbers_of = (f"{one[name]:,}" for name in ("per_arm", "left", "uplift", "risk_value"))
    pays_so = "yes" if one["pays"] else "not yet"
    return f"| {' | '.join(numbers_of)} | {gain:,} ({low:,} to {high:,}) | {pays_so} |"


def _figures(taught: pa.Table, tried: pa.Table) -> dict[str, Any]:
    policy = catalogue()
    policy = policy.model_copy(update={"actions": tuple(one for one in policy.actions if one.name == CALL)})
    columns = [column for column in read_contract("telco").features if column.name in FEATURES]
    cards = train_uplift(taught, columns, PLAN)
    risk = numbers(tried, "probability")
    by_cards = _chosen(tried, _gains(tried, card_effects(cards, tried, policy), policy))
    by_risk = _chosen(tried, _gains(tried, risk[:, None] * keep_probabilities(tried, policy), policy))
    gained = value_gained(_logged(tried, policy), by_cards, by_risk)
    return {
        "per_arm": taught.num_rows // 2,
        "left": int(numbers(taught, "label").sum()),
        "uplift": _true_money(tried, by_cards, policy),
        "risk_value": _true_money(tried, by_risk, policy),
        "gained_by_lot": [round(tried.num_rows * figure) for figure in gained],
        "pays": pays(Value(*gained)),
    }


def _trial(seed: int, keep: Path | None) -> pa.Table:
    """A telecom's customers, half of whom are called whatever ails them."""
    rows = allowed(kept_or_made(Simulation(CUSTOMERS, MONTHS, seed), TEST_MONTHS, keep))
    held_out = np.random.default_rng(seed).random(rows.num_rows) < 0.5
    left = np.where(held_out, numbers(rows, "churned_untouched"), numbers(rows, f"churned_{CALL}"))
    return (
        rows.drop_columns(["label"])
        .append_column("label", pa.array(left.astype(np.int64)))
        .append_column("held_out", pa.array(held_out))
        .append_column("action", pa.repeat(pa.scalar(CALL), rows.num_rows))
    )


def _part(rows: pa.Table, count: int) -> pa.Table:
    drawn = np.random.default_rng(0).choice(rows.num_rows, min(count, rows.num_rows), replace=False)
    return rows.take(pa.array(np.sort(drawn)))


def _gains(rows: pa.Table, effects: Floats, policy: Policy) -> Floats:
    return expected_gains(numbers(rows, "probability"), effects, numbers(rows, "customer_value"), policy)[:, 0]


def _chosen(rows: pa.Table, gains: Floats) -> Ints:
    """The call for those who gain most of each month, as many as capacity allows."""
    chosen = np.full(rows.num_rows, NOTHING)
    for month in _months(rows):
        best = month[np.argsort(-gains[month], kind="stable")[:CAPACITY]]
        chosen[best[gains[best] > 0.0]] = 0
    return chosen


def _months(rows: pa.Table) -> Iterator[Ints]:
    codes = np.asarray(rows["as_of"].combine_chunks().dictionary_encode().indices)
    yield from (np.flatnonzero(codes == month) for month in range(codes.max() + 1))


def _logged(rows: pa.Table, policy: Policy) -> Logged:
    called = ~np.asarray(pc.cast(rows["held_out"], pa.int8())).astype(np.bool_)
    left = numbers(rows, "label")
    money = -left * numbers(rows, "customer_value") - called * policy.actions[0].contact_cost
    return Logged(np.where(called, 0, NOTHING), np.full(len(left), 0.5), money)


def _true_money(rows: pa.Table, chosen: Ints, policy: Policy) -> int:
    kept = (numbers(rows, "p0") - numbers(rows, f"p1_{CALL}")) * numbers(rows, "customer_value")
    return round(float((kept - policy.actions[0].contact_cost)[chosen == 0].sum()))


if __name__ == "__main__":
    main()
