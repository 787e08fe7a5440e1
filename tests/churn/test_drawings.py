"""Drawings of a model are whole SVG files that say what they show, and the same each time."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from churn.drawings import LiftPoint, calibration_curve, gains_curve, lift_plot, shape, shape_plots
from churn.scorecard import Kind
from schemas.manifest import CalibrationPoint, GainsPoint
from tests import cards

POINTS = (
    CalibrationPoint(predicted=0.01, observed=0.0, rows=50),
    CalibrationPoint(predicted=0.30, observed=0.35, rows=50),
)
GAINS = (GainsPoint(customers=0.1, churners=0.4), GainsPoint(customers=1.0, churners=1.0))


def texts(svg: str) -> list[str]:
    """What the drawing says, each text once."""
    return ["".join(text.itertext()).strip() for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.fixture(scope="module")
def plots() -> dict[str, str]:
    return dict(shape_plots(cards.card()))


def test_every_term_has_a_drawing_under_a_name_that_any_file_system_takes(plots):
    assert list(plots) == [
        "01-tenure.svg",
        "02-dropped.svg",
        "03-in-contract.svg",
        "04-plan.svg",
        "05-tenure-and-plan.svg",
    ]


def test_a_number_is_drawn_with_its_unit_its_cuts_and_the_missing_apart(plots):
    said = texts(plots["01-tenure.svg"])
    assert {"tenure", "months", "3", "11", "14", "adds to the log-odds", "not on", "record"} <= set(said)


def test_a_share_is_drawn_in_percent(plots):
    assert {"dropped calls", "%", "2", "5"} <= set(texts(plots["02-dropped.svg"]))


def test_categories_are_named_the_one_that_raises_the_risk_most_on_top(plots):
    said = texts(plots["04-plan.svg"])
    bars = [name for name in said if name in ("P1", "P2", "P3", "one never seen before", "not on record")]
    assert bars == ["not on record", "P1", "one never seen before", "P2", "P3"], "from the foot upwards"


def test_yes_and_no_are_said_as_such(plots):
    assert {"yes", "no"} <= set(texts(plots["03-in-contract.svg"]))


def test_a_pair_is_a_map_with_a_feature_on_each_side(plots):
    assert {"tenure and plan", "tenure (months)", "plan", "P3"} <= set(texts(plots["05-tenure-and-plan.svg"]))


def test_where_shares_are_given_the_drawing_says_where_the_customers_are():
    shares = [0.0, 0.5, 0.2, 0.2, 0.1]
    assert "months  (grey: where the customers are)" in texts(shape(cards.card(), 0, shares))
    assert "P1 (50.0%)" in texts(shape(cards.card(), 3, shares))


def test_curves_say_what_is_on_each_side():
    assert {"probability predicted", "share that left", "one of 2 equal groups"} <= set(
        texts(calibration_curve(POINTS))
    )
    assert {"customers contacted, highest score first", "churners among them"} <= set(texts(gains_curve(GAINS)))


def test_the_same_model_is_drawn_to_the_same_bytes(plots):
    assert dict(shape_plots(cards.card())) == plots


def test_a_drawing_carries_no_date_and_asks_for_nothing_from_a_network(plots):
    for svg in (*plots.values(), calibration_curve(POINTS), gains_curve(GAINS)):
        without_names = svg.replace('xmlns="http://www.w3.org/2000/svg"', "").replace(
            'xmlns:xlink="http://www.w3.org/1999/xlink"', ""
        )
        assert "http" not in without_names
        assert "date" not in without_names.lower()


@pytest.mark.parametrize("title", ["<script>alert(1)</script>", "price in $ or $", "a\x00b\nc", "价格", "x" * 500])
def test_a_title_is_only_ever_text(title):
    card = cards.card()
    features = tuple(replace(feature, title=title, unit=title) for feature in card.features)
    for svg in shape_plots(replace(card, features=features)).values():
        assert "<script" not in svg
        ET.fromstring(svg)


def test_a_feature_whose_name_is_a_path_names_no_path():
    features = (replace(cards.card().features[0], name="../../etc/passwd"), *cards.card().features[1:])
    assert next(iter(shape_plots(replace(cards.card(), features=features)))) == "01-etc-passwd.svg"


def test_a_feature_without_cuts_and_one_that_adds_nothing_can_be_drawn():
    card = cards.card()
    uncut = replace(card.features[0], kind=Kind.NUMBER, cuts=np.empty(0))
    term = replace(card.terms[0], bins=(np.array([0, 1]),), table=np.zeros(2))
    assert "tenure" in texts(shape(replace(card, features=(uncut,), terms=(term,)), 0))


def test_a_drawing_of_waves_names_each_of_them_or_as_many_as_there_is_room_for():
    few = [LiftPoint("all", -0.02, -0.03, -0.01), LiftPoint("2026-01-01", -0.04, -0.12, 0.03)]
    assert {"all", "2026-01-01", "Do contacts keep customers?"} <= set(texts(lift_plot(few)))
    many = [LiftPoint(f"wave {number}", 0.0, -0.1, 0.1) for number in range(60)]
    assert 2 <= sum(text.startswith("wave ") for text in texts(lift_plot(many))) <= 10


def test_before_the_first_wave_the_drawing_is_empty_and_whole():
    assert "Do contacts keep customers?" in texts(lift_plot([]))
