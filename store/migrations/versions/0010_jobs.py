"""Requests that are answered once, and jobs that outlive the process that took them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0007"


def upgrade() -> None:
    """Makes both tables."""
    _create_answered_request()
    _create_job()


def _create_answered_request() -> None:
    op.create_table(
        "answered_request",
        sa.Column("principal", sa.String(64), primary_key=True, comment="Who asked"),
        sa.Column("key", sa.String(200), primary_key=True, comment="The Idempotency-Key that was sent"),
        sa.Column("asked", sa.String(64), nullable=False, comment="sha256 of what was asked"),
        sa.Column("answer", sa.Text, comment="The answer, which is given again; null while there is none"),
        sa.Column("recorded_at", sa.DateTime, nullable=False, comment="When it was first asked, UTC"),
        comment="Requests that may be sent again, and are answered as the first time",
    )


def _create_job() -> None:
    op.create_table(
        "job",
        sa.Column("job", sa.String(32), primary_key=True, comment="Name of the job, and of its folder in the lake"),
        sa.Column("contract", sa.String(100), nullable=False, comment="Contract of the base"),
        sa.Column("owner", sa.String(64), nullable=False, comment="Who asked for it"),
        sa.Column("given", sa.String(20), nullable=False, comment="What was sent: customers, rows, csv or parquet"),
        sa.Column("models", sa.JSON, nullable=False, comment="Version and digest of each segment's model, as of then"),
        sa.Column("segments", sa.JSON, nullable=False, comment="Segments whose customers may be seen; empty for all"),
        sa.Column("regions", sa.JSON, nullable=False, comment="Regions whose customers may be seen; empty for all"),
        sa.Column("created_at", sa.DateTime, nullable=False, comment="When, UTC"),
        sa.Column("state", sa.String(20), nullable=False, comment="waiting, running, done, failed or gone"),
        *_of_the_work(),
        *_of_the_callback(),
        comment="Customers to score in the background; the files of a job lie in a folder of its name",
    )
    op.create_index("job_by_state", "job", ["state"])


def _of_the_work() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("holder", sa.String(32), comment="Who works on it; null while nobody does"),
        sa.Column("lease_until", sa.DateTime, comment="When it may be taken from him unless he renews it, UTC"),
        sa.Column("attempts", sa.Integer, nullable=False, comment="How often somebody began or went on with it"),
        sa.Column("rows", sa.Integer, comment="Rows to score; null until they were read"),
        sa.Column("done", sa.Integer, nullable=False, comment="Rows of finished chunks"),
        sa.Column("as_of", sa.Date, comment="Night whose customers are scored; null where rows were sent"),
        sa.Column("ended_at", sa.DateTime, comment="When it was done or failed, UTC"),
        sa.Column("reason", sa.Text, comment="Why it failed"),
        sa.Column("result_sha256", sa.String(64), comment="sha256 of the result's file"),
    )


def _of_the_callback() -> tuple[sa.Column[Any], ...]:
    told = "When it is to be told, UTC; null while it is not, and once it was"
    return (
        sa.Column("callback", sa.Text, comment="Address that is told of its end; null where none is"),
        sa.Column("call_at", sa.DateTime, comment=told),
        sa.Column("calls", sa.Integer, nullable=False, comment="How often that was tried"),
        sa.Column("call_result", sa.Text, comment="What came of the last try"),
    )
