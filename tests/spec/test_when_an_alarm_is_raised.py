"""When people are told: once, until it has ended and stayed away for a while, and never of what changes no decision."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import pytest

from churn.alarms import EarlierNights, Mute, Standing, alarms_of
from churn.drift import Drift
from churn.drift_price import Price
from churn.findings import Finding, drift_findings, likeness_findings, matured_findings, profit_finding, reasons_finding
from churn.likeness import Likeness
from churn.remedy import remedy_for
from schemas.monitoring import AlarmKind, AlarmState, Diagnosis, Remedy

FIRST = date(2026, 1, 1)
NO_NIGHTS = EarlierNights({}, None)


def night(number: int) -> date:
    return FIRST + timedelta(days=number)


def finding(size: float, kind: AlarmKind = AlarmKind.DRIFT, subject: str = "usage") -> Finding:
    return Finding(kind, subject, size, 100.0, "it moved", "Look.")


def lived(sizes: list[float], mutes: tuple[Mute, ...] = ()) -> list[str]:
    """The state on each night of a finding of these sizes, one night after the other; none where it is no alarm."""
    standings: dict[tuple[str, str, str], Standing] = {}
    states = []
    for number, size in enumerate(sizes):
        past = EarlierNights(standings, night(number - 1) if number else None, mutes)
        alarms = alarms_of([finding(size)], night(number), past)
        states.append(alarms[0].state.value if alarms else "none")
        for alarm in alarms:
            key = alarm.finding.key
            standings[key] = Standing(key, night(number), alarm.state, alarm.raised_as_of)
    return states


@pytest.mark.parametrize(
    ("sizes", "states"),
    [
        ([0.9, 0.9], ["none", "none"]),
        ([1.1, 2.0, 1.5], ["raised", "going on", "going on"]),
        ([1.1, 0.9, 1.1, 0.6], ["raised", "going on", "going on", "going on"]),  # it wavers, and is one alarm
        ([1.1, 0.4, 0.9], ["raised", "none", "none"]),  # it has ended
        ([1.1, 0.4, 1.1], ["raised", "none", "cooling down"]),  # it came again too soon
        ([1.1, *([0.0] * 13), 1.1], ["raised", *(["none"] * 13), "raised"]),  # it came again after two weeks
    ],
)
def test_an_alarm_is_raised_once(sizes: list[float], states: list[str]) -> None:
    assert lived(sizes) == states


@pytest.mark.parametrize(
    ("subject", "until", "states"),
    [
        ("usage", 1, ["muted", "muted", "raised"]),
        ("all", 0, ["muted", "raised", "going on"]),
        ("bill", 9, ["raised", "going on", "going on"]),
    ],
)
def test_a_mute_ends_by_itself(subject: str, until: int, states: list[str]) -> None:
    assert lived([2.0, 2.0, 2.0], (Mute(subject, night(until), "Ada"),)) == states


def test_a_mute_that_ends_within_two_weeks_raises_nothing_anew() -> None:
    states = lived([2.0, 0.0, 2.0, 2.0], (Mute("usage", night(2), "Ada"),))
    assert states == ["muted", "none", "muted", "raised"], "nobody was ever told of it"
    told = EarlierNights({DRIFT_KEY: Standing(DRIFT_KEY, night(1), AlarmState.COOLING_DOWN, FIRST)}, night(1), MUTED)
    [muted] = alarms_of([finding(2.0)], night(2), told)
    assert (muted.state, muted.raised_as_of) == (AlarmState.MUTED, FIRST)
    left = {DRIFT_KEY: Standing(DRIFT_KEY, night(2), muted.state, muted.raised_as_of)}
    [after] = alarms_of([finding(2.0)], night(10), EarlierNights(left, night(9)))
    assert after.state is AlarmState.COOLING_DOWN


DRIFT_KEY = (AlarmKind.DRIFT.value, "usage", "all")
MUTED = (Mute("usage", night(9), "Ada"),)


@pytest.mark.parametrize(
    ("drift", "profit", "past", "states"),
    [
        ((2.0, 300.0), (3.0, 400.0), NO_NIGHTS, {"drift": "raised", "profit": "explained"}),
        ((2.0, 100.0), (3.0, 400.0), NO_NIGHTS, {"drift": "raised", "profit": "raised"}),  # 300 have other reasons
        ((2.0, None), (3.0, 400.0), NO_NIGHTS, {"drift": "raised", "profit": "explained"}),  # nobody can tell
        ((2.0, 300.0), (3.0, 400.0), EarlierNights({}, None, MUTED), {"drift": "muted", "profit": "raised"}),
        (
            (0.6, 300.0),  # it fades
            (3.0, 400.0),
            EarlierNights({DRIFT_KEY: Standing(DRIFT_KEY, FIRST, AlarmState.RAISED, FIRST)}, FIRST),
            {"drift": "going on", "profit": "raised"},
        ),
    ],
)
def test_what_follows_from_a_feature_is_told_by_the_feature_as_far_as_that_explains_it(
    drift: tuple[float, float | None], profit: tuple[float, float], past: EarlierNights, states: dict[str, str]
) -> None:
    both = [
        Finding(AlarmKind.PROFIT, "profit", profit[0], profit[1], "it earns less", "Look."),
        Finding(AlarmKind.DRIFT, "usage", drift[0], drift[1], "it moved", "Look."),
    ]
    assert {alarm.finding.kind: alarm.state for alarm in alarms_of(both, night(1), past)} == states


IDENTITY_KEY = (AlarmKind.IDENTITY.value, "identity", "all")
KNOWN, DOUBTED, EXPLAINED = (
    Standing(DRIFT_KEY, FIRST, AlarmState.RAISED, FIRST),
    Standing(IDENTITY_KEY, FIRST, AlarmState.RAISED, FIRST),
    Standing(IDENTITY_KEY, FIRST, AlarmState.EXPLAINED, None),
)


@pytest.mark.parametrize(
    ("standings", "state"),
    [
        ([], "explained"),  # both begin tonight
        ([KNOWN], "raised"),  # the feature had moved before, and customers ranked as they did
        ([KNOWN, EXPLAINED], "explained"),  # both go on
        ([DOUBTED], "going on"),  # whose rows are in doubt is not cleared up by a feature that moves later
    ],
)
def test_who_ranks_as_a_stranger_is_explained_by_features_that_moved_that_night_alone(
    standings: list[Standing], state: str
) -> None:
    both = [finding(2.0), Finding(AlarmKind.IDENTITY, "identity", 1.5, 80.0, "it seems to be of others", "Compare.")]
    past = EarlierNights({one.key: one for one in standings}, FIRST if standings else None)
    states = {alarm.finding.kind: alarm.state for alarm in alarms_of(both, night(1), past)}
    assert states[AlarmKind.IDENTITY] == state


def drift(**sizes: float) -> Drift:
    nothing = {"missing": 0.0, "missing_before": 0.0, "unseen": 0.0, "unseen_before": 0.0}
    return Drift("usage", **(nothing | {"ks": 0.5, "psi": 4.0, "crowded": 0.3, "crowded_before": 0.3} | sizes))


@pytest.mark.parametrize(
    ("sizes", "price", "size", "says"),
    [
        ({}, Price(0.0, 1_000.0, 1.0), None, ""),  # however far it moved, the list is the same
        ({"missing": 1.0}, Price(0.0, 1_000.0, 1.0), None, ""),  # an irrelevant column that is gone
        ({}, Price(100.0, 1_000.0, 0.9), 2.0, "spread otherwise than when the model learnt"),
        ({"crowded": 1.0}, Price(300.0, 1_000.0, 0.5), 6.0, "100.0% of the customers are where 30.0% were"),
        ({"missing": 0.1}, Price(5.0, 1_000.0, 0.9), 2.0, "missing in 10.0% of the customers, 0.0% when"),
        ({"unseen": 0.2}, None, 4.0, "20.0% of the customers have a value that the model never met"),
        ({"crowded": 1.0, "crowded_before": 0.02}, None, 19.6, "100.0% of the customers are where 2.0% were"),
        ({"crowded": 1.0, "crowded_before": 0.6}, None, 8.0, "100.0% of the customers are where 60.0% were"),
        ({"crowded": 0.9, "crowded_before": 0.6}, None, None, ""),  # it moved, and tells customers apart still
        ({"crowded": 0.5}, None, None, ""),  # a feature without a price that moved a little
    ],
)
def test_drift_counts_by_what_the_list_forgoes_or_by_values_that_are_gone(
    sizes: dict[str, float], price: Price | None, size: float | None, says: str
) -> None:
    found = list(drift_findings("all", [drift(**sizes)], {"usage": price} if price else {}))
    assert [round(each.size, 6) for each in found] == ([size] if size else [])
    assert all(says in each.says and each.says.startswith("usage") for each in found)
    assert [each.money for each in found] == ([price.money if price else None] if size else [])


def test_a_list_that_earns_a_quarter_less_is_an_alarm() -> None:
    [found] = profit_finding(70.0, 100.0, FIRST)
    assert [found.size, found.money] == pytest.approx([1.2, 30.0])
    assert not list(profit_finding(110.0, 100.0, FIRST))
    assert not list(profit_finding(110.0, None, FIRST))


def test_a_list_with_other_reasons_names_the_one_that_moved_most() -> None:
    [found] = reasons_finding({"usage": 0.7, "bill": 0.3}, {"usage": 0.1, "bill": 0.9})
    assert found.subject in ("usage", "bill")
    assert found.size == pytest.approx(1.5)
    assert not list(reasons_finding({"usage": 1.0}, {}))


@pytest.mark.parametrize(
    ("kept", "size", "named"),
    [
        ({"all": 0.92, "postpaid": 0.89, "prepaid": 0.82}, 0.36, ""),  # a month of life
        ({"all": 0.86, "postpaid": 0.81, "prepaid": 0.75}, 0.5, ""),  # and a retraining
        ({"all": 0.35, "postpaid": 0.0, "prepaid": 0.95}, 2.0, "among postpaid (0.00);"),
        ({"all": 0.98, "postpaid": 0.97, "prepaid": 0.45}, 1.1, "among prepaid (0.45);"),  # more than half of them
        ({"all": 0.02, "postpaid": 0.02, "prepaid": 0.02}, 1.96, "among postpaid (0.02), prepaid (0.02);"),
        ({"all": 0.1}, 1.8, "among all (0.10);"),  # no segment has customers enough
    ],
)
def test_customers_of_a_segment_who_rank_as_strangers_would_are_an_alarm(
    kept: dict[str, float], size: float, named: str
) -> None:
    [found] = likeness_findings(Likeness(FIRST, kept, 90.0))
    assert (found.kind, found.money) == (AlarmKind.IDENTITY, 90.0)
    assert found.size == pytest.approx(size)
    assert named in found.says
    assert not list(likeness_findings(Likeness(FIRST, {}, 0.0)))


def matured(feature: str, value: str, churners: float, predicted: float, diagnosis: Diagnosis) -> dict[str, object]:
    ratio = churners / (predicted * 10_000)
    ends = {"": ratio, "_low": ratio - 0.1, "_high": ratio + 0.1}
    figures = {f"observed_to_predicted{end}": value for end, value in ends.items()}
    counts = {"customers": 10_000.0, "churners": churners, "observed": churners / 10_000, "predicted": predicted}
    counts["squares"] = churners
    named = {"feature": feature, "value": value, "as_of": FIRST, "diagnosis": diagnosis}
    return named | counts | figures | {"auc": 0.70, "auc_before": 0.69}


def sure(findings: Iterable[Finding]) -> list[Finding]:
    """Those that raise an alarm where there was none."""
    return [one for one in findings if one.sure and one.size >= 1.0]


@pytest.mark.parametrize(
    ("churners", "diagnosis", "states"),
    [
        (300.0, Diagnosis.CALIBRATION, "raised"),
        (245.0, Diagnosis.SOUND, "none"),  # of 200 it is within the limit
        (300.0, Diagnosis.SOUND, "none"),  # beyond it, and the interval lets it be chance
    ],
)
def test_a_level_raises_an_alarm_beyond_its_interval_alone(churners: float, diagnosis: Diagnosis, states: str) -> None:
    found = list(matured_findings([matured("all", "all", churners, 0.02, diagnosis)]))
    assert ([alarm.state.value for alarm in alarms_of(found, FIRST, NO_NIGHTS)] or ["none"]) == [states]


def test_a_level_that_wavers_about_its_limit_is_one_alarm() -> None:
    key = (AlarmKind.CALIBRATION.value, AlarmKind.CALIBRATION.value, "all")
    past = EarlierNights({key: Standing(key, FIRST, AlarmState.RAISED, FIRST)}, FIRST)
    found = list(matured_findings([matured("all", "all", 245.0, 0.02, Diagnosis.SOUND)]))
    assert [alarm.state for alarm in alarms_of(found, night(1), past)] == [AlarmState.GOING_ON]


@pytest.mark.parametrize(
    ("churners", "predicted", "each_stands_for", "raised"),
    [
        (332.0, 385.0, 1.0, False),  # the lowest of seven nights of a sound month: 2.7 standard errors
        (472.0, 376.0, 1.0, True),  # the first month after a price rise: 4.9
        (472.0, 376.0, 4.0, False),  # the same, where one who was held out stands for four
        (1_200.0, 1_000.0, 1.0, True),
    ],
)
def test_a_level_that_one_sound_year_in_twenty_has_by_chance_raises_nothing(
    churners: float, predicted: float, each_stands_for: float, raised: bool
) -> None:
    row = matured("all", "all", churners, predicted / 10_000, Diagnosis.CALIBRATION)
    found = sure(matured_findings([row | {"squares": each_stands_for * churners}]))
    assert bool(found) is raised, "each night is a look, and each month one of its own"
    if each_stands_for == 1.0:
        assert bool(sure(matured_findings([row | {"squares": None}]))) is raised, "as an earlier release left it"


def test_a_night_of_which_nobody_left_asks_for_the_departures() -> None:
    [found] = sure(matured_findings([matured("all", "all", 0.0, 0.02, Diagnosis.CALIBRATION) | {"auc": None}]))
    assert found.to_do.startswith("Ask who delivers departures")


def test_a_wrong_level_is_called_so_with_what_it_means_in_money() -> None:
    rows = [matured("all", "all", 300.0, 0.02, Diagnosis.CALIBRATION)]
    [found] = sure(matured_findings(rows, 60.0))
    assert (found.kind, found.money) == (AlarmKind.CALIBRATION, 60.0)
    assert "1.50 times as many" in found.says
    assert "The order of customers is as it was (AUC 0.700)" in found.says


@pytest.mark.parametrize(
    ("everybody", "segments", "named"),
    [
        (210.0, {"prepaid": 280.0, "postpaid": 190.0}, ["segment prepaid"]),  # 1.4 times as many
        (205.0, {"prepaid": 250.0, "postpaid": 195.0}, []),  # within what a year has
        (190.0, {"prepaid": 130.0, "postpaid": 205.0}, ["segment prepaid"]),  # as few
        (300.0, {"prepaid": 310.0, "postpaid": 295.0}, ["calibration"]),  # all of them alike
        (300.0, {"prepaid": 430.0, "postpaid": 280.0}, ["calibration", "segment prepaid"]),
        (280.0, {"prepaid": 280.0}, ["calibration"]),  # there is but one
        (330.0, {"prepaid": 400.0, "postpaid": 200.0}, ["calibration"]),  # and the sound one is not named
    ],
)
def test_a_segment_that_leaves_otherwise_than_predicted_is_named_beside_all(
    everybody: float, segments: dict[str, float], named: list[str]
) -> None:
    whole = Diagnosis.CALIBRATION if everybody > 230 else Diagnosis.SOUND
    rows = [matured("all", "all", everybody, 0.02, whole)]
    rows += [matured("segment", name, left, 0.02, Diagnosis.SOUND) for name, left in segments.items()]
    assert [one.subject for one in sure(matured_findings(rows))] == named


def test_a_segment_of_which_nobody_left_asks_for_its_departures_and_no_retraining() -> None:
    rows = [matured("all", "all", 130.0, 0.02, Diagnosis.CALIBRATION)]
    rows += [matured("segment", "prepaid", 0.0, 0.02, Diagnosis.CALIBRATION)]
    rows += [matured("segment", "postpaid", 200.0, 0.02, Diagnosis.SOUND)]
    found = sure(matured_findings(rows))
    assert [(one.subject, one.remedy) for one in found] == [
        ("calibration", "retraining"),
        ("segment prepaid", "people"),
    ]
    assert found[1].to_do.startswith("Ask who delivers departures whether those of segment prepaid came")
    assert remedy_for(found) is Remedy.PEOPLE


def test_a_small_segment_that_leaves_otherwise_may_be_chance() -> None:
    rows = [matured("all", "all", 200.0, 0.02, Diagnosis.SOUND)]
    wide = {"observed_to_predicted_high": 1.4 + 0.5}
    rows += [matured("segment", "staff", 280.0, 0.02, Diagnosis.SOUND) | wide]
    rows += [matured("segment", "postpaid", 200.0, 0.02, Diagnosis.SOUND)]
    assert sure(matured_findings(rows)) == []


def test_a_region_where_more_leave_than_elsewhere_is_named() -> None:
    everybody = matured("all", "all", 200.0, 0.02, Diagnosis.SOUND)
    there = matured("region", "R07", 290.0, 0.02, Diagnosis.CALIBRATION)
    found = sure(matured_findings([everybody, there, matured("region", "R08", 205.0, 0.02, Diagnosis.TOO_FEW)]))
    assert [(one.kind, one.subject) for one in found] == [(AlarmKind.LOCAL, "region R07")]
    assert found[0].size > 1.0


def test_a_few_held_out_who_stand_for_many_are_no_region_where_more_leave() -> None:
    everybody = matured("all", "all", 200.0, 0.02, Diagnosis.SOUND)
    there = matured("region", "R07", 290.0, 0.02, Diagnosis.CALIBRATION) | {"squares": 2_900.0}
    assert not sure(matured_findings([everybody, there])), "they are twenty-nine, each of whom stands for ten"


def test_a_handful_of_churners_in_one_small_region_of_forty_is_chance() -> None:
    everybody = matured("all", "all", 200.0, 0.02, Diagnosis.SOUND)
    few = matured("region", "R19", 8.0, 0.0002, Diagnosis.TOO_FEW)
    others = [matured("region", f"other {number}", 5.0, 0.0005, Diagnosis.TOO_FEW) for number in range(39)]
    assert all(one.size < 1.0 for one in matured_findings([everybody, few, *others]))
