"""`churn user`: who may ask the service; adds, lists, disables, changes the key of tokens, reads the log of looks."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from churn.errors import RequestError, SettingsError
from cli.terminal import terminal
from schemas.users import Role, User
from store.audit import Look, audit_key, read_audit, require_purpose
from store.keyring import MAKE_ONE, VARIABLE, add_key, key_file
from store.people import who_am_i
from store.settings import current_settings
from store.users import KnownUser, open_users

app = typer.Typer(
    help="Add, list and disable who may ask the service, change the key of their tokens, and read who saw whom.",
    no_args_is_help=True,
)

EVERYBODY = "all"

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the person or program.")]
Who = Annotated[str | None, typer.Option(help="Who does it. Default: the user who is logged in.")]


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the user may do.")],
    segment: Annotated[
        list[str] | None, typer.Option(help="Segment whose customers may be seen, repeatable. Default: all.")
    ] = None,
    region: Annotated[
        list[str] | None, typer.Option(help="Region whose customers may be seen, repeatable. Default: all.")
    ] = None,
    who: Who = None,
) -> None:
    """Add a person or a program. The password is asked for, or read from standard input; it is never an argument."""
    user = User(name, role, tuple(segment or ()), tuple(region or ()))
    open_users(current_settings()).add(user, _password(), who or who_am_i())
    typer.echo(f"{name} may ask as {role}.")


@app.command(name="list")
def list_() -> None:
    """List the users, what they may do and whom they may see."""
    users = open_users(current_settings()).all()
    if not users:
        typer.echo("There are no users. `churn user add NAME --role agent` adds one.")
        return
    table = Table("name", "role", "segments", "regions", "added", "by", "disabled")
    for known in users:
        table.add_row(*_cells(known))
    terminal().print(table)


@app.command()
def password(name: Name) -> None:
    """Change a user's password, which is asked for, or read from standard input."""
    open_users(current_settings()).change_password(name, _password())
    typer.echo(f"{name} has a new password.")


@app.command()
def disable(name: Name, who: Who = None) -> None:
    """Give a user no token any more. The service refuses the one that he has within seconds."""
    open_users(current_settings()).disable(name, who or who_am_i())
    typer.echo(f"{name} gets no token any more.")


@app.command()
def key(
    to: Annotated[Path | None, typer.Option(help=f"File of the keys. Default: that of {VARIABLE}.")] = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Drop all older keys: all tokens end now, as they must after a theft.")
    ] = False,
) -> None:
    """Make a new key that signs tokens from now on; the service takes it up within a second, without a restart."""
    file = to or key_file(current_settings())
    if file is None:
        raise SettingsError("no file is named", where=VARIABLE, to_do=MAKE_ONE)
    made = add_key(file, alone=alone)
    typer.echo(f"{made} in {file} signs tokens now; {_older(alone)}.")
    typer.echo(f"{VARIABLE}={file} tells the service. It is a secret: who reads it can make tokens.", err=True)


@app.command()
def audit(
    why: Annotated[str, typer.Option(help="What you look for; it stands in the log, as does that you looked.")],
    customer: Annotated[str | None, typer.Option(help="Who saw this customer.")] = None,
    name: Annotated[str | None, typer.Option(help="Whom this user saw.")] = None,
    who: Who = None,
) -> None:
    """Show who looked at customers, when and what for, the newest first; this reading is written down, too."""
    settings = current_settings()
    look = Look(who or who_am_i(), require_purpose(why), audit_key(settings))
    entries = read_audit(open_users(settings).engine, look, customer=customer, principal=name)
    table = Table("when (UTC)", "who", "what", "purpose", "customer (hash)")
    for entry in entries:
        seen = (entry.customer or "")[:12]
        table.add_row(f"{entry.happened_at:%Y-%m-%d %H:%M:%S}", entry.principal, entry.what, entry.purpose, seen)
    terminal().print(table)


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first, again = getpass.getpass("Password: "), getpass.getpass("Again: ")
    if first != again:
        raise RequestError("the two differ", where="password", to_do="Type the same twice.")
    return first


def _cells(known: KnownUser) -> tuple[str, ...]:
    user = known.user
    added, disabled = (f"{moment:%Y-%m-%d}" if moment else "" for moment in (known.created_at, known.disabled_at))
    limits = (", ".join(limit) or EVERYBODY for limit in (user.segments, user.regions))
    return (user.name, user.role, *limits, added, known.created_by, disabled)


def _older(alone: bool) -> str:
    return "no older key is good any more" if alone else "tokens of the key before it are good until they lapse"
