"""Nothing that somebody puts into artifacts/ runs, and nothing that he changes there is used.

Each payload would leave a marker file if anything in it ran. The first tests show that the payloads do work where they
are simply loaded. Where a payload lies in a file of the model, all checksums agree with it and the trusted key has
signed it, so that what refuses it is the reading itself, and not only the signature before it.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pyarrow as pa
import pytest
import skops.io

from churn.errors import ArtifactRefused
from churn.estimators import HIST_GRADIENT_BOOSTING, LOGISTIC_REGRESSION, RANDOM_FOREST
from churn.scorecard import rescaled
from store.arrays import array_bytes
from store.artifacts import ESTIMATOR_FILES, LARGEST_FILE, SCORECARD_FILES, SIGNATURE, SUMS, Model, load_model, model_of
from store.estimators import SCHEMA
from store.model_manifests import read_model_manifest
from store.settings import Settings
from store.signatures import new_key_pair, sign
from tests import cards, models
from tests.store.forgery import forged, resealed, saved

OURS, THEIRS = new_key_pair(), new_key_pair()
CARD_FILES, CLASSIFIER_FILES = ({*files, SUMS, SIGNATURE} for files in (SCORECARD_FILES, ESTIMATOR_FILES))
Schema = dict[str, Any]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """As in production: one key signs and is trusted."""
    return replace(settings, development=False, signing_key=OURS.signing)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The file that would be there if a payload had run."""
    return tmp_path / "ran"


@pytest.fixture(scope="module")
def card() -> Model:
    return models.scorecard()


@pytest.fixture(scope="module")
def classifier() -> Model:
    return models.estimator(LOGISTIC_REGRESSION)


