"""`churn contract`: checks a contract, shows it, writes its data dictionary, and drafts one from data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table as Grid

from churn.dictionary import HEADS, column_facts, dictionary_page
from churn.errors import RequestError, SourceMismatch
from cli.terminal import terminal
from schemas.columns import Role, Table
from schemas.contract import Contract
from schemas.odcs_text import contract_text
from store.contracts import read_contract
from store.exports import export_file

app = typer.Typer(
    help="Check, show, document and draft the contracts that say what a customer row is.", no_args_is_help=True
)

_SHOWN = ("column", "type", "unit", "values", "role", "notes")

# By every policy that names no column for it itself, as the default names none.
WORTHLESS = "no column says what a customer is worth, so no list will name anybody"

Name = Annotated[str, typer.Argument(metavar="NAME", help="A contract that ships (telco), or the path of a YAML file.")]


@app.command()
def check(file: Annotated[str, typer.Argument(metavar="FILE", help="The path of a YAML file, or a name.")]) -> None:
    """Say whether a contract is sound; if not, each line and the rule that it breaks."""
    contract = read_contract(file)
    typer.echo(f"{file} is sound: {_summary(contract)}.")
    if contract.one(Role.VALUE) is None:
        typer.echo(f"{WORTHLESS}: give a column the role value.", err=True)


@app.command()
def show(name: Name) -> None:
    """Show the customer row of a contract, and the tables that it is built from."""
    contract = read_contract(name)
    typer.echo(f"{contract.name} {contract.version}: {_summary(contract)}")
    terminal().print(_grid(contract.customer))
    for table in () if contract.flat else contract.sources:
        typer.echo(f"  built from {table.name}: {', '.join(table.names)}")


@app.command()
def dictionary(
    name: Name,
    to: Annotated[Path | None, typer.Option(help="File for the page; the terminal if none is given.")] = None,
) -> None:
    """Write the data dictionary of a contract, as Markdown."""
    _deliver(dictionary_page(read_contract(name)), to)


@app.command()
def infer(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A .csv or .parquet file, or a database's URL.")],
    label: Annotated[str, typer.Option(help="The column that says who left.")],
    key: Annotated[
        str, typer.Option(help="The column that names a customer; made from the row if none is given.")
    ] = "",
    value: Annotated[
        str, typer.Option(help="The column with a customer's money a month, as the source or the draft calls it.")
    ] = "",
    table: Annotated[str, typer.Option(help="The table, where the source has several.")] = "customers",
    to: Annotated[Path | None, typer.Option(help="New file for the draft; the terminal if none is given.")] = None,
) -> None:
    """Draft a contract from data that has none, and name what looks suspicious in it."""
    # The database drivers import pandas, and what drafts imports the training: the other commands start without.
    from churn.inference import draft_contract
    from store.source_names import source_name
    from store.undescribed import read_rows

    if to and to.exists():  # a person has gone on with it by now
        raise RequestError("it is there already", where=str(to), to_do="Name another file, or remove it first.")
    rows, name = read_rows(source, table), to.stem if to else "draft"
    try:
        draft = draft_contract(rows, name, key=key, label=label, value=value)
    except SourceMismatch as refusal:
        where = f"{source_name(source)}, {refusal.where}"
        raise SourceMismatch(refusal.what, where=where, to_do=refusal.to_do) from None
    _deliver(contract_text(draft.contract), to)
    for suspect in draft.suspects:
        typer.echo(f"suspect: {f'{suspect.column} ' if suspect.column else ''}{suspect.finding}", err=True)
    if not value:
        typer.echo(f"{WORTHLESS}: see --value.", err=True)


def _deliver(page: str, to: Path | None) -> None:
    if to is None:
        typer.echo(page, nl=False)
    else:
        export_file(page, to)
        typer.echo(f"Written to {to}")


def _summary(contract: Contract) -> str:
    tables = "one flat table" if contract.flat else f"{len(contract.sources)} source tables"
    return f"{tables}, {len(contract.customer.columns)} columns a customer, {len(contract.features)} of them features"


def _grid(table: Table) -> Grid:
    grid = Grid(title=f"{table.name}: {table.description}", title_justify="left")
    for head in _SHOWN:
        grid.add_column(head)
    for row in column_facts(table):
        facts = dict(zip(HEADS, row, strict=True))
        grid.add_row(*(facts[head] for head in _SHOWN))
    return grid
