"""`churn model` through the real command: what it shows, what it moves, and what it refuses in a sentence."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from churn.contract import parse_contract
from churn.errors import (
    ArtifactRefused,
    ChurnError,
    NoChampion,
    NotSigned,
    PromotionRefused,
    RegistryError,
    RequestError,
)
from churn.metrics import Evaluation, Line
from churn.training import Trained
from cli.app import app
from schemas.columns import Role
from schemas.manifest import Figure, SliceEntry
from schemas.odcs_text import contract_text
from store.artifacts import Model, model_folder, model_of, save_model
from store.registry import Promotion, Registry, VerdictEntry, open_registry
from store.settings import Settings
from store.signatures import new_key_pair
from tests import cards
from tests.command import churn

COLUMNS = [
    replace(column, allowed=("prepaid", "postpaid")) if column.has(Role.SEGMENT) else column for column in cards.COLUMNS
]
TINY = parse_contract(contract_text(cards.contract(tuple(COLUMNS))), where="tests")
REFUSAL = "EMPC 1.90 is 0.20 below the champion's 2.10, interval -0.31 to -0.09."


def made() -> Model:
    """A card made by hand, with what a training would have told of it."""
    card = cards.card()
    trained = Trained(
        model=card,
        test=Evaluation(**{figure.name: 0 for figure in fields(Evaluation)}),
        split="time",
        fit_as_ofs=(date(2025, 10, 1), date(2025, 11, 1)),
        test_as_of=date(2026, 1, 1),
        rows=2_000,
        churners=400,
        duplicates=0,
        constants=(),
        sampling_rate=1.0,
        calibration=Line(1.0, 0.0),
        data_digest="d" * 64,
        reference={},
        probe=cards.customers(5).select([feature.name for feature in card.features]),
    )
    return model_of(trained, TINY, "0.1.0")


@pytest.fixture
def registry(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Version 1 was replaced by 2 as champion of all; 3 learnt from the prepaid alone and is champion nowhere."""
    monkeypatch.setenv("CHURN_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LOGNAME", "ada")
    registry = open_registry(settings)
    for number, known in enumerate(manifests(), start=1):
        model = replace(made(), manifest=made().manifest.model_copy(update=known))
        assert registry.register("tiny", save_model(model, settings)) == number
    registry.promote(Promotion("tiny", 1, None, who="Grace", why="the first"))
    registry.promote(Promotion("tiny", 2, 1, who="Grace", why="more months", override=True))
    return registry


def manifests() -> list[dict[str, object]]:
    auc = {"auc": Figure(value=0.8123, low=0.80, high=0.82)}
    month = SliceEntry(by="month", name="2026-01", rows=1000, churners=210, figures=auc)
    return [
        {"code_version": "0.1.1"},
        {"code_version": "0.1.2", "metrics": {"rows": 19_584}, "figures": auc, "slices": (month,)},
        {"code_version": "0.1.3", "segment": "prepaid"},
    ]


