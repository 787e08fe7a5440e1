"""Checks of whole nights, each made once in a run of the tests: many tests begin with the same two nights."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path

from schemas.quality import QualityReport
from store.lake import sha256_of
from tasks.inspection import Inspector, Request


class Remembering(Inspector):
    """Asks the child, which takes two seconds for a night, only what it was not asked before of the same bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[Hashable, QualityReport] = {}

    def check(self, request: Request) -> QualityReport:
        """What the child said of the same checks on files of the same content, or says now."""
        content = tuple(sha256_of(Path(file)) for file in request.files)
        asked = replace(request, files=content)
        if asked not in self._told:
            self._told[asked] = super().check(request)
        return self._told[asked]
