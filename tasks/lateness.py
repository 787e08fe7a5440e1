"""Sees whether the night's scores are there when they are due."""

from __future__ import annotations

from store.contracts import read_contract
from store.publication import open_publisher
from store.settings import current_settings
from tasks.events import NIGHT_LATE, tell
from tasks.intake import unit_asked_for
from tasks.progress import warned
from tasks.step import LATER, step


@step("see whether {contract} is late", again_after=LATER)
def tell_if_late(contract: str, as_of: str | None) -> bool:
    """Tells of a night whose scores are not published; `latest`, which is always there, is never late."""
    base, unit = read_contract(contract).name, unit_asked_for(contract, as_of, None)
    publisher = open_publisher(current_settings())
    if unit is None or publisher.published(base, unit.kind, unit.as_of) is not None:
        return False
    shown = publisher.current(base, unit.kind)
    why = f"readers still see {shown.unit.as_of}" if shown else "nothing was ever published"
    warned(f"The night of {base} as of {unit.as_of} is late: {why}.")
    tell(NIGHT_LATE, about=base, payload={"contract": contract, "as_of": unit.as_of, "why": why})
    return True
