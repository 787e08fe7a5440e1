"""A year of nights by the real flows on a simulated telecom, in which contacts change who leaves, and its story.

Lists are made on the nights of each month's first week. Who comes onto one lives on as the simulator's truth has it
under the action that he was listed for; nobody else does. After each month's last night the outcomes of all waves that
are over are measured by what is known then. A retraining follows each Sunday's night, as its schedule has it, and any
other night whose watching raises an alarm that a retraining mends, as the automation does. What passes the gate is
promoted. The telecom is 24 months old at the end, so that its price rise and its competitor fall into the year. The
policy is the one that ships, but for its holdout: one in fifty of so few customers would show nothing within a year.

A year that was broken off goes on where it was: give the same folder as --home.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MONTHS, YEAR = 24, 12
NIGHTS = 7  # of each month, from its first on
SUNDAY = 6  # retraining's schedule, as a weekday
LEAVES_ON = 20  # day of the month on which those leave whom a call drives away, or who were kept for a month
Told = dict[str, Any]


class Telecom(NamedTuple):
    """The folder of the source, and the file of the policy, as flows are asked for them."""

    source: str
    policy: str


def main() -> None:
    """Runs what is left of the year, and writes its page once nothing is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--months", type=int, default=YEAR, help="of the year, the first ones")
    parser.add_argument("--nights", type=int, default=NIGHTS, help="of each month's first week")
    parser.add_argument("--holdout", type=float, default=0.1, help="share of a wave that the lot holds out")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--minutes", type=float, default=24 * 60.0, help="after which it breaks off between two nights")
    parser.add_argument("--home", type=Path, required=True, help="a folder for the telecom, the nights and the story")
    parser.add_argument("--to", type=Path, help="where to write the page, such as docs/year.md")
    chosen = parser.parse_args()
    _settle(chosen.home)
    source, policy = _source(chosen.home, chosen.customers, chosen.seed), _policy(chosen.home, chosen.holdout)
    telecom = Telecom(str(source), str(policy))
    ends = time.monotonic() + 60.0 * chosen.minutes
    story = _story(chosen.home)
    lived = {one["night"] for one in story}
    left = [night for night in _nights(chosen.months, chosen.nights) if str(night) not in lived]
    while left and time.monotonic() < ends:
        night = left.pop(0)
        told, last = _lived(telecom, night), not left or left[0].month != night.month
        story.append(told | (_measured(telecom, night) if last else {}))
        (chosen.home / "story.json").write_text(json.dumps(story, indent=1), encoding="utf-8")
        print(json.dumps(story[-1]), flush=True)
    print(json.dumps({"nights": len(story), "left": len(left)}))
    if not left and chosen.to:
        # It asks the database, which is where CHURN_HOME says.
        from benchmarks.year_page import Year, page_of

        regions = _contested(chosen.customers, chosen.seed)
        chosen.to.write_text(page_of(Year(story, chosen.customers, chosen.holdout, regions)), encoding="utf-8")


def _contested(customers: int, seed: int) -> tuple[str, ...]:
    """The regions to which the competitor comes."""
    from churn.simulation.world import draw_world
    from churn.simulator import Simulation

    places = np.flatnonzero(draw_world(Simulation(customers, MONTHS, seed)).contested)
    return tuple(f"R{place + 1:02d}" for place in places.tolist())


