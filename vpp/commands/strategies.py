"""The commands about strategies: `vpp strategies validate | preview | apply | history | show | rollback`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vpp.commands.shared import Json, wide_console

strategies_app = typer.Typer(help="Change strategies with care.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="A strategy file.")]
Url = Annotated[str, typer.Option(help="Where the service runs.")]
By = Annotated[str, typer.Option(help="Who asks; it is on record.")]
Reason = Annotated[str, typer.Option(help="Why; it is on record.")]
Number = Annotated[int, typer.Argument(help="Of a version, as `history` lists it.")]
HERE = "http://127.0.0.1:8080"


@strategies_app.callback()
def change() -> None:
    """Change strategies with care."""


@strategies_app.command()
def validate(
    file: File,
    park: Annotated[
        Path | None, typer.Option(help="A park file to check it against, with no service.")
    ] = None,
    url: Url = HERE,
    json_: Json = False,
) -> None:
    """Tell every fault of a strategy file with its place; and what it would change."""
    from vpp.service.tuning import command

    checked = asyncio.run(command.validated(file, park, url))
    if json_:
        print(checked.model_dump_json())
    else:
        for line in command.validation_lines(str(file), checked):
            print(line)
    if not checked.valid:
        raise typer.Exit(2)


@strategies_app.command()
def preview(
    file: File,
    days: Annotated[int, typer.Option(min=0, max=7, help="Days that are played again.")] = 2,
    url: Url = HERE,
    json_: Json = False,
) -> None:
    """Tell what a strategy file would do: days played again, and the plan, under old and new."""
    from vpp.service.tuning import command
    from vpp.service.tuning.show import show_preview

    try:
        seen = asyncio.run(command.previewed(file, days, url, Console(stderr=True)))
    except asyncio.CancelledError:  # a signal, after the preview was ended
        raise typer.Abort from None
    if json_:
        print(seen.model_dump_json())
    else:
        show_preview(seen, wide_console())
    if seen.state != "done":
        raise typer.Exit(1)


@strategies_app.command()
def apply(file: File, by: By, reason: Reason, url: Url = HERE, json_: Json = False) -> None:
    """Let a strategy file be live from the next plan on."""
    from vpp.service.tuning import command

    version = asyncio.run(command.applied(file, by, reason, url))
    print(version.model_dump_json() if json_ else command.version_line(version))


@strategies_app.command()
def history(
    before: Annotated[
        int | None, typer.Option(min=1, help="Those below this number; the newest 500 if left out.")
    ] = None,
    url: Url = HERE,
    json_: Json = False,
) -> None:
    """List versions, the newest first: who, when and why."""
    from vpp.service.tuning import command

    listed = asyncio.run(command.listed(url, before))
    if json_:
        print(listed.model_dump_json())
    else:
        for version in listed.versions:
            print(command.version_line(version))


@strategies_app.command()
def show(number: Number, url: Url = HERE, json_: Json = False) -> None:
    """Print the text of a version."""
    from vpp.service.tuning import command

    found = asyncio.run(command.shown(number, url))
    print(found.model_dump_json() if json_ else found.text, end="\n" if json_ else "")


@strategies_app.command()
def rollback(number: Number, by: By, reason: Reason, url: Url = HERE, json_: Json = False) -> None:
    """Take the text of an earlier version back from the next plan on."""
    from vpp.service.tuning import command

    version = asyncio.run(command.rolled_back(number, by, reason, url))
    print(version.model_dump_json() if json_ else command.version_line(version))
