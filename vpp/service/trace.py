"""The picture of one minute: what was planned, owed and measured; kept, shown, and sent to who listens."""

from __future__ import annotations

from datetime import datetime

from vpp.model.measurement import ParkState
from vpp.model.resource import Storage
from vpp.service import inputs
from vpp.service.plant import Plant, TracePoint
from vpp.service.steering import mainmeters


def keep(plant: Plant, state: ParkState, owed_kw: float | None, now: datetime) -> None:
    """Keep the picture of this minute and show it."""
    seen = mainmeters.shown(plant, now)
    park_kw = None if seen is None else seen.kw
    stores = [r for r in plant.file.park.electric if isinstance(r, Storage)]
    heard = (state.readings.get(r.resource_id) for r in stores)
    socs = [None if one is None else one.soc for one in heard]
    planned_kw = None
    if plant.schedule is not None and now in plant.schedule.horizon.span:
        planned_kw = float(plant.schedule.net_kw[plant.schedule.horizon.index(now)])
    point = TracePoint(
        at=now,
        park_kw=park_kw,
        planned_kw=planned_kw,
        owed_kw=owed_kw,
        spot_per_mwh=inputs.spot_now(plant, now),
        stored_kwh=None
        if None in socs
        else sum((soc or 0.0) * r.capacity_kwh for soc, r in zip(socs, stores, strict=True)),
        capacity_kwh=sum(r.capacity_kwh for r in stores),
        money=float(plant.money),
    )
    plant.trace.append(point)
    plant.metrics.park_power(measured_kw=park_kw, planned_kw=planned_kw, owed_kw=owed_kw)
    plant.metrics.stored_energy(float("nan") if point.stored_kwh is None else point.stored_kwh)
    plant.events.emit(
        "tick",
        "",
        at=now,
        park_kw=park_kw,
        planned_kw=planned_kw,
        owed_kw=owed_kw,
        spot_per_mwh=point.spot_per_mwh,
        stored_kwh=point.stored_kwh,
        capacity_kwh=point.capacity_kwh,
        money=point.money,
        safe_state=plant.safe_state.value,
    )
