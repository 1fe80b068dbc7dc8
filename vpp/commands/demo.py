"""The command `vpp demo`: the whole park with nothing else installed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vpp.commands.shared import FAULTS_HELP, Json, length_of, park_path
from vpp.errors import ConfigError


def demo(
    park: Annotated[str, typer.Option(help="A shipped park by name, or a park file.")] = "demo",
    length: Annotated[
        str,
        typer.Option("--for", help="Length of the scored span, whole quarter-hours: 45m, 24h, 3d."),
    ] = "24h",
    speed: Annotated[str, typer.Option(help="Times as fast as the wall clock, or max.")] = "60",
    port: Annotated[int, typer.Option(help="Port of the page on 127.0.0.1.")] = 8080,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn by chance.")] = 1,
    data: Annotated[Path | None, typer.Option(help="Folder of the record.")] = None,
    faults: Annotated[str | None, typer.Option(help=FAULTS_HELP)] = None,
    json_: Json = False,
) -> None:
    """Run the whole park with nothing else installed."""
    from vpp.service.demo.demo import DemoOptions
    from vpp.service.demo.faultfile import faults_asked
    from vpp.service.demo.show import demonstrate, show
    from vpp.service.park.parkfile import load_park
    from vpp.simulate.devicefaults import NO_FAULTS

    options = DemoOptions(
        length=length_of(length),
        speed=_speed(speed),
        seed=seed,
        port=port,
        data=data,
        faults=NO_FAULTS if faults is None else faults_asked(faults, seed=seed),
    )
    console = Console(stderr=json_)
    summary = asyncio.run(demonstrate(load_park(park_path(park)), options, console))
    if json_:
        print(json.dumps(summary))
    else:
        show(summary, console)


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 3600:
        raise ConfigError(f"{text!r} is no speed", where="--speed", fix="Say 60, or max")
    return speed
