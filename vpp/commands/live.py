"""What `vpp check --live` prints: each thing it looked at, and what to do; exit 1 where something is missing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from vpp.service.livecheck.look import LiveOptions
    from vpp.service.park.parkfile import ParkFile


def tell_live(park: Path, file: ParkFile, options: LiveOptions, *, json_: bool) -> None:
    """Look, print, and end with 1 where `vpp run` would not do what it is for."""
    from vpp.service.livecheck.finding import State
    from vpp.service.livecheck.look import look

    found = asyncio.run(look(file, options, datetime.now(UTC)))
    faults = sum(one.state is State.FAULT for one in found)
    warnings = sum(one.state is State.WARNING for one in found)
    if json_:
        print(json.dumps({"faults": faults, "warnings": warnings, "found": [*map(asdict, found)]}))
    else:
        for one in found:
            print(f"{one.state:<8} {one.area:<12} {one.name}: {one.what}")
            if one.do:
                print(f"{'':8} -> {one.do}")
        print(f"{park}: looked at {len(found)}: {faults} faults, {warnings} warnings")
    if faults:
        raise typer.Exit(1)
