"""Only the store opens files: what ruff cannot see, because a method is called on a value, is found in the syntax."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.test_house_rules import ROOT, modules

# A method of these names is taken to be that of a path, on whatever it is called.
METHODS = {
    "open",
    "read_text",
    "write_text",
    "read_bytes",
    "write_bytes",
    "unlink",
    "mkdir",
    "rmdir",
    "rename",
    "touch",
}
OF_PARQUET = {"ParquetFile", "ParquetWriter", "read_metadata", "read_schema", "read_table", "write_table"}
LIBRARIES = {"shutil", "tempfile", "sqlite3"}

EXCEPTIONS = {
    ("tasks/inspection.py", "tempfile"): "its child's stderr, which no other process reads and which has no name",
    ("churn/training/lessons.py", "write_table"): "into memory, to learn a digest of the rows; nothing reaches a disk",
}

FOUND = [
    # code                                                 what it breaks
    ("place.read_text()", ["read_text"]),
    ("(folder / name).open('rb').read()", ["open"]),
    ("def write(path):\n    path.parent.mkdir()", ["mkdir"]),
    ("import shutil", ["shutil"]),
    ("def copy():\n    from shutil import copyfile", ["shutil"]),
    ("import tempfile as t, json", ["tempfile"]),
    ("import pyarrow.parquet as pq\npq.read_metadata(path)", ["read_metadata"]),
    ("import pyarrow as pa, pyarrow.parquet\npa.parquet.ParquetFile(path)", ["ParquetFile"]),
    ("from pyarrow.parquet import read_table", ["read_table"]),
    ("from store.lake import write_text\nwrite_text(page, path)", []),
    ("text.replace('a', 'b')", []),
    ("path.exists()", []),
]

OUTSIDE = [path for path in modules() if path.relative_to(ROOT).parts[0] != "store"]


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_room_opens_files(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix()
    assert not [what for what in breaches(path.read_text()) if (place, what) not in EXCEPTIONS]


@pytest.mark.parametrize(("place", "what"), EXCEPTIONS)
def test_an_exception_is_still_needed(place: str, what: str) -> None:
    assert what in breaches((ROOT / place).read_text())


@pytest.mark.parametrize(("code", "broken"), FOUND)
def test_what_opens_a_file_is_found(code: str, broken: list[str]) -> None:
    assert list(breaches(code)) == broken


def breaches(code: str) -> Iterator[str]:
    """The methods and libraries in the code that open, move or remove files."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in METHODS | OF_PARQUET:
                yield name
            case ast.Import(names=names):
                yield from (name.name for name in names if name.name.split(".")[0] in LIBRARIES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in LIBRARIES:
                yield module
            case ast.ImportFrom(module="pyarrow.parquet", names=names):
                yield from (name.name for name in names if name.name in OF_PARQUET)
