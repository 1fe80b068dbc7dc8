"""The command `vpp report`: what a day or a month came to, and why."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from vpp.commands.shared import Json, park_path, wide_console


def report(
    park: Annotated[str, typer.Argument(help="A shipped park by name, or a park file.")],
    data: Annotated[Path, typer.Argument(help="The folder that holds the record of the service.")],
    period: Annotated[
        str | None,
        typer.Option(
            help="A local day, 2025-12-03, or a month, 2025-12; else the newest whole day."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with pictures into this file.")
    ] = None,
    json_: Json = False,
) -> None:
    """Tell what a day or a month came to: the planned result and what led away from it, to the cent."""
    from vpp.service.park.parkfile import load_park
    from vpp.service.results.command import reported
    from vpp.service.results.page import write_page
    from vpp.service.results.show import show_result

    file = load_park(park_path(park))
    view = asyncio.run(reported(file, data, period))
    if html is not None:
        write_page(file.park.name, view, html)
    if json_:
        print(view.model_dump_json())
    else:
        show_result(view, wide_console())
