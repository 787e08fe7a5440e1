"""Reads the YAML of rules that the program obeys: a field that is there twice is refused, since one would be lost."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.composer import ComposerError

from churn.errors import PolicyError


def fields_of(text: str, where: str) -> object:
    """What the text describes; PolicyError where it is not YAML, or has a field twice in one place."""
    try:
        return yaml.load(text, _Strict)  # noqa: S506  # a SafeLoader: it makes plain values and runs nothing
    except yaml.YAMLError as error:
        raise PolicyError(f"is not YAML: {error}", where=where, to_do="Mend the file.") from None


class _Strict(yaml.SafeLoader):
    """YAML forbids a key that is there twice; PyYAML keeps the last one and says nothing."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        written = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in written:
                raise ComposerError(None, None, f"{key.value} is there twice", key.start_mark)
            written.add(name)
        return node
