"""The card of a model: what it is, how good it is, what it has learnt, and what it must not be used for."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, StrictUndefined

from churn.drawings import calibration_curve, gains_curve, shape
from churn.model_template import MODEL_PAGE
from churn.scorecard import Floats, Scorecard
from schemas.manifest import Figure, ModelManifest, SliceEntry

KINDS_IN_WORDS = {
    "scorecard": "scorecard",
    "hist_gradient_boosting": "gradient boosting",
    "logistic_regression": "logistic regression",
    "random_forest": "random forest",
}

NOT_FOR = (
    "Not for setting anybody's price, for credit, or for denying or worsening a service. It says who may leave, not "
    "who deserves what.",
    "Not beyond its horizon. It foretells leaving within the days that its contract names; a low risk today says "
    "nothing of the months after.",
    "Not for another contract's data, another country or another product. What it has not seen it scores all the same, "
    "and wrongly.",
    "Not as a cause. A reason says what the model saw, not what would help: changing it need not keep the customer. "
    "What a contact does is measured on the holdout.",
    "Not to be retrained naively. Contacting customers changes who leaves, so that a model learning from contacted "
    "customers believes the riskiest to be safe.",
    "Not for judging employees or shops by the risk of the customers they have.",
    "Not for customers that the contract leaves out, such as those who have already given notice.",
)


class Measure(NamedTuple):
    """How a figure is said to people: its name, what is good, and as how many digits of what."""

    title: str
    good: str
    digits: str = ".3f"
    unit: str = ""

    def said(self, *values: float) -> str:
        """The value with its unit, or the interval between two."""
        return (
            " to ".join(format(100.0 * value if self.unit == " %" else value, self.digits) for value in values)
            + self.unit
        )


_AMONG = "so many times the average share of churners among them"
_IN_MONEY = "in money, by the terms that the training's table names; more is better"
_OF_HUNDRED = (".2f", " %")
_A_CUSTOMER = (".2f", " a customer")

MEASURES = {
    "auc": Measure("AUC", "chance that a churner scores above a stayer: .5 by lot, 1 at best; above .9 suspect a leak"),
    "average_precision": Measure("average precision", "by lot it is the share that left; 1 at best"),
    "lift_1": Measure("lift of the first 1 %", _AMONG, ".2f", " times"),
    "lift_5": Measure("lift of the first 5 %", _AMONG, ".2f", " times"),
    "lift_10": Measure("lift of the first 10 %", _AMONG, ".2f", " times"),
    "empc": Measure("profit of the best campaign (EMPC)", _IN_MONEY, *_A_CUSTOMER),
    "empc_share": Measure("share that the best campaign contacts", "neither good nor bad", *_OF_HUNDRED),
    "profit_at_capacity": Measure("profit of contacting as many as capacity allows", _IN_MONEY, *_A_CUSTOMER),
    "observed": Measure("share that left", "as it came", *_OF_HUNDRED),
    "predicted": Measure("share predicted to leave", "should be the share that left", *_OF_HUNDRED),
    "predicted_to_observed": Measure("predicted against observed", "1 at best; above, risks are put too high"),
    "calibration_slope": Measure("calibration slope", "1 at best; below, high risks are too high and low ones too low"),
    "calibration_intercept": Measure("calibration intercept", "0 at best"),
    "ece": Measure("calibration error (ECE)", "mean gap between predicted and observed; 0 at best", *_OF_HUNDRED),
    "brier": Measure("Brier score", "mean squared error of the probability; less is better", ".4f"),
    "log_loss": Measure("log-loss", "in nats; less is better", ".4f"),
}

# What tells parts of the test rows apart at a glance; a table with every figure would be too wide to read.
SLICED = ("auc", "lift_10", "observed", "predicted", "calibration_slope", "empc", "profit_at_capacity")

SLICED_BY = ("month", "segment", "arm")

Row = tuple[str, ...]


class _Plot(NamedTuple):
    alt: str
    caption: str
    source: str


class _Slices(NamedTuple):
    by: str
    heads: Row
    rows: Sequence[Row]


def model_page(manifest: ModelManifest, card: Scorecard | None, digest: str, version: int | None = None) -> str:
    """The card as one HTML file that needs neither a network nor a script; `card` is None where it is no scorecard."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    alone, pairs = _drawn_terms(manifest, card) if card else ([], [])
    return environment.from_string(MODEL_PAGE).render(
        title=_title(manifest, version),
        summary=_summary(manifest),
        facts=_facts(manifest, digest, version),
        not_for=NOT_FOR,
        training=_training(manifest),
        fallbacks=[(each.segment, f"{each.churners:,}", f"{each.needed:,}") for each in manifest.training.fallbacks],
        measures=_measured(manifest),
        slices=[_sliced(manifest, by) for by in SLICED_BY if _slices_by(manifest, by)],
        curves=_curves(manifest),
        shapes=alone,
        pairs=pairs,
        intercept=f"{card.intercept:.3f}" if card else "",
        inputs=_inputs(manifest),
    )


