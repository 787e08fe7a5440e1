"""Homes that are filled once in a process, and copied for each test that needs them as they were then."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from store.settings import Settings
from tests.databases import tables_in

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Homes:
    """What was made in each, by name; they lie below the folder."""

    folder: Path
    made: dict[str, Any] = field(default_factory=dict)

    def fill(self, settings: Settings, name: str, make: Callable[[Settings], Made]) -> Made:
        """Fills the settings' home, which is empty but for its tables, as `make` does, and gives what that gave."""
        home = self.folder / name
        if name not in self.made:
            database = tables_in(home / "data" / "churn.db")
            there = {"data": home / "data", "artifacts": home / "artifacts", "database_url": f"sqlite:///{database}"}
            self.made[name] = make(replace(settings, **there))
        for part, place in (("data", settings.data), ("artifacts", settings.artifacts)):
            if (home / part).is_dir():
                shutil.copytree(home / part, place, dirs_exist_ok=True)
        return self.made[name]
