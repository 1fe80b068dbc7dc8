"""The commands about devices: `vpp simulate`, `vpp simulate devices`, `vpp device test`."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vpp.account.qualification import Direction
from vpp.commands.shared import FAULTS_HELP, Json, length_of, park_path, wide_console
from vpp.errors import ConfigError
from vpp.model.ids import ResourceId

simulate_app = typer.Typer(help="Serve simulations, or let simulated devices live on a broker.")
device_app = typer.Typer(help="Look at one device.", no_args_is_help=True)


@simulate_app.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    parks: Annotated[
        Path | None,
        typer.Option(help="Folder of park files that can be named beside shipped ones."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; loopback only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the API.")] = 8080,
    at_most: Annotated[int, typer.Option(min=1, max=64, help="Simulations at once.")] = 8,
    idle: Annotated[str, typer.Option(help="One that nobody asks for so long is removed.")] = "60m",
) -> None:
    """Serve simulations to those who write markets, without a park of one's own."""
    if context.invoked_subcommand is not None:
        return
    from vpp.service.park.schema import SimulatorSettings
    from vpp.service.simulations.server import serve_simulations

    minutes = length_of(idle, "--idle") / timedelta(minutes=1)
    if not minutes:
        raise ConfigError("nothing is kept for no time", where="--idle", fix="Say 60m, or 1d")
    settings = SimulatorSettings(at_most=at_most, idle_minutes=minutes)
    asyncio.run(serve_simulations(settings, parks=parks, host=host, port=port))


@simulate_app.command("devices")
def simulate_devices(
    park: Annotated[str, typer.Argument(help="A shipped park by name, or a park file.")],
    broker: Annotated[str | None, typer.Option(help="mqtt://user:password@host:port.")] = None,
    faults: Annotated[str | None, typer.Option(help=FAULTS_HELP)] = None,
    modbus_port: Annotated[
        int | None, typer.Option(min=0, max=65000, help="Serve its Modbus gateways from here on.")
    ] = None,
    period: Annotated[int, typer.Option(min=1, max=900, help="Seconds between messages.")] = 5,
    speed: Annotated[float, typer.Option(min=0.001, help="Times as fast as the wall.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of faults and jitter.")] = 1,
) -> None:
    """Let the devices of a park live on a broker in real time, to try `vpp run` before real ones are there."""
    from vpp.service.demo.faultfile import faults_asked
    from vpp.service.demo.simulatedevices import DeviceOptions, serve_devices
    from vpp.service.park.parkfile import load_park
    from vpp.simulate.devicefaults import NO_FAULTS

    options = DeviceOptions(
        broker_url=broker,
        period=timedelta(seconds=period),
        speed=speed,
        seed=seed,
        modbus_port=modbus_port,
        faults=NO_FAULTS if faults is None else faults_asked(faults, seed=seed),
        called=park if Path(park).is_file() else "PARK.yaml",
    )
    asyncio.run(
        serve_devices(load_park(park_path(park)), options, lambda line: print(line, flush=True))
    )


@device_app.command("test")
def device_test(
    name: Annotated[str, typer.Argument(help="A resource or main meter of the park.")],
    park: Annotated[str, typer.Option(help="A shipped park by name, or a park file.")],
    broker: Annotated[str | None, typer.Option(help="mqtt://user:password@host:port.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Step the device, supervised.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before.")] = False,
    repeat: Annotated[int, typer.Option(min=1, max=20, help="Runs; the least counts.")] = 1,
    only: Annotated[Direction | None, typer.Option(help="Step it this way alone.")] = None,
    step_kw: Annotated[float | None, typer.Option(min=0.001, help="Size of the step.")] = None,
    hold: Annotated[int, typer.Option(min=5, max=14400, help="Seconds to sustain.")] = 60,
    data: Annotated[Path, typer.Option(help="Folder of the record.")] = Path("data"),
    json_: Json = False,
) -> None:
    """Read one device over its own channel, writing nothing; with --write test its step response."""
    from vpp.clock import WallClock
    from vpp.service.devicetest.command import run_device_test
    from vpp.service.devicetest.reading import DeviceTestOptions
    from vpp.service.devicetest.show import asking, show_read, show_steps
    from vpp.service.park.parkfile import load_park

    file = load_park(park_path(park))
    console = Console(stderr=True) if json_ else wide_console()
    confirm = (lambda question: True) if yes else typer.confirm
    testing = run_device_test(
        file,
        ResourceId(name),
        DeviceTestOptions(repeat=repeat, only=only, step_kw=step_kw, hold=timedelta(seconds=hold)),
        clock=WallClock(),
        data=data,
        broker_url=broker,
        say=lambda line: console.print(line, highlight=False),
        agree=asking(file, console, confirm) if write else None,
    )
    try:
        report = asyncio.run(testing)
    except asyncio.CancelledError:  # a signal, after the device was let go
        raise typer.Abort from None
    if json_:
        print(json.dumps(report.document()))
    elif not write:
        show_read(report, console)
    else:
        show_steps(report, console)
    if report.failed:
        raise typer.Exit(1)
