"""What one strategy file does otherwise than another, in words: one line to a change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from vpp.service.markets.sources import leaves
from vpp.service.park.config import KeyPath

_NOTHING = object()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """Each change from the values of one file to those of another; empty where only words and order of keys differ.

    Strategies are told apart by their `name`, so that one that moves in the list is no change.
    """
    before, after = _named(old), _named(new)
    lines = [*_gone_and_new(before, after)]
    for name in after.keys() & before.keys():
        lines += _changes(name, before[name], after[name])
    order = {name: place for place, name in enumerate([*before, *after])}
    lines.sort(key=lambda line: order.get(line.split(": ")[0], 0))
    rest = {key: value for key, value in old.items() if key != "strategies"}
    other = {key: value for key, value in new.items() if key != "strategies"}
    return (*lines, *_changes("", rest, other))


def _named(tree: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The strategies of a file by name; where one name stands twice, by name and place."""
    found: dict[str, Mapping[str, Any]] = {}
    for place, one in enumerate(tree.get("strategies") or ()):
        name = str(one.get("name", one.get("use")))
        found[name if name not in found else f"{name} ({place + 1})"] = one
    return found


def _gone_and_new(
    before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    for name in before:
        if name not in after:
            yield f"{name}: no longer there ({before[name].get('use')})"
    for name, one in after.items():
        if name not in before:
            said = ", ".join(
                f"{'.'.join(map(str, path))} {_shown(value)}"
                for path, value in leaves(
                    {k: v for k, v in one.items() if k not in ("name", "use")}
                ).items()
            )
            yield f"{name}: new, {one.get('use')}" + (f" with {said}" if said else "")


def _changes(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = leaves(before), leaves(after)
    for path in [*new, *(path for path in old if path not in new)]:
        was, now = old.get(path, _NOTHING), new.get(path, _NOTHING)
        if was == now and type(was) is type(now):
            continue
        yield _line(name, path, was, now)


def _line(name: str, path: KeyPath, was: Any, now: Any) -> str:
    label = ".".join(str(part) for part in path if part != "with")
    label = f"{name}: {label}" if name else label
    if was is _NOTHING:
        return f"{label} {_shown(now)} is new"
    if now is _NOTHING:
        return f"{label} {_shown(was)} is gone"
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (was, now))
    by = f" ({now - was:+.6g})" if numbers else ""
    return f"{label} {_shown(was)} becomes {_shown(now)}{by}"


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
