"""No two listeners of a park file at one port: the second would end the start of the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts

EVERYWHERE = frozenset({"0.0.0.0", "::"})


def check_ports(parts: Parts) -> None:
    """Looks at each `listen` wherever it stands; what is faulty in one by itself is told elsewhere."""
    seen: list[tuple[KeyPath, str, int]] = []
    for path, host, port in _listeners(parts.document.tree, ()):
        for other_path, other, taken in seen:
            if port == taken and (host == other or EVERYWHERE & {host, other}):
                shown = ".".join(str(key) for key in other_path)
                parts.fault((*path, "port"), f"{port} is that of {shown} already: give another")
                break
        seen.append((path, host, port))


def _listeners(tree: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str, int]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if not isinstance(value, dict | list):
            continue
        if key == "listen" and isinstance(value, dict):
            host, port = value.get("host", "127.0.0.1"), value.get("port")
            if isinstance(host, str) and isinstance(port, int):
                yield (*path, key), host, port
        yield from _listeners(value, (*path, key))
