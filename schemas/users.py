"""Who may ask the service: a person or a program by name, what it may do, and whose customers it may see."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._@-]*$"
LONGEST_NAME = 64


class Role(StrEnum):
    """What somebody may do."""

    AGENT = "agent"  # talks to customers: looks them up, writes back what came of it
    OPERATOR = "operator"  # runs the system: starts jobs and trainings, moves champions
    ANALYST = "analyst"  # looks at customers and models, and changes nothing
    SERVICE = "service"  # another program: asks for scores, writes back, and moves no champion


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may ask. Segments and regions limit whose customers he sees; none of a kind is no limit.

    Whatever changes of him makes another edition; a token of an earlier one is good no more.
    """

    name: str
    role: Role
    segments: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    edition: int = field(default=1, compare=False)
