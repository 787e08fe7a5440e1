"""A model's card: whole in one file, every figure with its interval, and nothing in it but text that runs."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from html import unescape
from html.parser import HTMLParser

import pytest

from churn.model_card import MEASURES, NOT_FOR, importance, model_markdown, model_page
from churn.scorecard import Scorecard
from schemas.manifest import (
    CalibrationPoint,
    CampaignEntry,
    EstimatorEntry,
    FallbackEntry,
    Figure,
    GainsPoint,
    InputEntry,
    ModelManifest,
    SliceEntry,
    TrainingEntry,
)
from tests import cards

DIGEST = "d" * 64
VOID = {"meta", "img", "br", "hr", "link", "input"}

TRAINING = TrainingEntry(
    split="out of time",
    fit_as_ofs=(date(2025, 9, 1), date(2025, 10, 1)),
    test_as_of=date(2026, 1, 1),
    rows=123_456,
    churners=2_345,
    duplicates=17,
    constants=("always_one",),
    sampling_rate=0.25,
    source_sampling_rate=0.5,
    slope=0.9,
    shift=-0.1,
    embargo_days=7,
    strongest_alone=("tenure", 0.71),
    fallbacks=(FallbackEntry(segment="prepaid", churners=12, needed=100),),
    data_digest="e" * 64,
)

REFERENCE = {
    "tenure": (0.1, 0.4, 0.2, 0.2, 0.1),
    "dropped": (0.1, 0.3, 0.3, 0.3),
    "in_contract": (0.0, 0.4, 0.6),
    "plan": (0.0, 0.5, 0.25, 0.25, 0.0),
}


def figures(around: float = 0.5) -> dict[str, Figure]:
    """Every figure, no two alike."""
    return {
        name: Figure(value=around + place / 100, low=around + place / 100 - 0.2, high=around + place / 100 + 0.2)
        for place, name in enumerate(MEASURES)
    }


def manifest(**changes: object) -> ModelManifest:
    part = {"rows": 5_000, "churners": 99, "figures": figures(0.6)}
    given: dict[str, object] = {
        "contract": "tiny",
        "contract_digest": "c" * 64,
        "contract_text": "a: contract",
        "code_version": "0.1.0+abc",
        "training": TRAINING,
        "metrics": {"rows": 5_000.0, "auc": 0.5},
        "figures": figures(),
        "slices": (SliceEntry(by="month", name="2026-01", **part), SliceEntry(by="segment", name="postpaid", **part)),
        "calibration": (CalibrationPoint(predicted=0.1, observed=0.12, rows=500),),
        "gains": (GainsPoint(customers=0.1, churners=0.3), GainsPoint(customers=1.0, churners=1.0)),
        "reference": REFERENCE,
    }
    return ModelManifest(**{**given, **changes})


class Page(HTMLParser):
    """The page's text, its pictures and what it would fetch; fails where a tag is not closed by its own."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.pictures: list[str] = []
        self.drawings: list[str] = []
        self.fetched: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.pictures += [value for name, value in attrs if name == "alt" and value]
        for name, value in attrs:
            if name in ("src", "href", "data", "action") and value:
                kind, _, content = value.partition(",")
                if kind == "data:image/svg+xml;base64":
                    self.drawings.append(b64decode(content).decode())
                else:
                    self.fetched.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def html() -> str:
    return model_page(manifest(), cards.card(), DIGEST, 3)


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def rows_of(markdown: str) -> Iterator[list[str]]:
    for line in markdown.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_every_tag_is_closed(page):
    assert page.open == []


def test_every_figure_is_there_with_its_interval_and_what_is_good(page):
    for name, figure in figures().items():
        title, good, *_ = measure = MEASURES[name]
        interval = measure.said(figure.low, figure.high)
        assert f"{title} {measure.said(figure.value)} {interval} {good}" in page.text, name


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("auc", 0.8123, "0.812"),
        ("lift_10", 2.875, "2.88 times"),
        ("ece", 0.0123, "1.23 %"),
        ("empc", 23.9, "23.90 a customer"),
    ],
)
def test_a_figure_is_said_with_its_unit(name, value, said):
    assert MEASURES[name].said(value) == said


def test_an_interval_has_its_unit_once():
    assert MEASURES["lift_10"].said(2.5, 3.25) == "2.50 to 3.25 times"


@pytest.mark.parametrize("name", ["2026-01", "postpaid"])
def test_months_and_segments_have_their_own_figures(page, name):
    auc = figures(0.6)["auc"]
    assert f"{name} 5,000 99 {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})" in page.text


