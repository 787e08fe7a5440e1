"""Contracts by name, from the ones that ship, or by path, from anywhere."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import schemas
from churn.contract import parse_contract
from churn.errors import ContractError
from schemas.contract import Contract

SUFFIXES = (".yaml", ".yml")


def read_contract(name_or_path: str) -> Contract:
    """The contract that ships under this name ("telco"), or the one in this YAML file.

    ContractError says which names there are, or lists what is wrong in the file by line and rule.
    """
    path = Path(name_or_path)
    if path.suffix not in SUFFIXES:
        path = _shipped_folder() / f"{name_or_path}.yaml"
        if name_or_path not in shipped_contracts():
            raise _unknown(name_or_path)
    return _parsed(_text(path), name_or_path)


@lru_cache(maxsize=16)
def _parsed(text: str, where: str) -> Contract:
    """Parsing a large contract takes a fifth of a second, and every bucket's task asks for it; the text is the key."""
    return parse_contract(text, where)


def shipped_contracts() -> tuple[str, ...]:
    """The names of the contracts that come with the project."""
    return tuple(sorted(path.stem for path in _shipped_folder().glob("*.yaml")))


def _shipped_folder() -> Path:
    return Path(schemas.__path__[0]) / "contracts"


def _unknown(name: str) -> ContractError:
    return ContractError(
        f"there is no contract of that name; there are {', '.join(shipped_contracts())}",
        where=name,
        to_do="Give one of these names, or the path of a YAML file.",
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as failed:
        raise ContractError(
            f"the file cannot be read: {failed.strerror}", where=str(path), to_do="Check the path."
        ) from None
    except UnicodeDecodeError as failed:
        raise ContractError(
            f"byte {failed.start} is not UTF-8", where=str(path), to_do="Save the file as UTF-8."
        ) from None
