"""What a simulation is asked for: how many customers, how many months, from which seed, with which faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from churn.errors import RequestError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DEFAULT_START = date(2024, 1, 1)
MOST_CUSTOMER_MONTHS = 999_999_999
FAULTS = (
    "late_month",
    "missing_month",
    "duplicated_month",
    "seconds_for_minutes",
    "new_plan_code",
    "null_column",
)


@dataclass(frozen=True, slots=True)
class Simulation:
    """A telecom of `customers` slots over `months` months from `start`, the first of a month.

    Raises RequestError where a number is not possible or a fault is unknown.
    """

    customers: int
    months: int = 24
    seed: int = 42
    start: date = DEFAULT_START
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("customers", "months"):
            if getattr(self, name) < 1:
                raise RequestError(f"{getattr(self, name)} {name}", where=f"--{name}", to_do="Give at least 1.")
        if self.customers * self.months > MOST_CUSTOMER_MONTHS:
            raise RequestError(
                f"{self.customers} customers over {self.months} months are more than keys have digits for",
                where="--customers",
                to_do=f"Stay below {MOST_CUSTOMER_MONTHS} customer-months.",
            )
        if self.seed < 0:
            raise RequestError(f"{self.seed} is below 0", where="--seed", to_do="Give a whole number from 0.")
        if self.start.day != 1:
            raise RequestError(f"{self.start} is no first of a month", where="--start", to_do="Start on a first.")
        unknown = sorted(set(self.faults) - set(FAULTS))
        if unknown:
            raise RequestError(
                f"no fault is called {', '.join(unknown)}", where="--fault", to_do=f"Known faults: {', '.join(FAULTS)}."
            )

    @property
    def calendar(self) -> Calendar:
        """The months in days."""
        first = np.datetime64(self.start, "M")
        firsts = (first + np.arange(self.months + 1)).astype("datetime64[D]").astype(np.int64)
        return Calendar(tuple(int(day) for day in firsts))

    @property
    def first_night(self) -> date:
        """The first as_of that all months lie before."""
        return date(1970, 1, 1) + timedelta(days=self.calendar.end)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The first day of each month and of the month after the last, as days since 1970-01-01."""

    firsts: tuple[int, ...]

    @property
    def months(self) -> tuple[tuple[int, int], ...]:
        """First day of each month and of the next one."""
        return tuple(pairwise(self.firsts))

    @property
    def end(self) -> int:
        """The first day after the simulation."""
        return self.firsts[-1]
