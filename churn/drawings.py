"""What a model looks like, as SVG: the shape of each term, its calibration and its gains; and what waves changed.

Text stays text, which is a fraction of the size of outlines and can be searched. The same model gives the same bytes.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from churn.reasons import IN_PERCENT, MISSING, bin_words
from churn.scorecard import Feature, Floats, Ints, Kind, Scorecard, Term
from churn.trial import NORMAL_95
from schemas.manifest import CalibrationPoint, GainsPoint

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import Formatter

# Blue and vermilion of Okabe and Ito, which every kind of colour blindness tells apart.
LOWERS, RAISES = "#0072B2", "#D55E00"
INK, PALE = "#222222", "#9a9a9a"

WIDTH, HEIGHT, SQUARE = 6.4, 3.2, 4.2  # of a drawing, in inches
MOST_TICKS = 9  # of a line of numbers, before they run into each other
LONGEST_LABEL = 34

Shares = Sequence[float]
Ticks = tuple[list[float], list[str]]


class LiftPoint(NamedTuple):
    """A wave of that name: its effect, with the ends of the 95 % interval, as shares."""

    name: str
    effect: float
    low: float
    high: float


_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "churn",  # else ids are drawn by chance, and no two drawings are alike
    "text.parse_math": False,  # a dollar in a title is a dollar
    "font.sans-serif": ["DejaVu Sans"],  # which comes with matplotlib; who has it not sees the sans-serif of his own
    "font.size": 9,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": PALE,
    "axes.unicode_minus": False,
}


# A style and a filter of warnings hold for the whole process, so two threads may not draw at once.
_ONE_AT_A_TIME = Lock()


def shape_plots(card: Scorecard) -> Mapping[str, str]:
    """Every term's drawing by the name of a file for it, in the card's order."""
    return {_file_name(place, card.term_names[place]): shape(card, place) for place in range(len(card.terms))}


def shape(card: Scorecard, place: int, shares: Shares = ()) -> str:
    """What the term at this place adds to the log-odds: steps of a number, bars of categories, a heat map of a pair.

    `shares`, where given, has the share of customers in each bin of the term's only feature, and is drawn along.
    """
    term = card.terms[place]
    features = [card.features[each] for each in term.features]
    if len(features) == 2:
        return _svg(partial(_draw_pair, term, features), SQUARE)
    if _has_names(features[0]):
        return _svg(partial(_draw_bars, term, features[0], shares), 1.0 + 0.22 * term.table.size)
    return _svg(partial(_draw_steps, term, features[0], shares), HEIGHT)


def calibration_curve(points: Sequence[CalibrationPoint]) -> str:
    """The share that left against the one predicted, with the 95 % interval that so many customers leave it."""
    return _svg(partial(_draw_calibration, points), SQUARE, width=SQUARE)


def gains_curve(points: Sequence[GainsPoint]) -> str:
    """The share of churners among the customers that score highest, against the share of customers."""
    return _svg(partial(_draw_gains, points), SQUARE, width=SQUARE)


def lift_plot(points: Sequence[LiftPoint]) -> str:
    """How much more, or less, of the listed left than of those held out: each wave with its 95 % interval."""
    return _svg(partial(_draw_lift, points), HEIGHT)


def _draw_steps(term: Term, feature: Feature, shares: Shares, axes: Axes) -> None:
    """Bins side by side, each as wide as the next, as each has about as many customers; the missing one apart."""
    missing, known = term.table[:1], term.table[1:]
    edges, width = np.arange(len(known) + 1.0), max(0.8, 0.06 * len(known))
    for colour, part in ((RAISES, np.maximum(known, 0.0)), (LOWERS, np.minimum(known, 0.0))):
        axes.stairs(part, edges, fill=True, color=colour, alpha=0.35)
    axes.stairs(known, edges, baseline=None, color=INK, linewidth=1.4)
    axes.bar(-1.5 * width, missing, width, color=_colour(missing), alpha=0.55, hatch="///", edgecolor="white")
    axes.axhline(0.0, color=PALE, linewidth=0.8)
    held = _by_part(term, shares)
    if len(held):
        _draw_customers(held, width, axes)
    places, labels = _ticks(feature, term.bins[0], term.table.size)
    axes.set_xticks([-1.5 * width, *(place - 1.0 for place in places)], ["not on\nrecord", *labels])
    in_grey = "  (grey: where the customers are)" if len(held) else ""
    _say(axes, _plain(feature.title), f"{_plain(_unit(feature))}{in_grey}", "adds to the log-odds")


def _draw_bars(term: Term, feature: Feature, shares: Shares, axes: Axes) -> None:
    """A bar for each category, the one that raises the risk most on top."""
    order = np.argsort(term.table, kind="stable")
    held = _by_part(term, shares)
    names = [_part_name(feature, term.bins[0], part) for part in order.tolist()]
    if len(held):
        names = [f"{name} ({held[part]:.1%})" for name, part in zip(names, order.tolist(), strict=True)]
    axes.barh(names_at := np.arange(len(names)), term.table[order], color=_colour(term.table[order]), height=0.7)
    axes.axvline(0.0, color=PALE, linewidth=0.8)
    axes.set_yticks(names_at, names)
    in_brackets = " (in brackets the share of customers)" if len(held) else ""
    _say(axes, _plain(feature.title), f"adds to the log-odds{in_brackets}", "")


def _draw_pair(term: Term, features: Sequence[Feature], axes: Axes) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    most = float(np.abs(term.table).max()) or 1.0
    colours = LinearSegmentedColormap.from_list("risk", [LOWERS, "#f7f7f7", RAISES])
    mesh = axes.pcolormesh(term.table, cmap=colours, vmin=-most, vmax=most)
    mesh.set_rasterized(True)  # a thousand cells are a small picture, and many outlines
    down, across = (_ticks(*each) for each in zip(features, term.bins, term.table.shape, strict=True))
    axes.set_yticks([0.5, *down[0]], [MISSING, *down[1]])
    axes.set_xticks([0.5, *across[0]], [MISSING, *across[1]], rotation=35, ha="right", rotation_mode="anchor")
    names = [" ".join(filter(None, (_plain(each.title), _unit_in_brackets(each)))) for each in features]
    _say(axes, f"{_plain(features[0].title)} and {_plain(features[1].title)}", names[1], names[0])
    axes.figure.colorbar(mesh, ax=axes, label="adds to the log-odds")


def _draw_calibration(points: Sequence[CalibrationPoint], axes: Axes) -> None:
    predicted = np.array([point.predicted for point in points])
    observed = np.array([point.observed for point in points])
    low, high = _wilson(observed, np.array([point.rows for point in points]))
    most = 1.05 * max(predicted.max(initial=0.0), high.max(initial=0.0), 1e-6)
    axes.plot([0.0, most], [0.0, most], "--", color=PALE, linewidth=1.0, label="exactly as predicted")
    axes.vlines(predicted, low, high, color=LOWERS, linewidth=2.0, alpha=0.45, label="95 % interval")
    axes.plot(predicted, observed, "o", color=LOWERS, markersize=5.0, label=f"one of {len(points)} equal groups")
    axes.set(xlim=(0.0, most), ylim=(0.0, most))
    axes.legend(frameon=False, loc="upper left", fontsize=8)
    _in_percent(axes)
    _say(axes, "Does it come as predicted?", "probability predicted", "share that left")


def _draw_gains(points: Sequence[GainsPoint], axes: Axes) -> None:
    customers = [0.0, *(point.customers for point in points)]
    churners = [0.0, *(point.churners for point in points)]
    axes.plot([0.0, 1.0], [0.0, 1.0], "--", color=PALE, linewidth=1.0, label="if drawn by lot")
    axes.plot(customers, churners, color=RAISES, linewidth=2.0, label="by the model")
    axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0))
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    _in_percent(axes)
    _say(axes, "How many churners are found?", "customers contacted, highest score first", "churners among them")


def _draw_lift(points: Sequence[LiftPoint], axes: Axes) -> None:
    places = np.arange(len(points))
    effect, low, high = np.array([point[1:] for point in points], np.float64).reshape(-1, 3).T
    axes.axhline(0.0, color=PALE, linewidth=0.8)
    axes.vlines(places, low, high, color=LOWERS, linewidth=2.0, alpha=0.45)
    axes.plot(places, effect, "o", color=LOWERS, markersize=5.0)
    step = -(-len(points) // MOST_TICKS) or 1
    axes.set_xticks(places[::step], [point.name for point in points][::step])
    axes.yaxis.set_major_formatter(_percent())
    _say(axes, "Do contacts keep customers?", "wave", "left, listed less held out")


def _draw_customers(held: Floats, width: float, axes: Axes) -> None:
    """The share of customers in each part, as a pale strip at the foot of the drawing."""
    foot = axes.twinx()
    foot.bar(-1.5 * width, held[0], width, color=PALE, alpha=0.35)
    foot.stairs(held[1:], np.arange(float(len(held))), fill=True, color=PALE, alpha=0.35)
    foot.set(ylim=(0.0, 6.0 * held.max()), yticks=[])
    foot.spines[:].set_visible(False)


def _ticks(feature: Feature, bins: Ints, size: int) -> Ticks:
    """Where the parts of an axis but the missing one are named: categories in their middle, numbers where one begins.

    The part at place p reaches from p to p + 1.
    """
    parts = range(1, size)
    if _has_names(feature):
        return [part + 0.5 for part in parts], [_part_name(feature, bins, part) for part in parts]
    step = -(-(size - 2) // MOST_TICKS) or 1
    chosen = list(range(2 + step // 2, size, step))
    return [float(part) for part in chosen], [
        _cut(feature, int(np.flatnonzero(bins == part)[0]) - 2) for part in chosen
    ]


def _cut(feature: Feature, place: int) -> str:
    value = float(feature.cuts[place])
    if feature.kind is Kind.WHOLE:
        value = float(np.ceil(value))
    shown = 100.0 * value if feature.unit in IN_PERCENT else value
    return f"{shown:,.0f}" if abs(shown) >= 1_000 else f"{shown:.4g}"


def _part_name(feature: Feature, bins: Ints, part: int) -> str:
    name = _plain(bin_words(feature, np.flatnonzero(bins == part)).removeprefix(f"{feature.title}: "))
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"


def _by_part(term: Term, shares: Shares) -> Floats:
    if len(shares) != len(term.bins[0]):
        return np.empty(0)
    return np.bincount(term.bins[0], np.asarray(shares, np.float64), minlength=term.table.size).astype(np.float64)


def _has_names(feature: Feature) -> bool:
    return feature.kind in (Kind.CATEGORY, Kind.YES_NO)


def _unit(feature: Feature) -> str:
    return "%" if feature.unit in IN_PERCENT else feature.unit


def _unit_in_brackets(feature: Feature) -> str:
    return f"({_plain(_unit(feature))})" if feature.unit else ""


def _colour(log_odds: Floats) -> list[str]:
    return [RAISES if value > 0.0 else LOWERS for value in log_odds.tolist()]


def _wilson(share: Floats, rows: Ints) -> tuple[Floats, Floats]:
    """Wilson's 95 % interval of a share, which stays between 0 and 1 also where few or none left."""
    many = np.maximum(rows, 1)
    spread = NORMAL_95**2 / many
    middle = (share + spread / 2.0) / (1.0 + spread)
    half = np.sqrt(spread * (share * (1.0 - share) + spread / 4.0)) / (1.0 + spread)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def _say(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set_title(title if len(title) <= 2 * LONGEST_LABEL else f"{title[: 2 * LONGEST_LABEL - 1]}…")
    axes.set_xlabel(across)
    axes.set_ylabel(up)


def _in_percent(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6))
        axis.set_major_formatter(_percent())


def _percent() -> Formatter:
    from matplotlib.ticker import PercentFormatter

    return PercentFormatter(1.0, decimals=None, symbol=" %")


def _plain(text: str) -> str:
    """The text without the control characters that no XML may have."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _file_name(place: int, name: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", name.replace("&", "and").lower()).strip("-")
    return f"{place + 1:02d}-{words[:80]}.svg"


def _svg(draw: Callable[[Axes], None], height: float, *, width: float = WIDTH) -> str:
    # Without pyplot, which keeps every figure and picks a screen; and only here, as it takes a second to import.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    sink = pa.BufferOutputStream()
    with _ONE_AT_A_TIME, rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # whoever looks at the text has other fonts
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(sink, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = str(sink.getvalue().to_pybytes(), "utf-8")
    return text[text.index("<svg") :]  # what stands before it names a definition on the network
