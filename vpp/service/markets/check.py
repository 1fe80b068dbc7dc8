"""`vpp check` on rules: what a market file says, and what changes from an older file to a newer one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vpp.errors import ConfigError
from vpp.service.markets.diff import pack_differences
from vpp.service.markets.pack import read_pack
from vpp.service.park.config import read_document
from vpp.service.park.parkfile import load_park
from vpp.service.tuning.differences import differences


def is_market(path: Path) -> bool:
    """Whether a file is about one market product, by its keys alone.

    Raises:
        ConfigErrors: It is no YAML.
    """
    tree = read_document(path).tree
    return isinstance(tree, dict) and "offer" in tree and "enterprises" not in tree


def market_facts(path: Path) -> dict[str, Any]:
    """What is worth knowing of a market file that is in order.

    Raises:
        ConfigErrors: It is not.
    """
    pack = read_pack(path)
    why, unverified = pack.not_built(), [field.path for field in pack.open_fields]
    return {
        "product": pack.section.id,
        "version": pack.section.version,
        "digest": pack.digest,
        "unverified": unverified,
        "not_live_without_waiver": [f.path for f in pack.open_fields if f.concern is not None],
        "not_biddable": {} if why is None else {pack.section.id: why},
        "told": f"{pack.section.id} {pack.section.version}, {len(unverified)} unverified fields",
    }


def changes(old: Path, new: Path) -> tuple[str, ...]:
    """What changes in market rules and strategies from one park file, or market file, to another, in words.

    Raises:
        ConfigErrors: One of them is not in order.
        ConfigError: They are not of one kind, or not of one product.
    """
    if is_market(old) != is_market(new):
        raise ConfigError(
            "one is a park file, the other a market file",
            where="--diff",
            fix="Give two of one kind",
        )
    if not is_market(new):
        older, newer = load_park(old), load_park(new)
        steered = differences(older.strategies.section, newer.strategies.section)
        rules = pack_differences(older.packs, newer.packs)
        return (*rules, *(f"strategies: {line}" for line in steered))
    before, after = (read_pack(old),), (read_pack(new),)
    if before[0].product_id != after[0].product_id:
        raise ConfigError(
            f"{before[0].product_id} and {after[0].product_id} are two products",
            where="--diff",
            fix="Give an older file of the same product",
        )
    return pack_differences(before, after)