class Payload:
    """Leaves the marker when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.marker}",)


def as_pickle(marker: Path) -> bytes:
    return pickle.dumps(Payload(marker))


def as_joblib(marker: Path) -> bytes:
    sink = io.BytesIO()
    joblib.dump(Payload(marker), sink, compress=3)  # what scanners for pickles have let pass
    return sink.getvalue()


def as_array(marker: Path) -> bytes:
    sink = io.BytesIO()
    np.save(sink, np.array([Payload(marker)], dtype=object), allow_pickle=True)
    return sink.getvalue()


PICKLES = {"pickle": as_pickle, "joblib": as_joblib, "array of objects": as_array}


def node(loader: str, name: str, **parts: Any) -> Schema:
    module, _, kind = name.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": kind, **parts}


def text(value: Any) -> Schema:
    return node("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)


def several(*parts: Schema) -> Schema:
    return node("TupleNode", "builtins.tuple", content=list(parts))


def calling(marker: Path) -> Schema:
    system = node("FunctionNode", "os.system")
    return node("OperatorFuncNode", "operator.call", attrs=several(system, text(f"touch {marker}")))


def constructing(marker: Path) -> Schema:
    command = node("ListNode", "builtins.list", content=[text("touch"), text(str(marker))])
    return node("ConstructorFromReduceNode", "subprocess.Popen", content=several(command))


def as_key_of_a_dict(marker: Path) -> Schema:
    """skops calls the type of each key on the key."""
    types = node("ListNode", "builtins.list", content=[node("TypeNode", "os.system")])
    return node("DictNode", "builtins.dict", key_types=types, content={f"touch {marker}": text(1)})


def calling_a_partial(marker: Path) -> Schema:
    nothing = node("DictNode", "builtins.dict", key_types=several(), content={})
    partial = node(
        "PartialNode",
        "functools.partial",
        content={
            "func": node("FunctionNode", "os.system"),
            "args": several(text(f"touch {marker}")),
            "kwds": nothing,
            "namespace": nothing,
        },
    )
    return node("OperatorFuncNode", "operator.call", attrs=several(partial))


EVIL_NODES = {
    "an operator that calls": calling,
    "a constructor": constructing,
    "a type that keys are turned into": as_key_of_a_dict,
    "a partial that is called": calling_a_partial,
}


def skops_file(schema: Schema, members: dict[str, bytes] | None = None) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        for name, content in (members or {}).items():
            file.writestr(name, content)
        file.writestr(SCHEMA, json.dumps({"protocol": 2, **schema}))
    return sink.getvalue()


def taken_apart(file: Path) -> tuple[Schema, dict[str, bytes]]:
    with zipfile.ZipFile(file) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    return json.loads(members.pop(SCHEMA)), members


def refused(digest: str, settings: Settings, told: str) -> None:
    with pytest.raises(ArtifactRefused, match=told):
        load_model(digest, settings)


@pytest.mark.parametrize(
    ("kind", "load"),
    [
        ("pickle", pickle.load),
        ("joblib", joblib.load),
        ("array of objects", lambda file: np.load(file, allow_pickle=True)),
    ],
)
def test_a_pickle_runs_its_payload_where_it_is_loaded(kind: str, load: Callable[[Any], object], marker: Path):
    load(io.BytesIO(PICKLES[kind](marker)))
    assert marker.exists()


@pytest.mark.parametrize("evil", EVIL_NODES.values(), ids=EVIL_NODES)
def test_a_skops_file_runs_its_payload_where_its_own_list_of_types_is_trusted(evil, marker: Path):
    content = skops_file(evil(marker))
    done = skops.io.loads(content, trusted=skops.io.get_untrusted_types(data=content))
    if hasattr(done, "wait"):
        done.wait()
    assert marker.exists()


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "__init__.py", ".hidden"])
def test_a_file_dropped_beside_the_model_is_refused(kind, name, card: Model, settings: Settings, marker: Path):
    folder = saved(card, settings)
    (folder / name).write_bytes(PICKLES[kind](marker))
    refused(folder.name, settings, f"{name}: it is no part of the model")
    assert not marker.exists()


def test_a_file_that_would_widen_what_is_trusted_is_refused(classifier: Model, settings: Settings, marker: Path):
    """An MLmodel is where MLflow takes the list of trusted types from."""
    digest = forged(settings, classifier, "estimator.skops", skops_file(calling(marker)))
    folder = settings.artifacts / "models" / digest
    flavor = "flavors:\n  skops:\n    skops_trusted_types: [operator.call, os.system]\n"
    (folder / "MLmodel").write_text(flavor)
    refused(digest, settings, "MLmodel: it is no part of the model")
    refused(resealed(folder, settings), settings, "SHA256SUMS: it does not list the files of a model")
    assert not marker.exists()


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("name", SCORECARD_FILES)
def test_a_pickle_in_the_place_of_a_scorecards_file_is_refused(
    kind: str, name: str, card: Model, settings: Settings, marker: Path
):
    refused(forged(settings, card, name, PICKLES[kind](marker)), settings, f"{name}: its content is not a model's")
    assert not marker.exists()


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("name", ESTIMATOR_FILES)
def test_a_pickle_in_the_place_of_an_estimators_file_is_refused(
    kind: str, name: str, classifier: Model, settings: Settings, marker: Path
):
    digest = forged(settings, classifier, name, PICKLES[kind](marker))
    refused(digest, settings, f"{name}: its content is not a model's")
    assert not marker.exists()


@pytest.mark.parametrize("evil", EVIL_NODES.values(), ids=EVIL_NODES)
def test_a_skops_file_that_is_a_payload_is_refused(evil, classifier: Model, settings: Settings, marker: Path):
    digest = forged(settings, classifier, "estimator.skops", skops_file(evil(marker)))
    refused(digest, settings, r"estimator\.skops: .* it holds a .*, not a sklearn")
    assert not marker.exists()


@pytest.mark.parametrize("evil", EVIL_NODES.values(), ids=EVIL_NODES)
@pytest.mark.parametrize("claimed", ["its own loader", "no loader"])
def test_a_payload_hidden_deep_in_a_true_classifier_is_refused(
    evil, claimed: str, classifier: Model, settings: Settings, marker: Path
):
    schema, members = taken_apart(saved(classifier, settings) / "estimator.skops")
    hidden = evil(marker)
    if claimed == "no loader":
        del hidden["__loader__"]
    schema["content"]["content"]["steps"]["content"][0]["content"][1]["content"]["content"]["verbose"] = hidden
    digest = forged(settings, classifier, "estimator.skops", skops_file(schema, members))
    refused(digest, settings, r"estimator\.skops: its content is not a model's \(ValueError: .*(not allowed|no skops)")
    assert not marker.exists()


NOT_ALLOWED = {
    "a scikit-learn class that we do not use": node("ObjectNode", "sklearn.preprocessing._label.LabelBinarizer"),
    "a function": node("FunctionNode", "numpy.add"),
    "a type": node("TypeNode", "builtins.map"),
    "a class of ours under another loader": node("TreeNode", "sklearn.pipeline.Pipeline"),
    "pickled bytes": node("BytesNode", "builtins.bytes", file="payload"),
    "a method": node("MethodNode", "builtins.str", content={"func": "format", "obj": text("")}),
    "a loader that there is not": node("EvilNode", "builtins.str"),
    "a name of parts": {"__loader__": ["JsonNode"], "__module__": {}, "__class__": None},
    "another source of chance": node(
        "RandomGeneratorNode",
        "numpy.random._generator.Generator",
        content={"bit_generator": {"content": {"bit_generator": text("seed")}}},
    ),
}


@pytest.mark.parametrize("part", NOT_ALLOWED.values(), ids=NOT_ALLOWED)
def test_what_is_not_on_our_list_is_refused_though_skops_may_trust_it(part, classifier: Model, settings: Settings):
    schema, members = taken_apart(saved(classifier, settings) / "estimator.skops")
    schema["content"]["content"]["extra"] = part
    digest = forged(settings, classifier, "estimator.skops", skops_file(schema, members))
    refused(digest, settings, r"estimator\.skops: .*(is not allowed in it|no skops file of ours)")


def test_a_skops_file_of_an_older_protocol_is_refused(classifier: Model, settings: Settings):
    schema, members = taken_apart(saved(classifier, settings) / "estimator.skops")
    digest = forged(settings, classifier, "estimator.skops", skops_file(schema | {"protocol": 0}, members))
    refused(digest, settings, "it claims skops' protocol 0, not 2")


def test_a_classifier_of_another_kind_is_refused(classifier: Model, settings: Settings):
    forest = saved(models.estimator(RANDOM_FOREST), settings) / "estimator.skops"
    refused(forged(settings, classifier, "estimator.skops", forest.read_bytes()), settings, "it holds a .*Forest")


def test_a_skops_file_that_is_compressed_is_refused(classifier: Model, settings: Settings):
    """A few bytes could grow into more than the memory holds."""
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(SCHEMA, " " * 10_000_000)
    refused(forged(settings, classifier, "estimator.skops", bomb.getvalue()), settings, r"schema\.json in it is compr")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_skops_file_that_has_two_files_of_a_name_is_refused(classifier: Model, settings: Settings):
    """One of them would be checked, and the other might be used."""
    schema, members = taken_apart(saved(classifier, settings) / "estimator.skops")
    twice = io.BytesIO(skops_file(schema, members))
    with zipfile.ZipFile(twice, "a") as file:
        file.writestr(SCHEMA, json.dumps(schema))
    refused(forged(settings, classifier, "estimator.skops", twice.getvalue()), settings, "have the same name")


def test_a_skops_file_that_is_nested_without_end_is_refused(classifier: Model, settings: Settings):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        file.writestr(SCHEMA, "[" * 200_000)
    refused(forged(settings, classifier, "estimator.skops", sink.getvalue()), settings, r"estimator\.skops")


@pytest.mark.parametrize(("kind", "field"), [(HIST_GRADIENT_BOOSTING, "left"), (RANDOM_FOREST, "left_child")])
@pytest.mark.parametrize("leading_to", [1_000_000, 0])
def test_a_tree_that_leads_outside_of_itself_or_round_in_circles_is_refused(
    kind: str, field: str, leading_to: int, settings: Settings
):
    """scikit-learn would follow it without looking, out of its memory or for ever."""
    model = models.estimator(kind)
    schema, members = taken_apart(saved(model, settings) / "estimator.skops")
    name, nodes = next(
        (name, array)
        for name, array in ((name, np.load(io.BytesIO(content))) for name, content in members.items())
        if field in (array.dtype.names or ()) and len(array) > 1
    )
    nodes[field][0] = leading_to
    members[name] = array_bytes(nodes)
    digest = forged(settings, model, "estimator.skops", skops_file(schema, members))
    refused(digest, settings, "a tree leads outside of itself")


@pytest.mark.parametrize("harm", ["a bit turned", "cut short", "emptied", "gone", "a link", "a pipe", "a folder"])
@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("card", name) for name in sorted(CARD_FILES)), *(("classifier", name) for name in sorted(CLASSIFIER_FILES))],
)
def test_each_file_is_refused_by_its_name_where_it_is_not_what_was_saved(
    kind: str, name: str, harm: str, settings: Settings, request: pytest.FixtureRequest, tmp_path: Path
):
    folder = saved(request.getfixturevalue(kind), settings)
    file = folder / name
    content = file.read_bytes()
    middle = len(content) // 2
    file.unlink()
    if harm == "a bit turned":
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif harm == "cut short":
        file.write_bytes(content[:middle])
    elif harm == "emptied":
        file.touch()
    elif harm == "a link":
        (tmp_path / "outside").write_bytes(content)
        file.symlink_to(tmp_path / "outside")
    elif harm == "a pipe":
        os.mkfifo(file)
    elif harm == "a folder":
        file.mkdir()
    refused(folder.name, settings, f"{name}: it")


@pytest.mark.parametrize("name", ["model.json", SUMS])
@pytest.mark.parametrize("harm", ["a link", "a pipe", "too large"])
def test_a_list_of_models_neither_follows_a_link_nor_waits_for_a_pipe(
    name: str, harm: str, card: Model, settings: Settings, tmp_path: Path
):
    folder = saved(card, settings)
    file = folder / name
    if harm == "too large":
        os.truncate(file, LARGEST_FILE + 1)
    else:
        file.rename(tmp_path / "outside")
        file.symlink_to(tmp_path / "outside") if harm == "a link" else os.mkfifo(file)
    with pytest.raises(ArtifactRefused, match=f"{name}: it"):
        read_model_manifest(folder.name, settings)


def test_a_list_of_models_refuses_a_manifest_that_was_not_registered(card: Model, settings: Settings):
    folder = saved(card, settings)
    assert read_model_manifest(folder.name, settings) == card.manifest
    (folder / "model.json").write_bytes((folder / "model.json").read_bytes().replace(b'"tiny"', b'"tidy"'))
    with pytest.raises(ArtifactRefused, match="its manifest is not the one that was registered"):
        read_model_manifest(folder.name, settings)


def test_a_file_larger_than_any_of_ours_is_refused_before_it_is_read(card: Model, settings: Settings):
    folder = saved(card, settings)
    os.truncate(folder / "cells.npy", LARGEST_FILE + 1)
    refused(folder.name, settings, r"cells\.npy: it has 268,435,457 bytes, more than 268,435,456")


def test_an_array_that_asks_for_more_memory_than_there_is_is_refused(card: Model, settings: Settings):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    digest = forged(settings, card, "cells.npy", header.getvalue() + bytes(8))
    refused(digest, settings, r"cells\.npy: .* claims 8000000000000000 bytes and has 8")


# One change to a scorecard's manifest, which is then signed like any other.
WRONG_MANIFESTS = {
    "a term of a feature that there is not": lambda card: card["terms"][0].update(features=[99]),
    "a term of a feature beyond all counting": lambda card: card["terms"][0].update(features=[10**30]),
    "a table beyond all memory": lambda card: card["terms"][0].update(shape=[10**30]),
}


@pytest.mark.parametrize("change", WRONG_MANIFESTS.values(), ids=WRONG_MANIFESTS)
def test_a_manifest_that_describes_no_possible_card_is_refused(change, card: Model, settings: Settings):
    manifest = json.loads((saved(card, settings) / "model.json").read_text())
    change(manifest["card"])
    digest = forged(settings, card, "model.json", json.dumps(manifest).encode())
    refused(digest, settings, r"model\.json: its content is not a model's")


def test_an_array_whose_header_is_no_python_is_refused(card: Model, settings: Settings):
    header = b"\x93NUMPY\x01\x00\x10\x00{'descr':'<f8', \n"
    refused(forged(settings, card, "cells.npy", header), settings, r"cells\.npy: its content is not a model's")


@pytest.mark.parametrize(
    ("kind", "lost"),
    [(LOGISTIC_REGRESSION, "intercept_"), (HIST_GRADIENT_BOOSTING, "n_trees_per_iteration_")],
)
def test_a_classifier_that_lacks_what_scoring_reads_is_refused(kind: str, lost: str, settings: Settings):
    model = models.estimator(kind)
    schema, members = taken_apart(saved(model, settings) / "estimator.skops")
    assert without(schema, lost) != schema
    digest = forged(settings, model, "estimator.skops", skops_file(without(schema, lost), members))
    refused(digest, settings, rf"its content is not a model's \(AttributeError: .*{lost}")


def test_a_forest_without_trees_is_refused(settings: Settings):
    model = models.estimator(RANDOM_FOREST)
    schema, members = taken_apart(saved(model, settings) / "estimator.skops")
    schema["content"]["content"]["estimators_"]["content"] = []
    refused(forged(settings, model, "estimator.skops", skops_file(schema, members)), settings, "its content is not")


def without(part: Any, name: str) -> Any:
    """The schema as if nothing had ever had an attribute of that name."""
    if isinstance(part, dict):
        return {key: without(value, name) for key, value in part.items() if key != name}
    return [without(one, name) for one in part] if isinstance(part, list) else part


def test_a_probe_without_rows_proves_nothing_and_is_refused(card: Model, settings: Settings):
    sink = io.BytesIO()
    columns = card.probe.append_column("log_odds", pa.array([0.0] * card.probe.num_rows)).slice(0, 0)
    with pa.ipc.new_file(sink, columns.schema) as file:
        file.write_table(columns)
    refused(forged(settings, card, "probe.arrow", sink.getvalue()), settings, r"probe\.arrow: it has no rows")


def test_a_probe_whose_texts_lie_outside_of_it_is_refused(card: Model, settings: Settings):
    sink = io.BytesIO()
    table = pa.table({"plan": ["x" * 31, "x" * 46]})
    with pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)
    offsets, reaching = (np.array([0, 31, end], np.int32).tobytes() for end in (77, 1_000_000))
    assert sink.getvalue().count(offsets) == 1
    content = sink.getvalue().replace(offsets, reaching)
    refused(forged(settings, card, "probe.arrow", content), settings, r"probe\.arrow: its content is not")


@pytest.mark.parametrize("name", ["cells.npy", "model.json", SUMS, SIGNATURE])
def test_a_file_of_another_model_is_refused(name: str, card: Model, settings: Settings):
    folder, other = saved(card, settings), saved(riskier(card), settings)
    (folder / name).write_bytes((other / name).read_bytes())
    refused(folder.name, settings, f"{name}: it")


def test_another_model_in_the_place_of_the_one_asked_for_is_refused(card: Model, settings: Settings):
    folder, other = saved(card, settings), saved(riskier(card), settings)
    folder.rename(folder.with_name("away"))
    other.rename(folder)
    refused(folder.name, settings, "SHA256SUMS: it is not the list of files that the digest stands for")


def test_a_list_of_files_written_anew_needs_a_signature_anew(card: Model, settings: Settings):
    folder = saved(card, settings)
    signed = (folder / SIGNATURE).read_bytes()
    digest = forged(settings, card, "cells.npy", (folder / "cells.npy").read_bytes()[:-1] + b"\1")
    forgery = settings.artifacts / "models" / digest
    (forgery / SIGNATURE).write_bytes(signed)
    refused(digest, settings, "SIGNATURE: it is the signature of something else")
    (forgery / SIGNATURE).unlink()
    refused(digest, settings, "SIGNATURE: it is not signed")
    (forgery / SIGNATURE).write_bytes(
        sign((forgery / SUMS).read_bytes(), replace(settings, signing_key=THEIRS.signing)) or b""
    )
    refused(digest, settings, f"SIGNATURE: it is signed by the key {THEIRS.key_id}, which is not trusted")


def test_a_model_made_in_development_is_refused_in_production_until_it_is_saved_there(card: Model, settings: Settings):
    unsigned = replace(settings, development=True, signing_key="")
    digest = saved(card, unsigned).name
    assert load_model(digest, unsigned).digest == digest
    refused(digest, settings, "SIGNATURE: it is not signed")
    assert load_model(saved(card, settings).name, settings).digest == digest


def test_a_folder_that_is_a_link_is_refused(card: Model, settings: Settings, tmp_path: Path):
    folder = saved(card, settings)
    folder.rename(tmp_path / "outside")
    folder.symlink_to(tmp_path / "outside")
    refused(folder.name, settings, "it is a link to another place")


NO_DIGESTS = ["../..", "../../etc/passwd", "/", "", "A" * 64, "f" * 63, "f" * 64 + "\n", f"{'f' * 32}/{'f' * 31}"]


@pytest.mark.parametrize("digest", NO_DIGESTS)
def test_what_can_be_no_digest_is_refused(digest: str, settings: Settings):
    refused(digest, settings, "is no sha256")


def test_a_digest_of_nothing_is_refused(settings: Settings):
    refused("f" * 64, settings, "SHA256SUMS: it cannot be read")


def riskier(card: Model) -> Model:
    return model_of(models.trained(rescaled(card.card, 1.5, 0.5)), cards.contract(), "0.1.0")
