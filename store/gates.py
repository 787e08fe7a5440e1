"""Reads promotion gates from schemas/gates/ or from a file of the user's."""

from __future__ import annotations

from pathlib import Path

from churn.errors import PolicyError
from churn.gate import parse_gate
from schemas.gate import Gate
from store.strict_yaml import fields_of

GATES = Path(__file__).parent.parent / "schemas" / "gates"
DEFAULT = "default"


def read_gate(name_or_path: str = DEFAULT) -> Gate:
    """The gate of that name in schemas/gates/, or in that file; PolicyError where there is none or it is wrong."""
    shipped = GATES / f"{name_or_path}.yaml"
    path = shipped if shipped.is_file() else Path(name_or_path)
    return parse_gate(fields_of(_text_of(path), str(path)), str(path))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(one.stem for one in GATES.glob("*.yaml")))
        raise PolicyError(
            f"cannot be read: {error}", where=str(path), to_do=f"Name a file, or one of: {known}."
        ) from None
