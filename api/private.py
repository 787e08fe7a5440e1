"""A service for one caller on this machine, until his end of its standard input closes: see store/private_service.py.

It lets nobody else in, since it makes itself a key that no other service knows, and takes nobody's jobs.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from base64 import b64encode
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from threading import Thread

from uvicorn import Config, Server

from api.app import create_app
from api.logs import log_as_json
from api.tokens import issue_token
from churn.errors import ChurnError
from schemas.users import Role, User
from store.audit import KEY_BYTES
from store.keyring import add_key
from store.service_settings import ServiceSettings
from store.settings import current_settings

HOST = "127.0.0.1"
CALLER = User("(the night)", Role.SERVICE)  # which no user may be called: what becomes of one is nothing to it


def main() -> None:
    """Says its address and the caller's token in a line of JSON, and serves until it is left alone."""
    announce = sys.stdout
    with redirect_stdout(sys.stderr):  # where the log goes, so that standard output is the one line
        log_as_json()
        server, told = _begun(_arguments())
        line = server.config.bind_socket()
        line.listen()
        print(json.dumps({"url": f"http://{HOST}:{line.getsockname()[1]}", **told}), file=announce, flush=True)
        Thread(target=_end_when_left, args=(server,), daemon=True).start()
        server.run(sockets=[line])


def _begun(asked: argparse.Namespace) -> tuple[Server, dict[str, str]]:
    """The service and what the caller needs to be let in; ends in a sentence where the environment is not enough."""
    add_key(asked.keys)
    known = current_settings()  # where they name a key, looks stand in the log as everybody's do
    audit_key = known.audit_key or b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    settings = replace(known, token_keys=asked.keys, audit_key=audit_key, redis_url="", rates={})
    try:
        app = create_app(settings, asked.contract, ServiceSettings(docs=False))
    except ChurnError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    app.state.takes_jobs = False
    config = Config(
        app, host=HOST, port=0, http="api.connections:Connection", ws="none", lifespan="on", log_config=None,
        access_log=False, server_header=False,
    )  # fmt: skip
    return Server(config), {"token": issue_token(CALLER, app.state.keyring)}


def _end_when_left(server: Server) -> None:
    """Whoever started it may have been killed, and then ends it by that alone."""
    sys.stdin.read()
    server.should_exit = True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m api.private", description=__doc__)
    parser.add_argument("--contract", required=True)
    parser.add_argument("--keys", required=True, type=Path, help="file to write its key to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
