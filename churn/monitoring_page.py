"""What watching a night found, as people read it: Markdown for the run, HTML to keep; whole without a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import pyarrow as pa

from schemas.monitoring import ALARMS, BACKTEST, DECISIONS, EVERYTHING, FEATURES, SCORE_SPREADS

WIDTH, HEIGHT, MARGIN = 640, 200, 40  # of a drawing, in pixels
BARS = 12  # features that are drawn, those that cost most first
NIGHTS_DRAWN = 90
LOUD, QUIET, INK = "#D55E00", "#0072B2", "#222222"  # of Okabe and Ito, as in the other drawings
ESTIMATE = "estimate"

Row = Mapping[str, Any]
Tables = Mapping[str, pa.Table]


def night_markdown(tables: Tables) -> str:
    """The alarms, and what the list is held against; the tables have the rest."""
    [decision] = tables[DECISIONS.name].to_pylist()
    lines = [f"# What changed in {decision['contract']} as of {decision['as_of']}", ""]
    alarms = tables[ALARMS.name].to_pylist()
    if alarms:
        rows = [_alarm(row) for row in alarms]
        lines += ["| alarm | state | money | what happened | first |", "|---|---|---|---|---|"]
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    else:
        lines.append("Nothing that changes decisions.")
    return "\n".join([*lines, "", *(f"- {name}: {said}" for name, said in _summary(decision)), ""])


def night_html(tables: Tables) -> str:
    """Everything that was found of a night, on a page that needs no other file."""
    [decision] = tables[DECISIONS.name].to_pylist()
    features = sorted(tables[FEATURES.name].to_pylist(), key=lambda row: -(row["forgone"] or 0.0))
    alarms = [_alarm(row) for row in tables[ALARMS.name].to_pylist()]
    parts = [
        _table(("alarm", "state", "money", "what happened", "first thing to do"), alarms)
        if alarms
        else "<p>Nothing that changes decisions.</p>",
        "<h2>The list</h2>",
        _table(("what", "tonight"), _summary(decision)),
        "<h2>What drift costs a list</h2>",
        _bars([(row["feature"], row["forgone"] or 0.0) for row in features[:BARS]]),
        "<h2>Scores</h2>",
        _table(_SCORE_HEADS, [_score(row) for row in tables[SCORE_SPREADS.name].to_pylist()]),
        "<h2>What became of past nights</h2>",
        history_svg(tables[BACKTEST.name]),
        _table(_PAST_HEADS, [_past(row) for row in _of_segments(tables[BACKTEST.name])]),
        "<h2>Features</h2>",
        "<p>KS and PSI are sizes: nobody is told for them.</p>",
        _table(_FEATURE_HEADS, [_feature(row) for row in features]),
    ]
    title = escape(f"{decision['contract']} as of {decision['as_of']}")
    return _PAGE.format(title=title, parts="\n".join(parts))


def history_svg(backtest: pa.Table) -> str:
    """Leavers against those predicted, night by night once its horizon was over, with the 95 % interval."""
    rows = [row for row in backtest.to_pylist() if row["feature"] == EVERYTHING][-NIGHTS_DRAWN:]
    name = "observed_to_predicted"
    highest = max([1.5, *(row[f"{name}_high"] for row in rows)])
    step = (WIDTH - 2 * MARGIN) / max(len(rows), 1)

    def level(value: float) -> float:
        return float(HEIGHT - MARGIN - value / highest * (HEIGHT - 2 * MARGIN))

    drawn = [
        f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{level(1.0):.1f}" y2="{level(1.0):.1f}" stroke="#9a9a9a"/>'
    ]
    for place, row in enumerate(rows):
        at = MARGIN + (place + 0.5) * step
        low, high = level(row[f"{name}_low"]), level(row[f"{name}_high"])
        drawn.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="{QUIET}" opacity=".5"/>'
        )
        told = escape(f"{row['as_of']}: {row[name]:.2f}, {row['diagnosis']}")
        drawn.append(
            f'<circle cx="{at:.1f}" cy="{level(row[name]):.1f}" r="3" fill="{QUIET}"><title>{told}</title></circle>'
        )
    ends = f"{rows[0]['as_of']} to {rows[-1]['as_of']}" if rows else "no night has matured yet"
    drawn.append(_text(MARGIN, HEIGHT - 12, ends))
    drawn.append(_text(MARGIN, 16, "left against predicted (1 is right)"))
    return _svg(HEIGHT, drawn)


def _bars(values: Sequence[tuple[str, float]]) -> str:
    """A bar for each name, as long as its money."""
    most = max([1e-9, *(value for _, value in values)])
    drawn = []
    for place, (name, value) in enumerate(values):
        top, long = 6 + 20 * place, max(value, 0.0) / most * (WIDTH - 320)
        drawn.append(_text(0, top + 11, name))
        drawn.append(f'<rect x="220" y="{top}" width="{long:.1f}" height="14" fill="{LOUD}"/>')
        drawn.append(_text(226 + long, top + 11, f"{value:,.2f}"))
    return _svg(12 + 20 * len(values), drawn)


def _svg(height: float, drawn: Iterable[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
    return f"{head}{''.join(drawn)}</svg>"


def _text(across: float, down: float, words: str) -> str:
    return (
        f'<text x="{across:.1f}" y="{down}" font-size="12" font-family="sans-serif" fill="{INK}">{escape(words)}</text>'
    )


def _alarm(row: Row) -> tuple[str, ...]:
    muted = f" by {row['muted_by']} until {row['muted_until']}" if row["muted_by"] else ""
    return (
        f"{row['kind']}: {row['subject']}",
        f"{row['state']}{muted}",
        _number(row["money"]),
        row["says"],
        row["to_do"],
    )


def _summary(row: Row) -> list[tuple[str, str]]:
    then = f"{row['before_as_of']}" if row["before_as_of"] else "an earlier night (there is none)"
    name = "observed_to_predicted"
    return [
        ("contacts a day", f"{row['places']:,}, of {row['open']:,} who may be contacted"),
        ("expected profit of the best list", _number(row["expected_profit"])),
        (f"the same by the scores of {then}", _number(row["expected_profit_before"])),
        (f"of the list by the scores of {then}, still on it", _share(row["overlap_before"])),
        ("first reasons that are others than then", _share(row["reasons_moved"])),
        ("most that one feature's drift costs", f"{_number(row['forgone'])} {row['forgone_feature'] or ''}".strip()),
        (f"left against predicted, as of {row['matured_as_of'] or 'no night yet'}", _interval(row, name)),
        ("lift of all matured waves", _interval(row, "lift")),
        ("saved by them, in money", _number(row["saved"])),
    ]


_SCORE_HEADS = (
    "segment",
    "customers",
    "mean",
    "a month ago",
    "PSI",
    "order kept (1: as on an earlier night)",
    f"AUC ({ESTIMATE})",
    f"rate by the latest error ({ESTIMATE})",
    f"rate by EM ({ESTIMATE})",
    "rate that came",
)
_PAST_HEADS = ("night", "segment", "left", "predicted", "left against predicted", "AUC", "lift, top tenth", "diagnosis")
_FEATURE_HEADS = (
    "feature",
    "champion of",
    "costs",
    "of the list",
    "overlap",
    "missing",
    "before",
    "unseen",
    "KS",
    "PSI",
    "range",
)


def _score(row: Row) -> tuple[str, ...]:
    rates = (row["expected_rate"], row["em_rate"], row["matured_rate"])
    spread = (_share(row["mean"]), _share(row["mean_before"]))
    sizes = (_number(row[name], 3) for name in ("psi", "order_kept", "expected_auc"))
    return (row["segment"], f"{row['customers']:,}", *spread, *sizes, *(_share(rate) for rate in rates))


def _past(row: Row) -> tuple[str, ...]:
    shares = (_share(row["observed"]), _share(row["predicted"]), _interval(row, "observed_to_predicted"))
    return (
        str(row["as_of"]),
        row["value"],
        *shares,
        _number(row["auc"], 3),
        _number(row["lift_10"]),
        row["diagnosis"],
    )


def _of_segments(backtest: pa.Table) -> list[Row]:
    rows = [row for row in backtest.to_pylist() if row["feature"] in (EVERYTHING, "segment")]
    return rows[::-1][:NIGHTS_DRAWN]


def _feature(row: Row) -> tuple[str, ...]:
    ends = f"{row['minimum']:,.4g} to {row['maximum']:,.4g}" if row["minimum"] is not None else ""
    shares = (row["forgone_share"], row["overlap"], row["missing"], row["missing_before"], row["unseen"])
    costs = _number(row["forgone"])
    sizes = _number(row["ks"], 3), _number(row["psi"], 3)
    return (row["feature"], row["place"], costs, *(_share(share) for share in shares), *sizes, ends)


def _interval(row: Row, name: str) -> str:
    if row[name] is None:
        return ""
    return f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"


def _number(value: float | None, places: int = 2) -> str:
    return "" if value is None else f"{value:,.{places}f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>What changed: {title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left; vertical-align: top }}
</style>
<h1>What changed: {title}</h1>
{parts}
</html>
"""
