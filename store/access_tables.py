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
    comment="Who may ask the service; a row is never deleted, since the log of look-ups names it",
)

rate_bucket = sa.Table(
    "rate_bucket",
    registry_metadata,
    sa.Column("bucket", sa.String(200), primary_key=True, comment="What is limited, and whose it is"),
    sa.Column("busy_until", sa.DateTime, nullable=False, comment="When all that was asked so far is worked off, UTC"),
    comment="How much of each limit is used; a row that is not there is a limit of which nothing is",
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
