"""A night is watched as it was published: what changed is kept, named and priced, and told once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

import schemas
from churn.alarms import Alarm, Mute
from churn.contract import arrow_schema
from churn.errors import RequestError
from churn.findings import Finding
from schemas.columns import LogicalType
from schemas.monitoring import (
    ALARMS,
    BACKTEST,
    DECISIONS,
    FEATURES,
    SCORE_SPREADS,
    AlarmKind,
    AlarmState,
    Diagnosis,
    Remedy,
)
from store import monitoring
from store.lake import bucket_file, read_parquet, write_parquet
from store.publication import open_publisher
from store.settings import Settings, current_settings
from tasks import monitoring as steps
from tasks import monitoring_past
from tasks.backtest import follow_up
from tests.end_to_end.nights import living_in
from tests.watched_nights import CAUSE, CUSTOMERS, IRRELEVANT, KEY, customers, publish_night, save_card, spoil

FIRST = date(2026, 1, 1)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with living_in(tmp_path):
        yield current_settings()


@pytest.fixture
def digest(settings: Settings) -> str:
    return save_card(settings)


def night(number: int) -> date:
    return FIRST + timedelta(days=number)


def with_column(rows: pa.Table, name: str, values: object) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, pa.array(values))


def zeroed(rows: pa.Table, name: str) -> pa.Table:
    return with_column(rows, name, np.zeros(CUSTOMERS).astype(rows[name].type.to_pandas_dtype()))


def watched(settings: Settings, as_of: date, rows: pa.Table, digest: str) -> steps.Seen:
    publish_night(settings, as_of, rows, digest)
    return steps.watch_night.fn("telco", as_of)


def test_a_key_column_gone_to_zero_is_told_the_same_night_by_its_name_and_its_money(
    settings: Settings, digest: str
) -> None:
    assert watched(settings, night(0), customers(), digest).alarms == ()
    seen = watched(settings, night(1), zeroed(customers(), KEY), digest)
    assert [(alarm.finding.subject, alarm.state) for alarm in seen.new] == [(KEY, "raised")]
    assert (seen.new[0].finding.money or 0.0) > 0.0
    assert f"{KEY}: 100.0% of the customers are where" in seen.new[0].finding.says
    assert KEY in seen.page.read_text()
    assert "http://" not in seen.page.read_text().replace("http://www.w3.org/2000/svg", "")


def test_a_column_that_only_causes_look_at_is_priced_by_the_contacts_that_go_with_it(
    settings: Settings, digest: str
) -> None:
    assert watched(settings, night(0), customers(), digest).alarms == ()
    [alarm] = watched(settings, night(1), zeroed(customers(), CAUSE), digest).new
    assert (alarm.finding.kind, alarm.finding.subject) == ("drift", CAUSE)
    before, after = (monitoring.kept_night(settings, DECISIONS, "telco", night(number)) for number in (0, 1))
    assert after["expected_profit"].to_pylist() == [0.0], "there is nothing else to offer to these customers"
    assert alarm.finding.money == pytest.approx(before["expected_profit"][0].as_py(), rel=0.1)


def test_an_irrelevant_column_gone_to_zero_is_recorded_and_nobody_is_told(settings: Settings, digest: str) -> None:
    assert watched(settings, night(0), zeroed(customers(), IRRELEVANT), digest).alarms == ()
    rows = {row["feature"]: row for row in monitoring.kept_night(settings, FEATURES, "telco").to_pylist()}
    assert rows[IRRELEVANT]["psi"] > 1.0
    assert (rows[IRRELEVANT]["forgone"], rows[IRRELEVANT]["maximum"]) == (0.0, 0.0)


def test_a_night_that_is_watched_again_tells_nobody_again_and_keeps_one_row(settings: Settings, digest: str) -> None:
    steps.tell_people(watched(settings, night(0), zeroed(customers(), KEY), digest))
    again = steps.watch_night.fn("telco", night(0))
    assert (len(again.alarms), again.new) == (1, ())
    assert monitoring.kept_night(settings, ALARMS, "telco").num_rows == 1


@pytest.mark.parametrize("later", [0, 1])
def test_what_could_not_be_told_is_told_by_the_next_watch(
    settings: Settings, digest: str, monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    monkeypatch.setattr(monitoring, "keep_page", _on_a_full_disk)
    with pytest.raises(OSError, match="full"):
        watched(settings, night(0), zeroed(customers(), KEY), digest)
    monkeypatch.undo()
    if later:
        publish_night(settings, night(1), zeroed(customers(), KEY), digest)
    seen = steps.watch_night.fn("telco", night(later))
    assert [(alarm.finding.subject, alarm.raised_as_of) for alarm in seen.new] == [(KEY, night(0))]
    steps.tell_people(seen)
    assert steps.watch_night.fn("telco", night(later)).new == ()


def _on_a_full_disk(*_: object) -> Path:
    raise OSError("the disk is full")


def test_a_night_that_is_watched_later_knows_what_was_known_that_night(settings: Settings, digest: str) -> None:
    publish_night(settings, night(0), customers(), digest)
    keep_what_became_of(settings, night(0), night(-31))
    assert steps.watch_night.fn("telco", night(0)).matured_until == night(-30)
    [row] = monitoring.kept_night(settings, DECISIONS, "telco").to_pylist()
    assert row["matured_as_of"] == night(-31), "what became of the night itself nobody knew"


def keep_what_became_of(settings: Settings, *nights: date) -> None:
    ordinary = {LogicalType.STRING: "all", LogicalType.NUMBER: 1.0, LogicalType.INTEGER: 1}
    values = {column.name: ordinary.get(column.logical_type) for column in BACKTEST.columns}
    rows = [values | {"contract": "telco", "as_of": as_of, "diagnosis": Diagnosis.SOUND} for as_of in nights]
    monitoring.keep_backtest(settings, pa.Table.from_pylist(rows, schema=arrow_schema(BACKTEST)))


def given_to_others(rows: pa.Table, segment: str) -> pa.Table:
    """The rows of a night on which a join gave those of the customers of a segment to one another."""
    names, own = np.array(rows["segment"].to_pylist()), np.arange(CUSTOMERS)
    theirs = np.flatnonzero(names == segment)
    own[theirs] = np.random.default_rng(5).permutation(theirs)
    shuffled = rows.take(pa.array(own))
    return shuffled.set_column(shuffled.column_names.index("customer_id"), "customer_id", rows["customer_id"])


def test_rows_that_were_given_to_other_customers_are_told_while_the_list_would_earn_as_much(
    settings: Settings, digest: str
) -> None:
    assert watched(settings, night(0), customers(), digest).alarms == ()
    wrong = given_to_others(customers(), "prepaid")
    [alarm] = watched(settings, night(1), wrong, digest).new
    assert (alarm.finding.kind, alarm.finding.remedy) == ("identity", "people")
    assert "not what it was among prepaid (" in alarm.finding.says
    assert (alarm.finding.money or 0.0) > 0.0
    rows = {row["segment"]: row for row in monitoring.kept_night(settings, SCORE_SPREADS, "telco").to_pylist()}
    assert rows["postpaid"]["order_kept"] == pytest.approx(1.0)
    assert abs(rows["prepaid"]["order_kept"]) < 0.2
    assert (rows["all"]["order_as_of"], rows["all"]["order_kept"] > 0.5) == (night(0), True)


def test_a_night_in_doubt_is_no_measure_for_the_next_one(settings: Settings, digest: str) -> None:
    """Else the alarm would end while the rows are wrong still, and come again once they are right."""
    wrong = given_to_others(customers(), "prepaid")
    nights = [customers(), wrong, wrong, customers()]
    seen = [watched(settings, night(number), rows, digest).alarms for number, rows in enumerate(nights)]
    assert [[alarm.state.value for alarm in alarms] for alarms in seen] == [[], ["raised"], ["going on"], []]


def test_a_wrong_night_that_nobody_watched_is_no_measure_for_the_right_one(settings: Settings, digest: str) -> None:
    wrong = given_to_others(customers(), "prepaid")
    watched(settings, night(0), customers(), digest)
    publish_night(settings, night(1), wrong, digest)  # its watch failed
    assert watched(settings, night(2), customers(), digest).alarms == ()
    [alarm] = watched(settings, night(3), wrong, digest).new
    assert alarm.finding.kind == "identity"


def test_where_no_night_was_watched_the_newest_is_the_measure(settings: Settings, digest: str) -> None:
    publish_night(settings, night(0), customers(), digest)
    [alarm] = watched(settings, night(1), given_to_others(customers(), "prepaid"), digest).new
    assert alarm.finding.kind == "identity"


def test_nights_by_another_kind_of_model_are_passed_over_by_one_file_of_each(
    settings: Settings, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = save_card(settings, -3.0)
    kinds = {digest: "scorecard", other: "boosted trees"}
    named = {whose: SimpleNamespace(manifest=SimpleNamespace(kind=kind)) for whose, kind in kinds.items()}
    monkeypatch.setattr(monitoring_past, "load_model", lambda whose, _: named[whose])
    for number, scored_by in enumerate((digest, other, other)):
        watched(settings, night(number), customers(), scored_by)
    looked_at: list[int] = []

    def counted(files: Sequence[Path], columns: list[str]) -> pa.Table:
        looked_at.extend([len(files)] * (columns == ["model_digest"]))
        return read_parquet(files, columns)

    monkeypatch.setattr(monitoring_past, "read_parquet", counted)
    watched(settings, night(3), customers(), digest)
    [held_against] = set(monitoring.kept_night(settings, SCORE_SPREADS, "telco")["order_as_of"].to_pylist())
    assert held_against == night(0)
    assert looked_at == [2, 1, 1, 1, 2], "tonight, two nights by another kind, and the one that it is held against"


def test_while_rows_are_in_doubt_the_event_of_another_alarm_starts_no_retraining(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    monkeypatch.setattr(steps, "tell", lambda *_, payload, **__: told.append(payload["remedy"]))
    doubt = Finding(AlarmKind.IDENTITY, "identity", 2.0, 80.0, "they seem to be of others", "Compare them.")
    level = Finding(AlarmKind.CALIBRATION, "calibration", 2.0, None, "more left", "Retrain.", remedy=Remedy.RETRAINING)
    known, new = Alarm(doubt, AlarmState.GOING_ON, night(0)), Alarm(level, AlarmState.RAISED, night(1))
    seen = steps.Seen("telco", "telco", night(1), (known, new), (new,), settings.data, night(0))
    for one in (seen, replace(seen, alarms=(new,))):
        steps.tell_people(one)
    assert told == ["people", "retraining"]


def test_the_event_names_a_contract_that_is_a_file_by_its_path_since_a_retraining_reads_it(
    settings: Settings, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[object, object]] = []
    monkeypatch.setattr(steps, "tell", lambda *_, about, payload: told.append((about, payload["contract"])))
    file = str(Path(schemas.__path__[0]) / "contracts" / "telco.yaml")
    publish_night(settings, night(0), zeroed(customers(), KEY), digest)
    steps.tell_people(steps.watch_night.fn(file, night(0)))
    assert told == [("telco", file)]


def test_a_feature_that_moved_explains_that_customers_rank_otherwise(settings: Settings, digest: str) -> None:
    watched(settings, night(0), customers(), digest)
    seen = watched(settings, night(1), zeroed(customers(), KEY), digest)
    states = {alarm.finding.kind.value: alarm.state.value for alarm in seen.alarms}
    assert (states["drift"], states["identity"]) == ("raised", "explained")
    assert watched(settings, night(2), customers(), digest).alarms == ()


def test_scores_by_models_that_cannot_be_read_any_more_are_no_measure(
    settings: Settings, digest: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = save_card(settings, -3.0)
    watched(settings, night(0), customers(), other)
    shutil.rmtree(next(settings.artifacts.rglob(f"*{other}*")))
    assert watched(settings, night(1), customers(seed=2), digest).alarms == ()
    assert "nobody can say whether tonight's scores are of the same customers" in caplog.text


def test_what_was_raised_goes_on_the_next_night_and_a_mute_silences_it(settings: Settings, digest: str) -> None:
    watched(settings, night(0), zeroed(customers(), KEY), digest)
    assert [alarm.state for alarm in watched(settings, night(1), zeroed(customers(), KEY), digest).alarms] == [
        "going on"
    ]
    monitoring.mute(settings, "telco", Mute(KEY, night(2), "Ada"), "a known delay")
    seen = watched(settings, night(2), zeroed(customers(), KEY), digest)
    assert [(alarm.state, alarm.mute.who if alarm.mute else "") for alarm in seen.alarms] == [("muted", "Ada")]
    assert seen.new == ()


def test_the_list_is_held_against_that_of_an_earlier_night(settings: Settings, digest: str) -> None:
    watched(settings, night(0), customers(), digest)
    watched(settings, night(29), customers(), digest)
    [row] = monitoring.kept_night(settings, DECISIONS, "telco").to_pylist()
    assert (row["before_as_of"], row["overlap_before"]) == (night(0), 1.0)
    assert row["expected_profit"] == pytest.approx(row["expected_profit_before"])
    segments = monitoring.kept_night(settings, SCORE_SPREADS, "telco").to_pylist()
    assert [one["segment"] for one in segments] == ["all", "postpaid", "prepaid"]
    assert segments[0]["psi"] == 0.0


def test_a_night_to_watch_that_is_no_date_is_refused() -> None:
    with pytest.raises(RequestError, match="as_of: '2026-02-30' is no date"):
        steps.chosen_night.fn("telco", "2026-02-30")


@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_files_of_a_month_ago_that_cannot_be_read_keep_no_alarm_of_tonight_from_being_told(
    settings: Settings, digest: str, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    publish_night(settings, night(0), customers(), digest)
    spoil(night(0), harm)
    seen = watched(settings, night(30), zeroed(customers(), KEY), digest)
    assert [alarm.finding.subject for alarm in seen.new] == [KEY]
    assert "tonight is held against no earlier night" in caplog.text


def test_a_cause_may_look_at_a_column_that_a_month_ago_did_not_have(settings: Settings, digest: str) -> None:
    then = publish_night(settings, night(0), customers(), digest)
    for bucket in then.every_bucket:
        file = then.snapshot / bucket_file(bucket)
        write_parquet(read_parquet([file]).drop_columns([CAUSE]), file)
    seen = watched(settings, night(30), zeroed(customers(), KEY), digest)
    assert [alarm.finding.subject for alarm in seen.new] == [KEY]
    assert monitoring.kept_night(settings, DECISIONS, "telco")["before_as_of"].to_pylist() == [None]


def test_what_keeps_a_night_from_looking_back_keeps_no_alarm_from_being_told(
    settings: Settings, digest: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unknown(*_: object) -> int:
        raise ValueError("nobody foresaw it")

    published = publish_night(settings, night(0), zeroed(customers(), KEY), digest)
    monkeypatch.setattr(follow_up, "fn", unknown)
    monkeypatch.setattr(steps.tell_of, "fn", lambda seen: seen)
    seen = steps.watch_published.fn(published)
    assert seen is not None
    assert [alarm.finding.subject for alarm in seen.new] == [KEY]
    assert "what became of past nights could not be seen: ValueError nobody foresaw it" in caplog.text


def test_a_night_without_a_list_cannot_be_watched(settings: Settings) -> None:
    open_publisher(settings)
    with pytest.raises(RequestError, match="not published"):
        steps.chosen_night.fn("telco", "2026-01-01")


def test_a_night_that_cannot_be_watched_stays_published_and_people_are_told(
    settings: Settings, digest: str, caplog: pytest.LogCaptureFixture
) -> None:
    published = publish_night(settings, night(0), customers(), digest)
    shutil.rmtree(published.snapshot)
    with caplog.at_level("INFO", "churn.events"):
        assert steps.watch_published.fn(published) is None
    assert "The night is published, and could not be watched: RequestError" in caplog.text
    assert "churn.night.unfollowed about telco" in caplog.text


def test_two_models_that_learnt_from_all_are_told_apart_by_whom_they_score(settings: Settings, digest: str) -> None:
    publish_night(settings, night(0), zeroed(customers(), KEY), digest, prepaid=save_card(settings, -3.0))
    seen = steps.watch_night.fn("telco", night(0))
    assert {row["place"] for row in monitoring.kept_night(settings, FEATURES, "telco").to_pylist()} == {
        "postpaid",
        "prepaid",
    }
    assert {(alarm.finding.subject, alarm.finding.place) for alarm in seen.alarms} >= {(KEY, "postpaid")}


def test_two_models_that_each_hold_two_segments_are_told_apart_by_all_of_them(settings: Settings, digest: str) -> None:
    rows = customers()
    young = np.where(np.arange(CUSTOMERS) % 3 == 0, " young", "")
    segments = np.char.add(np.array(rows["segment"].to_pylist()), young)
    rows = with_column(zeroed(rows, KEY), "segment", segments.tolist())
    publish_night(settings, night(0), rows, digest, prepaid=save_card(settings, -3.0))
    steps.watch_night.fn("telco", night(0))
    places = set(monitoring.kept_night(settings, FEATURES, "telco")["place"].to_pylist())
    assert places == {"postpaid, postpaid young", "prepaid, prepaid young"}
