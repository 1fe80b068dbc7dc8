"""The command `vpp init`: a park of one's own from a table of what stands in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from vpp.commands.shared import Json


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write it; a folder that is not there.")],
    source: Annotated[
        Path | None,
        typer.Option("--from", help="CSV of the resources; an example of ten where left out."),
    ] = None,
    like: Annotated[
        str, typer.Option(help="Shipped park that lends clock, tariff, market and recorded days.")
    ] = "demo",
    json_: Json = False,
) -> None:
    """Write a park that passes `vpp check` and can be simulated at once, and what to do next."""
    from vpp.service.start.newpark import new_park

    made = new_park(folder, source=source, like=like)
    facts = {
        "folder": str(folder),
        "enterprises": len(made.enterprises),
        "resources": made.resources,
        "assumed": made.assumed,
        "read_as": made.table.read_as,
    }
    if json_:
        print(json.dumps(facts))
        return
    print(f"{made.table.file}: {made.resources} resources, read as {made.table.read_as}")
    print(f"{folder}: written; {made.assumed} figures are assumed and marked so in park.yaml")
    print(f"next: cd {folder} && vpp check park.yaml, then README.md there")
