"""`churn simulate`: writes a simulated telecom, whose truth is known, where a night can read it."""

from __future__ import annotations

from datetime import datetime, time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track
from rich.table import Table
from sqlalchemy.engine import make_url

from churn.simulation.scenario import DEFAULT_START
from churn.simulator import FAULTS, Simulation, block_count, blocks
from cli.terminal import terminal
from store.settings import current_settings

_START = datetime.combine(DEFAULT_START, time())


def simulate(
    customers: Annotated[int, typer.Option(min=1, help="Customers at any time; who leaves is replaced.")] = 20_000,
    months: Annotated[int, typer.Option(min=1, help="Months of history.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 42,
    to: Annotated[
        str, typer.Option(help="sqlite:///FILE, postgresql+psycopg://… or a folder for Parquet.", show_default=False)
    ] = "",
    fault: Annotated[list[str] | None, typer.Option(help=f"Planted into the last month: {', '.join(FAULTS)}.")] = None,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day of the first month.")] = _START,
    truth: Annotated[
        Path | None, typer.Option(help="Folder for what no flow may read.", show_default="beside the source")
    ] = None,
    if_missing: Annotated[bool, typer.Option("--if-missing", help="Do nothing where the source is there.")] = False,
) -> None:
    """Simulate a telecom: source tables, and apart from them what would have become of each customer."""
    from store.simulated import default_truth, is_there, write_simulation  # its drivers import pandas, which takes long

    settings = current_settings()
    target = to or settings.source_url
    apart = truth or default_truth(target, settings)
    if if_missing and is_there(target, apart):
        return
    simulation = Simulation(customers, months, seed, start.date(), tuple(fault or ()))
    console = terminal()
    shown = track(blocks(simulation), "Simulating", total=block_count(simulation), console=console)
    rows = write_simulation(shown, target, apart)
    console.print(_summary(rows, target=_shown(target), truth=apart))
    console.print(f"The first night that can know everything: {simulation.first_night}")


def _summary(rows: dict[str, int], *, target: str, truth: Path) -> Table:
    table = Table("table", "where")
    table.add_column("rows", justify="right")
    for name, count in rows.items():
        table.add_row(name, str(truth) if name == "truth" else target, f"{count:,}")
    return table


def _shown(target: str) -> str:
    return make_url(target).render_as_string() if "://" in target else target
