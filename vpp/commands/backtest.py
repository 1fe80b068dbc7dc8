"""The command `vpp backtest`: days played again with what was known then."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vpp.commands.shared import Json, length_of, park_path, wide_console


def backtest(
    park: Annotated[str, typer.Argument(help="A shipped park by name, or a park file.")],
    since: Annotated[str, typer.Option("--from", help="First local day, or a moment.")],
    until: Annotated[str, typer.Option("--to", help="The day after the last one, or a moment.")],
    every: Annotated[str, typer.Option(help="How often a plan is made.")] = "1h",
    strategies: Annotated[
        list[Path] | None,
        typer.Option(help="A strategy file to compare with the park's own; may be given again."),
    ] = None,
    scenarios: Annotated[
        int, typer.Option(help="Futures of the scenario plans; below 2 they are left out.")
    ] = 0,
    probability: Annotated[
        float | None,
        typer.Option(help="With what probability scenario plans keep limits in each step."),
    ] = None,
    step: Annotated[str, typer.Option(help="How often devices are steered.")] = "5m",
    foresight: Annotated[
        bool | None,
        typer.Option(
            help="Whether to solve with foresight; not where strategies are compared, if left out."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn by chance.")] = 1,
    resume: Annotated[
        Path | None,
        typer.Option(help="Keep what is done in this folder, and go on with what is in it."),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Lives that are lived through at once.")
    ] = 2,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with pictures into this file.")
    ] = None,
    json_: Json = False,
) -> None:
    """Play days again with what was known then, beside doing nothing and perfect foresight."""
    from vpp.service.backtest.asked import BacktestOptions, span_of
    from vpp.service.backtest.compare import both_ways, compare
    from vpp.service.backtest.living import Variant
    from vpp.service.backtest.page import write_page
    from vpp.service.backtest.show import Meter, show_backtest
    from vpp.service.backtest.variants import with_strategies
    from vpp.service.park.parkfile import load_park

    file = load_park(park_path(park))
    options = BacktestOptions(
        span=span_of(file, since, until),
        every=length_of(every, "--every"),
        period=length_of(step, "--step"),
        scenarios=scenarios,
        probability=probability,
        foresight=not strategies if foresight is None else foresight,
        seed=seed,
    )
    variants = with_strategies(file, strategies or [])
    with Meter(file, options.span, Console(stderr=True)) as meter:
        playing = (
            compare(variants, options, processes=processes, folder=resume, progress=meter.update)
            if strategies
            else both_ways(
                Variant(name=park, file=file),
                options,
                processes=processes,
                folder=resume,
                progress=meter.update,
            )
        )
        result = asyncio.run(playing)
    if html is not None:
        write_page(result, html)
    if json_:
        print(json.dumps(result.document()))
    else:
        show_backtest(result, wide_console())
