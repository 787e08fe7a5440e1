"""A run keeps its place in a deployment's queue while the server restarts, and loses it where it did not renew it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from prefect.server.concurrency.lease_storage import ConcurrencyLimitLeaseMetadata, get_concurrency_lease_storage
from prefect.settings import PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE, temporary_settings

from tasks.places import ConcurrencyLeaseStorage
from tests.flows.test_standing import exported

A_WHILE = timedelta(minutes=5)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> ConcurrencyLeaseStorage:
    """Those of a server that has just started."""
    monkeypatch.setattr(ConcurrencyLeaseStorage, "_instance", None)
    monkeypatch.setattr(ConcurrencyLeaseStorage, "_initialized", False)
    return ConcurrencyLeaseStorage()


def test_the_server_that_make_up_starts_keeps_them_here(places: ConcurrencyLeaseStorage) -> None:
    module = exported()["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"]
    with temporary_settings({PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE: module}):
        assert get_concurrency_lease_storage() is places


def test_a_place_that_the_server_before_gave_is_renewed(places: ConcurrencyLeaseStorage) -> None:
    assert asyncio.run(places.renew_lease(uuid4(), A_WHILE))


def test_a_place_that_was_given_back_is_not_renewed(places: ConcurrencyLeaseStorage) -> None:
    async def lost() -> bool:
        given = await places.create_lease([uuid4()], A_WHILE, ConcurrencyLimitLeaseMetadata(slots=1))
        assert await places.renew_lease(given.id, A_WHILE)
        await places.revoke_lease(given.id)
        return not await ConcurrencyLeaseStorage().renew_lease(given.id, A_WHILE)

    assert asyncio.run(lost())
