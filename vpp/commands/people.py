"""The command about people: `vpp people test`."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from vpp.commands.shared import Json, park_path

people_app = typer.Typer(help="Look at the ways to people.", no_args_is_help=True)


@people_app.callback()
def ways() -> None:
    """Look at the ways to people."""


@people_app.command("test")
def people_test(
    park: Annotated[str, typer.Argument(help="A park file.")],
    person: Annotated[str, typer.Argument(help="Somebody of its people.persons.")],
    json_: Json = False,
) -> None:
    """Send a message that asks for nothing over every way to a person, and say what came of each."""
    from vpp.clock import WallClock
    from vpp.model.message import Handed
    from vpp.service.people.trial import said, try_person

    outcomes = asyncio.run(try_person(park_path(park), person, WallClock()))
    if json_:
        document = {
            name: {"handed": isinstance(outcome, Handed), "what": outcome.what}
            for name, outcome in outcomes.items()
        }
        print(json.dumps(document, ensure_ascii=False))
    else:
        for name, outcome in outcomes.items():
            print(f"{name}: {said(outcome)}")
    if not any(isinstance(outcome, Handed) for outcome in outcomes.values()):
        raise typer.Exit(1)
