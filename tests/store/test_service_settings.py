"""What the environment says to the service alone is read as it is meant, or refused by name."""

from __future__ import annotations

import pytest

from churn.errors import SettingsError
from store.service_settings import ServiceSettings, read_service_settings


def test_who_says_nothing_has_the_usual():
    assert read_service_settings({}) == ServiceSettings()


def test_how_many_jobs_there_is_room_for_can_be_said():
    said = read_service_settings({"CHURN_WAITING_JOBS": "5", "CHURN_JOBS_MEGABYTES": "100"})
    assert (said.waiting_jobs, said.jobs_megabytes) == (5, 100)


@pytest.mark.parametrize("name", ["CHURN_WAITING_JOBS", "CHURN_JOBS_MEGABYTES"])
@pytest.mark.parametrize("said", ["0", "-1", "1.5", "many", "\u0661"])
def test_what_is_no_number_of_jobs_is_refused(name: str, said: str):
    with pytest.raises(SettingsError, match=name):
        read_service_settings({name: said})
