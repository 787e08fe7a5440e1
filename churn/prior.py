"""The share of churners that a night's scores let expect, in place of the one that its models were calibrated to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from churn.scorecard import Floats


@dataclass(frozen=True, slots=True)
class Prior:
    """By what the odds of each model's customers are multiplied, by the model's digest; those of others stay.

    `digest` is the sha256 of the text that says so.
    """

    odds: Mapping[str, float]
    digest: str = ""

    def corrected(self, rows: pa.Table) -> pa.Table:
        """The rows with the probability under it, by their `probability` and `model_digest`."""
        chance, odds = np.asarray(rows["probability"], np.float64), self._odds_of(rows["model_digest"])
        raised = chance * odds
        corrected = pa.array(raised / (raised + (1.0 - chance)))
        return rows.set_column(rows.column_names.index("probability"), "probability", corrected)

    def _odds_of(self, digests: pa.ChunkedArray) -> Floats:
        encoded = digests.cast(pa.string()).combine_chunks().dictionary_encode()
        known = np.array([self.odds.get(digest, 1.0) for digest in encoded.dictionary.to_pylist()], np.float64)
        return np.asarray(known[np.asarray(encoded.indices)])
