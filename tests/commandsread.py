"""The commands of an act cycle as tests read them in the journal: one by one, of this release and of those before."""

from __future__ import annotations

import json
from typing import Any

LEFT = "left"


def commands_of(body: bytes) -> list[dict[str, Any]]:
    """The commands of an entry, each with its keys, `left` as low and high by source."""
    record = json.loads(body)
    if isinstance(record, list):
        return record
    count = len(record["resource_id"]) if isinstance(record["resource_id"], list) else 1
    commands: list[dict[str, Any]] = [{LEFT: {}} for _ in range(count)]
    for name, column in record.items():
        values = column if isinstance(column, list) else [column] * count
        key, _, rest = name.partition(".")
        source, _, side = rest.partition(".")
        for command, value in zip(commands, values, strict=True):
            if key == LEFT:
                command[LEFT].setdefault(source, [None, None])[side == "high"] = value
            else:
                command[key] = value
    return commands
