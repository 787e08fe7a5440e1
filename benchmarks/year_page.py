"""The page of a simulated year: its months, what its alarms and retrainings came to, and money as believed and true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from math import erfc, sqrt
from typing import Any, NamedTuple

import numpy as np

from schemas.lift import ALL_ACTIONS
from schemas.monitoring import EVERYTHING
from store.monitoring import kept_backtest, latest_lift
from store.settings import current_settings

BASE, IN_A_YEAR = "telco", 12
HOW = "Made by `CHURN_PARITY=off python -m benchmarks.year --home FOLDER --to docs/year.md`."
Told = Mapping[str, Any]


class Year(NamedTuple):
    """The nights as they were lived, in order, and of what telecom."""

    nights: Sequence[Told]
    customers: int
    holdout: float
    contested: tuple[str, ...]  # regions to which the competitor comes

    @property
    def months(self) -> list[list[Told]]:
        """The nights of each month."""
        names = sorted({one["night"][:7] for one in self.nights})
        return [[one for one in self.nights if one["night"].startswith(name)] for name in names]

    def sum(self, name: str, until: date = date.max) -> float:
        """The sum over the nights up to a date."""
        return float(sum(one[name] for one in self.nights if date.fromisoformat(one["night"]) <= until))


def page_of(year: Year) -> str:
    """The whole page."""
    parts = [_head(year), _care(year), _lists(year), _models(year), _events(year), _lift(year), _actions(year)]
    return "\n\n".join(parts) + "\n"


def _head(year: Year) -> str:
    trained = [one for one in year.nights if "trained" in one]
    alarms = sum(len(one["alarms"]) for one in year.nights)
    promoted = sum(one["promoted"] and one["trained"] != one["champion"] for one in trained)
    asked = sum(one["remedy"] == "retraining" for one in trained)
    kept, money, believed = (year.sum(name) for name in ("truly_kept", "true_money", "expected_money"))
    share = year.sum("held_out") / (year.sum("held_out") + year.sum("entered"))
    title = "A year" if len(year.months) == IN_A_YEAR else f"{len(year.months)} months"
    return "\n\n".join(
        [
            f"# {title} of nights",
            f"A simulated telecom of {year.customers:,} customers, whose price rises in the fourth month and to which a"
            f" competitor comes in the seventh. On {len(year.nights)} nights, the first of each month, lists were made"
            " by the flows that make them everywhere; who came onto one lived on as the simulator's truth has it for"
            " the action that he was listed for.",
            f"Alarms: {alarms}. Retrainings: {len(trained)}, of which alarms started {asked} and Sundays the others."
            f" Promotions: {promoted}."
            f" {year.sum('entered'):,.0f} customers came onto a list, {year.sum('held_out'):,.0f} ({share:.0%}) were"
            f" held out by lot. The lists believed that they would earn {believed:,.0f} EUR; by the truth they kept"
            f" {kept:,.1f} customers and earned {money:,.0f} EUR, {money / believed:.0%} of it.",
            HOW,
        ]
    )


def _care(year: Year) -> str:
    return "\n".join(
        [
            "## To read it with care\n",
            "- The truth of a month is drawn at its start. Who complains later in it is listed for that, and the truth"
            " knows of no complaint: the lists of the later nights look worse than they are.",
            "- A customer who is kept is worth what the policy says that he is. The simulator knows nothing of him"
            " after the month in which he would have left: he leaves in the next one, without a fact of it.",
            f"- {year.holdout:.0%} of a wave are held out. The policy that ships holds out one in fifty, of whom a base"
            " so small would learn nothing in years.",
            "- Nobody writes contacts back. So each is counted as made, and each offer as accepted, in what the company"
            " measures; the true money counts an offer for who stays.",
            "- Nights are watched on the first days of each month alone. An alarm about a matured night comes when the"
            " next one is watched.",
        ]
    )


def _lists(year: Year) -> str:
    head = (
        "came onto a list",
        "held out",
        "would leave, predicted",
        "in truth",
        "truly kept",
        "money, believed",
        "money, true",
    )
    names = ("entered", "held_out", "predicted", "expected_to_leave", "truly_kept", "expected_money", "true_money")
    digits = (0, 0, 1, 1, 1, 0, 0)
    rows = []
    for month in [*year.months, list(year.nights)]:
        label = month[0]["night"][:7] if month is not year.nights and len(month) < len(year.nights) else "all"
        sums = [sum(one[name] for one in month) for name in names]
        rows.append([label, *(f"{value:,.{digit}f}" for value, digit in zip(sums, digits, strict=True))])
    return "## Lists\n\n" + _table(("month", *head), rows)


def _models(year: Year) -> str:
    """Of the first night of each month, who scored it and what became of its scores."""
    found = {row["as_of"]: row for row in _matured() if row["feature"] == EVERYTHING}
    rows = []
    for month in year.months:
        row = found.get(date.fromisoformat(month[0]["night"]))
        if row:
            ratio, low, high = (row[f"observed_to_predicted{end}"] for end in ("", "_low", "_high"))
            auc = f"{row['auc']:.3f} ± {2.0 * row['auc_error']:.3f}" if row["auc"] is not None else ""
            level = f"{ratio:.2f} ({low:.2f} to {high:.2f})"
            told = (f"{row['churners']:,.0f}", f"{row['predicted']:.2%}", f"{row['observed']:.2%}", level, auc)
            rows.append([month[0]["night"], str(row["model_version"]), *told, row["diagnosis"]])
    head = ("night", "version", "left", "predicted", "observed", "observed / predicted", "AUC", "what it says")
    said = (
        "What became of the scores of each month's first night, as the backtest has it: of those whom nobody called,"
        " those held out standing for the listed. Intervals are of 95 %."
    )
    return f"## Scores\n\n{said}\n\n{_table(head, rows)}"


def _matured() -> list[dict[str, Any]]:
    """What became of the nights, by all and by parts of the customers."""
    rows: list[dict[str, Any]] = kept_backtest(current_settings(), BASE, date.max).to_pylist()
    return rows


def _events(year: Year) -> str:
    told = [line for one in year.nights for line in _of_night(one)]
    events = "\n".join(told) or "Nobody was told of anything."
    return f"## Alarms, and what came of them\n\n{events}\n\n{_competitor(year)}"


def _competitor(year: Year) -> str:
    """How many of the regions to which he came anybody was told of."""
    alarms = [said for one in year.nights for said in one["alarms"] if said.startswith("local: region ")]
    named = {said.removeprefix("local: region ").partition(":")[0] for said in alarms}
    right = named & set(year.contested)
    leavers = np.mean([row["churners"] for row in _matured() if row["feature"] == "region"] or [0.0])
    return (
        f"Of the {len(year.contested)} regions to which the competitor came, alarms named {len(right)}, and"
        f" {len(named - right)} of the others. A region has {leavers:.0f} leavers a month here, so that only one where"
        " far more leave stands out from forty; in a base ten times as large tests hold that he is found."
    )


def _of_night(one: Told) -> Iterator[str]:
    for said in one["alarms"]:
        yield f"- {one['night']}: alarm, {said}"
    if one["alarms"] and one["remedy"] != "retraining" and "trained" not in one:
        yield f"- {one['night']}: no retraining, since people have to look first"
    if "trained" in one:
        yield f"- {one['night']}: {_of_training(one)}"


def _of_training(one: Told) -> str:
    """What came of the night's retraining; from the same lessons comes the same model."""
    why = "for the alarm" if one["remedy"] == "retraining" else "as on every Sunday"
    if one["trained"] == one["champion"]:
        return f"version {one['trained']} was trained {why}, and is champion already: no other month had matured"
    became = "became champion" if one["promoted"] else f"was refused: {one['refused']}"
    return f"version {one['trained']} was trained {why} and {became}"


