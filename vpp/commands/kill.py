"""The command `vpp kill`: stop at once, also without the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vpp.errors import ConfigError


def kill(
    reason: Annotated[str, typer.Option(help="Why; whoever looks reads it.")],
    data: Annotated[Path, typer.Option(help="Folder of the record.")] = Path("data"),
    market: Annotated[str | None, typer.Option(help="Bids of this product alone.")] = None,
    enterprise: Annotated[str | None, typer.Option(help="This enterprise alone.")] = None,
) -> None:
    """Stop bids and set-points at once, also of a service that does not answer; two persons release it."""
    from vpp.service.kill import ALL, KillSwitch, Scope

    if market is not None and enterprise is not None:
        raise ConfigError("two scopes", where="vpp kill", fix="Give --market or --enterprise")
    scope = ALL if market is None else Scope("market", market)
    if enterprise is not None:
        scope = Scope("enterprise", enterprise)
    try:
        KillSwitch(data).kill(reason, scope)
    except OSError as error:
        raise ConfigError(
            f"cannot be latched: {error}", where=str(data), fix="Name the folder of the record"
        ) from error
    print(f"killed: {scope}")
