"""The regions that all customers share: how well the network works there, and who competes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from churn.simulation.scenario import Flags, Floats, Simulation

REGIONS = 40
QUALITY_MEMORY = 0.8  # how much of a region's network quality a month hands to the next
INCIDENT_RATE = 0.03  # of region-months
CONTESTED_REGIONS = 12
SMALLEST_REGION = 0.3  # its population against that of the average region


@dataclass(frozen=True, slots=True)
class World:
    """`quality` (sd 1) and `incident` by month, the month before the first included, and region;
    `contested` where a competitor will come; `share` of the population by region.
    """

    quality: Floats
    incident: Flags
    contested: Flags
    share: Floats


def draw_world(simulation: Simulation) -> World:
    """The one world of a seed, whatever the number of customers."""
    # One stream per subject, so that a longer simulation begins like a shorter one.
    people, incidents, quality = (
        np.random.Generator(np.random.SFC64(stream)) for stream in np.random.SeedSequence(simulation.seed).spawn(3)
    )
    weight = SMALLEST_REGION + people.exponential(1 - SMALLEST_REGION, REGIONS)
    contested = np.zeros(REGIONS, np.bool_)
    contested[people.choice(REGIONS, CONTESTED_REGIONS, replace=False)] = True
    return World(
        quality=_quality(quality, simulation.months + 1),
        incident=incidents.random((simulation.months + 1, REGIONS)) < INCIDENT_RATE,
        contested=contested,
        share=weight / weight.sum(),
    )


def _quality(rng: np.random.Generator, months: int) -> Floats:
    quality = rng.standard_normal((months, REGIONS))
    for month in range(1, months):
        quality[month] = QUALITY_MEMORY * quality[month - 1] + np.sqrt(1 - QUALITY_MEMORY**2) * quality[month]
    return quality
