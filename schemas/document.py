"""A YAML text as plain values that know the line they stand on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong in a text: the line, the rule that is broken, and how."""

    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.rule}: {self.message}"


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a YAML text, and the line on which each begins."""

    values: Any
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int:
        """The line of the value at `path`, or of the nearest value around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def at(self, path: Path) -> Any:
        """The value at `path`; KeyError or IndexError if there is none."""
        value = self.values
        for step in path:
            value = value[step]
        return value

    def items(self, path: Path, word: str) -> Iterator[Path]:
        """The paths of the entries of the list `word` at `path`; none where there is no such list."""
        for place in range(len(self.at(path).get(word) or ())):
            yield (*path, word, place)


def read_document(text: str) -> Document | tuple[Problem, ...]:
    """The document of a YAML text, or why it is none: broken syntax, an alias, or a key that occurs twice."""
    try:
        if aliases := tuple(_aliases(text)):
            return aliases
        return _composed(text)
    except yaml.MarkedYAMLError as broken:
        return (_syntax_problem(broken),)
    except (yaml.YAMLError, ValueError) as broken:
        return (Problem(1, "yaml", str(broken)),)


def _composed(text: str) -> Document | tuple[Problem, ...]:
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return (Problem(1, "yaml", "the text is empty"),)
        values = loader.construct_document(root)
        return tuple(_repeated_keys(root)) or Document(values, dict(_lines(root)))
    finally:
        loader.dispose()


def _aliases(text: str) -> Iterator[Problem]:
    """A few nested aliases unfold to more values than any machine holds, and a contract has no need of them."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) and event.start_mark:
            message = f"the alias *{event.anchor} is not allowed; repeat the value"
            yield Problem(event.start_mark.line + 1, "yaml", message)


def _syntax_problem(broken: yaml.MarkedYAMLError) -> Problem:
    lines = [mark.line + 1 for mark in (broken.problem_mark, broken.context_mark) if mark]
    return Problem(lines[0] if lines else 1, "yaml", broken.problem or "cannot be read as YAML")


def _lines(node: yaml.Node, path: Path = ()) -> Iterator[tuple[Path, int]]:
    yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines(value, (*path, key.value))
            yield (*path, key.value), key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _lines(value, (*path, place))


def _repeated_keys(node: yaml.Node) -> Iterator[Problem]:
    """PyYAML keeps the last of two equal keys and says nothing."""
    seen: set[str] = set()
    for key, value in _children(node):
        if key is not None and key.value in seen:
            yield Problem(key.start_mark.line + 1, "yaml", f"{key.value!r} occurs twice here")
        if key is not None:
            seen.add(key.value)
        yield from _repeated_keys(value)


def _children(node: yaml.Node) -> Iterator[tuple[yaml.Node | None, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from node.value
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield None, value
