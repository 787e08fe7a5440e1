"""What customers use in a month: minutes, messages, gigabytes, and what goes beyond the plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.simulation.population import PLAN_GB, PLAN_MINUTES, People
from churn.simulation.scenario import Floats, Ints
from churn.simulation.standing import ENGAGEMENT_SD, Base

ENGAGEMENT_MEMORY = 0.8  # how much of his departure from his own level a customer hands to the next month
MINUTES_NOISE, DATA_NOISE, DATA_WITH_ENGAGEMENT = 0.15, 0.25, 0.8
MINUTES_A_CALL = 2.6
MOST_MESSAGES = 30
EUR_A_GB, EUR_A_MINUTE, MOST_OVERAGE = 2.5, 0.04, 60.0
ROAMING_SHARE, ROAMING_EUR = 0.04, 12.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a customer used in the month, and his `engagement` at its end."""

    engagement: Floats
    minutes: Floats
    sms: Ints
    data_gb: Floats
    overage: Floats
    roaming: Floats
    calls: Ints
    dropped_calls: Ints


@dataclass(frozen=True, slots=True)
class Service:
    """What each customer gets in the month: the `share` of it that he has the service for, and how many of his
    calls drop.
    """

    share: Floats
    drop_rate: Floats


def draw_usage(rng: np.random.Generator, base: Base, service: Service) -> Usage:
    """The usage of a month."""
    people, share = base.people, service.share
    push, minutes_noise, data_noise = rng.standard_normal((3, len(share)))
    luck, messages, calling, dropping = rng.random((4, len(share)))
    engagement = ENGAGEMENT_MEMORY * base.standing.engagement + np.sqrt(1 - ENGAGEMENT_MEMORY**2) * ENGAGEMENT_SD * push
    minutes = share * np.exp(people.log_minutes + engagement + MINUTES_NOISE * minutes_noise)
    data = share * np.exp(people.log_data + DATA_WITH_ENGAGEMENT * engagement + DATA_NOISE * data_noise)
    calls = np.floor(minutes / MINUTES_A_CALL + calling)
    return Usage(
        engagement=engagement,
        minutes=np.rint(minutes * 10) / 10,
        sms=(MOST_MESSAGES * messages * share * (1 + engagement).clip(0.2)).astype(np.int64),
        data_gb=np.rint(data * 1000) / 1000,
        overage=_overage(people, minutes, data),
        roaming=_roaming(luck),
        calls=calls.astype(np.int64),
        dropped_calls=np.floor(calls * service.drop_rate + dropping).clip(max=calls).astype(np.int64),
    )


def _overage(people: People, minutes: Floats, data: Floats) -> Floats:
    too_much = EUR_A_GB * (data - PLAN_GB[people.plan]).clip(0)
    too_long = EUR_A_MINUTE * (minutes - PLAN_MINUTES[people.plan]).clip(0)
    amount: Floats = np.rint((too_much + too_long).clip(max=MOST_OVERAGE) * 100) / 100
    return amount


def _roaming(luck: Floats) -> Floats:
    amount = np.zeros(len(luck))
    abroad = luck < ROAMING_SHARE
    amount[abroad] = np.rint(-100 * ROAMING_EUR * np.log((luck[abroad] + 1e-9) / ROAMING_SHARE)).clip(0) / 100
    return amount
