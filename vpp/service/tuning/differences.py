"""What one strategy file does otherwise than another, in words: one line to a change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from vpp.service.park.config import KeyPath
from vpp.service.strategies.schema import StrategiesSection

_NOTHING = object()


def differences(before: StrategiesSection, after: StrategiesSection) -> tuple[str, ...]:
    """Each change from one file to another; empty where only comments and the order of keys differ.

    Strategies are told apart by their `name`, so that one that moves in the list is no change.
    """
    old, new = _said(before), _said(after)
    was, now = _named(old), _named(new)
    lines = [*_gone_and_new(was, now)]
    for name in (name for name in now if name in was):
        lines += _changes(name, was[name], now[name])
    rest = {key: value for key, value in old.items() if key != "strategies"}
    other = {key: value for key, value in new.items() if key != "strategies"}
    return (*lines, *_changes("", rest, other))


def _said(section: StrategiesSection) -> dict[str, Any]:
    """What a person wrote, key by key; what was left out is left out."""
    said: dict[str, Any] = section.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return said


def _named(tree: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The strategies of a file by name."""
    return {one["name"]: one for one in tree["strategies"]}


def _gone_and_new(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    for name in before:
        if name not in after:
            yield f"{name}: no longer there ({before[name].get('use')})"
    for name, one in after.items():
        if name not in before:
            said = ", ".join(
                f"{_label(path)} {_shown(value)}"
                for path, value in _leaves(
                    {k: v for k, v in one.items() if k not in ("name", "use")}
                ).items()
            )
            yield f"{name}: new, {one.get('use')}" + (f" with {said}" if said else "")


def _changes(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = _leaves(before), _leaves(after)
    for path in [*new, *(path for path in old if path not in new)]:
        was, now = old.get(path, _NOTHING), new.get(path, _NOTHING)
        if was == now and type(was) is type(now):
            continue
        yield _line(name, path, was, now)


def _line(name: str, path: KeyPath, was: Any, now: Any) -> str:
    label = f"{name}: {_label(path)}" if name else _label(path)
    if was is _NOTHING:
        return f"{label} {_shown(now)} is new"
    if now is _NOTHING:
        return f"{label} {_shown(was)} is gone"
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (was, now))
    by = f" ({now - was:+.6g})" if numbers else ""
    return f"{label} {_shown(was)} becomes {_shown(now)}{by}"


def _label(path: KeyPath) -> str:
    return ".".join(str(part) for part in path if part != "with")


def _leaves(tree: Any, path: KeyPath = ()) -> dict[KeyPath, Any]:
    """Every value by its path; a list of plain values is one, and a mapping without keys too."""
    if isinstance(tree, dict) and tree:
        items: Iterable[tuple[str | int, Any]] = tree.items()
    elif isinstance(tree, list) and any(isinstance(one, dict) for one in tree):
        items = enumerate(tree)
    else:
        return {path: tree}
    return {at: value for key, item in items for at, value in _leaves(item, (*path, key)).items()}


def _shown(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(map(str, value)) or "nothing"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
