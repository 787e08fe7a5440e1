"""`churn user`: who may ask the service; adds, changes, lists, disables, makes keys of tokens, reads who saw whom."""

from __future__ import annotations

import getpass
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from churn.errors import RequestError, SettingsError
from cli.terminal import terminal
from schemas.columns import Role as Column
from schemas.users import Role, User
from store.audit import Look, audit_key, read_audit, require_purpose
from store.contracts import read_contract, shipped_contracts
from store.keyring import MAKE_ONE, VARIABLE, add_key, key_file
from store.people import who_am_i
from store.settings import current_settings
from store.users import KnownUser, open_users

app = typer.Typer(
    help="Add, change, list and disable who may ask the service, change their tokens' key, and read who saw whom.",
    no_args_is_help=True,
)

EVERYBODY = "all"
TOKENS_END = "The service refuses tokens from before within ten seconds."  # see api/door.py

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the person or program.")]
Segments = Annotated[
    list[str] | None,
    typer.Option("--segment", help=f"Segment that the user may see, repeatable; or {EVERYBODY}."),
]
Regions = Annotated[
    list[str] | None, typer.Option("--region", help=f"Region that the user may see, repeatable; or {EVERYBODY}.")
]
Who = Annotated[str | None, typer.Option(help="Who does it. Default: the user who is logged in.")]


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="What the user may do.")],
    segments: Segments = None,
    regions: Regions = None,
    who: Who = None,
) -> None:
    """Add a person or a program. The password is asked for, or read from standard input; it is never an argument."""
    user = User(name, role, _limits(segments, ()), _limits(regions, ()))
    open_users(current_settings()).add(user, _password(), who or who_am_i())
    _warn_of_unknown(segments)
    typer.echo(f"{name} may ask as {role}.")


@app.command()
def change(
    name: Name,
    role: Annotated[Role | None, typer.Option(help="What the user may do.")] = None,
    segments: Segments = None,
    regions: Regions = None,
    who: Who = None,
) -> None:
    """Change what a user may do and whom he may see; what is left out stays. `churn user password` changes that."""
    if role is None and segments is None and regions is None:
        raise RequestError("nothing is to change", where="churn user change", to_do="Give a role, segments or regions.")
    users = open_users(current_settings())
    known = users.of(name)
    limited = replace(known, segments=_limits(segments, known.segments), regions=_limits(regions, known.regions))
    users.change(replace(limited, role=role or known.role), who or who_am_i())
    _warn_of_unknown(segments)
    typer.echo(f"{name} is changed. {TOKENS_END}")


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
def password(name: Name, who: Who = None) -> None:
    """Change a user's password, which is asked for, or read from standard input."""
    open_users(current_settings()).change_password(name, _password(), who or who_am_i())
    typer.echo(f"{name} has a new password. {TOKENS_END}")


@app.command()
def disable(name: Name, who: Who = None) -> None:
    """Give a user no token any more."""
    open_users(current_settings()).disable(name, who or who_am_i())
    typer.echo(f"{name} gets no token any more. {TOKENS_END}")


@app.command()
def enable(name: Name, who: Who = None) -> None:
    """Give a user tokens again who was disabled."""
    open_users(current_settings()).enable(name, who or who_am_i())
    typer.echo(f"{name} gets tokens again.")


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


def _warn_of_unknown(segments: list[str] | None) -> None:
    """A segment that nobody is of is most likely mistyped, and its user sees nobody; it may be of a file elsewhere."""
    bases = [read_contract(name).one(Column.SEGMENT) for name in shipped_contracts()]
    known = {EVERYBODY, *(segment for base in bases if base for segment in base.allowed)}
    if unknown := sorted(set(segments or ()) - known):
        told = f"No contract that ships has the segment {', '.join(unknown)}; they have {', '.join(sorted(known))}."
        typer.echo(f"{told} Who is limited to others alone sees no customer.", err=True)


def _limits(asked: list[str] | None, as_before: tuple[str, ...]) -> tuple[str, ...]:
    """Whose customers may be seen, none of a kind for everybody's; RequestError where both are asked for."""
    if asked is None:
        return as_before
    if EVERYBODY in asked and len(asked) > 1:
        raise RequestError(f"{EVERYBODY} stands beside others", where="churn user", to_do=f"Name {EVERYBODY} alone.")
    return () if asked == [EVERYBODY] else tuple(asked)


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
