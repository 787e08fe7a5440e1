"""What `churn model` prints: tables for people, one JSON document for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from churn.errors import ArtifactRefused
from schemas.manifest import Figure, ModelManifest
from store.artifacts import model_folder
from store.model_manifests import read_model_manifest
from store.registry import Event, Registry, VerdictEntry, Version
from store.settings import Settings

UNREADABLE = "files differ"
WHOLE = 1_000  # from here on nobody asks what comes after the point


@dataclass(frozen=True, slots=True)
class Listed:
    """A version with the places that it holds and the last verdict on it for each; no manifest where it is away."""

    version: Version
    manifest: ModelManifest | None
    champion_of: tuple[str, ...]
    verdicts: Mapping[str, VerdictEntry]

    @property
    def state(self) -> str:
        """What stands in place of figures that cannot be had."""
        return "deleted" if self.version.deleted_at else UNREADABLE

    def figure(self, name: str) -> Figure | None:
        """The figure, with its interval where one was drawn."""
        return figures_of(self.manifest).get(name) if self.manifest else None


def figures_of(manifest: ModelManifest) -> dict[str, Figure]:
    """Every figure by name: those without an interval are the manifest's bare metrics."""
    return {name: Figure(value=value) for name, value in manifest.metrics.items()} | manifest.figures


def listed(registry: Registry, contract: str, settings: Settings) -> tuple[Listed, ...]:
    """Every version of the contract, the oldest first."""
    champions = registry.resolve_all(contract)
    verdicts: dict[int, dict[str, VerdictEntry]] = {}
    for entry in registry.verdicts(contract):
        verdicts.setdefault(entry.version, {})[entry.segment] = entry
    return tuple(
        Listed(
            version,
            _manifest(version, settings),
            tuple(segment for segment, champion in champions.items() if champion.version == version.version),
            verdicts.get(version.version, {}),
        )
        for version in registry.versions(contract)
    )


def _manifest(version: Version, settings: Settings) -> ModelManifest | None:
    try:
        return None if version.deleted_at else read_model_manifest(version.digest, settings)
    except ArtifactRefused:
        return None


def show_list(console: Console, models: Iterable[Listed]) -> None:
    """One line for each version."""
    table = _table("no. >", "kind", "segment", "registered", "champion of", "verdict", "AUC >", "EMPC >")
    table.padding = (0, 1, 0, 0)  # so that a line fits into eighty letters
    for model in models:
        manifest = model.manifest
        table.add_row(
            str(model.version.version),
            manifest.kind if manifest else model.state,
            manifest.segment if manifest else "",
            f"{model.version.registered_at:%Y-%m-%d}",
            ", ".join(model.champion_of),
            "; ".join(_verdict_words(entry) for entry in model.verdicts.values()),
            _in_short(model.figure("auc")),
            _in_short(model.figure("empc")),
        )
    console.print(table)


def show_model(console: Console, model: Listed, manifest: ModelManifest, folder: Path) -> None:
    """What the model is, what it learnt from, how good it was on rows it had not seen, and where it lies."""
    version = model.version
    console.print(f"Version {version.version} of {version.contract}", style="bold", end="")
    console.print(f": {manifest.kind} for {manifest.segment}")
    table = _table("figure", "value >", "95 % interval >")
    for name, figure in figures_of(manifest).items():
        table.add_row(name.replace("_", " "), _number(figure.value), _interval(figure))
    console.print(table)
    if manifest.slices:
        console.print(_slices(manifest))
    for what, is_so in _facts(model, manifest, folder).items():
        console.print(f"{what}: {is_so}", soft_wrap=True, highlight=False)


def show_history(console: Console, events: Iterable[Event]) -> None:
    """What was changed, by whom, and on lines of their own why, and what the gate had against it; the oldest first."""
    for event in events:
        kind = f"{event.kind} by override" if event.overridden else event.kind
        move = f"{event.from_version or 'nobody'} to {event.to_version}"
        console.print(
            f"{_second(event.happened_at)} UTC  {event.segment}: {kind}, {move}, by {event.who}", soft_wrap=True
        )
        for line in (event.why, f"overridden: {event.overridden}" if event.overridden else ""):
            if line:
                console.print(f"  {line}", soft_wrap=True, highlight=False)


