"""Compares models on customers that the challenger has not seen, both on the same ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

from churn.metrics import Floats, Labels


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Test rows, what came of them, and a model's log-odds from a twin of it that has seen none of them; all [rows].

    A row stands for `weights` customers of the base: more than one where stayers were sampled at the source.
    """

    rows: pa.Table = field(repr=False)
    labels: Labels = field(repr=False)
    log_odds: Floats = field(repr=False)
    weights: Floats = field(repr=False)
