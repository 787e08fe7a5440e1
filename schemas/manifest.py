"""The manifest of a model: everything about it but its numbers, which lie beside it as arrays."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FeatureEntry(_Part):
    """A feature of the card; its `cuts` numbers are the next ones of the cuts array."""

    name: str
    kind: Literal["number", "whole", "yes_no", "category"]
    title: str
    unit: str = ""
    minimum: float | None = None
    cuts: Count
    categories: tuple[str, ...] = ()
    labels: dict[str, str] = {}


class TermEntry(_Part):
    """A term of the card; its bins and cells are the next ones of their arrays."""

    features: tuple[Count, ...]
    shape: tuple[Count, ...]


class CardEntry(_Part):
    """The scorecard without its arrays."""

    intercept: float
    base_rate: Share
    features: tuple[FeatureEntry, ...]
    terms: tuple[TermEntry, ...]


class TrainingEntry(_Part):
    """What the model learnt from, and how.

    `rows` and `churners` were there before stayers were sampled at `sampling_rate`; `slope` and `shift` calibrate.
    """

    split: str
    fit_as_ofs: tuple[date, ...]
    test_as_of: date
    rows: Count
    churners: Count
    duplicates: Count
    constants: tuple[str, ...]
    sampling_rate: Share
    slope: float
    shift: float
    data_digest: str


class ModelManifest(_Part):
    """`metrics` were measured on rows that nothing behind them had seen; `reference` has the share of customers
    in each bin of each feature, against which drift is measured."""

    format: Literal[1] = 1  # raised when a reader of the older form would misread the newer one
    contract: str
    contract_digest: str
    contract_text: str
    code_version: str
    training: TrainingEntry
    metrics: dict[str, float]
    reference: dict[str, tuple[Share, ...]]
    card: CardEntry
