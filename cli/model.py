"""`churn model`: which models there are and who is champion; promotes, rolls back, verifies, exports and deletes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from churn.card_sql import Dialect, card_sql
from churn.contract import parse_contract
from churn.errors import ArtifactRefused, NotSigned, RequestError
from churn.segments import require_places
from cli import model_view as view
from cli.terminal import terminal
from schemas.contract import Contract as ParsedContract
from schemas.manifest import ModelManifest
from store.artifacts import Model, delete_model, load_model, model_folder, verify_model
from store.contracts import SUFFIXES, read_contract
from store.exports import export_file, export_secret
from store.people import who_am_i
from store.registry import ALL, Promotion, Registry, Rollback, Version, open_registry
from store.settings import Settings, current_settings

app = typer.Typer(
    help="List, show, promote, roll back, verify, export and delete models, and make a key to sign them.",
    no_args_is_help=True,
)

Format = Literal["sql", "plots", "html", "json"]

Contract = Annotated[str, typer.Option(help="Contract of the models: its name, or a YAML file.")]
Number = Annotated[int, typer.Argument(metavar="N", help="Number of the version, as `churn model list` shows it.")]
Why = Annotated[str, typer.Option(help="The reason, for whoever reads the history.")]
Who = Annotated[str | None, typer.Option(help="Who does it. Default: the user who is logged in.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document for scripts.")]


@app.command(name="list")
def list_(contract: Contract = "telco", as_json: AsJson = False) -> None:
    """List the versions: kind, segment, where they are champion, the gate's verdicts, AUC and EMPC."""
    settings, registry, base = _opened(contract)
    models = view.listed(registry, base, settings)
    if as_json:
        _print_json([view.listed_document(model, settings) for model in models])
    elif models:
        view.show_list(terminal(), models)
    else:
        typer.echo(f"No model of {base} is registered. `churn train` makes one.")


@app.command()
def show(number: Number, contract: Contract = "telco", as_json: AsJson = False) -> None:
    """Show a version: its figures with intervals, what it learnt from, its digest and its folder."""
    settings, registry, base = _opened(contract)
    wanted = registry.version(base, number)
    model = next(model for model in view.listed(registry, base, settings) if model.version == wanted)
    if model.manifest is None:
        verify_model(wanted.digest, settings)  # which says what is wrong
        raise ArtifactRefused(f"the manifest of version {number} cannot be read", where=wanted.digest)
    if as_json:
        _print_json(view.listed_document(model, settings))
    else:
        view.show_model(terminal(), model, model.manifest, model_folder(wanted.digest, settings))


