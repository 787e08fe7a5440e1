"""What is published is on the disk before it gets its name, and its name is there before anybody is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from store.publication import CURRENT
from tests.faults.nights import Base, night, publish

AnyPath = str | os.PathLike[str]
State = tuple[int, int]  # when something was last changed, and its size


@dataclass(slots=True)
class Disk:
    """What was synced in which state, what was named before it was, and whose name was not synced in time."""

    synced: dict[Path, State] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)
    too_early: list[Path] = field(default_factory=list)
    unsettled: set[Path] = field(default_factory=set)
    forgotten: set[Path] = field(default_factory=set)

    def sync(self, handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        self.synced[path] = _state(path)
        self.unsettled.discard(path)

    def move(self, source: AnyPath, target: AnyPath) -> None:
        self.settled()
        moved = [Path(source), *Path(source).rglob("*")]
        self.too_early += [path for path in moved if self.synced.get(path) != _state(path)]
        self.named.append(Path(target).name)
        self.unsettled.add(Path(target).parent)

    def make(self, folder: AnyPath) -> None:
        """What stands in the staging folder is synced with the folder that moves out of it."""
        if "staging" not in Path(folder).parent.parts:
            self.unsettled.add(Path(folder).parent)

    def settled(self, *_: Any) -> None:
        """Nothing else may be named, and no transaction be committed, before the last name is on the disk."""
        self.forgotten |= self.unsettled


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """Looks on while this process syncs, moves and makes folders; all is done as ever."""
    disk, fsync, mkdir = Disk(), os.fsync, os.mkdir

    def synced(handle: int) -> None:
        fsync(handle)
        disk.sync(handle)

    def moving(really: Callable[[AnyPath, AnyPath], None]) -> Callable[[AnyPath, AnyPath], None]:
        def move(source: AnyPath, target: AnyPath) -> None:
            disk.move(source, target)
            really(source, target)

        return move

    def make(folder: AnyPath, *how: Any, **facts: Any) -> None:
        mkdir(folder, *how, **facts)
        disk.make(folder)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "mkdir", make)
    monkeypatch.setattr(os, "rename", moving(os.rename))
    monkeypatch.setattr(os, "replace", moving(os.replace))
    return disk


def test_files_are_on_the_disk_before_they_are_named_and_their_names_before_a_commit(base: Base, disk: Disk) -> None:
    publisher = base.publisher()
    sa.event.listen(publisher.engine, "commit", disk.settled)
    run = publish(publisher, night(1))
    disk.settled()
    assert {"manifest.json", run.run_id, CURRENT} <= set(disk.named)
    assert (disk.too_early, disk.forgotten) == ([], set())


def _state(path: Path) -> State:
    found = path.stat()
    return found.st_mtime_ns, found.st_size