def show_champions(console: Console, champions: Mapping[str, int], moment: datetime) -> None:
    """Who was champion of each segment at a moment."""
    console.print(f"At {_second(moment)} UTC:")
    table = _table("segment", "champion >")
    for segment, version in champions.items():
        table.add_row(segment, f"version {version}")
    console.print(table)


def listed_document(model: Listed, settings: Settings) -> dict[str, Any]:
    """What `list` and `show` tell of a version, for a script."""
    manifest = model.manifest
    return {
        **_plain(asdict(model.version)),
        "kind": manifest.kind if manifest else None,
        "segment": manifest.segment if manifest else None,
        "champion_of": list(model.champion_of),
        "verdicts": {segment: _plain(asdict(entry)) for segment, entry in model.verdicts.items()},
        "figures": {name: figure.model_dump() for name, figure in figures_of(manifest).items()} if manifest else None,
        "folder": str(model_folder(model.version.digest, settings)),
    }


def event_document(event: Event) -> dict[str, Any]:
    """A change of champion, for a script."""
    return _plain(asdict(event))


def _facts(model: Listed, manifest: ModelManifest, folder: Path) -> dict[str, str]:
    learnt, version = manifest.training, model.version
    months = f"{len(learnt.fit_as_ofs)} dates from {learnt.fit_as_ofs[0]} to {learnt.fit_as_ofs[-1]}"
    facts = {
        "learnt from": f"{learnt.rows:,} customers, {learnt.churners:,} of whom left, at {months}",
        "tested on": f"{learnt.test_as_of}, {learnt.split}",
        "data": learnt.data_digest,
        "code": manifest.code_version,
        "registered": f"{_minute(version.registered_at)} UTC",
        "champion of": ", ".join(model.champion_of) or "nothing",
    }
    facts |= {f"verdict for {segment}": _sentence(entry) for segment, entry in model.verdicts.items()}
    facts |= {
        f"no model for {one.segment}": f"{one.churners:,} left, {one.needed:,} needed" for one in learnt.fallbacks
    }
    return facts | {"digest": version.digest, "folder": str(folder)}


def _slices(manifest: ModelManifest) -> Table:
    table = _table("part", "customers >", "left >", "AUC >", "EMPC >")
    for part in manifest.slices:
        figures = (_with_interval(part.figures.get(name)) for name in ("auc", "empc"))
        table.add_row(f"{part.by} {part.name}", f"{part.rows:,}", f"{part.churners:,}", *figures)
    return table


def _verdict_words(entry: VerdictEntry) -> str:
    return f"{entry.segment}: passed" if entry.passed else f"{entry.segment}: refused by {entry.rule}"


def _sentence(entry: VerdictEntry) -> str:
    against = f" against version {entry.against_version}" if entry.against_version else ""
    said = "passed" if entry.passed else f"refused by {entry.rule}"
    return f"{said}, gate {entry.gate}{against}: {entry.says}"


def _with_interval(figure: Figure | None) -> str:
    return "" if figure is None else str(figure)


def _interval(figure: Figure) -> str:
    return "" if figure.low is None or figure.high is None else f"{_number(figure.low)} to {_number(figure.high)}"


def _in_short(figure: Figure | None) -> str:
    return "" if figure is None else f"{figure.value:.3f}"


def _number(value: float) -> str:
    """Four digits, or all of those before the point."""
    return f"{value:,.0f}" if abs(value) >= WHOLE else f"{value:.4g}"


def _table(*heads: str) -> Table:
    """A table with these heads; `>` after one sets its column to the right."""
    table = Table()
    for head in heads:
        justify: Literal["left", "right"] = "right" if head.endswith(" >") else "left"
        table.add_column(head.removesuffix(" >"), justify=justify, overflow="fold")
    return table


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _second(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
