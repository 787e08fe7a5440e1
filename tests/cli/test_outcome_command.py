"""A list is handed over as a file, and what came of it is taken back, as often as it is sent."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv
from typer.testing import CliRunner

from churn.contract import arrow_schema
from churn.errors import ChurnError, RequestError
from cli.app import app
from schemas import outreach
from schemas.columns import Table
from schemas.outreach import OUTREACH
from store.claims import Claim, Content, Unit
from store.handovers import waves_sent
from store.publication import open_publisher
from store.settings import Settings
from store.tables import TABLES_OF

WAVE = date(2026, 1, 1)
HEAD = "customer_id,as_of,action,channel,team,event,agent,occurred_at,key"
REACHED = "C1,2026-01-01,discount,message,north,reached,a.miller,2026-01-02T09:30:00Z,one"
SCHEMAS = {one.name: one for one in vars(outreach).values() if isinstance(one, Table)}
ACCEPTED = "C1,2026-01-01,discount,message,north,accepted,a.miller,2026-01-02T09:40:00Z,two"


@pytest.fixture
def home(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("CHURN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    return settings


def churn(*arguments: str, sent: str | None = None, code: int = 0) -> str:
    """What the command writes to standard output."""
    result = CliRunner().invoke(app, arguments, input=sent)
    if isinstance(result.exception, ChurnError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def published(settings: Settings, customers: list[str]) -> None:
    """A published list of these customers, whose every other text names its column."""
    publisher = open_publisher(settings)
    moment = datetime.combine(WAVE, datetime.min.time())
    claim = publisher.claim(Unit("telco", "outreach", WAVE, moment), Content("key", "extract"))
    assert isinstance(claim, Claim)
    folder = publisher.stage(claim)
    for table in TABLES_OF["outreach"]:
        rows = _rows(customers) if table.name == OUTREACH.name else arrow_schema(SCHEMAS[table.name]).empty_table()
        pq.write_table(rows, folder / table.name / "list.parquet")
    publisher.seal(claim)
    publisher.load(claim)
    publisher.publish(claim)


def _rows(customers: list[str]) -> pa.Table:
    plain = {"string": "a {}", "number": 0.5, "integer": 1, "date": WAVE}
    columns = {
        column.name: [_plain(plain[column.logical_type], column.name)] * len(customers) for column in OUTREACH.columns
    }
    own = {"customer_id": customers, "rank": list(range(1, len(customers) + 1))}
    return pa.table(columns | own, schema=arrow_schema(OUTREACH))


def _plain(value: object, name: str) -> object:
    return value.format(name) if isinstance(value, str) else value


def test_a_list_is_handed_over_as_csv(home: Settings, tmp_path: Path):
    published(home, ["C1", "=cmd|' /C calc'!A0"])
    said = churn("outreach-export", "--to", str(tmp_path / "out" / "list.csv"))
    assert said == f"2 of 2 customers of the list of 2026-01-01 are in {tmp_path / 'out' / 'list.csv'}.\n"
    rows = csv.read_csv(tmp_path / "out" / "list.csv")
    assert rows.column_names == ["as_of", "rank", "customer_id", "team", "action", "channel", "agent_says"]
    assert rows["customer_id"].to_pylist() == ["C1", "'=cmd|' /C calc'!A0"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["list.csv"]


def test_a_list_is_handed_over_as_parquet_and_cells_stay_as_they_are(home: Settings, tmp_path: Path):
    published(home, ["C1", "=1"])
    churn("outreach-export", "--to", str(tmp_path / "list.parquet"), "--as-of", "2026-01-01", "--team", "a team")
    assert pq.read_table(tmp_path / "list.parquet")["customer_id"].to_pylist() == ["C1", "=1"]


def test_a_list_counts_as_sent_from_its_handover_on(home: Settings, tmp_path: Path):
    published(home, ["C1"])
    churn("outreach-export", "--to", str(tmp_path / "list.csv"))
    assert sent(home) == {("telco", WAVE)}


def sent(settings: Settings) -> set[tuple[str, date]]:
    with open_publisher(settings).engine.connect() as connection:
        return waves_sent(connection)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--to", "list.xlsx"), "it ends on '.xlsx'"),
        (("--to", "list.csv", "--as-of", "2025-01-01"), "no list was published"),
        (("--to", "list.csv", "--as-of", "yesterday"), "is no date"),
        (("--to", "/proc/list.csv"), "it cannot be written"),
    ],
)
def test_what_cannot_be_handed_over_is_refused_in_a_sentence(home, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    published(home, ["C1"])
    with pytest.raises(RequestError, match=told):
        churn("outreach-export", *arguments)
    assert not list(tmp_path.glob("list.*"))
    assert sent(home) == set()


def test_events_are_recorded_once_however_often_the_file_is_sent(home: Settings, tmp_path: Path):
    published(home, ["C1"])
    file = tmp_path / "back.csv"
    file.write_text(f"{HEAD}\n{REACHED}\n{ACCEPTED}\n")
    assert churn("outcome", "record", str(file)) == "2 new, 0 known already, 0 refused\n"
    assert churn("outcome", "record", "-", sent=file.read_text()) == "0 new, 2 known already, 0 refused\n"
    shown = churn("outcome", "list", "--as-of", "2026-01-01")
    assert "discount" in shown
    events = json.loads(churn("outcome", "list", "--as-of", "2026-01-01", "--json"))
    assert [(event["event"], event["agent"]) for event in events] == [("reached", "a.miller"), ("accepted", "a.miller")]


def test_a_line_of_a_night_without_a_list_is_refused_and_nights_with_one_are_named(home: Settings):
    with pytest.raises(RequestError, match="1 of 1 lines were refused"):
        churn("outcome", "record", "-", sent=f"{HEAD}\n{REACHED}\n")
    published(home, ["C1"])
    slip = ACCEPTED.replace("2026-01-01", "2025-01-01")
    said = CliRunner().invoke(app, ("outcome", "record", "-"), input=f"{HEAD}\n{REACHED}\n{slip}\n").stdout
    assert "1 new, 0 known already, 1 refused" in said
    assert "two: no list of 2025-01-01 was published, the newest are of 2026-01-01: correct as_of" in said


def test_a_line_that_is_wrong_is_told_and_the_others_are_recorded(home: Settings):
    published(home, ["C1"])
    wrong = REACHED.replace("reached", "phoned").replace(",one", ",three")
    with pytest.raises(RequestError, match="1 of 3 lines were refused, the others are recorded"):
        churn("outcome", "record", "-", sent=f"{HEAD}\n{REACHED}\n{wrong}\n{ACCEPTED}\n")
    assert len(json.loads(churn("outcome", "list", "--as-of", "2026-01-01", "--json"))) == 2


def test_a_customer_whose_key_was_disarmed_is_recorded_by_his_own(home: Settings):
    published(home, ["-17"])
    churn("outcome", "record", "-", sent=f"{HEAD}\n{REACHED.replace('C1', chr(39) + '-17')}\n")
    [event] = json.loads(churn("outcome", "list", "--as-of", "2026-01-01", "--json"))
    assert event["customer_id"] == "-17"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (HEAD.replace(",key", "") + "\n", "it lacks key"),
        (HEAD + ",note\n", "it has note"),
        ("", "it is no CSV"),
        (HEAD + "\n1,2\n", "it is no CSV"),
    ],
)
def test_a_file_that_is_no_write_back_is_refused_in_a_sentence(home, sent, told):
    with pytest.raises(RequestError, match=told):
        churn("outcome", "record", "-", sent=sent)


def test_a_list_of_which_nothing_came_back_says_so(home: Settings):
    assert "Nothing was written back of telco's list of 2026-01-01" in churn("outcome", "list", "--as-of", "2026-01-01")
