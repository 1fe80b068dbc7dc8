"""Read YAML so that every mistake can be shown where it stands.

    bytes ──▶ node tree ──▶ plain values + a mark for each path ──▶ pydantic ──▶ values
                                  └────────── faults: file:line:col: path: what ◀──┘

Nothing is built from a tag, nothing is expanded without a limit: an operator's file may come out
of somebody's mail. Scalars are read by the few rules below instead of YAML 1.1's many, so that
06:00 stays the text of a time and never becomes 360:

    null ~ (empty)   true false yes no on off   15 -4   0.96 1e3     all other plain words: text
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from vpp.errors import ConfigError

MAX_BYTES = 5_000_000
MAX_DEPTH = 32
MAX_VALUES = 100_000
"""Values of one file after aliases are expanded."""

KeyPath: TypeAlias = tuple[str | int, ...]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake, where it stands."""

    file: str
    line: int
    """From 1."""
    column: int
    """From 1."""
    path: str
    """Dotted keys, list positions from 0; empty for the file as a whole."""
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.path}: {self.what}" if self.path else f"{place}: {self.what}"


class ConfigErrors(ConfigError):  # noqa: N818 - it holds many
    """All mistakes of a file and of the files it names, one to a line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(
            "\n".join(map(str, self.faults)),
            where=self.faults[0].file if self.faults else "configuration",
            fix="Mend these places",
        )

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file's values and where each of them stands."""

    file: str
    tree: Any
    """dict, list, str, int, float, bool and None only; every number is finite."""

    marks: Mapping[KeyPath, tuple[int, int]]
    """Line and column, from 1: of the key for a mapping's entry, of the item for a list's."""

    digest: str
    """SHA-256 of the file's bytes."""

    faults: tuple[Fault, ...]
    """What is wrong with the YAML as such though it can be read: a key twice, a NaN, …"""

    files: Mapping[KeyPath, str] = field(default_factory=dict)
    """Places that stand in another file than this one, as rows of a table do: all below them does too."""

    def fault(self, path: KeyPath, what: str) -> Fault:
        """A mistake at `path`, or at the nearest ancestor that is there."""
        known = path
        while known not in self.marks:
            known = known[:-1]
        line, column = self.marks[known]
        if known in self.files:  # told in the words of the table: the column alone
            below = ".".join(map(str, path[len(known) :]))
            return Fault(self.files[known], line, column, below, what)
        return Fault(self.file, line, column, ".".join(map(str, path)), what)

    def parse(self, adapter: TypeAdapter[T], path: KeyPath, value: Any) -> T | list[Fault]:
        """`value`, found at `path`, as a checked model; or each reason why it is none."""
        try:
            return adapter.validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            return [self._told(path, value, dict(item)) for item in error.errors(include_url=False)]

    def _told(self, path: KeyPath, value: Any, error: dict[str, Any]) -> Fault:
        kind, given = error["type"], error.get("input")
        in_table = False
        for part in error["loc"]:
            # pydantic puts the names of union members into the location; they are no keys
            below = _below(value, part)
            in_table = in_table or path in self.files  # there no key has a mark of its own
            if (
                (*path, part) in self.marks
                or (in_table and below is not _NOTHING)
                or (kind == "missing" and part == error["loc"][-1])
            ):
                path, value = (*path, part), below
        if kind in ("union_tag_not_found", "union_tag_invalid"):
            key = str(error["ctx"]["discriminator"]).strip("'")
            path = (*path, key)
        return self.fault(path, _what(kind, error, given))


_NOTHING = object()


def _below(value: Any, part: str | int) -> Any:
    """What stands at a key or a place of a value; `_NOTHING` where there is no such thing."""
    match value:
        case dict() if part in value:
            return value[part]
        case list() if isinstance(part, int) and part < len(value):
            return value[part]
        case _:
            return _NOTHING


def _what(kind: str, error: dict[str, Any], given: Any) -> str:
    """The message of one pydantic error in our words."""
    context = error.get("ctx", {})
    shown = json.dumps(given, ensure_ascii=False)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    if kind in ("missing", "union_tag_not_found"):
        return "missing"
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return "unknown key"
    if kind == "union_tag_invalid":
        return f"{context['tag']!r} is none of {context['expected_tags']}"
    if kind == "value_error":
        return str(context["error"])
    if kind == "less_than_equal" and context["le"] == 1:
        return f"{shown} is above 1: give a fraction such as 0.96, not a percentage"
    if kind == "timezone_aware":
        return f"{shown} has no time zone: add Z or an offset such as +01:00"
    message = str(error["msg"])
    return f"{message[0].lower()}{message[1:]}, not {shown}"


def read_document(path: Path) -> Document:
    """Read one YAML file.

    Raises:
        ConfigErrors: The file is not there, too big, or no YAML at all.
    """
    return read_yaml(read_bytes(path), file=str(path))


