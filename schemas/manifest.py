"""The manifest of a model: everything about it but its numbers, which lie beside it as arrays."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0)]
FeatureKind = Literal["number", "whole", "yes_no", "category"]
Shapes = Literal["by the lot", "the untouched alike"]
ModelKind = Literal["scorecard", "hist_gradient_boosting", "logistic_regression", "random_forest"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FeatureEntry(_Part):
    """A feature of the card; its `cuts` numbers are the next ones of the cuts array."""

    name: str
    kind: FeatureKind
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


class InputEntry(_Part):
    """A column that an estimator reads: a number as it is, a category as its place among `categories`."""

    name: str
    kind: FeatureKind
    title: str
    unit: str = ""
    minimum: float | None = None
    categories: tuple[str, ...] = ()
    labels: dict[str, str] = {}


class EstimatorEntry(_Part):
    """A fitted scikit-learn classifier without its arrays, and the line that calibrates its log-odds."""

    base_rate: Share
    slope: float
    shift: float
    inputs: tuple[InputEntry, ...]


class Figure(_Part):
    """A figure and its 95 % bootstrap interval, where one was drawn."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        """The figure with its interval, such as 0.82 (0.79 to 0.85)."""
        drawn = self.low is not None and self.high is not None
        return f"{self.value:,.4g} ({self.low:,.4g} to {self.high:,.4g})" if drawn else f"{self.value:,.4g}"


class SliceEntry(_Part):
    """The figures on one of the months that the shapes have not seen, or on a segment or an arm of the test rows.

    Where churners were too few to tell, there are no figures.
    """

    by: Literal["month", "segment", "arm"]
    name: str
    rows: Count
    churners: Count
    figures: dict[str, Figure]


class CalibrationPoint(_Part):
    """One of the equally large groups by probability: what was predicted on average, and what came."""

    predicted: Share
    observed: Share
    rows: Count


class GainsPoint(_Part):
    """Of the customers who score highest, this share holds that share of the churners."""

    customers: Share
    churners: Share


class FallbackEntry(_Part):
    """A segment that has too few churners for a model of its own, and is scored by the model of all."""

    segment: str
    churners: Count
    needed: Count


class CampaignEntry(_Part):
    """The retention campaign that money is reckoned with; a churner's chance to stay is Beta(`accepting`, `refusing`).

    `capacity` is the share of the base that it contacts.
    """

    customer_value: float
    offer_cost: float
    contact_cost: float
    accepting: Count
    refusing: Count
    capacity: Share


class TreatmentEntry(_Part):
    """Whom lists had named while the labels came, and how the model learnt from the others.

    Customer-months were `listed`, `held_out` by lot, or `contacted` for an older list; the listed and the contacted
    taught nothing. `policies` are the digests of those that listed. The shapes were fitted with each who was held out
    counting for the listed, `by the lot`, or once, with `the untouched alike`, whichever told the churners of the
    calibration month better; the level is by the lot in either case.
    """

    listed: Count
    held_out: Count
    contacted: Count
    policies: tuple[str, ...]
    shapes: Shapes


class TrainingEntry(_Part):
    """What the model learnt from, and how.

    `rows` and `churners` were there before stayers were sampled at `sampling_rate`; `slope` and `shift` calibrate.
    `source_sampling_rate` is the share of stayers that the contract says had been kept before they came to us.
    `strongest_alone` is the column that ranks churners best alone, and the AUC at which it does.
    """

    split: str
    fit_as_ofs: tuple[date, ...]
    test_as_of: date
    rows: Count
    churners: Count
    duplicates: Count
    constants: tuple[str, ...]
    sampling_rate: Share
    source_sampling_rate: Share = 1.0
    slope: float
    shift: float
    embargo_days: Count = 0
    strongest_alone: tuple[str, Share] | None = None
    fallbacks: tuple[FallbackEntry, ...] = ()
    treatment: TreatmentEntry | None = None
    data_digest: str


class ModelManifest(_Part):
    """`metrics` were measured on rows that nothing behind them had seen, `figures` are the same with their intervals;
    `reference` has the share of customers in each bin of each feature, against which drift is measured: of an
    estimator, which cuts nothing, those of missing values, of numbers, and of each category.

    A scorecard has a `card` and no `estimator`, every other kind an `estimator` and no `card`.
    """

    format: Literal[1] = 1  # raised when a reader of the older form would misread the newer one
    kind: ModelKind = "scorecard"
    segment: str = "all"
    contract: str
    contract_digest: str
    contract_text: str
    code_version: str
    training: TrainingEntry
    metrics: dict[str, float]
    figures: dict[str, Figure] = {}
    campaign: CampaignEntry | None = None
    slices: tuple[SliceEntry, ...] = ()
    calibration: tuple[CalibrationPoint, ...] = ()
    gains: tuple[GainsPoint, ...] = ()
    reference: dict[str, tuple[Share, ...]]
    card: CardEntry | None = None
    estimator: EstimatorEntry | None = None
