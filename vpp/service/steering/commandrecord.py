"""How the commands of an act cycle stand in the journal: one record of columns, however many they are.

    {"resource_id": ["press", "battery"], "power_kw": [-40.0, 25.0], "expires_at": "…:10:00Z", "won": "strategy", …}

A column is a list, or what all of the commands have in common, once. `left.SOURCE.low` and `….high` are the bounds
that a source was left with. Entries of releases before are a list of commands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from vpp.model.command import Setpoint
from vpp.model.time import isoformat


def encoded(setpoints: Sequence[Setpoint], how: Mapping[str, Sequence[object]]) -> bytes:
    """The record of commands, with the columns of `how` each came about; they must not be none."""
    moments = {one.expires_at for one in setpoints}
    said = {moment: isoformat(moment) for moment in moments}
    columns: dict[str, Sequence[object]] = {
        "resource_id": [one.resource_id for one in setpoints],
        "seq": [one.seq for one in setpoints],
        "power_kw": [one.power_kw for one in setpoints],
        "expires_at": [said[one.expires_at] for one in setpoints],
        "serves": [one.serves for one in setpoints],
        "strategies": [one.strategy_version for one in setpoints],
        **how,
    }
    return msgspec.json.encode({name: _shortened(column) for name, column in columns.items()})


def _shortened(column: Sequence[object]) -> object:
    """What all have in common, once; a list is always a column."""
    first = column[0]
    same = len(column) > 1 and not isinstance(first, list) and column.count(first) == len(column)
    return first if same else column
