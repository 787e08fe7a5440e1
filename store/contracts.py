"""Contracts by name, from the ones that ship, or by path, from anywhere; and data that has none yet."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

import schemas
from churn.contract import parse_contract
from churn.errors import ContractError, SourceEmpty
from schemas.columns import Column, LogicalType, Table
from schemas.contract import Contract
from store.readers import open_source, source_name

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
    return parse_contract(_text(path), where=str(path) if path.suffix in SUFFIXES else name_or_path)


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


def read_rows(source: str, table: str) -> pa.Table:
    """All rows of a table that no contract describes yet, under the source's own column names, held in memory."""
    reader = open_source(source)
    schema = reader.schema(Table(table, "", ()))
    columns = tuple(Column(name, LogicalType.STRING, "") for name in schema.names)
    blocks = list(reader.blocks(Table(table, "", columns)))
    if not blocks:
        raise SourceEmpty("the table has no rows", where=source_name(source), to_do="Give one with rows.")
    return pa.concat_tables(blocks, promote_options="permissive")


def write_page(text: str, path: Path) -> None:
    """Writes a page of text, making the folder that it goes to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
