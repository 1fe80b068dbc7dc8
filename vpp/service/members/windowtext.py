"""A window put into the text of a strategy file: one line more, every other byte as it was.

    members:
      steel:
        maintenance:
          - {from: "…", to: "…", reason: "…"}      <- this one

Comments and order are people's, so the file is not written anew. Where the place is written in braces there
is no line to put it into: that is said, and the operator puts it there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from vpp.errors import DataError
from vpp.service.park.config import read_yaml

STEP = 2
"""Blanks that a new level is set in by."""


def with_window(text: str, enterprise_id: str, key: str, item: Mapping[str, Any]) -> str:
    """The text with `item` as the first of `members.<enterprise_id>.<key>`; the same text where it is there already.

    Raises:
        DataError: The place is written in braces or brackets, or the text is no mapping.
    """
    tree = read_yaml(text.encode(), file="strategies").tree
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode) or not isinstance(tree, dict):
        raise _by_hand("the file is no mapping of keys to values", item)
    expected = _expected(tree, enterprise_id, key, item)
    if expected is None:
        return text
    at, new = _lines(root, enterprise_id, key, item)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    lines[len(lines) if at is None else at : len(lines) if at is None else at] = new
    made = "".join(lines)
    if read_yaml(made.encode(), file="strategies").tree != expected:
        raise _by_hand("its lines are not where they were looked for", item)
    return made


def _expected(
    tree: Mapping[str, Any], enterprise_id: str, key: str, item: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The tree with the item; None where it is in there."""
    members = dict(tree.get("members") or {})
    member = dict(members.get(enterprise_id) or {})
    listed = list(member.get(key) or [])
    if dict(item) in listed:
        return None
    return {
        **tree,
        "members": {**members, enterprise_id: {**member, key: [dict(item), *listed]}},
    }


def _lines(
    root: yaml.MappingNode, enterprise_id: str, key: str, item: Mapping[str, Any]
) -> tuple[int | None, list[str]]:
    """Before which line what lines go; None: behind the last."""
    line = f"- {_flow(item)}\n"
    levels = ["members", enterprise_id, key]
    node: yaml.Node = root
    for depth, name in enumerate(levels):
        found = _child(node, name)
        if found is not None and _is_nothing(found[1]):
            at, column = found[0].start_mark.line + 1, found[0].start_mark.column + STEP
            return at, _nested(levels[depth + 1 :], line, column)
        if found is None:
            new = _nested(levels[depth:], line, 0 if depth == 0 else node.start_mark.column)
            return (None if depth == 0 else node.start_mark.line), new
        node = found[1]
        if getattr(node, "flow_style", False):
            raise _by_hand(f"{'.'.join(levels[: depth + 1])} is written in braces", item)
    return node.start_mark.line, [" " * node.start_mark.column + line]


def _nested(keys: list[str], line: str, column: int) -> list[str]:
    """A key on each line, each set in by a step, and the item below."""
    new = [f"{' ' * (column + STEP * n)}{name}:\n" for n, name in enumerate(keys)]
    return [*new, " " * (column + STEP * len(keys)) + line]


def _child(node: yaml.Node, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((pair for pair in node.value if pair[0].value == name), None)


def _is_nothing(node: yaml.Node) -> bool:
    """A key without a value, or with an empty pair of braces."""
    return isinstance(node, yaml.ScalarNode) and node.value in ("", "~", "null")


def _flow(item: Mapping[str, Any]) -> str:
    inside = ", ".join(
        f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in item.items()
    )
    return "{" + inside + "}"


def _by_hand(what: str, item: Mapping[str, Any]) -> DataError:
    return DataError(
        what, where="strategies", fix=f"Put it there by hand, then accept again: - {_flow(item)}"
    )
