"""The command `vpp plan`: one horizon from files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vpp.commands.shared import Json, wide_console
from vpp.errors import ConfigError, DataError


def plan(
    case: Annotated[Path, typer.Argument(help="The case file.")],
    plot: Annotated[Path | None, typer.Option(help="Draw the plan into this PNG file.")] = None,
    explain: Annotated[
        str | None, typer.Option(help="RESOURCE@HH:MM: why it does what it does then.")
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help="An older plan (from --json): tell what changed.")
    ] = None,
    json_: Json = False,
) -> None:
    """Plan one horizon from files: schedule, costs by cause, prices, limits that bind."""
    from vpp.service.cases.case import plan_case, read_plan
    from vpp.service.cases.show import show_plan, show_reasons
    from vpp.service.planning.picture import draw, require_matplotlib

    asked = None if explain is None else _resource_at(explain)
    older = None if since is None else read_plan(since)
    if plot is not None:
        require_matplotlib()
    ran = plan_case(case, Console(stderr=True))
    if plot is not None:
        draw(ran, plot)
    if asked is not None:
        try:
            reasons = ran.why(*asked)
        except DataError as error:
            raise ConfigError(error.what, where="--explain", fix=error.fix) from error
        if json_:
            print(reasons.model_dump_json())
        else:
            show_reasons(reasons, wide_console())
        return
    document = ran.document(since=older)
    if json_:
        print(document.model_dump_json())
    else:
        show_plan(ran, document, wide_console())


def _resource_at(text: str) -> tuple[str, str]:
    resource, _, clock = text.rpartition("@")
    if not resource or not clock:
        raise ConfigError(f"{text!r} names no time", where="--explain", fix="Say bess-1@03:15")
    return resource, clock
