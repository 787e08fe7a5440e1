"""How fast customers are scored with reasons, beside what scikit-learn, LightGBM and shap take on the same rows."""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from churn.lookup import score, score_one
from churn.metrics import probability
from churn.scorecard import Feature, Kind, Scorecard, Term

FEATURES, PAIRS, BINS, PAIR_BINS = 30, 10, 256, 32
TREES = 100  # of both boosted references, the default of both where none stops early
ROWS_TO_LEARN_FROM = 20_000
ROWS_FOR_SHAP = 2_000  # the first of the same rows: all of them would take LightGBM and shap minutes
BUCKETS = 16
REPEATS = 7


class Way(NamedTuple):
    """One way of scoring, and how many customers it scores at a time."""

    name: str
    customers: int
    score: Callable[[], Any]


def main() -> None:
    """Prints a table for people and a line of JSON for scripts."""
    customers = _arguments().customers
    dice = np.random.default_rng(42)
    values = dice.normal(size=(customers, FEATURES))
    rows = pa.table({f"feature_{place}": values[:, place].copy() for place in range(FEATURES)})
    card = _card(dice)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ways = [_by_scorecard(card, rows, pool), *_by_references(values, dice), _one_by_one(card, rows)]
        ours, hgb, contributions, tree_shap, one_by_one = speeds = _speeds(ways)
    _print(ways, speeds)
    figures = {
        "customers_per_s": round(ours),
        "ratio_to_pred_contrib": round(ours / contributions, 1),
        "ratio_to_treeshap": round(ours / tree_shap, 1),
        "ratio_to_hgb_predict": round(ours / hgb, 1),
        "one_row_us": round(1e6 / one_by_one, 1),
    }
    print(json.dumps(figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1_000_000)
    return parser.parse_args()


def _card(dice: np.random.Generator) -> Scorecard:
    """A larger card than a training gives: every feature in 256 bins, and ten pairs."""
    features = tuple(
        Feature(f"feature_{place}", Kind.NUMBER, f"feature {place}", cuts=np.sort(dice.normal(size=BINS - 2)))
        for place in range(FEATURES)
    )
    singles = [Term((place,), (np.arange(BINS),), dice.normal(0.0, 0.2, BINS)) for place in range(FEATURES)]
    coarse = np.arange(BINS) * PAIR_BINS // BINS
    pairs = [
        Term((place, FEATURES - 1 - place), (coarse, coarse), dice.normal(0.0, 0.1, (PAIR_BINS, PAIR_BINS)))
        for place in range(PAIRS)
    ]
    return Scorecard(-3.0, features, (*singles, *pairs), 0.05)


def _by_scorecard(card: Scorecard, rows: pa.Table, pool: ThreadPoolExecutor) -> Way:
    """Buckets on as many threads as there are cores, as the night scores them."""
    size = -(-rows.num_rows // BUCKETS)
    buckets = [rows.slice(start, size) for start in range(0, rows.num_rows, size)]
    score(card, rows.slice(0, 10))  # compiles
    score_bucket = partial(score, card)
    return Way("scorecard, with reasons", rows.num_rows, lambda: list(pool.map(score_bucket, buckets)))


def _by_references(values: np.ndarray, dice: np.random.Generator) -> tuple[Way, Way, Way]:
    """On the same rows, each on as many threads as it takes by itself."""
    import lightgbm
    import shap
    from sklearn.ensemble import HistGradientBoostingClassifier

    learnt, few = values[:ROWS_TO_LEARN_FROM], values[:ROWS_FOR_SHAP]
    chance = probability(learnt[:, 0] + learnt[:, 1] * learnt[:, 2] - 2.0)
    labels = (dice.random(len(learnt)) < chance).astype(int)
    hgb = HistGradientBoostingClassifier(max_iter=TREES, early_stopping=False, random_state=42).fit(learnt, labels)
    lgbm = lightgbm.LGBMClassifier(n_estimators=TREES, random_state=42, verbose=-1).fit(learnt, labels)
    explainer = shap.TreeExplainer(lgbm)
    return (
        Way("HistGradientBoosting, no reasons", len(values), lambda: hgb.predict_proba(values)),
        Way("LightGBM pred_contrib", len(few), lambda: lgbm.booster_.predict(few, pred_contrib=True)),
        Way("shap.TreeExplainer", len(few), lambda: explainer.shap_values(few)),
    )


def _one_by_one(card: Scorecard, rows: pa.Table) -> Way:
    customers = rows.slice(0, 2_000).to_pylist()
    return Way("scorecard, one at a time", 2_000, lambda: [score_one(card, row) for row in customers])


def _speeds(ways: list[Way]) -> list[float]:
    """Customers a second at each way's quickest, as whatever else the machine does can only lengthen a run.

    The ways take turns, so that a busy minute is one of all of them.
    """
    rounds = [[_seconds(way.score) for way in ways] for _ in range(REPEATS)]
    return [way.customers / min(taken) for way, taken in zip(ways, zip(*rounds, strict=True), strict=True)]


def _seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _print(ways: list[Way], speeds: list[float]) -> None:
    table = Table(
        "way of scoring", "customers", "customers/s", "times slower", title=f"{FEATURES} features, {PAIRS} pairs"
    )
    for way, speed in zip(ways, speeds, strict=True):
        table.add_row(way.name, f"{way.customers:,}", f"{speed:,.0f}", f"{speeds[0] / speed:,.1f}")
    Console().print(table)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="LightGBM binary classifier with TreeExplainer")
    main()