def read_bytes(path: Path, *, most: int = MAX_BYTES) -> bytes:
    """The content of a file that a person wrote, up to `most` bytes.

    Raises:
        ConfigErrors: It cannot be read, or is bigger.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigErrors([Fault(str(path), 1, 1, "", f"cannot be read: {reason}")]) from error
    if len(content) > most:
        raise ConfigErrors([Fault(str(path), 1, 1, "", f"is bigger than {most} bytes")])
    return content


def read_yaml(content: bytes, *, file: str) -> Document:
    """Read YAML from memory; `file` is the name that faults show.

    Raises:
        ConfigErrors: No YAML, nested too deep, or exploding aliases.
    """
    try:
        text = content.decode("utf-8-sig")
        _refuse_depth(text, file)
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigErrors([Fault(file, line, 1, "", "is not UTF-8 text")]) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = ": ".join(part for part in (error.context, error.problem) if part)
        raise ConfigErrors([Fault(file, line, column, "", f"no YAML: {what}")]) from error
    except yaml.YAMLError as error:
        what = str(error).splitlines()[0]
        raise ConfigErrors([Fault(file, 1, 1, "", f"no YAML: {what}")]) from error
    walk = _Walk(file)
    tree = walk.value(root, ()) if root is not None else None
    return Document(
        file=file,
        tree=tree,
        marks=walk.marks,
        digest=hashlib.sha256(content).hexdigest(),
        faults=tuple(walk.faults),
    )


def _refuse_depth(text: str, file: str) -> None:
    """Stop before the composer, which calls itself for each level, meets a tower of brackets."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            mark = event.start_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            what = f"nested deeper than {MAX_DEPTH} levels"
            raise ConfigErrors([Fault(file, line, column, "", what)])


_TEXT_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq", "merge", "value")
)
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]{1,4})?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)


def plain_value(text: str) -> bool | int | float | str | None:
    """What a plain word of YAML, or a cell of a table, means by the rules above."""
    if text.lower() in ("", "~", "null"):
        return None
    if text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


class _Walk:
    """Turns nodes into plain values and notes where each stood."""

    def __init__(self, file: str) -> None:
        self.marks: dict[KeyPath, tuple[int, int]] = {(): (1, 1)}
        self.faults: list[Fault] = []
        self._file = file

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        if len(self.marks) > MAX_VALUES or len(path) > MAX_DEPTH:
            # Only aliases lead here in a small file: each doubles what the one before it held.
            what = f"aliases make more than {MAX_VALUES} values or {MAX_DEPTH} levels of this file"
            raise ConfigErrors([*self.faults, self._fault(path, what)])
        if node.tag not in _TEXT_TAGS:
            self.faults.append(self._fault(path, f"the tag {node.tag} is not allowed"))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(node, path, place) for place in range(len(node.value))]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _item(self, node: yaml.SequenceNode, path: KeyPath, place: int) -> Any:
        self._mark((*path, place), node.value[place])
        return self.value(node.value[place], (*path, place))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            plain = isinstance(key_node, yaml.ScalarNode)
            key = self._scalar(key_node, path) if plain else None
            shown = key_node.value[:60] if plain else "?"
            here = (*path, key if isinstance(key, str) else shown)
            if isinstance(key, str) and key not in found:
                self._mark(here, key_node)
                found[key] = self.value(value_node, here)
                continue
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if isinstance(key, str):
                what = f"the key stands here a second time, first in line {self.marks[here][0]}"
            else:
                what = f"the key {shown} is read as {json.dumps(key)}: put it in quotes"
            name = ".".join(map(str, here))
            self.faults.append(Fault(self._file, line, column, name, what))
        return found

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text: str = node.value
        if node.style in ("'", '"', "|", ">"):
            return text
        value = plain_value(text)
        if _NOT_FINITE.fullmatch(text) or (isinstance(value, float) and not isfinite(value)):
            self.faults.append(self._fault(path, f"{text} is not a finite number"))
            return None
        return value

    def _mark(self, path: KeyPath, node: yaml.Node) -> None:
        self.marks[path] = (node.start_mark.line + 1, node.start_mark.column + 1)

    def _fault(self, path: KeyPath, what: str) -> Fault:
        return Fault(self._file, *self.marks[path], ".".join(map(str, path)), what)


def shipped(relative: str) -> Path:
    """A file or folder of `config/`: from the installed wheel, else from the source tree.

    The wheel carries `config/` as `vpp/_config`; a source tree has it beside the package.

    Raises:
        ConfigError: Neither has it.
    """
    package = files("vpp")
    for place in (package / "_config", package / ".." / "config"):
        found = place.joinpath(relative)
        if isinstance(found, Path) and found.exists():
            return found.resolve()
    raise ConfigError(
        f"{relative} is not shipped with this installation",
        where="config",
        fix="Give the path of a file of your own, or install the package again",
    )
