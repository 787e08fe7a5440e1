"""Says of a file whose fields are wrong which they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn.errors import PolicyError

if TYPE_CHECKING:
    from pydantic import ValidationError


def wrong_fields(error: ValidationError, where: str, *, shape: str) -> PolicyError:
    """The refusal of a file, with every field that is wrong; `shape` is the module that says what each is."""
    faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return PolicyError("; ".join(faults), where=where, to_do=f"Mend the fields; {shape} says what each is.")
