"""Where each number of a market file comes from, and which of them nobody has seen in a text yet.

    sources ──▶ every number has one ──▶ found: fine; recalled or ours: must stand in `unverified`
    unverified less cleared ──▶ open fields ──▶ shown everywhere; some of them keep a product from going live

A path such as `offer.price` stands for all that is below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from vpp.service.markets.schema import MarketSection
from vpp.service.park.config import KeyPath

Leaves: TypeAlias = Mapping[KeyPath, Any]
"""Every single value of a file, by its path."""

SOURCED = (
    "calendar",
    "eligibility",
    "offer",
    "activation",
    "baseline",
    "performance",
    "settlement",
)
"""Sections whose numbers are the venue's."""
OWN = (("settlement", "gap_rules"), ("settlement", "price_refs"))
"""What this service decides for itself, and no venue."""
TIMES = ("tz", "delivery_interval", "settlement_interval", "horizon", "notice")
GATES = ("gate_open", "gate_close", "results_at", "day_starts")

CRITICAL: tuple[tuple[str, KeyPath], ...] = (
    ("price", ("offer", "price")),
    ("price", ("offer", "capacity_price")),
    ("gate", ("calendar", "tz")),
    ("gate", ("calendar", "gate_open")),
    ("gate", ("calendar", "gate_close")),
    ("gate", ("calendar", "day_starts")),
    ("quantity", ("offer", "quantity")),
    ("quantity", ("offer", "segments")),
    ("penalty", ("settlement", "deviation")),
    ("penalty", ("settlement", "penalties")),
    ("penalty", ("performance", "bands")),
    ("penalty", ("performance", "min_value")),
)
"""A wrong one costs money the first day: no product with such a field open goes live without a waiver."""


@dataclass(frozen=True, slots=True)
class OpenField:
    """A value that no official text was seen for and that no person has cleared."""

    path: str
    concern: str | None
    """price, gate, quantity or penalty where it keeps the product from going live."""


def leaves(tree: Any, path: KeyPath = ()) -> dict[KeyPath, Any]:
    """Every scalar of a tree by its path."""
    if isinstance(tree, dict):
        items: Iterable[tuple[str | int, Any]] = tree.items()
    elif isinstance(tree, list):
        items = enumerate(tree)
    else:
        return {path: tree}
    return {at: value for key, item in items for at, value in leaves(item, (*path, key)).items()}


def key_path(text: str, tree: Any) -> KeyPath | None:
    """The path that dotted text means in a tree; None where there is nothing.

    A list is walked by number; a dotted key may itself hold no dot.
    """
    path: list[str | int] = []
    for word in text.split("."):
        if isinstance(tree, dict) and word in tree:
            path.append(word)
            tree = tree[word]
        elif isinstance(tree, list) and word.isdigit() and int(word) < len(tree):
            path.append(int(word))
            tree = tree[int(word)]
        else:
            return None
    return tuple(path)


def inside(path: KeyPath, *roots: KeyPath) -> bool:
    """Whether `path` is one of `roots` or below one."""
    return any(path[: len(root)] == root for root in roots)


def open_fields(market: MarketSection, tree: Any) -> tuple[OpenField, ...]:
    """What is unverified and not cleared, as short as it can be said, in the file's order.

    A field of which a part was cleared is told by the parts that were not.
    """
    cleared = [p for c in market.cleared if (p := key_path(c.field, tree)) is not None]
    found: dict[KeyPath, None] = {}
    for text in market.unverified:
        root = key_path(text, tree)
        if root is None:
            continue
        below = [p for p in leaves(tree) if inside(p, root)]
        left = [p for p in below if not inside(p, *cleared)]
        found |= dict.fromkeys([root] if len(left) == len(below) else left)
    return tuple(OpenField(".".join(map(str, p)), _concern(p, tree)) for p in found)


def _concern(path: KeyPath, tree: Any) -> str | None:
    for name, critical in CRITICAL:
        there = key_path(".".join(map(str, critical)), tree) is not None
        if there and (inside(path, critical) or inside(critical, path)):
            return name
    return None


# ---------------------------------------------------------------- rules


def broken(market: MarketSection, tree: Any) -> Iterator[tuple[str, KeyPath, str]]:
    """Every rule about sources that a file breaks: its name, the place, what is wrong."""
    yield from _names(market, tree)
    source_paths = [[key_path(text, tree) for text in source.fields] for source in market.sources]
    unverified = [p for text in market.unverified if (p := key_path(text, tree)) is not None]
    for path, value in leaves(tree).items():
        if not _is_sourced(path, value):
            continue
        marks = {
            source.mark
            for source, paths in zip(market.sources, source_paths, strict=True)
            if inside(path, *(p for p in paths if p is not None))
        }
        if not marks:
            yield "number_has_a_source", path, "no source names it"
        elif "found" not in marks and not inside(path, *unverified):
            what = f"its source is {' and '.join(sorted(marks))}: name it in unverified"
            yield "recalled_stands_in_unverified", path, what


def _names(market: MarketSection, tree: Any) -> Iterator[tuple[str, KeyPath, str]]:
    for place, text in enumerate(market.unverified):
        if key_path(text, tree) is None:
            yield "unverified_names_a_field", ("unverified", place), f"there is no {text}"
    for place, source in enumerate(market.sources):
        for number, text in enumerate(source.fields):
            if key_path(text, tree) is None:
                path: KeyPath = ("sources", place, "fields", number)
                yield "source_names_a_field", path, f"there is no {text}"
    roots = [p for text in market.unverified if (p := key_path(text, tree)) is not None]
    for place, cleared in enumerate(market.cleared):
        at: KeyPath = ("cleared", place, "field")
        path_of = key_path(cleared.field, tree)
        if path_of is None:
            yield "cleared_names_a_field", at, f"there is no {cleared.field}"
        elif not any(inside(path_of, root) or inside(root, path_of) for root in roots):
            yield "cleared_was_unverified", at, f"{cleared.field} does not stand in unverified"


def _is_sourced(path: KeyPath, value: Any) -> bool:
    if path[0] not in SOURCED or inside(path, *OWN):
        return False
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number or path[-1] in TIMES or path[-1] in GATES
