"""`churn serve`: answers the call centre."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.terminal import terminal
from store.contracts import SUFFIXES, read_contract
from store.service_settings import keep_to_one_thread
from store.settings import current_settings

WORKERS = 2


def serve(
    contract: Annotated[str, typer.Option(help="Whose customers: the contract's name, or its YAML file.")] = "telco",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer.")] = WORKERS,
) -> None:
    """Answer look-ups and predictions over HTTP until Ctrl-C; SIGHUP restarts the workers one by one."""
    console = terminal()
    console.print(f"http://{host}:{port} answers as soon as /health/ready says so.")
    if current_settings().development:
        console.print("Documentation: /docs. `churn user add NAME --role agent` makes somebody who may ask.")
    keep_to_one_thread()
    # The champion carries its own contract: the service need only know whose champion to ask for.
    base = read_contract(contract).name if Path(contract).suffix in SUFFIXES else contract
    asked = ("--contract", base, "--host", host, "--port", str(port), "--workers", str(workers))
    sys.stdout.flush()
    # This process has the libraries of the night in memory; the one that it becomes holds only what serves.
    os.execv(sys.executable, [sys.executable, "-m", "api.server", *asked])  # noqa: S606 - no shell is wanted
