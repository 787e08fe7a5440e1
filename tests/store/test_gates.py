"""A gate file is read whole or refused by the name of what is wrong."""

from __future__ import annotations

import pytest
import yaml

from churn.errors import PolicyError
from store.gates import GATES, read_gate


def written(tmp_path, **changes: object) -> str:
    """A file with the shipped gate's fields, some of them changed."""
    fields = yaml.safe_load((GATES / "default.yaml").read_text())
    path = tmp_path / "gate.yaml"
    path.write_text(yaml.safe_dump(fields | changes))
    return str(path)


def test_every_shipped_gate_is_sound_and_named_like_its_file():
    assert [read_gate(path.stem).name for path in GATES.glob("*.yaml")] == [path.stem for path in GATES.glob("*.yaml")]


def test_a_file_of_the_user_is_read_like_a_shipped_one(tmp_path):
    assert read_gate(written(tmp_path)) == read_gate("default")


def test_the_digest_follows_what_is_asked_and_not_how_it_is_written(tmp_path):
    assert read_gate(written(tmp_path)).digest == read_gate().digest
    assert read_gate(written(tmp_path, rules=[{"rule": "contract"}])).digest != read_gate().digest


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([{"rule": "horoscope"}], "horoscope"),
        ([{"rule": "contract"}, {"rule": "contract"}], "given twice"),
        ([{"rule": "calibration", "slop_from": 0.5}], "slop_from"),
        ([{"rule": "leakage", "auc_at_most": 97}], "auc_at_most"),
        ([{"rule": "out_of_time_profit", "tolerance": -1}], "tolerance"),
        ([], "rules"),
    ],
)
def test_a_wrong_rule_is_refused_by_name(tmp_path, rules, told):
    with pytest.raises(PolicyError, match=told):
        read_gate(written(tmp_path, rules=rules))


def test_a_gate_that_is_not_there_is_refused_with_the_names_of_those_that_are():
    with pytest.raises(PolicyError, match="default"):
        read_gate("no_such_gate")


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    (tmp_path / "gate.yaml").write_text("rules: [")
    with pytest.raises(PolicyError, match="is not YAML"):
        read_gate(str(tmp_path / "gate.yaml"))
