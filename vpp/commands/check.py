"""The command `vpp check`: a park or market file and all it names, every fault at once."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from vpp.commands.shared import Json
from vpp.errors import ConfigError


def check(
    park: Annotated[Path, typer.Argument(help="The park file, or a market file.")],
    diff: Annotated[
        Path | None,
        typer.Option(
            help="An older file of the same kind: tell what changed in rules and strategies."
        ),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Look at this machine and at whom the park must reach.")
    ] = False,
    data: Annotated[Path, typer.Option(help="With --live: folder of the record.")] = Path("data"),
    port: Annotated[int, typer.Option(help="With --live: port of page and API.")] = 8080,
    broker: Annotated[
        str | None, typer.Option(help="With --live: mqtt://user@host:port of a broker.")
    ] = None,
    venue: Annotated[
        str | None, typer.Option(help="With --live: address of the market's own ledger.")
    ] = None,
    json_: Json = False,
) -> None:
    """Check a park file and all it names, or a market file; tell every fault at once."""
    from vpp.commands.live import tell_live
    from vpp.service.links.unended import unended
    from vpp.service.livecheck.look import LiveOptions
    from vpp.service.markets.check import changes, is_market, market_facts
    from vpp.service.park.parkfile import load_park
    from vpp.service.runnable import require_runnable

    changed = None if diff is None else changes(diff, park)
    if is_market(park):
        _tell(park, market_facts(park), changed, json_=json_)
        return
    file = load_park(park)
    for held in unended(file):
        print(f"{park}: warning: {held}", file=sys.stderr)
    if warning := file.calendars.warning(date.today()):  # noqa: DTZ011 (as the person who asks)
        print(f"{park}: warning: {warning}", file=sys.stderr)
    try:
        require_runnable(file)
    except ConfigError as error:  # right as a file, and enough for `vpp plan`
        print(f"{park}: warning: `vpp run` refuses it: {error}", file=sys.stderr)
    if live:
        options = LiveOptions(
            data=data, host="127.0.0.1", port=port, broker_url=broker, venue_url=venue
        )
        tell_live(park, file, options, json_=json_)
        return
    facts = {
        "park": file.park.park_id,
        "enterprises": len(file.park.enterprises),
        "resources": len(file.park.resources),
        "products": [product.product_id for product in file.products],
        "digest": file.digest,
    }
    waiting = {p.product_id: why for p in file.packs if (why := file.not_biddable(p.product_id))}
    told = (
        f"{facts['enterprises']} enterprises, {facts['resources']} resources,"
        f" {len(file.products)} market products"
    )
    _tell(park, facts | {"not_biddable": waiting}, changed, told, json_=json_)


def _tell(
    path: Path,
    facts: dict[str, Any],
    changed: tuple[str, ...] | None,
    told: str = "",
    *,
    json_: bool,
) -> None:
    """What `vpp check` found: one document, or lines for people."""
    if json_:
        print(json.dumps(facts if changed is None else facts | {"changes": changed}))
        return
    print(f"{path}: in order: {told or facts['told']}")
    for name, why in facts["not_biddable"].items():
        print(f"{name}: nothing is bid: {why}")
    for line in changed or ():
        print(line)
    if changed == ():
        print("neither market rules nor strategies change")