def _lift(year: Year) -> str:
    """What the company could measure at the end of each month's nights, beside the truth about the same waves."""
    rows, within = [], 0
    lift: Mapping[str, object] = {}
    for month in year.months:
        known_at = datetime.combine(date.fromisoformat(month[-1]["night"]), time())
        lift = latest_lift(current_settings(), BASE, known_at)
        if lift.get("effect") is None or lift["action"] != ALL_ACTIONS:
            continue
        until = date.fromisoformat(str(lift["last_as_of"]))
        truth = -100.0 * year.sum("truly_kept", until) / year.sum("entered", until)
        effect, low, high = (100.0 * float(str(lift[f"effect{end}"])) for end in ("", "_low", "_high"))
        within += low <= truth <= high
        measured = f"{effect:+.1f} ({low:+.1f} to {high:+.1f})"
        counts = f"{known_at:%Y-%m-%d}", f"{lift['listed']:,}", f"{lift['held_out']:,}"
        money = _saved(lift), f"{year.sum('true_money', until):,.0f}"
        rows.append([*counts, measured, f"{truth:+.1f}", *money, str(lift["verdict"])])
    head = ("known by", "listed", "held out", "effect, points", "true effect", "saved, EUR", "true money", "verdict")
    said = (
        "By how many points fewer of the listed left than of those held out, by what the company knew on the last of"
        f" each month's nights; below zero saves. The truth lies within the interval of {within} of {len(rows)}"
        " measurements, which are of the same waves and so no independent ones. There each customer counts once, of who"
        " came onto several lists; the truth counts each list."
    )
    return f"## What the waves saved\n\n{said} {_luck(year)}{_warning(lift, year)}\n\n{_table(head, rows)}"


def _warning(lift: Mapping[str, object], year: Year) -> str:
    """What a company would do that took a figure for the truth."""
    saved = lift.get("saved")
    if saved is None or float(str(saved)) >= 0.0 or year.sum("true_money") <= 0.0:
        return ""
    return (
        " A company that took the figures of this table for the truth would have stopped lists that earn money: its"
        f" holdout cannot tell within a year, and so the verdict is {lift['verdict']!s}."
    )


def _luck(year: Year) -> str:
    """Whether those held out left as they should have by the truth: the lot alone may make the waves look bad."""
    many, should, did = (year.sum(name) for name in ("held_out", "held_out_to_leave", "held_out_left"))
    surprise = (did - should) / sqrt(should)  # of so few leavers among many, the count varies by its root
    return (
        f"Of the {many:,.0f} held out, {should:,.1f} should have left by the truth, and {did:,.0f} did: chance is as"
        f" far off in {erfc(abs(surprise) / sqrt(2.0)):.0%} of such years."
    )


def _saved(lift: Mapping[str, object]) -> str:
    if lift["saved"] is None:
        return "not known"
    saved, low, high = (float(str(lift[f"saved{end}"])) for end in ("", "_low", "_high"))
    return f"{saved:,.0f} ({low:,.0f} to {high:,.0f})"


def _actions(year: Year) -> str:
    counts: Counter[str] = Counter()
    for one in year.nights:
        counts.update(one["actions"])
    listed = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    said = [f"- {line}" for line in [*year.nights[-1].get("measured", ()), *year.nights[-1].get("learnt", ())]]
    return "\n".join([f"## By action, at the end\n\nListed: {listed}.\n", *said])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