def model(*arguments: str, code: int = 0) -> str:
    """What the command writes to standard output."""
    result = CliRunner().invoke(app, ["model", arguments[0], "--contract", "tiny", *arguments[1:]])
    if isinstance(result.exception, ChurnError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def judged(version: int, *, passed: bool, segment: str = "all") -> VerdictEntry:
    rule = None if passed else "money"
    return VerdictEntry("tiny", version, segment, 2, "default", "f" * 64, passed, rule, REFUSAL)


def cells(shown: str, version: int) -> list[str]:
    """The cells of a version's line in a table."""
    found = re.search(rf"^│ +{version} +│.*$", shown, re.MULTILINE)
    assert found, shown
    return [cell.strip() for cell in found[0].strip("│").split("│")]


def test_a_list_shows_each_version_with_its_places_verdicts_and_figures(registry: Registry):
    registry.record_verdict(judged(3, passed=True, segment="prepaid"))
    registry.record_verdict(judged(1, passed=False))
    shown = model("list")
    version, kind, segment, _, places, verdict, auc, _ = cells(shown, 2)
    assert (version, kind, segment, places, verdict) == ("2", "scorecard", "all", "all", "")
    assert auc == "0.812"
    assert cells(shown, 1)[4:6] == ["", "all: refused by money"]
    assert cells(shown, 3)[2:6:3] == ["prepaid", "prepaid: passed"]


def test_a_list_and_a_history_can_be_read_in_eighty_columns(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")
    registry.record_verdict(replace(judged(2, passed=False), rule="calibration"))
    shown = model("list")
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
    for whole in ("scorecard", "prepaid", "calibration", "0.812", f"{datetime.now(UTC):%Y-%m-%d}"):
        assert whole in shown
    reason = "many months more " * 9
    model("rollback", "--why", reason)
    assert f"  {reason}\n" in model("history")


def test_a_list_for_scripts_is_one_json_document(registry: Registry, settings: Settings):
    registry.record_verdict(judged(3, passed=True, segment="prepaid"))
    first, second, third = json.loads(model("list", "--json"))
    assert (first["version"], first["champion_of"], second["champion_of"]) == (1, [], ["all"])
    assert second["figures"]["auc"] == {"value": 0.8123, "low": 0.80, "high": 0.82}
    assert third["verdicts"]["prepaid"]["passed"] is True
    assert Path(third["folder"]) == model_folder(third["digest"], settings)
    assert datetime.fromisoformat(first["registered_at"])


def test_a_list_says_where_files_differ_and_what_was_deleted(registry: Registry, settings: Settings):
    registry.delete("tiny", 1, who="Ada", why="room")
    harm(registry, settings, 3)
    shown = model("list")
    assert cells(shown, 1)[1] == "deleted"
    assert cells(shown, 3)[1] == "files differ"
    assert cells(shown, 2)[1] == "scorecard"


def test_a_contract_without_models_says_how_to_make_one(registry: Registry):
    assert model("list", "--contract", "nobody") == "No model of nobody is registered. `churn train` makes one.\n"
    assert model("list", "--contract", "nobody", "--json") == "[]\n"


def test_the_contract_may_be_a_file(registry: Registry, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(TINY.text)
    assert cells(model("list", "--contract", str(file)), 2)


def test_a_version_is_shown_with_figures_intervals_window_digest_and_folder(registry: Registry, settings: Settings):
    registry.record_verdict(judged(2, passed=False))
    shown = model("show", "2")
    digest = registry.version("tiny", 2).digest
    assert "Version 2 of tiny: scorecard for all" in shown
    assert re.search(r"auc +│ +0\.8123 │ +0\.8 to 0\.82", shown)
    assert re.search(r"rows +│ +19,584 │", shown)
    assert re.search(r"month 2026-01 +│ +1,000 │ +210 │ +0\.8123", shown)
    assert "learnt from: 2,000 customers" in shown
    assert "champion of: all" in shown
    assert f"verdict for all: refused by money, gate default against version 2: {REFUSAL}" in shown
    assert f"digest: {digest}" in shown
    assert f"folder: {model_folder(digest, settings)}" in shown
    assert json.loads(model("show", "2", "--json"))["version"] == 2


def test_a_version_whose_files_differ_is_not_shown(registry: Registry, settings: Settings):
    harm(registry, settings, 3)
    with pytest.raises(ArtifactRefused, match=r"model\.json"):
        model("show", "3")


@pytest.mark.parametrize(
    "arguments",
    [("show", "7"), ("promote", "7", "--why", "x"), ("verify", "7"), ("delete", "7", "--why", "x")],
    ids=lambda arguments: arguments[0],
)
def test_a_number_that_nobody_has_is_said_to_be_none(registry: Registry, arguments: tuple[str, ...]):
    with pytest.raises(RegistryError, match=r"tiny: there is no version 7\n  `churn model list --contract tiny` shows"):
        model(*arguments)


def test_a_contract_without_models_is_said_to_have_none(registry: Registry):
    with pytest.raises(RegistryError, match=r"nosuch: no model is registered\n  Train one with `churn train"):
        model("export", "2", "--format", "json", "--contract", "nosuch")


def test_the_history_tells_who_moved_which_champion_when_and_why(registry: Registry):
    registry.record_verdict(judged(3, passed=False, segment="prepaid"))
    model("promote", "3", "--override", "--why", "the board wants it", "--who", "Grace")
    shown = model("history")
    assert "UTC  all: promotion, nobody to 1, by Grace\n  the first\n" in shown
    assert "UTC  prepaid: promotion by override, nobody to 3, by Grace\n  the board wants it\n  overridden: " in shown
    assert "prepaid" not in model("history", "--segment", "all")
    last = json.loads(model("history", "--json"))[-1]
    assert (last["segment"], last["to_version"], last["who"]) == ("prepaid", 3, "Grace")
    assert REFUSAL in last["overridden"]


def test_the_history_knows_who_was_champion_at_any_moment(registry: Registry):
    registry.record_verdict(judged(3, passed=True, segment="prepaid"))
    model("promote", "3", "--why", "fewer months, but theirs")
    first, second, third = (event.happened_at for event in registry.history("tiny", None))
    moments = [first - timedelta(seconds=1), first, second, third]
    told = [json.loads(model("history", "--json", "--at", moment.isoformat()))["champions"] for moment in moments]
    assert told == [{}, {"all": 1}, {"all": 2}, {"all": 2, "prepaid": 3}]
    elsewhere = f"{second + timedelta(hours=2):%Y-%m-%dT%H:%M:%S.%f}+02:00"
    assert "version 2" in model("history", "--at", elsewhere)
    assert "nobody was champion of tiny, segment prepaid" in model(
        "history", "--segment", "prepaid", "--at", second.isoformat()
    )


@pytest.mark.parametrize("why", ["see [/ticket 12]", "as [b2b] asked", "[red]now[/]", "a bug :bug:"])
def test_a_reason_is_shown_as_it_was_written(registry: Registry, why: str):
    model("rollback", "--why", why)
    assert f"\n  {why}\n" in model("history")
    registry.record_verdict(judged(3, passed=True, segment="[b2b]"))
    registry.promote(Promotion("tiny", 3, None, "[bold]Grace[/]", why, segments=("[b2b]",), override=True))
    assert "│[b2b] " in model("list")
    assert "│ [b2b] " in model("history", "--at", "2999-01-01")
    assert "champion of: [b2b]" in model("show", "3")
    assert "[bold]Grace[/]" in model("history")


def test_a_history_of_nobody_and_a_moment_that_is_none_are_told_in_sentences(registry: Registry):
    assert model("history", "--segment", "moon") == "Nobody was ever champion of tiny, segment moon.\n"
    with pytest.raises(RequestError, match="--at: 'yesterday' is no moment"):
        model("history", "--at", "yesterday")


def test_a_version_is_promoted_where_it_learnt_unless_places_are_named(registry: Registry):
    registry.record_verdict(judged(3, passed=True, segment="prepaid"))
    registry.record_verdict(judged(1, passed=True))
    assert model("promote", "3", "--why", "theirs") == "Version 3 of tiny is champion of prepaid.\n"
    assert registry.history("tiny", "prepaid")[-1].who == "ada"
    told = model("promote", "1", "--segment", "all", "--segment", "postpaid", "--why", "the old one was better")
    assert told == "Version 1 of tiny is champion of all, postpaid.\n"
    assert {place: found.version for place, found in registry.resolve_all("tiny").items()} == {
        "all": 1,
        "postpaid": 1,
        "prepaid": 3,
    }


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        # what is asked                            what it breaks
        (("1", "--segment", "moon"), RequestError, "there is no segment moon"),
        (("3", "--segment", "all"), PromotionRefused, "it learnt from prepaid alone, and would score all"),
        (("1", "--segment", "postpaid"), PromotionRefused, "no gate has judged version 1"),
        (("1", "--expected", "3"), PromotionRefused, "version 2 is champion, not version 3"),
        (("1", "--expected", "0"), PromotionRefused, "version 2 is champion, not nobody"),
    ],
    ids=str,
)
def test_a_promotion_is_refused(registry: Registry, arguments: tuple[str, ...], error: type[ChurnError], told: str):
    with pytest.raises(error, match=told):
        model("promote", *arguments, "--why", "an attempt")
    assert registry.resolve("tiny").version == 2
    assert len(registry.history("tiny", None)) == 2


def test_what_the_gate_refused_is_promoted_only_by_override(registry: Registry):
    registry.record_verdict(judged(1, passed=False))
    with pytest.raises(PromotionRefused, match=rf"refused version 1 by its rule money: {re.escape(REFUSAL)}"):
        model("promote", "1", "--why", "an attempt")
    model("promote", "1", "--why", "the old one was better", "--override", "--expected", "2")
    assert registry.resolve("tiny").version == 1


def test_who_is_champion_already_is_said_to_be(registry: Registry):
    assert model("promote", "2", "--why", "again") == "Version 2 of tiny was already champion of all.\n"
    assert len(registry.history("tiny")) == 2


def test_a_version_whose_files_differ_is_not_promoted(registry: Registry, settings: Settings):
    harm(registry, settings, 3)
    with pytest.raises(ArtifactRefused, match=r"model\.json"):
        model("promote", "3", "--why", "an attempt")
    assert "prepaid" not in registry.resolve_all("tiny")


def test_one_rolls_back_to_the_champion_before_or_to_a_named_one(registry: Registry):
    assert model("rollback", "--why", "complaints") == "Version 1 of tiny is champion of all again.\n"
    assert model("rollback", "--to", "2", "--why", "a mistake") == "Version 2 of tiny is champion of all again.\n"
    with pytest.raises(NoChampion, match="version 3 was never champion"):
        model("rollback", "--to", "3", "--why", "a mistake")
    with pytest.raises(NoChampion, match="segment moon: nobody was champion before"):
        model("rollback", "--segment", "moon", "--why", "a mistake")


def test_several_places_go_back_together_unless_another_than_expected_is_champion(registry: Registry):
    both = ("--segment", "all", "--segment", "prepaid")
    for version, expected in ((1, None), (2, 1)):
        registry.promote(
            Promotion("tiny", version, expected, who="Grace", why="theirs", segments=("prepaid",), override=True)
        )
    with pytest.raises(PromotionRefused, match="version 2 is champion, not version 1"):
        model("rollback", *both, "--expected", "1", "--why", "complaints")
    assert model("rollback", *both, "--expected", "2", "--why", "complaints").splitlines() == [
        "Version 1 of tiny is champion of all again.",
        "Version 1 of tiny is champion of prepaid again.",
    ]


def test_no_place_is_given_back_to_a_version_whose_files_differ(registry: Registry, settings: Settings):
    harm(registry, settings, 1)
    for to in ((), ("--to", "1")):
        with pytest.raises(ArtifactRefused, match=r"model\.json"):
            model("rollback", *to, "--why", "complaints")
    assert registry.resolve("tiny").version == 2


def test_verifying_prints_a_line_for_each_version_that_is_kept(registry: Registry, settings: Settings):
    registry.delete("tiny", 1, who="Ada", why="room")
    assert model("verify") == "version 2: sound\nversion 3: sound\n"
    harm(registry, settings, 3)
    assert model("verify", "2") == "version 2: sound\n"
    with pytest.raises(ArtifactRefused, match="tiny: 1 of 2 models are not what was registered"):
        model("verify")


def test_models_that_nobody_signed_are_told_from_changed_ones(registry: Registry, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHURN_TRUSTED_KEYS", new_key_pair().trusted)
    with pytest.raises(NotSigned, match=r"3 of 3 models are signed by nobody .*\n  Train again with CHURN_SIGNING_KEY"):
        model("verify")


def test_a_deleted_version_leaves_no_files_and_keeps_its_history(registry: Registry, settings: Settings):
    folder = model_folder(registry.version("tiny", 1).digest, settings)
    assert model("delete", "1", "--why", "room") == "Version 1 of tiny is deleted. Its row and its history stay.\n"
    assert not folder.exists()
    assert registry.history("tiny")[0].to_version == 1
    with pytest.raises(RegistryError, match=r"version 1 was deleted at .* by ada: room"):
        model("promote", "1", "--why", "an attempt")


def test_a_deleted_model_that_is_trained_again_is_a_sound_new_version(registry: Registry, settings: Settings):
    first = replace(made(), manifest=made().manifest.model_copy(update=manifests()[0]))
    model("delete", "1", "--why", "room")
    assert registry.register("tiny", save_model(first, settings)) == 4
    assert model("verify", "4") == "version 4: sound\n"


def test_the_champion_is_not_deleted(registry: Registry, settings: Settings):
    with pytest.raises(RegistryError, match="version 2 is champion of all"):
        model("delete", "2", "--why", "room")
    assert model_folder(registry.version("tiny", 2).digest, settings).exists()


def test_a_reason_must_be_given(registry: Registry):
    for arguments in (("promote", "1"), ("rollback",), ("delete", "1")):
        model(*arguments, code=2)
        with pytest.raises(RequestError, match="--why: it is blank"):
            model(*arguments, "--why", " ")
    assert len(registry.history("tiny", None)) == 2


def test_the_manifest_goes_to_the_terminal_or_to_a_file(registry: Registry, tmp_path: Path):
    page = tmp_path / "new" / "two.json"
    assert model("export", "2", "--format", "json", "--to", str(page)) == f"Written to {page}\n"
    assert json.loads(page.read_text())["code_version"] == "0.1.2"
    assert model("export", "2", "--format", "json") == page.read_text()
    with pytest.raises(RequestError, match="it cannot be written"):
        model("export", "2", "--format", "json", "--to", str(page / "below"))


def test_exported_sql_scores_in_the_database_and_names_its_model(registry: Registry, tmp_path: Path):
    query = model("export", "2", "--format", "sql", "--dialect", "sqlite", "--table", "base")
    assert f"model {registry.version('tiny', 2).digest}" in query
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE base (customer_id TEXT, tenure INT, dropped REAL, in_contract INT, plan TEXT)")
        connection.execute("INSERT INTO base VALUES ('C1', 4, 0.01, 1, 'P3')")
        ((customer, _, probability),) = connection.execute(query).fetchall()
    assert (customer, 0 < probability < 1) == ("C1", True)


def test_the_shape_of_each_term_is_drawn_into_a_folder(registry: Registry, tmp_path: Path):
    folder = tmp_path / "drawings"
    assert model("export", "2", "--format", "plots", "--to", str(folder)) == f"5 drawings written to {folder}\n"
    assert {drawing.suffix for drawing in folder.iterdir()} == {".svg"}
    assert "dropped calls" in "".join(drawing.read_text() for drawing in folder.iterdir())
    with pytest.raises(RequestError, match="do not fit into a terminal"):
        model("export", "2", "--format", "plots")


def test_the_page_of_a_model_names_its_version_and_digest(registry: Registry, tmp_path: Path):
    page = tmp_path / "two.html"
    model("export", "2", "--format", "html", "--to", str(page))
    assert "<title>" in page.read_text()
    assert registry.version("tiny", 2).digest in page.read_text()


def test_a_key_is_made_for_its_owner_s_eyes_and_never_over_another(registry: Registry, tmp_path: Path):
    printed = CliRunner().invoke(app, ["model", "key"])
    signing, trusted = printed.stdout.splitlines()
    assert signing.startswith("CHURN_SIGNING_KEY=")
    assert trusted.startswith("CHURN_TRUSTED_KEYS=")
    assert "CHURN_SIGNING_KEY signs models: it is a secret" in printed.stderr
    file = tmp_path / "churn.env"
    written = CliRunner().invoke(app, ["model", "key", "--to", str(file)])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert written.stdout.startswith(f"Written to {file}, a file of variables: `set -a; . {file}; set +a`")
    kept = file.read_text()
    assert signing not in kept, "each key is a new one"
    with pytest.raises(RequestError, match="File exists"):
        raise CliRunner().invoke(app, ["model", "key", "--to", str(file)]).exception
    assert file.read_text() == kept


def test_a_secret_goes_to_no_folder_that_is_not_there(registry: Registry, tmp_path: Path):
    with pytest.raises(RequestError, match="No such file or directory"):
        raise CliRunner().invoke(app, ["model", "key", "--to", str(tmp_path / "kesy" / "churn.env")]).exception
    assert not (tmp_path / "kesy").exists()


def test_a_script_sees_a_line_for_each_model_a_sentence_and_the_registry_s_exit_code(
    registry: Registry, settings: Settings, tmp_path: Path
):
    harm(registry, settings, 3)
    done = churn("model", "verify", "--contract", "tiny", home=tmp_path)
    assert done.returncode == 8
    assert re.fullmatch(r"version 1: sound\nversion 2: sound\nversion 3: REFUSED .*model\.json: .*\n", done.stdout)
    assert "ArtifactRefused tiny: 1 of 3 models are not what was registered" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_list_needs_no_orchestrator_and_nothing_that_learns_or_draws(registry: Registry, tmp_path: Path):
    done = churn("model", "list", "--contract", "tiny", home=tmp_path, python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert done.returncode == 0
    assert cells(done.stdout, 2)
    assert "sqlalchemy" in imported
    assert not imported & {
        "prefect",
        "alembic",
        "sklearn",
        "pandas",
        "interpret",
        "matplotlib",
        "skops",
        "shap",
        "numba",
    }


def harm(registry: Registry, settings: Settings, version: int) -> None:
    """Changes the version's manifest on disk by one letter."""
    file = model_folder(registry.version("tiny", version).digest, settings) / "model.json"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b'"code_version": "0.', b'"code_version": "9.'))
