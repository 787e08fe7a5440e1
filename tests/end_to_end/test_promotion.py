"""The promotion flow changes who is champion, and the history says who did it and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from churn.errors import ArtifactRefused, PromotionRefused, RequestError
from store.artifacts import model_folder
from store.registry import open_registry
from store.settings import current_settings
from tests import cards
from tests.api.service import TINY, registered
from tests.end_to_end.nights import living_in

PREPAID_AND_POSTPAID = "prepaid, postpaid"


@pytest.fixture
def change(orchestrator: None, tmp_path: Path) -> Iterator[Any]:
    """The flow, in a home with three models of which none is champion."""
    from flows.promotion import promotion

    contract = tmp_path / "tiny.yaml"
    contract.write_text(TINY.text)
    with living_in(tmp_path):
        for version in (1, 2, 3):
            registered(current_settings(), replace(cards.card(), intercept=-float(version)))
        yield partial(promotion, who="Ada", contract=str(contract), override=True)


def test_champions_come_and_go_and_the_history_says_who_and_why(change: Any) -> None:
    assert change(version=1, why="the first") == {"all": 1}
    assert change(version=2, segments=PREPAID_AND_POSTPAID, expected=0, why="better") == {
        "all": 1,
        "prepaid": 2,
        "postpaid": 2,
    }
    assert change(version=3, expected=1, why="newer")["all"] == 3
    assert change(action="rollback", why="worse after all") == {"all": 1, "prepaid": 2, "postpaid": 2}
    told = [(event.kind, event.to_version, event.who, event.why) for event in history()]
    assert told == [
        ("promotion", 1, "Ada", "the first"),
        ("promotion", 3, "Ada", "newer"),
        ("rollback", 1, "Ada", "worse after all"),
    ]


def test_several_segments_go_back_together(change: Any) -> None:
    for version in (1, 2, 3):
        change(version=version, segments=PREPAID_AND_POSTPAID, why="newer")
    back = change(action="rollback", version=1, segments=PREPAID_AND_POSTPAID, why="as in spring")
    assert back == {"prepaid": 1, "postpaid": 1}


def test_what_cannot_be_is_refused_and_changes_nothing(change: Any) -> None:
    before = change(version=1, why="the first")
    with pytest.raises(PromotionRefused, match="version 1 is champion, not version 3"):
        change(version=2, expected=3, why="thought so")
    with pytest.raises(PromotionRefused, match="no gate has judged version 2"):
        change(version=2, why="in haste", override=False)
    with pytest.raises(RequestError, match="no version is named"):
        change(why="in haste")
    with pytest.raises(RequestError, match="no segment is named"):
        change(version=2, segments=" ,", why="in haste")
    assert {"all": open_registry(current_settings()).resolve(TINY.name).version} == before


def test_a_model_whose_files_were_changed_becomes_champion_on_no_way(change: Any) -> None:
    change(version=1, why="the first")
    change(version=3, segments="all, prepaid", why="newer")
    for version in (1, 2):
        harm(version)
    with pytest.raises(ArtifactRefused):
        change(version=2, why="better")
    for version in (None, 1):
        with pytest.raises(ArtifactRefused):
            change(action="rollback", version=version, why="worse after all")
    assert [event.to_version for event in history()] == [1, 3]


def test_a_rollback_undoes_only_whom_it_expects(change: Any) -> None:
    for version in (1, 2, 3):
        change(version=version, why="newer")
    with pytest.raises(PromotionRefused, match="version 3 is champion, not version 2"):
        change(action="rollback", expected=2, why="worse after all")
    assert change(action="rollback", expected=3, why="worse after all") == {"all": 2}


def harm(version: int) -> None:
    settings = current_settings()
    digest = open_registry(settings).version(TINY.name, version).digest
    manifest = model_folder(digest, settings) / "model.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")


def history() -> Any:
    return open_registry(current_settings()).history(TINY.name)