def _settle(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    os.environ["CHURN_HOME"] = str(home)
    os.environ.setdefault("CHURN_MODE", "development")  # the models of a benchmark need no signature
    from store.settings import current_settings, settle_libraries

    settle_libraries(current_settings(), quiet=True)


def _source(home: Path, customers: int, seed: int) -> Path:
    """The folder of the source; its truth lies beside it. Both are made once."""
    from churn.simulator import Simulation, blocks
    from store.simulated import write_simulation

    source = home / "source"
    if not source.exists():
        write_simulation(blocks(Simulation(customers, MONTHS, seed)), str(source), home / "truth")
    return source


def _policy(home: Path, holdout: float) -> Path:
    """A file of the policy that ships, with that holdout."""
    from store.policies import read_policy

    shipped, file = read_policy("telco"), home / "policy.yaml"
    share = f"share: {shipped.policy.holdout.share}"
    if share not in shipped.text:
        raise SystemExit(f"schemas/policies/telco.yaml does not say {share!r}")
    file.write_text(shipped.text.replace(share, f"share: {holdout}"), encoding="utf-8")
    return file


def _story(home: Path) -> list[Told]:
    file = home / "story.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def _nights(months: int, nights: int) -> Iterator[date]:
    from churn.simulator import Simulation

    firsts = [first.astype(object) for first in _firsts(Simulation(1, MONTHS))][MONTHS - YEAR :][:months]
    yield from (first + timedelta(days=day) for first in firsts for day in range(nights))


def _firsts(simulation: Any) -> np.ndarray:
    start = np.datetime64(simulation.start, "M")
    return np.arange(start, start + simulation.months).astype("datetime64[D]")


def _lived(telecom: Telecom, night: date) -> Told:
    """Runs the night, lets the listed live on as the truth has it, and retrains on Sundays and where an alarm asks."""
    from flows.nightly import nightly

    began = time.monotonic()
    summary = nightly(as_of=str(night), source=telecom.source, policy=telecom.policy)
    seconds = time.monotonic() - began
    listed, alarms = _entered(summary.outreach.folder, night), _alarms(night)
    told = {
        "night": str(night),
        "seconds": round(seconds, 1),
        "champion": _champion(),
        "customers": summary.scores.rows,
        "entered": listed.num_rows,
        **_held_out(Path(telecom.source), night, summary.outreach.folder),
        **_live_on(Path(telecom.source), night, listed),
        "alarms": [f"{row['kind']}: {row['says']}" for row in alarms],
        "remedy": _remedy(alarms),
    }
    due = night.weekday() == SUNDAY or told["remedy"] == "retraining"
    return told | (_retrained(telecom.source, night) if due else {})


def _champion() -> int:
    from store.registry import open_registry
    from store.settings import current_settings

    return open_registry(current_settings()).resolve_all("telco")["all"].version


def _entered(folder: Path, night: date) -> pa.Table:
    """Who came onto the list that night."""
    rows = _rows(folder / "outreach")
    return rows.filter(pc.equal(rows["listed_since"], pa.scalar(night))).select(
        ["customer_id", "action", "customer_value", "probability", "expected_value"]
    )


def _held_out(source: Path, night: date, folder: Path) -> Told:
    """How many would have come onto it, but for the lot; how many of them should leave by the truth, and did."""
    rows = _rows(folder / "outreach_status")
    spared = pc.equal(rows["status"].cast(pa.string()), "held_out")
    rows = rows.filter(pc.and_(spared, pc.equal(rows["wave_since"], pa.scalar(night))))
    _, truth = _known(source, night, rows)
    return {
        "held_out": rows.num_rows,
        "held_out_to_leave": round(float(np.sum(truth["p0"].to_numpy())), 2),
        "held_out_left": int(np.sum(truth["churned_untouched"].to_numpy())),
    }


def _known(source: Path, night: date, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The rows of those of whom there is a truth of the night's month, and that truth."""
    truth = pq.read_table(source.with_name("truth"), filters=[("month", "=", night.replace(day=1))])
    place = pc.index_in(rows["customer_id"].cast(pa.string()), value_set=truth["customer_id"].combine_chunks())
    known = pc.is_valid(place)
    return rows.filter(known), truth.take(place.filter(known))


def _rows(folder: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(file) for file in sorted(folder.glob("*.parquet")))


def _live_on(source: Path, night: date, listed: pa.Table) -> Told:
    """Changes the source by what the calls change, and says what they are worth by the truth."""
    listed, theirs = _known(source, night, listed)
    action = np.asarray(listed["action"].cast(pa.string()).to_pylist(), object)
    risk, stays = _of_action(theirs, action, "p1_"), ~_of_action(theirs, action, "churned_").astype(np.bool_)
    left = np.asarray(theirs["churned_untouched"].to_numpy(), np.bool_)
    value, before = np.asarray(listed["customer_value"]), np.asarray(theirs["p0"])
    names = np.asarray(listed["customer_id"].cast(pa.string()).to_pylist(), object)
    _write_departures(source, night, set(names[left & stays]), set(names[~left & ~stays]))
    costs = np.array([_cost(name, chance) for name, chance in zip(action, risk, strict=True)])
    return {
        "actions": dict(Counter(action.tolist())),
        "predicted": round(float(np.sum(listed["probability"].to_numpy())), 2),
        "expected_money": round(float(np.sum(listed["expected_value"].to_numpy())), 2),
        "expected_to_leave": round(float(before.sum()), 2),
        "truly_kept": round(float((before - risk).sum()), 2),
        "true_money": round(float(((before - risk) * value - costs).sum()), 2),
    }


def _of_action(truth: pa.Table, action: np.ndarray, prefix: str) -> np.ndarray:
    """Of each customer the truth's column for his action."""
    found = np.zeros(len(action))
    for name in set(action):
        theirs = action == name
        found[theirs] = np.asarray(truth[f"{prefix}{name}"].to_numpy(), np.float64)[theirs]
    return found


def _cost(action: str, risk: float) -> float:
    """A contact, and the offer of whoever stays."""
    from store.policies import read_policy

    known = next(one for one in read_policy("telco").policy.actions if one.name == action)
    return known.contact_cost + known.offer_cost * (1.0 - risk)


def _write_departures(source: Path, night: date, kept: set[str], driven: set[str]) -> None:
    """Who is kept leaves a month later, since the simulator knows no more of him; who is driven away leaves now."""
    file = source / "churn_events.parquet"
    rows = [row for row in pq.read_table(file).to_pylist() if row["customer_id"] not in driven]
    later = (night.replace(day=1) + timedelta(days=31)).replace(day=LEAVES_ON)
    for row in rows:
        if row["customer_id"] in kept and night < row["churned_on"] < later.replace(day=1):
            row["recorded_at"] += later - row["churned_on"]
            row["churned_on"] = later
    sample, day = rows[0], night.replace(day=LEAVES_ON)
    moment = sample["recorded_at"].replace(year=day.year, month=day.month, day=day.day + 1)
    rows += [sample | {"customer_id": name, "churned_on": day, "recorded_at": moment} for name in sorted(driven)]
    part = file.with_suffix(".part")
    pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(file)), part)
    part.replace(file)


