"""A night goes back to a run that is kept, as a publication like any other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from churn.errors import AlreadyRunning, AuditFailed, PublicationError
from store import lake
from store.claims import Claim
from store.publication import Publisher, current_folder, open_publisher
from store.rollback import roll_back
from store.settings import Settings
from tests.store.test_publication import D1, D2, FIRST, SECOND, claimed, night_status, published, seen, spoil_file

LATER = replace(FIRST, known_at=datetime.fromisoformat("2026-01-04T00:00:00"))


@pytest.fixture
def publisher(database_with_tables: str, settings: Settings) -> Iterator[Publisher]:
    publisher = open_publisher(replace(settings, database_url=database_with_tables))
    yield publisher
    publisher.engine.dispose()


def test_a_night_goes_back_to_an_earlier_revision_byte_for_byte(publisher: Publisher) -> None:
    first = published(publisher, FIRST, "A", probability=0.2)
    wrong = published(publisher, LATER, "B", probability=0.9)
    back = roll_back(publisher, first.run_id)
    assert (back.revision, back.fence) == (3, wrong.fence + 1)
    assert (back.unit, back.manifest_sha256) == (FIRST, first.manifest_sha256)
    assert seen(publisher) == seen(publisher, "score_history") == {(D1, back.run_id, 100)}
    assert current_folder(publisher.lake, "telco", "scores") == back.folder
    assert lake.differences(lake.read_manifest(wrong.folder), wrong.folder) == []


def test_going_back_to_what_readers_see_changes_nothing(publisher: Publisher) -> None:
    run = published(publisher, FIRST)
    assert roll_back(publisher, run.run_id) == run


def test_taking_an_older_night_back_leaves_the_newest_as_it_is(publisher: Publisher) -> None:
    first, _, newest = published(publisher, FIRST, "A"), published(publisher, LATER, "B"), published(publisher, SECOND)
    back = roll_back(publisher, first.run_id)
    assert seen(publisher) == {(D2, newest.run_id, 100)}
    assert seen(publisher, "score_history") == {(D1, back.run_id, 100), (D2, newest.run_id, 100)}
    assert current_folder(publisher.lake, "telco", "scores") == newest.folder


def test_a_run_that_is_not_kept_is_refused_and_others_are_named(publisher: Publisher) -> None:
    run = published(publisher, FIRST)
    with pytest.raises(PublicationError, match="no such run is kept") as caught:
        roll_back(publisher, "000099-ffffffff")
    assert run.run_id in caught.value.to_do


def test_a_run_whose_files_were_changed_is_never_shown_again(publisher: Publisher) -> None:
    first = published(publisher, FIRST, "A")
    second = published(publisher, LATER, "B")
    spoil_file(publisher, claim_of(first.run_id))
    with pytest.raises(AuditFailed, match=r"file scores/bucket=01.parquet is not as it was published"):
        roll_back(publisher, first.run_id)
    assert seen(publisher) == {(D1, second.run_id, 100)}


def claim_of(run_id: str) -> Claim:
    return Claim(FIRST, run_id, 0, "")


def test_a_night_at_which_somebody_works_is_not_taken_back(publisher: Publisher) -> None:
    first, _ = published(publisher, FIRST, "A"), published(publisher, LATER, "B")
    claim = claimed(publisher, LATER, "C")
    with pytest.raises(AlreadyRunning, match=claim.run_id):
        roll_back(publisher, first.run_id)


def test_going_back_that_fails_leaves_readers_where_they_were_and_says_why(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    first, second = published(publisher, FIRST, "A"), published(publisher, LATER, "B")
    monkeypatch.setattr(Publisher, "load", fail)
    with pytest.raises(OSError, match="No space left"):
        roll_back(publisher, first.run_id)
    assert seen(publisher) == {(D1, second.run_id, 100)}
    assert "No space left on device" in str(night_status(publisher, D1)["reason"])
    assert publisher.sweep() == 0
