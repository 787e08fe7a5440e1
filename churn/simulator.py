"""A simulated telecom with known truth, deterministic by seed, in blocks that fit in memory whatever its size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from churn.simulation.facts import Ledger, record
from churn.simulation.faults import plant
from churn.simulation.life import Block, months_of
from churn.simulation.scenario import FAULTS, Simulation
from churn.simulation.tables import ACTIONS, SCHEMAS, SOURCE_SCHEMAS, TRUTH_SCHEMA
from churn.simulation.world import World, draw_world

__all__ = ["ACTIONS", "FAULTS", "SCHEMAS", "SOURCE_SCHEMAS", "TRUTH_SCHEMA", "Simulation", "block_count", "blocks"]

BLOCK_SLOTS = 10_000  # part of what a seed means: other blocks, other customers


def block_count(simulation: Simulation) -> int:
    """How many blocks the simulation has."""
    return -(-simulation.customers // BLOCK_SLOTS)


def blocks(simulation: Simulation) -> Iterator[dict[str, pa.Table]]:
    """All months of each block of customers: the six source tables, and `truth`, which is for no flow to read.

    The same simulation gives the same rows in the same order. A block has up to 10,000 slots; a slot has one
    customer at a time, and months of 10,000 customers take about 3 MB each.
    """
    world = draw_world(simulation)
    for index in range(block_count(simulation)):
        yield _tables(simulation, world, index)


def _tables(simulation: Simulation, world: World, index: int) -> dict[str, pa.Table]:
    lives, records = (_stream(simulation.seed, index, purpose) for purpose in (0, 1))
    slots = np.arange(index * BLOCK_SLOTS, min((index + 1) * BLOCK_SLOTS, simulation.customers))
    block = Block(slots, lives, stride=simulation.customers)
    facts = record(Ledger(records, simulation.calendar.end), months_of(simulation, world, block))
    return plant(facts, simulation)


def _stream(seed: int, block: int, purpose: int) -> np.random.Generator:
    # Keys of two numbers, so that no block's stream is one of the world's.
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=(block, purpose))))