def test_it_says_how_the_model_came_about(page):
    for fact in (
        "version 3",
        DIGEST,
        "c" * 64,
        "e" * 64,
        "0.1.0+abc",
        "2 as_of dates, 2025-09-01 to 2025-10-01",
        "tested as of 2026-01-01",
        "7 days",
        "123,456, of them 2,345 churners",
        "25.00 %, corrected for by calibration",
        "50.00 %, corrected for in the log-odds",
        "exact duplicates left out 17",
        "always_one",
        "tenure, with an AUC of 0.710",
        "prepaid 12 100",
    ):
        assert fact in page.text, fact


def test_money_is_told_by_the_terms_that_it_was_reckoned_by():
    money = CampaignEntry(customer_value=523.0, offer_cost=4, contact_cost=2, accepting=4, refusing=17, capacity=0.37)
    told = model_markdown(manifest(campaign=money), DIGEST)
    assert "a customer worth 523.00" in told
    assert "worth 200" not in told
    assert "contacting the first 10 %" not in told, "it is as many as the teams reach: 37 %"
    assert "profit of contacting as many as capacity allows" in told


def test_it_says_what_the_model_must_not_be_used_for(page):
    assert all(purpose in page.text for purpose in NOT_FOR)
    for word in ("price", "credit", "horizon", "another contract", "cause", "Contacting"):
        assert any(word in purpose for purpose in NOT_FOR), word


def test_both_curves_and_every_shape_are_drawn_the_most_important_first_and_pairs_last(page):
    moved = dict(zip(cards.card().term_names, importance(cards.card(), REFERENCE), strict=True))
    titles = {"tenure": "tenure", "dropped": "dropped calls", "in_contract": "in contract", "plan": "plan"}
    alone = [f"the shape of {titles[name]}" for name in sorted(titles, key=lambda name: -moved[name])]
    assert page.pictures == ["calibration curve", "gains curve", *alone, "the shape of tenure and plan"]
    assert len(page.drawings) == len(page.pictures)


def test_a_term_is_as_important_as_it_moves_the_log_odds_of_the_customers_there_are():
    moved = importance(cards.card(), REFERENCE)
    assert moved[0] == pytest.approx(0.1 * 0.1 + 0.4 * 0.8 + 0.2 * 0.3 + 0.2 * 0.6 + 0.1 * 0.9)
    assert moved[2] == pytest.approx(0.5)


def test_the_page_runs_nothing_and_asks_for_nothing_from_a_network(html, page):
    assert page.fetched == []
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    for text in (html, *page.drawings):
        shown = text.replace('"http://www.w3.org/2000/svg"', "").replace('"http://www.w3.org/1999/xlink"', "")
        assert "http://" not in shown
        assert "https://" not in shown


def test_a_hostile_name_is_only_ever_text():
    hostile = "<script>alert('x')</script>"
    features = tuple(replace(feature, title=hostile) for feature in cards.card().features)
    features = (replace(features[0], name=hostile), *features[1:])
    given = manifest(contract=hostile, training=TRAINING.model_copy(update={"constants": (hostile,)}))
    html = model_page(given, replace(cards.card(), features=features), hostile)
    page = Page(html)
    assert "script" not in page.tags
    assert hostile in unescape(html)
    assert all("<script" not in svg for svg in page.drawings)
    assert "<script" not in model_markdown(given, hostile)


def test_a_model_that_is_no_scorecard_has_its_inputs_in_place_of_shapes():
    inputs = (InputEntry(name="tenure", kind="whole", title="months as a customer", unit="months"),)
    entry = EstimatorEntry(base_rate=0.02, slope=1.0, shift=0.0, inputs=inputs)
    page = Page(model_page(manifest(kind="random_forest", estimator=entry, reference={}), None, DIGEST))
    assert "random forest" in page.text
    assert "tenure months as a customer months" in page.text
    assert "2.00 %" in page.text
    assert len(page.drawings) == 2


def test_a_manifest_of_before_intervals_shows_its_metrics_without():
    bare = manifest(figures={}, slices=(), calibration=(), gains=(), metrics={"rows": 9.0, "auc": 0.7, "new_one": 2.0})
    text = Page(model_page(bare, cards.card(), "")).text
    assert "AUC 0.700 not drawn" in text
    assert "new one 2.0000 not drawn" in text
    assert "not registered" in text


def test_in_short_the_card_has_the_same_figures_as_tables():
    markdown = model_markdown(manifest(training=TRAINING.model_copy(update={"constants": ("a|b",)})), DIGEST, 3)
    table = list(rows_of(markdown.replace("\\|", "&#124;")))
    for name, figure in figures().items():
        title, good, *_ = measure = MEASURES[name]
        assert [title, measure.said(figure.value), measure.said(figure.low, figure.high), good] in table
    assert "a\\|b" in markdown
    assert all(purpose in markdown for purpose in NOT_FOR)


def test_cards_without_a_pair_have_no_chapter_on_pairs():
    card = cards.card()
    single = Scorecard(card.intercept, card.features, card.terms[:2], card.base_rate)
    assert "Pairs of features" not in Page(model_page(manifest(), single, DIGEST)).text