def model_markdown(manifest: ModelManifest, digest: str, version: int | None = None) -> str:
    """The card in short, for the page of a run: its facts and figures as tables, and what it must not be used for."""
    parts = [
        f"## {_cell(_title(manifest, version))}",
        _cell(_summary(manifest)),
        _grid(("figure", "value", "95 % interval", "how to read it"), _measured(manifest)),
        *(
            f"### By {part.by}\n\n{_grid(part.heads, part.rows)}"
            for part in (_sliced(manifest, by) for by in SLICED_BY if _slices_by(manifest, by))
        ),
        "### Training\n\n" + _grid(("fact", "value"), (*_facts(manifest, digest, version), *_training(manifest))),
        "### What it must not be used for\n\n" + "\n".join(f"- {purpose}" for purpose in NOT_FOR),
    ]
    return "\n\n".join(parts) + "\n"


def importance(card: Scorecard, reference: Mapping[str, Sequence[float]]) -> list[float]:
    """How far each term moves the log-odds on average, whichever way, in the order of the card's terms.

    `reference` has the share of customers in each bin of each feature; without it all bins count alike. Of a pair it
    knows no more, so the two are taken to be independent.
    """
    weights = [_weights(feature.name, feature.bins, reference) for feature in card.features]
    moved = []
    for term in card.terms:
        parts = [np.bincount(axis, weights[place]) for place, axis in zip(term.features, term.bins, strict=True)]
        padded = [np.pad(part, (0, size - len(part))) for part, size in zip(parts, term.table.shape, strict=True)]
        shares = padded[0] if len(padded) == 1 else np.outer(*padded)
        moved.append(float((shares * np.abs(term.table)).sum()))
    return moved


def _weights(name: str, bins: int, reference: Mapping[str, Sequence[float]]) -> Floats:
    shares = np.asarray(reference.get(name, ()), np.float64)
    return shares if len(shares) == bins and shares.sum() > 0 else np.full(bins, 1.0 / bins)


def _drawn_terms(manifest: ModelManifest, card: Scorecard) -> tuple[list[_Plot], list[_Plot]]:
    """The drawings of the single features and of the pairs, the most important first."""
    moved = importance(card, manifest.reference)
    order = sorted(range(len(moved)), key=lambda place: -moved[place])
    plots = {place: _drawn_term(manifest, card, place, moved[place]) for place in order}
    alone = [place for place in order if len(card.terms[place].features) == 1]
    return [plots[place] for place in alone], [plots[place] for place in order if place not in alone]


def _drawn_term(manifest: ModelManifest, card: Scorecard, place: int, moved: float) -> _Plot:
    features = [card.features[each] for each in card.terms[place].features]
    drawing = shape(card, place, manifest.reference.get(features[0].name, ()))
    titles = " and ".join(feature.title for feature in features)
    return _plot(
        drawing, f"the shape of {titles}", f"{card.term_names[place]}: moves the log-odds by {moved:.3f} on average"
    )


def _curves(manifest: ModelManifest) -> list[_Plot]:
    curves = []
    if manifest.calibration:
        said = "Calibration: the dots lie on the dashed line where as many leave as predicted."
        curves.append(_plot(calibration_curve(manifest.calibration), "calibration curve", said))
    if manifest.gains:
        said = "Gains: the higher the curve, the more churners are among the customers contacted first."
        curves.append(_plot(gains_curve(manifest.gains), "gains curve", said))
    return curves


def _plot(svg: str, alt: str, caption: str) -> _Plot:
    # As a picture of its own a drawing can run nothing, and its ids do not meet those of the next one.
    return _Plot(alt, caption, f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}")


def _title(manifest: ModelManifest, version: int | None) -> str:
    numbered = f", version {version}" if version is not None else ""
    return f"Model card: {manifest.contract}, segment {manifest.segment}{numbered}"


def _summary(manifest: ModelManifest) -> str:
    training = manifest.training
    learnt = f"learnt from {training.rows:,} rows with {training.churners:,} churners"
    tested = f"was tested as of {training.test_as_of} ({training.split})"
    return f"This {KINDS_IN_WORDS[manifest.kind]} {learnt} and {tested}."


def _facts(manifest: ModelManifest, digest: str, version: int | None) -> list[Row]:
    return [
        ("kind of model", KINDS_IN_WORDS[manifest.kind]),
        ("contract", manifest.contract),
        ("segment", manifest.segment),
        ("version", "not registered" if version is None else str(version)),
        ("digest of the model", digest or "not saved"),
        ("digest of the contract", manifest.contract_digest),
        ("digest of the data", manifest.training.data_digest),
        ("version of the code", manifest.code_version),
    ]


