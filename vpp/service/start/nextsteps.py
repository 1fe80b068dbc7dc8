"""The README of a new park: what to do next, in the order in which one does it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from vpp.service.start.lent import Lent
from vpp.service.start.members import Enterprise
from vpp.service.start.resourcetable import Table

_TEXT = """\
# {name}

{resources} resources of {enterprises} enterprises, made from `resources.csv` by `vpp init`.
{assumed} figures of devices are assumed: `grep -n assumed park.yaml` shows each.

## Today: live through a day of it

```sh
vpp check park.yaml                                   # in order, or every fault with its place
vpp demo --park ./park.yaml --for 24h --speed max     # a broker, simulated devices, a simulated market
vpp backtest ./park.yaml --from {day} --to {next_day} # the same day with what was known then, and its score
```

While the demo runs, the page is at http://127.0.0.1:8080. Loads and PV borrow measured curves of other places
(`series/SOURCE.md`): what comes out shows how the park would be steered, not what it would earn.

## This week: make it true

1. Put each device's own figures in place of what is `assumed`.
2. Replace what is borrowed from `{like}` in `park.yaml`: `timezone`, `currency`, `tariffs`, `carbon`,
   `markets` (the files in `markets/` say which of their rules nobody has verified), `forecasts.site`.
3. Give each meter and device its protocol; without a section it speaks MQTT (docs/adapters.md).
4. Take one of the examples in `strategies.yaml`, and see before it is live what it does (`vpp strategies preview`).

## Then: run it

```sh
vpp check park.yaml --live --data data    # ports, disk, clock, broker, market: what is missing, and what to do
vpp run park.yaml --data data             # bids stay in the shadow until a person takes a product live
```

`vpp simulate devices ./park.yaml` lets simulated devices live on a broker until the real ones are there.
"""


def next_steps(name: str, table: Table, enterprises: Sequence[Enterprise], lent: Lent) -> str:
    """The text, with the day that the borrowed series begin at."""
    day = date.fromisoformat(str(lent.tree["simulation"]["first_delivery_day"]))
    assumed = sum(
        len(member.assumed)
        for enterprise in enterprises
        for point in enterprise.points.values()
        for member in point.members
    )
    return _TEXT.format(
        name=name,
        resources=len(table.rows),
        enterprises=len(enterprises),
        assumed=assumed,
        like=lent.name,
        day=day,
        next_day=day + timedelta(days=1),
    )
