"""Tries the faults that take their time, many times each, and shows what came of them: `python -m tests.faults`.

It ends with one line of JSON, the sums of all faults, and with exit code 1 where anything went wrong.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType

from rich.console import Console

from tests.faults.long.api_bodies import odd_bodies
from tests.faults.long.api_outages import outages
from tests.faults.long.api_overload import overload
from tests.faults.long.api_swaps import swaps_and_restarts
from tests.faults.long.detaching import no_detaching
from tests.faults.long.doubles import double_starts
from tests.faults.long.full_disks import full_disks
from tests.faults.long.kills import random_kills
from tests.faults.long.long_queries import long_queries
from tests.faults.long.orchestration import orchestrator_kills
from tests.faults.long.servers import server_kills
from tests.faults.long.standing_losses import standing_losses
from tests.faults.long.tally import Tally, as_table, last_line
from tests.faults.long.trials import Ground, ground
from tests.faults.long.zombies import woken_zombies

FAULTS: Mapping[str, Callable[[Ground], Iterator[Tally]]] = MappingProxyType(
    {
        "F3": random_kills,
        "F4": server_kills,
        "F5": no_detaching,
        "F6": double_starts,
        "F7": woken_zombies,
        "F11": full_disks,
        "F14": long_queries,
        "F15": lambda where: chain(orchestrator_kills(where), standing_losses(where)),
        "F17": overload,
        "F18": outages,
        "F19": swaps_and_restarts,
        "F20": odd_bodies,
    }
)
WIDTH = 150


def main() -> int:
    """Tries them all, or those that were asked for."""
    chosen = _arguments()
    for told_to_end in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in the background deaf to Ctrl-C
        signal.signal(told_to_end, signal.default_int_handler)
    with ground(chosen.seed) as where:
        tallies = [_told(tally) for fault in chosen.only for tally in _tried(fault, where)]
    Console(width=WIDTH).print(as_table(tallies, f"seed {chosen.seed}, load {os.getloadavg()[0]:.1f}"))
    print(last_line(tallies))
    return int(any(tally.wrong for tally in tallies))


def _tried(fault: str, where: Ground) -> Iterator[Tally]:
    """What came of the fault; one that ends early does not keep the others from being tried."""
    try:
        yield from FAULTS[fault](where)
    except Exception as failed:
        traceback.print_exc()
        yield Tally(fault, "", broken=[f"ended early: {failed!r}"], remark="ended early")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", type=_faults, default=list(FAULTS), help=f"some of {','.join(FAULTS)}")
    parser.add_argument("--seed", type=int, default=1, help="of what is left to chance")
    return parser.parse_args()


def _faults(text: str) -> list[str]:
    wanted = text.split(",")
    unknown = [fault for fault in wanted if fault not in FAULTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)} among {', '.join(FAULTS)}")
    return wanted


def _told(tally: Tally) -> Tally:
    """Says at once what came of a fault, and of what went wrong all of it."""
    print(f"{tally.fault} on {tally.database}: {tally.figures()}", file=sys.stderr, flush=True)
    for wrong in tally.wrong:
        print(f"  {wrong}", file=sys.stderr, flush=True)
    return tally


if __name__ == "__main__":
    sys.exit(main())