def _training(manifest: ModelManifest) -> list[Row]:
    training = manifest.training
    dates = training.fit_as_ofs
    return [
        ("data window", f"{len(dates)} as_of dates, {min(dates)} to {max(dates)}" if dates else "none"),
        ("tested as of", f"{training.test_as_of}"),
        ("split", training.split),
        ("embargo between labels and test", f"{training.embargo_days} days"),
        ("rows fitted on, before sampling", f"{training.rows:,}, of them {training.churners:,} churners"),
        ("share of stayers kept for fitting", f"{_percent(training.sampling_rate)}, corrected for by calibration"),
        ("share of stayers kept at the source", f"{_percent(training.source_sampling_rate)}{_corrected(manifest)}"),
        ("calibration", f"{training.slope:.3f} x log-odds {training.shift:+.3f}"),
        ("base rate that it is calibrated to", _base_rate(manifest)),
        ("exact duplicates left out", f"{training.duplicates:,}"),
        ("columns left out, as they never vary", ", ".join(training.constants) or "none"),
        ("strongest column alone", _strongest(manifest)),
        ("money reckoned with", _campaign(manifest)),
        ("whom lists had named while labels came", _treatment(manifest)),
    ]


def _treatment(manifest: ModelManifest) -> str:
    named = manifest.training.treatment
    if named is None:
        return "not known"
    if not named.listed + named.contacted:
        return "nobody"
    lists = ", ".join(digest[:12] for digest in named.policies)
    return (
        f"{named.listed + named.contacted:,} called, of whom nothing was learnt; {named.held_out:,} held out, who"
        f" stand for them in the level, and in the shapes count {named.shapes}; by the policies {lists}"
    )


def _corrected(manifest: ModelManifest) -> str:
    return ", corrected for in the log-odds" if manifest.training.source_sampling_rate < 1.0 else ""


def _percent(share: float) -> str:
    return f"{100.0 * share:.2f} %"


def _base_rate(manifest: ModelManifest) -> str:
    entry = manifest.card or manifest.estimator
    return _percent(entry.base_rate) if entry else "not known"


def _strongest(manifest: ModelManifest) -> str:
    if manifest.training.strongest_alone is None:
        return "not measured"
    name, auc = manifest.training.strongest_alone
    return f"{name}, with an AUC of {auc:.3f}; above .95 training would have stopped"


def _campaign(manifest: ModelManifest) -> str:
    money = manifest.campaign
    if money is None:
        return "not known"
    keep = money.accepting / (money.accepting + money.refusing)
    return (
        f"a customer worth {money.customer_value:,.2f}, an offer at {money.offer_cost:,.2f} that keeps "
        f"{_percent(keep)} of those who would leave, a contact at {money.contact_cost:,.2f}, and "
        f"{_percent(money.capacity)} of the customers contacted"
    )


def _measured(manifest: ModelManifest) -> list[Row]:
    """Each figure of the test with its interval, those in MEASURES first and in their order."""
    figures = manifest.figures or {name: Figure(value=value) for name, value in manifest.metrics.items()}
    return [
        (measure.title, measure.said(figure.value), _interval(figure, measure), measure.good)
        for measure, figure in ((_measure(name), figures[name]) for name in _ordered(figures))
    ]


def _ordered(figures: Iterable[str]) -> list[str]:
    known = list(MEASURES)
    counts = ("rows", "churners")
    return sorted(
        (name for name in figures if name not in counts),
        key=lambda name: known.index(name) if name in known else len(known),
    )


def _measure(name: str) -> Measure:
    return MEASURES.get(name, Measure(name.replace("_", " "), "", ".4f"))


def _interval(figure: Figure, measure: Measure) -> str:
    if figure.low is None or figure.high is None:
        return "not drawn"
    return measure.said(figure.low, figure.high)


def _slices_by(manifest: ModelManifest, by: str) -> list[SliceEntry]:
    return [part for part in manifest.slices if part.by == by]


def _sliced(manifest: ModelManifest, by: str) -> _Slices:
    parts = _slices_by(manifest, by)
    names = [name for name in SLICED if any(name in part.figures for part in parts)]
    heads = (by, "rows", "churners", *(_measure(name).title for name in names))
    return _Slices(by, heads, [(*_counts(part), *(_in_short(part, name) for name in names)) for part in parts])


def _counts(part: SliceEntry) -> Row:
    return (part.name, f"{part.rows:,}", f"{part.churners:,}")


def _in_short(part: SliceEntry, name: str) -> str:
    figure = part.figures.get(name)
    if figure is None:
        return "too few"
    measure = _measure(name)
    drawn = figure.low is not None
    return f"{measure.said(figure.value)} ({_interval(figure, measure)})" if drawn else measure.said(figure.value)


def _inputs(manifest: ModelManifest) -> list[Row]:
    return [(each.name, each.title, each.unit) for each in manifest.estimator.inputs] if manifest.estimator else []


def _grid(heads: Sequence[str], rows: Iterable[Row]) -> str:
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in (heads, ["---"] * len(heads), *rows))


def _cell(text: str) -> str:
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")
