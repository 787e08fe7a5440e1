"""How fast customers are scored with reasons, beside what scikit-learn, LightGBM and shap take on the same rows."""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
ROWS_FOR_HGB, ROWS_FOR_SHAP = 200_000, 500
BUCKETS = 16
REPEATS = 5


def main() -> None:
    """Prints a table for people and a line of JSON for scripts."""
    customers = _arguments().customers
    dice = np.random.default_rng(42)
    values = dice.normal(size=(customers, FEATURES))
    rows = pa.table({f"feature_{place}": values[:, place].copy() for place in range(FEATURES)})
    speeds = {"scorecard, with reasons": _scorecard_speed(_card(dice), rows), **_reference_speeds(values, dice)}
    one_row_us = _one_row_us(_card(dice), rows)
    _print(speeds, one_row_us)
    ours, hgb, contributions, tree_shap = speeds.values()
    figures = {
        "customers_per_s": round(ours),
        "ratio_to_pred_contrib": round(ours / contributions, 1),
        "ratio_to_treeshap": round(ours / tree_shap, 1),
        "ratio_to_hgb_predict": round(ours / hgb, 1),
        "one_row_us": round(one_row_us, 1),
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


def _scorecard_speed(card: Scorecard, rows: pa.Table) -> float:
    """Buckets on as many threads as there are cores, as the night scores them."""
    size = -(-rows.num_rows // BUCKETS)
    buckets = [rows.slice(start, size) for start in range(0, rows.num_rows, size)]
    score(card, rows.slice(0, 10))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return rows.num_rows / _seconds(lambda: list(pool.map(lambda bucket: score(card, bucket), buckets)))


def _reference_speeds(values: np.ndarray, dice: np.random.Generator) -> dict[str, float]:
    import lightgbm
    import shap
    from sklearn.ensemble import HistGradientBoostingClassifier

    learnt = values[:ROWS_TO_LEARN_FROM]
    chance = probability(learnt[:, 0] + learnt[:, 1] * learnt[:, 2] - 2.0)
    labels = (dice.random(len(learnt)) < chance).astype(int)
    hgb = HistGradientBoostingClassifier(max_iter=TREES, early_stopping=False, random_state=42).fit(learnt, labels)
    lgbm = lightgbm.LGBMClassifier(n_estimators=TREES, random_state=42, verbose=-1).fit(learnt, labels)
    explainer = shap.TreeExplainer(lgbm)
    many, few = values[:ROWS_FOR_HGB], values[:ROWS_FOR_SHAP]
    return {
        "HistGradientBoosting predict_proba, no reasons": len(many) / _seconds(lambda: hgb.predict_proba(many)),
        "LightGBM pred_contrib": len(few) / _seconds(lambda: lgbm.booster_.predict(few, pred_contrib=True)),
        "shap.TreeExplainer": len(few) / _seconds(lambda: explainer.shap_values(few)),
    }


def _one_row_us(card: Scorecard, rows: pa.Table) -> float:
    customers = rows.slice(0, 2_000).to_pylist()
    return 1e6 * _seconds(lambda: [score_one(card, row) for row in customers]) / len(customers)


def _seconds(work: Callable[[], Any]) -> float:
    """The shortest of a few repeats, as whatever else the machine does can only lengthen them."""
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _print(speeds: dict[str, float], one_row_us: float) -> None:
    table = Table("way of scoring", "customers/s", "times slower", title=f"{FEATURES} features, {PAIRS} pairs")
    ours = next(iter(speeds.values()))
    for name, speed in speeds.items():
        table.add_row(name, f"{speed:,.0f}", f"{ours / speed:,.1f}")
    Console().print(table, f"one customer in plain Python: {one_row_us:.1f} microseconds", sep="\n")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="LightGBM binary classifier with TreeExplainer")
    main()
