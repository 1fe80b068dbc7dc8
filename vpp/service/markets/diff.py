"""What a newer market file changes, in words: one line to a field, the important ones first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vpp.service.markets.pack import Pack
from vpp.service.markets.sources import CRITICAL, inside, leaves
from vpp.service.park.config import KeyPath


def difference(old: Pack, new: Pack) -> tuple[str, ...]:
    """Each change from `old` to `new`; empty where nothing but layout and comments differs.

    Prices, gates, quantities and penalties come first, sources last.
    """
    before, after = _told(old), _told(new)
    paths = [*after, *(path for path in before if path not in after)]
    changed = [path for path in paths if before.get(path, _NOTHING) != after.get(path, _NOTHING)]
    return tuple(
        _line(path, before.get(path, _NOTHING), after.get(path, _NOTHING))
        for path in sorted(changed, key=_weight)
    )


def pack_differences(old: Sequence[Pack], new: Sequence[Pack]) -> tuple[str, ...]:
    """What changes from the products of one park file to those of another."""
    before, after = ({pack.product_id: pack for pack in packs} for packs in (old, new))
    lines = [f"{name}: no longer listed" for name in before if name not in after]
    for name, pack in after.items():
        if name not in before:
            lines.append(f"{name}: new, version {pack.section.version}")
        else:
            lines += [f"{name}: {line}" for line in difference(before[name], pack)]
    return tuple(lines)


_NOTHING = object()


def _told(pack: Pack) -> dict[KeyPath, Any]:
    """The fields of a pack; those that hold lists of paths or texts as one value, whatever the order."""
    tree = dict(pack.tree)
    sources = tree.pop("sources", [])
    fields = leaves(
        {key: value for key, value in tree.items() if key not in ("unverified", "cleared")}
    )
    fields[("unverified",)] = tuple(sorted(field.path for field in pack.open_fields))
    fields[("sources",)] = tuple(
        sorted(f"{source['ref']} ({source['mark']})" for source in sources)
    )
    return fields


def _weight(path: KeyPath) -> int:
    critical = any(inside(path, root) for _, root in CRITICAL)
    return 0 if critical else 2 if path[0] in ("sources", "unverified") else 1


def _line(path: KeyPath, before: Any, after: Any) -> str:
    name = ".".join(map(str, path))
    concern = next((what for what, root in CRITICAL if inside(path, root)), None)
    label = name if concern is None else f"{name} ({concern})"
    if isinstance(before, tuple) or isinstance(after, tuple):
        old, new = set(before), set(after)
        parts = [f"without {text}" for text in sorted(old - new)]
        parts += [f"with {text}" for text in sorted(new - old)]
        return f"{label}: now {', '.join(parts)}"
    if before is _NOTHING:
        return f"{label}: {after} is new"
    if after is _NOTHING:
        return f"{label}: {before} is gone"
    return f"{label}: {before} becomes {after}{_by(before, after)}"


def _by(before: Any, after: Any) -> str:
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (before, after))
    if not numbers:
        return ""
    return f" ({after - before:+g})"
