"""The tables of who may ask, how much, and what they asked; store/migrations/ makes them."""

from __future__ import annotations

import sqlalchemy as sa

from store.registry_tables import registry_metadata

service_user = sa.Table(
    "service_user",
    registry_metadata,
    sa.Column("name", sa.String(64), primary_key=True, comment="Name that the person or program asks under"),
    sa.Column("role", sa.String(20), nullable=False, comment="agent, operator, analyst or service"),
    sa.Column("segments", sa.JSON, nullable=False, comment="Segments whose customers may be seen; empty for all"),
    sa.Column("regions", sa.JSON, nullable=False, comment="Regions whose customers may be seen; empty for all"),
    sa.Column("password_hash", sa.Text, nullable=False, comment="argon2id hash of the password or secret"),
    sa.Column("created_at", sa.DateTime, nullable=False, comment="When, in UTC"),
    sa.Column("created_by", sa.String(200), nullable=False, comment="Who added the user"),
    sa.Column("disabled_at", sa.DateTime, comment="Since when no token is given, in UTC; null while it is"),
    sa.Column("disabled_by", sa.String(200), comment="Who disabled the user"),
    sa.Column(
        "edition",
        sa.Integer,
        nullable=False,
        server_default="1",
        comment="How often the user was added or changed: tokens of earlier editions are refused",
    ),
    sa.Column("changed_at", sa.DateTime, comment="When the user was last changed, in UTC; null where never"),
    sa.Column("changed_by", sa.String(200), comment="Who changed the user last"),
    comment="Who may ask the service; a row is never deleted, since the log of look-ups names it",
)

rate_bucket = sa.Table(
    "rate_bucket",
    registry_metadata,
    sa.Column("bucket", sa.String(200), primary_key=True, comment="What is limited, and whose it is"),
    sa.Column("busy_until", sa.DateTime, nullable=False, comment="When all that was asked so far is worked off, UTC"),
    comment="How much of each limit is used; a row that is not there is a limit of which nothing is",
)

answered_request = sa.Table(
    "answered_request",
    registry_metadata,
    sa.Column("principal", sa.String(64), primary_key=True, comment="Who asked"),
    sa.Column("key", sa.String(200), primary_key=True, comment="The Idempotency-Key that was sent"),
    sa.Column("asked", sa.String(64), nullable=False, comment="sha256 of what was asked"),
    sa.Column("answer", sa.Text, comment="The answer, which is given again; null while there is none"),
    sa.Column("recorded_at", sa.DateTime, nullable=False, comment="When it was first asked, UTC"),
    comment="Requests that may be sent again, and are answered as the first time",
)

job = sa.Table(
    "job",
    registry_metadata,
    sa.Column("job", sa.String(32), primary_key=True, comment="Name of the job, and of its folder in the lake"),
    sa.Column("contract", sa.String(100), nullable=False, comment="Contract of the base"),
    sa.Column("owner", sa.String(64), nullable=False, comment="Who asked for it"),
    sa.Column("given", sa.String(20), nullable=False, comment="What was sent: customers, rows, csv or parquet"),
    sa.Column("models", sa.JSON, nullable=False, comment="Version and digest of each segment's model, as of then"),
    sa.Column("segments", sa.JSON, nullable=False, comment="Segments whose customers may be seen; empty for all"),
    sa.Column("regions", sa.JSON, nullable=False, comment="Regions whose customers may be seen; empty for all"),
    sa.Column("created_at", sa.DateTime, nullable=False, comment="When, UTC"),
    sa.Column("state", sa.String(20), nullable=False, comment="waiting, running, done, failed or gone"),
    sa.Column("holder", sa.String(32), comment="Who works on it; null while nobody does"),
    sa.Column("lease_until", sa.DateTime, comment="When it may be taken from him unless he renews it, UTC"),
    sa.Column("attempts", sa.Integer, nullable=False, comment="How often somebody began or went on with it"),
    sa.Column("rows", sa.Integer, comment="Rows to score; null until they were read"),
    sa.Column("done", sa.Integer, nullable=False, comment="Rows of finished chunks"),
    sa.Column("as_of", sa.Date, comment="Night whose customers are scored; null where rows were sent"),
    sa.Column("ended_at", sa.DateTime, comment="When it was done or failed, UTC"),
    sa.Column("reason", sa.Text, comment="Why it failed"),
    sa.Column("result_sha256", sa.String(64), comment="sha256 of the result's file"),
    sa.Column("callback", sa.Text, comment="Address that is told of its end; null where none is"),
    sa.Column("call_at", sa.DateTime, comment="When it is to be told, UTC; null while it is not, and once it was"),
    sa.Column("calls", sa.Integer, nullable=False, comment="How often that was tried"),
    sa.Column("call_result", sa.Text, comment="What came of the last try"),
    sa.Index("job_by_state", "state"),
    comment="Customers to score in the background; the files of a job lie in a folder of its name",
)

lookup_audit = sa.Table(
    "lookup_audit",
    registry_metadata,
    sa.Column("entry", sa.Integer, primary_key=True, comment="1, 2, ... in the order in which they were written"),
    sa.Column("happened_at", sa.DateTime, nullable=False, comment="When, by the database's clock, UTC"),
    sa.Column("principal", sa.String(200), nullable=False, comment="Who asked"),
    sa.Column("purpose", sa.String(200), nullable=False, comment="What for, in the asker's words"),
    sa.Column("what", sa.String(40), nullable=False, comment="What was shown, or alarm"),
    sa.Column("customer", sa.String(64), comment="Keyed hash of the customer; null where no single one was shown"),
    sa.Index("lookup_audit_by_principal", "principal", "happened_at"),
    sa.Index("lookup_audit_by_customer", "customer"),
    comment="Every look at a customer, written with the look itself; rows are only ever added",
)
