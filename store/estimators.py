"""Fitted classifiers as skops files, read behind a list of our own of what may be in one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from churn.estimators import HIST_GRADIENT_BOOSTING, LOGISTIC_REGRESSION, RANDOM_FOREST
from store.arrays import require_plain_array

SCHEMA = "schema.json"
PROTOCOL = 2  # of skops' format; a file that claims an older one would be read by skops' older and laxer code
ARRAY_NAME_LETTERS = 32

# What skops may build, by the loader that builds it: exactly what the classifiers of churn/training/estimators.py are
# made of. Nothing here calls what a file names: no function, method, operator, partial, reduce or pickled bytes. It is
# never widened by what a file asks for, as skops' own `get_untrusted_types` would; skops trusts every scikit-learn
# estimator and ufunc by itself, so its list is not ours.
ALLOWED: Mapping[str, frozenset[str]] = {
    "JsonNode": frozenset({"builtins.str"}),
    "DictNode": frozenset({"builtins.dict"}),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "SliceNode": frozenset({"builtins.slice"}),
    "TypeNode": frozenset({"builtins.str", "numpy.float64"}),
    "DTypeNode": frozenset({"numpy.dtype"}),
    "NdArrayNode": frozenset({"numpy.ndarray", "numpy.float64", "numpy.int64", "numpy.uint64"}),
    "RandomGeneratorNode": frozenset({"numpy.random._generator.Generator"}),
    "LossNode": frozenset({"sklearn._loss._loss.CyHalfBinomialLoss"}),
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "ObjectNode": frozenset(
        {
            "sklearn._loss.link.Interval",
            "sklearn._loss.link.LogitLink",
            "sklearn._loss.loss.HalfBinomialLoss",
            "sklearn.compose._column_transformer.ColumnTransformer",
            "sklearn.ensemble._forest.RandomForestClassifier",
            "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
            "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
            "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
            "sklearn.impute._base.MissingIndicator",
            "sklearn.impute._base.SimpleImputer",
            "sklearn.linear_model._logistic.LogisticRegression",
            "sklearn.pipeline.Pipeline",
            "sklearn.preprocessing._data.StandardScaler",
            "sklearn.preprocessing._encoders.OneHotEncoder",
            "sklearn.preprocessing._label.LabelEncoder",
            "sklearn.tree._classes.DecisionTreeClassifier",
        }
    ),
}
TRUSTED = tuple(sorted(frozenset[str]().union(*ALLOWED.values())))
BIT_GENERATOR = json.dumps("PCG64")  # the one of scikit-learn's random_state; skops calls what is named there

CLASSIFIERS = {
    HIST_GRADIENT_BOOSTING: "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
    LOGISTIC_REGRESSION: "sklearn.pipeline.Pipeline",
    RANDOM_FOREST: "sklearn.ensemble._forest.RandomForestClassifier",
}

Node = dict[str, Any]


def fitted_bytes(fitted: Any, kind: str) -> bytes:
    """The fitted classifier as a skops file, equal ones as equal bytes; ValueError where it could not be read back."""
    from skops.io import dumps  # brings scikit-learn along, which takes seconds

    content = _settled(dumps(fitted))
    read_fitted(content, kind)
    return content


def read_fitted(content: bytes, kind: str) -> Any:
    """The fitted classifier again. Nothing of the file is built, imported or called before all of it is known.

    Raises ValueError where the file holds anything but a classifier of that kind.
    """
    _audit(content, kind)
    from skops.io import loads

    try:
        fitted = loads(content, trusted=TRUSTED)
        _require_sound_trees(fitted, kind)
    except Exception as error:  # scikit-learn takes a state as it comes, and fails in any way on a wrong one
        raise ValueError(f"skops cannot build it ({type(error).__name__}: {error})") from None
    return fitted


def _audit(content: bytes, kind: str) -> None:
    """ValueError where the file names, or hides, anything that is not allowed."""
    try:
        with ZipFile(BytesIO(content)) as file:
            _require_plain_members(file)
            schema = json.loads(file.read(SCHEMA))
            _require_allowed(schema, kind)
            for name in {node["file"] for node in _nodes(schema) if "file" in node}:
                require_plain_array(file.read(name))
    except (BadZipFile, KeyError, TypeError, AttributeError, RuntimeError) as error:  # RecursionError is one, too
        raise ValueError(f"it is no skops file of ours ({type(error).__name__}: {error})") from None


def _require_plain_members(file: ZipFile) -> None:
    names = file.namelist()
    if len(set(names)) != len(names):
        raise ValueError("two files in it have the same name")
    for member in file.infolist():
        if member.compress_type != ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"{member.filename} in it is compressed, so that its size is unknown")


def _require_allowed(schema: Node, kind: str) -> None:
    if schema["protocol"] != PROTOCOL:
        raise ValueError(f"it claims skops' protocol {schema['protocol']}, not {PROTOCOL}")
    if _name(schema) != CLASSIFIERS[kind]:
        raise ValueError(f"it holds a {_name(schema)}, not a {CLASSIFIERS[kind]}")
    for node in _nodes(schema):
        if _name(node) not in ALLOWED.get(node["__loader__"], ()):
            raise ValueError(f"{node['__loader__']} of {_name(node)} is not allowed in it")
        if node["__loader__"] == "RandomGeneratorNode" and _bit_generator(node) != BIT_GENERATOR:
            raise ValueError(f"numpy.random.{_bit_generator(node)} is not allowed in it")


def _name(node: Node) -> str:
    return f"{node['__module__']}.{node['__class__']}"


def _bit_generator(node: Node) -> Any:
    return node["content"]["bit_generator"]["content"]["bit_generator"]["content"]


def _nodes(schema: Any) -> Iterator[Node]:
    """Every part of the tree that says what it is, wherever in the tree it hides, and however incompletely."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if {"__loader__", "__module__", "__class__"} & part.keys():
                yield part
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _settled(dumped: bytes) -> bytes:
    """The same file without what differs between two writings: addresses in memory and the time of day."""
    with ZipFile(BytesIO(dumped)) as file:
        schema, members = json.loads(file.read(SCHEMA)), {}
        for node in _nodes(schema):
            node.pop(
                "__id__", None
            )  # an address, by which skops finds out what occurs twice; here each occurrence is read
            if "file" in node:
                array = file.read(node["file"])
                node["file"] = f"{hashlib.sha256(array).hexdigest()[:ARRAY_NAME_LETTERS]}.npy"
                members[node["file"]] = array
    return _zipped({**dict(sorted(members.items())), SCHEMA: json.dumps(schema).encode()})


