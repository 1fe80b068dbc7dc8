"""The command `vpp timeline`: a demand-response call as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def timeline(
    invitation: Annotated[str, typer.Argument(help="As the platform named it.")],
    product: Annotated[str, typer.Option(help="Which market product it invites to.")],
    plot: Annotated[Path, typer.Option(help="Draw it into this PNG file.")],
    url: Annotated[str, typer.Option(help="Where the service runs.")] = "http://127.0.0.1:8080",
) -> None:
    """Draw what was asked of whom in a demand-response call, what each answered, and what came."""
    from vpp.service.demandresponse.timelinecommand import timeline as draw

    call = draw(url, product, invitation, plot)
    print(f"{plot}: {call.invitation.stage}, {len(call.members)} members")
