"""Rules that are written down twice are refused: otherwise the later ones would put the earlier ones out of force."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from churn.errors import PolicyError
from store.gates import GATES, read_gate
from store.policies import POLICIES, read_policy
from store.retention import RETENTIONS, read_retention
from store.strict_yaml import fields_of

TWICE = [
    # the text                                        what is told of it
    ("suppress: [a]\nchannels: [b]\nsuppress: [c]\n", "suppress is there twice"),
    ("holdout:\n  share: 0.1\n  share: 0.0\n", "share is there twice"),
    ("actions:\n- {name: call, name: text}\n", "name is there twice"),
    ("share: 1\n'share': 2\n", "share is there twice"),
    ("rules: [", "is not YAML"),
]


@pytest.mark.parametrize(("text", "told"), TWICE)
def test_a_field_that_is_there_twice_is_refused_with_its_line(text: str, told: str) -> None:
    with pytest.raises(PolicyError, match=told) as refused:
        fields_of(text, "rules.yaml")
    assert "rules.yaml" in str(refused.value)
    assert "line" in str(refused.value)


def test_the_same_field_in_two_places_and_one_that_overrides_what_it_was_copied_from_are_read() -> None:
    text = "a: &a {share: 1, days: 2}\nb: &b {<<: *a, share: 3}\nc: {<<: *b, days: 4}\n"
    read = fields_of(text, "rules.yaml")
    assert read == {"a": {"share": 1, "days": 2}, "b": {"share": 3, "days": 2}, "c": {"share": 3, "days": 4}}


RULES = [
    (POLICIES / "telco.yaml", read_policy),
    (GATES / "default.yaml", read_gate),
    (RETENTIONS / "default.yaml", read_retention),
]


@pytest.mark.parametrize(("shipped", "read"), RULES)
def test_no_file_of_rules_may_say_the_same_twice(shipped: Path, read: Callable[[str], object], tmp_path: Path) -> None:
    text, twice = shipped.read_text(), tmp_path / "twice.yaml"
    twice.write_text(f"{text}\nname: again\n")
    with pytest.raises(PolicyError, match="name is there twice"):
        read(str(twice))


def test_a_second_list_of_suppression_rules_does_not_put_the_first_out_of_force(tmp_path: Path) -> None:
    second = "suppress:\n- {status: no_consent, column: marketing_consent, equals: false, because: did not agree}\n"
    path = tmp_path / "policy.yaml"
    path.write_text((POLICIES / "telco.yaml").read_text() + second)
    with pytest.raises(PolicyError, match="suppress is there twice"):
        read_policy(str(path))
