"""The command `vpp run`: the daemon of a live park."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from vpp.commands.logs import Level, log_from


def run(
    park: Annotated[Path, typer.Argument(help="The park file.")],
    data: Annotated[Path, typer.Option(help="Folder of the record.")] = Path("data"),
    host: Annotated[str, typer.Option(help="Address to listen on; loopback only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of page and API.")] = 8080,
    broker: Annotated[str | None, typer.Option(help="mqtt://user@host:port of a broker.")] = None,
    venue: Annotated[str | None, typer.Option(help="Address of the market's own ledger.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of jitter.")] = 1,
    log: Annotated[
        Level,
        typer.Option(help="What is logged at least; info: each set-point, from where to where."),
    ] = "warning",
) -> None:
    """Run the daemon for a live park until it is stopped."""
    from vpp.service.daemon import run_daemon
    from vpp.service.tuning.wiring import load_to_run
    from vpp.service.wiring import JOURNAL_FILE

    log_from(log)
    asyncio.run(
        run_daemon(
            load_to_run(park, data / JOURNAL_FILE),
            data=data,
            host=host,
            port=port,
            broker_url=broker,
            venue_url=venue,
            seed=seed,
        )
    )