def _alarms(night: date) -> list[dict[str, Any]]:
    """The rows of what was raised that night."""
    from store.monitoring import alarms_since
    from store.settings import current_settings

    rows = alarms_since(current_settings(), "telco", night).to_pylist()
    return [row for row in rows if row["as_of"] == night and row["state"] == "raised"]


def _remedy(alarms: Sequence[dict[str, Any]]) -> str:
    """What the event of the alarms asks for; nothing where there are none."""
    from churn.findings import Finding
    from churn.remedy import remedy_for
    from schemas.monitoring import AlarmKind, Remedy

    typed: list[dict[str, Any]] = [
        {name: row[name] for name in _OF_A_FINDING} | {"kind": AlarmKind(row["kind"]), "remedy": Remedy(row["remedy"])}
        for row in alarms
    ]
    found = [Finding(**each) for each in typed]
    return remedy_for(found).value if found else ""


_OF_A_FINDING = ("subject", "size", "money", "says", "to_do", "place")


def _retrained(source: str, night: date) -> Told:
    """Trains on what is known that night, and promotes who passes the gate."""
    from flows.promotion import promotion
    from flows.retraining import retraining

    done = retraining(as_of=str(night), source=source, per_segment=False, promote="never")
    [candidate] = done.candidates
    passed, refused = candidate.verdict.passed, candidate.verdict.refused_by
    if passed:
        promotion("the year", "it passed the gate", version=candidate.version, expected=candidate.expected)
    return {"trained": candidate.version, "promoted": passed, "refused": refused.says if refused else ""}


def _measured(telecom: Telecom, night: date) -> Told:
    """What the waves saved by what the company can see at the start of the night; whose horizon is over, together."""
    from flows.outcomes import outcomes

    measured = outcomes(known_at=f"{night}T00:00", source=telecom.source, policy=telecom.policy)
    waves = [one for one in measured.lifts if one.scope == "waves"]
    return {"measured": [f"{one.dates}, {one.action}: {one.says}" for one in waves], "learnt": list(measured.learnt)}


if __name__ == "__main__":
    main()
