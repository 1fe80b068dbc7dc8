"""The limit orders that sites are told over our OpenADR 3 server; set-points go over the link of each site.

    a limit order of a site's place ─▶ an event of its list, until it is withdrawn or over

Limits are looked at each second on the wall's clock: an order that is given, changed, withdrawn or over is a new
version of the site's list.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import isfinite

from vpp.model.park import LimitOrder
from vpp.model.programme import EventInterval, EventPeriod, Payload, PayloadUnits, ProgrammeEvent
from vpp.service.calls.limits import not_over
from vpp.service.plant import Plant
from vpp.service.run import Loop
from vpp.service.vtn.desk import SiteDesk

LOOK_S = 1.0
LIMIT_PRIORITY = 0
"""Before a set-point: a site that can keep one of both keeps the limit."""


def loops(plant: Plant) -> dict[str, Loop]:
    """One, where there is a server whose sites are told limits."""
    desk = plant.vtn
    if desk is None or not any(site.section.limits_of for site in desk.sites.values()):
        return {}

    async def loop(stop: asyncio.Event) -> None:
        while not stop.is_set():
            for site in desk.sites.values():
                tell_limits(plant, site)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await stop.wait()

    return {"openadr-vtn": loop}


def tell_limits(plant: Plant, site: SiteDesk) -> None:
    """Let the site's list say what holds of its places, and nothing else."""
    held = {
        one.order_id: one
        for one in not_over(plant, plant.clock.now())
        if str(one.place) in site.section.limits_of
    }
    for order_id in site.limits.keys() - held.keys():
        site.shelf.drop_event(site.limits.pop(order_id).event_id)
    for order_id, one in held.items():
        known = site.limits.get(order_id)
        wanted = _event(one, "" if known is None else known.event_id)
        if known is None or not _same(known, wanted):
            site.limits[order_id] = site.shelf.put_event(wanted)


def _event(order: LimitOrder, event_id: str) -> ProgrammeEvent:
    sizes = (
        ("IMPORT_CAPACITY_LIMIT", order.limits.import_kw),
        ("EXPORT_CAPACITY_LIMIT", order.limits.export_kw),
    )
    told = [(kind, kw) for kind, kw in sizes if isfinite(kw)]
    return ProgrammeEvent(
        event_id=event_id,
        program_id="",
        name=f"limit {order.order_id}",
        priority=LIMIT_PRIORITY,
        period=EventPeriod(start=order.span.start, duration=order.span.end - order.span.start),
        units=tuple(PayloadUnits(payload_type=kind, units="KW") for kind, _ in told),
        intervals=(
            EventInterval(
                interval_id=0,
                payloads=tuple(Payload(payload_type=kind, values=(kw,)) for kind, kw in told),
            ),
        ),
    )


def _same(known: ProgrammeEvent, wanted: ProgrammeEvent) -> bool:
    return (known.period, known.intervals) == (wanted.period, wanted.intervals)
