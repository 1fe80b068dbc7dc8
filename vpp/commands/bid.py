"""The command `vpp bid`: the bid that a product would get from a case."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vpp.commands.shared import Json, wide_console


def bid(
    case: Annotated[Path, typer.Argument(help="The case file, as `vpp plan` takes it.")],
    product: Annotated[str, typer.Option(help="Which market product of the park.")],
    plot: Annotated[Path | None, typer.Option(help="Draw the bid into this PNG file.")] = None,
    json_: Json = False,
) -> None:
    """Show the bid that a product would get from a case, and why; nothing leaves."""
    from vpp.service.bids.case import bid_case
    from vpp.service.bids.plot import draw_bids
    from vpp.service.bids.show import show_bids
    from vpp.service.planning.picture import require_matplotlib

    if plot is not None:
        require_matplotlib()
    made = bid_case(case, product, Console(stderr=True))
    if plot is not None:
        draw_bids(made, plot)
    if json_:
        print(made.document().model_dump_json())
    else:
        show_bids(made, wide_console())