def _zipped(members: Mapping[str, bytes]) -> bytes:
    sink = BytesIO()
    with ZipFile(sink, "w", ZIP_STORED) as file:
        for name, content in members.items():
            file.writestr(ZipInfo(name), content)  # its date is the first that a zip knows
    return sink.getvalue()


def _require_sound_trees(fitted: Any, kind: str) -> None:
    """ValueError where a tree would lead outside of itself: scikit-learn follows its nodes without looking."""
    if kind == HIST_GRADIENT_BOOSTING:
        if len(fitted._bin_mapper.is_categorical_) != fitted._n_features:
            raise ValueError("the bins do not fit the features")
        for tree in (tree for stage in fitted._predictors for tree in stage):
            _require_sound_boosted(tree.nodes, fitted._n_features)
    if kind == RANDOM_FOREST:
        for tree in (classifier.tree_ for classifier in fitted.estimators_):
            _require_sound_tree(tree, fitted.n_features_in_)


def _require_sound_boosted(nodes: Any, features: int) -> None:
    inner = nodes["is_leaf"] == 0
    _require_downward(np.flatnonzero(inner), len(nodes), nodes["left"][inner], nodes["right"][inner])
    if not _within(nodes["feature_idx"][inner], features) or nodes["is_categorical"].any():
        raise ValueError("a tree asks for a feature that there is not")


def _require_sound_tree(tree: Any, features: int) -> None:
    if tree.node_count != tree.capacity or tree.n_features != features:
        raise ValueError("a tree has not as many nodes or features as it says")
    inner = tree.children_left != -1  # scikit-learn's mark of a leaf
    _require_downward(np.flatnonzero(inner), tree.node_count, tree.children_left[inner], tree.children_right[inner])
    if not _within(tree.feature[inner], features):
        raise ValueError("a tree asks for a feature that there is not")


def _require_downward(parents: Any, count: int, *children: Any) -> None:
    """A child comes after its parent, so that no way through the tree is endless."""
    if not count:
        raise ValueError("a tree has no nodes")
    for child in children:
        if not _within(child, count) or (child.astype(np.int64) <= parents).any():
            raise ValueError("a tree leads outside of itself")


def _within(places: Any, count: int) -> bool:
    return bool(((places >= 0) & (places < count)).all())
