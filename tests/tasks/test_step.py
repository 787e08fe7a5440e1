"""What a step tries again, and what it tells at once."""

from __future__ import annotations

import pytest
from prefect import Task
from prefect.states import Failed

from churn.errors import (
    AlreadyRunning,
    QualityError,
    SourceMismatch,
    SourceMissing,
    SourceUnreachable,
    StoreUnreachable,
)
from tasks import backfill, intake, lift, monitoring, outreach, promotion, publishing, reports, scoring, training
from tasks.step import may_pass, step, tried_again_where_it_may_help


@step("try")
def a_step() -> None:
    """Does nothing."""


@pytest.mark.parametrize(
    ("failure", "again"),
    [
        (SourceUnreachable("the database does not answer"), True),
        (StoreUnreachable("the database does not answer"), True),
        (OSError("the disk is busy"), True),
        (SourceMissing("there is no such file"), False),
        (SourceMismatch("missing: minutes"), False),
        (QualityError("minutes is 0 to 10,000"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_step_is_tried_again_only_where_the_cause_may_be_gone(failure: Exception, again: bool) -> None:
    assert may_pass(a_step, None, Failed(data=failure)) is again  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "asks",
    [
        backfill.kept, intake.open_night, lift.keep_waves, monitoring.tell_of, monitoring.watch_night,
        outreach.decide, promotion.promote, publishing.claim_list, publishing.claim_scores, publishing.load_tables,
        publishing.previous_rows, publishing.seal_files, publishing.show, reports.report_night,
        scoring.pin_champions, training.has_champion,
    ],
    ids=lambda asks: asks.fn.__name__,
)  # fmt: skip
def test_a_step_that_asks_the_database_of_the_tables_waits_for_it(asks: Task[..., object]) -> None:
    assert asks.retry_delay_seconds == [2, 10, 30]


@pytest.mark.parametrize("failure", [QualityError("minutes are seconds"), AlreadyRunning("run 7 holds it")], ids=repr)
def test_a_flow_ends_with_its_own_failure_whether_it_is_tried_again_or_not(failure: Exception) -> None:
    @tried_again_where_it_may_help()
    def night() -> None:
        raise failure

    with pytest.raises(type(failure)) as caught:
        night()
    assert caught.value is failure
