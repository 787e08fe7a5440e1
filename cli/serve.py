"""`churn serve`: answers the call centre."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.engine import Engine

from churn.errors import RequestError
from cli.terminal import terminal
from store.answer_shelves import open_shelf
from store.audit import audit_key
from store.contracts import SUFFIXES, read_contract
from store.keyring import open_keyring
from store.known_contracts import require_known
from store.rate_limits import open_buckets, require_limits
from store.service_database import service_engine
from store.service_settings import current_service_settings, keep_to_one_thread
from store.settings import Settings, current_settings

WORKERS = 2


def serve(
    contract: Annotated[str, typer.Option(help="Whose customers: the contract's name, or its YAML file.")] = "telco",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer.")] = WORKERS,
) -> None:
    """Answer look-ups and predictions over HTTP until Ctrl-C; SIGHUP restarts the workers one by one."""
    settings = current_settings()
    engine = service_engine(settings.database_url)
    _require_environment(settings, engine)
    base = _base(contract, engine)
    line = _listening(host, port)
    console = terminal()
    console.print(f"http://{host}:{port} answers as soon as /health/ready says so.")
    if settings.development:
        console.print("Documentation: /docs. `churn user add NAME --role agent` makes somebody who may ask.")
    keep_to_one_thread()
    asked = ("--contract", base, "--host", host, "--port", port, "--workers", workers, "--line", line.fileno())
    sys.stdout.flush()
    # This process has the libraries of the night in memory; the one that it becomes holds only what serves.
    os.execv(sys.executable, [sys.executable, "-m", "api.server", *map(str, asked)])  # noqa: S606 - no shell is wanted


def _base(contract: str, engine: Engine) -> str:
    """Whose champion to ask for, which carries its own contract; ContractError where nothing is of that name."""
    if Path(contract).suffix in SUFFIXES:
        return read_contract(contract).name
    require_known(contract, engine)
    return contract


def _require_environment(settings: Settings, engine: Engine) -> None:
    """SettingsError where no worker would start, which could tell it to its log alone."""
    open_keyring(settings)
    audit_key(settings)
    require_limits(settings.rates)
    open_buckets(settings, engine)
    open_shelf(current_service_settings().answer_cache, settings)


def _listening(host: str, port: int) -> socket.socket:
    """The service's socket, which the program that this one becomes goes on holding; RequestError if it is not free."""
    line = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        line.bind((host, port))
        line.listen()  # at once, since two may hold an address as long as neither listens
    except OSError as failed:
        line.close()
        raise _not_to_be_had(host, port, failed) from None
    line.set_inheritable(True)
    return line


def _not_to_be_had(host: str, port: int, failed: OSError) -> RequestError:
    if failed.errno == errno.EADDRINUSE:
        return RequestError(
            f"port {port} is taken", where="--port", to_do="Stop what listens there, or give another --port."
        )
    return RequestError(
        f"{host}, port {port}: {failed.strerror}", where="--host, --port", to_do="Give an address of this machine."
    )