@app.command()
def history(
    contract: Contract = "telco",
    segment: Annotated[str | None, typer.Option(help="One segment, or `all`. Default: every change.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIMESTAMP", help="Say who was champion then; UTC unless it has an offset.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell every change of champion: when, who, from which version to which, and why."""
    _, registry, base = _opened(contract)
    if at is not None:
        _tell_champions(registry, base, segment, _moment(at), as_json=as_json)
        return
    events = registry.history(base, segment)
    if as_json:
        _print_json([view.event_document(event) for event in events])
    elif events:
        view.show_history(terminal(), events)
    else:
        typer.echo(f"Nobody was ever champion of {base}{f', segment {segment}' if segment else ''}.")


@app.command()
def promote(
    number: Number,
    why: Why,
    contract: Contract = "telco",
    segment: Annotated[
        list[str] | None, typer.Option(help="Place to give it, repeatable. Default: the segment that it learnt from.")
    ] = None,
    expected: Annotated[
        int | None,
        typer.Option(metavar="M", help="Refuse where another than M is champion, 0 for nobody. Default: whoever is."),
    ] = None,
    override: Annotated[
        bool, typer.Option("--override", help="Promote without the gate's consent; the history keeps what it objected.")
    ] = False,
    who: Who = None,
) -> None:
    """Make a version champion of one or several segments at once, after its files were verified."""
    _require_reason(why)
    settings, registry, base = _opened(contract)
    manifest = load_model(registry.version(base, number).digest, settings).manifest
    segments = tuple(dict.fromkeys(segment or [manifest.segment]))
    require_places(segments, _contract_of(manifest), learnt_from=manifest.segment)
    champions = {place: found.version for place, found in registry.resolve_all(base).items()}
    wanted: Mapping[str, int | None] | int | None = champions if expected is None else expected or None
    registry.promote(Promotion(base, number, wanted, who or who_am_i(), why, segments, override))
    already = all(champions.get(place) == number for place in segments)
    state = "was already" if already else "is"
    typer.echo(f"Version {number} of {base} {state} champion of {', '.join(segments)}.")


@app.command()
def rollback(
    why: Why,
    contract: Contract = "telco",
    segment: Annotated[
        list[str] | None, typer.Option(help="Segment whose champion goes, repeatable. Default: all.")
    ] = None,
    to: Annotated[int | None, typer.Option(metavar="M", help="Which earlier champion. Default: the last one.")] = None,
    expected: Annotated[
        int | None, typer.Option(metavar="M", help="Refuse where another than M is champion. Default: whoever is.")
    ] = None,
    who: Who = None,
) -> None:
    """Give places back to an earlier champion at once, whatever a gate said of it, after its files were verified."""
    _require_reason(why)
    settings, registry, base = _opened(contract)
    wish = registry.way_back(Rollback(base, who or who_am_i(), why, tuple(segment or [ALL]), to, expected))
    for number in wish.earlier:
        verify_model(registry.version(base, number).digest, settings)
    for place, earlier in registry.rollback(wish).items():
        typer.echo(f"Version {earlier} of {base} is champion of {place} again.")


@app.command()
def verify(
    number: Annotated[int | None, typer.Argument(metavar="N", help="One version. Default: each.")] = None,
    contract: Contract = "telco",
) -> None:
    """Check signature, checksums and probe of one version or of each; the exit code is 8 where one is not sound."""
    settings, registry, base = _opened(contract)
    kept = [version for version in registry.versions(base) if version.deleted_at is None]
    chosen = kept if number is None else [registry.version(base, number)]
    refusals = [refusal for version in chosen if (refusal := _refusal(version, settings))]
    changed = [refusal for refusal in refusals if not isinstance(refusal, NotSigned)]
    if changed:
        raise ArtifactRefused(
            f"{len(changed)} of {len(chosen)} models are not what was registered",
            where=base,
            to_do="Restore their folders from a copy, or promote another version.",
        )
    if refusals:
        raise NotSigned(
            f"{len(refusals)} of {len(chosen)} models are signed by nobody who is trusted",
            where=base,
            to_do="Train again with CHURN_SIGNING_KEY, or name the key of who signed them in CHURN_TRUSTED_KEYS.",
        )


@app.command()
def export(
    number: Number,
    form: Annotated[
        Format,
        typer.Option(
            "--format", help="One SELECT that scores, a drawing of each term, a page to read, or the manifest."
        ),
    ],
    contract: Contract = "telco",
    dialect: Annotated[Dialect, typer.Option(help="The database that shall run the SQL.")] = "postgresql",
    table: Annotated[str, typer.Option(help="Its table of customers. Default: as in the contract.")] = "",
    to: Annotated[
        str, typer.Option(metavar="PATH", help="File to write, folder of the plots, or - for the terminal.")
    ] = "-",
) -> None:
    """Write a version as SQL that scores in place, as drawings, as a page to read, or its manifest as JSON."""
    settings, registry, base = _opened(contract)
    model = load_model(registry.version(base, number).digest, settings)
    if form == "plots":
        _deliver_plots(model, to)
    elif form == "sql":
        _deliver(_sql(model, number, dialect, table), to)
    elif form == "html":
        _deliver(_page(model, number), to)
    else:
        _deliver(f"{model.manifest.model_dump_json(indent=1)}\n", to)


@app.command()
def delete(number: Number, why: Why, contract: Contract = "telco", who: Who = None) -> None:
    """Delete a version that is nobody's champion: its files go, its row and its history stay."""
    _require_reason(why)
    settings, registry, base = _opened(contract)
    deleted = registry.delete(base, number, who=who or who_am_i(), why=why)
    delete_model(deleted.digest, settings)
    typer.echo(f"Version {number} of {base} is deleted. Its row and its history stay.")


@app.command()
def key(
    to: Annotated[Path | None, typer.Option(help="File for the key, for your eyes alone; else the terminal.")] = None,
) -> None:
    """Make a key pair, and say which half goes where."""
    from store.signatures import SIGNING, TRUSTED, new_key_pair

    pair = new_key_pair()
    lines = f"{SIGNING}={pair.signing}\n{TRUSTED}={pair.trusted}\n"
    if to is None:
        typer.echo(lines, nl=False)
    else:
        export_secret(lines, to)
        typer.echo(f"Written to {to}, a file of variables: `set -a; . {shlex.quote(str(to))}; set +a` sets them.")
    typer.echo(
        f"{SIGNING} signs models: it is a secret, and belongs only where models are trained.\n"
        f"{TRUSTED} is no secret, and belongs wherever models are used; separate several with commas.\n"
        f"Signatures by this key name it {pair.key_id}.",
        err=True,
    )


def _refusal(version: Version, settings: Settings) -> ArtifactRefused | None:
    """Says whether the version is sound, and gives why it is not."""
    try:
        verify_model(version.digest, settings)
    except ArtifactRefused as refusal:
        heading = "NOT SIGNED" if isinstance(refusal, NotSigned) else "REFUSED"
        typer.echo(f"version {version.version}: {heading} {refusal.where}: {refusal.what}")
        return refusal
    typer.echo(f"version {version.version}: sound")
    return None


def _require_reason(why: str) -> None:
    if not why.strip():
        raise RequestError("it is blank", where="--why", to_do="Say why, for whoever reads the history.")


def _opened(contract: str) -> tuple[Settings, Registry, str]:
    settings = current_settings()
    base = read_contract(contract).name if Path(contract).suffix in SUFFIXES else contract
    return settings, open_registry(settings), base


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RequestError(
            f"{text!r} is no moment", where="--at", to_do="Write it like 2026-01-31 or 2026-01-31T04:00."
        ) from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _tell_champions(registry: Registry, base: str, segment: str | None, moment: datetime, *, as_json: bool) -> None:
    champions = registry.champions_at(base, moment)
    if segment is not None:
        champions = {place: version for place, version in champions.items() if place == segment}
    if as_json:
        _print_json({"at": moment.isoformat(), "champions": champions})
    elif champions:
        view.show_champions(terminal(), champions, moment)
    else:
        typer.echo(f"At {moment} UTC nobody was champion of {base}{f', segment {segment}' if segment else ''}.")


def _contract_of(manifest: ModelManifest) -> ParsedContract:
    return parse_contract(manifest.contract_text, where=f"contract inside the model of {manifest.contract}")


def _sql(model: Model, number: int, dialect: Dialect, table: str) -> str:
    contract = _contract_of(model.manifest)
    heading = f"Version {number} of {contract.name}, model {model.digest}"
    return card_sql(model.card, contract, dialect, table or contract.customer.name, heading=heading)


def _page(model: Model, number: int) -> str:
    # It draws, and Matplotlib takes a second to import, for which no other command shall wait.
    from churn.model_card import model_page

    return model_page(model.manifest, model.card if model.manifest.card else None, model.digest, number)


def _deliver_plots(model: Model, folder: str) -> None:
    from churn.drawings import shape_plots  # Matplotlib again

    if folder == "-":
        raise RequestError("drawings do not fit into a terminal", where="--to", to_do="Name a folder for them.")
    drawings = shape_plots(model.card)
    for name, drawing in drawings.items():
        export_file(drawing, Path(folder) / name)
    typer.echo(f"{len(drawings)} drawings written to {folder}")


def _deliver(content: str, to: str) -> None:
    if to == "-":
        typer.echo(content, nl=False)
    else:
        export_file(content, Path(to))
        typer.echo(f"Written to {to}")


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=1, ensure_ascii=False))
