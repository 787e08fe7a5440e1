"""Sees whether the night's scores and list are there when they are due."""

from __future__ import annotations

from datetime import date

from schemas.outreach import OUTREACH
from schemas.scores import SCORES
from store.contracts import read_contract
from store.publication import Publisher, open_publisher
from store.settings import current_settings
from tasks.events import NIGHT_LATE, tell
from tasks.intake import unit_asked_for
from tasks.progress import warned
from tasks.step import LATER, step


@step("see whether {contract} is late", again_after=LATER)
def tell_if_late(contract: str, as_of: str | None) -> bool:
    """Tells of a night whose scores or list are not published; `latest`, which is always there, is never late."""
    base, unit = read_contract(contract).name, unit_asked_for(contract, as_of, None)
    if unit is None:
        return False
    late = _lacking(open_publisher(current_settings()), base, unit.as_of)
    if late:
        why = "; ".join(late)
        warned(f"The night of {base} as of {unit.as_of} is late: {why}.")
        tell(NIGHT_LATE, about=base, payload={"contract": contract, "as_of": unit.as_of, "why": why})
    return bool(late)


def _lacking(publisher: Publisher, base: str, as_of: date) -> list[str]:
    """What readers do not see of the night, and what they see instead."""
    kinds = (SCORES.name, OUTREACH.name)
    return [_instead(publisher, base, kind) for kind in kinds if publisher.published(base, kind, as_of) is None]


def _instead(publisher: Publisher, base: str, kind: str) -> str:
    shown = publisher.current(base, kind)
    return f"of {kind} readers still see {shown.unit.as_of}" if shown else f"of {kind} nothing was ever published"
