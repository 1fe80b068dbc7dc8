"""What each connection point may draw now without a new peak: the mean of its measuring interval counts."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import inf

from vpp.model.ids import ConnectionPointId
from vpp.model.park import ConnectionPoint
from vpp.model.time import Interval
from vpp.service.plant import Plant


def ceilings_kw(plant: Plant, now: datetime, period: timedelta) -> dict[ConnectionPointId, float]:
    """What each connection point may draw now, until the next look in `period`.

    The month's peak is paid, and the plan may raise it.

    What a contract includes is paid too; where no peak costs anything now, there is no ceiling. The
    mean over a measuring interval is what counts, so what its beginning drew too much the rest must
    draw less, and may draw more after a beginning below the ceiling.
    """
    schedule, ceilings, park = plant.schedule, {}, plant.file.park
    for point in park.connection_points:
        name, tariff = point.connection_point_id, park.tariff_by_id[point.tariff_id]
        included_kw = tariff.demand.free_kw(point.contracted)
        if not tariff.makes_peak(now, park.timezone):
            included_kw = inf
        planned_kw = 0.0
        if schedule is not None and now in schedule.horizon.span:
            planned_kw = -float(schedule.connection_point_kw[name][schedule.horizon.index(now)])
        ceiling_kw = max(plant.peaks.peak_kw(name, now), planned_kw, included_kw)
        ceilings[name] = _rest_kw(plant, point, ceiling_kw, now, period)
    return ceilings


def _rest_kw(
    plant: Plant, point: ConnectionPoint, ceiling_kw: float, now: datetime, period: timedelta
) -> float:
    """What may be drawn in the rest of the measuring interval so that its mean reaches `ceiling_kw`.

    Meters lag: what was not read yet counts to the rest. The ceiling itself where the meter does not tell what
    was drawn so far.
    """
    measuring = plant.file.park.tariff_by_id[point.tariff_id].demand.measuring
    began = measuring.began(now, plant.file.park.timezone)
    read_at = plant.meters.last_read_at(point.meter_id, now)
    if read_at is None or read_at <= began or ceiling_kw == inf:
        return ceiling_kw
    energy = plant.meters.energy_wh(point.meter_id, Interval(began, read_at))
    if energy is None:
        return ceiling_kw
    hour = timedelta(hours=1)
    left_kwh = ceiling_kw * (measuring.interval / hour) - energy.import_wh / 1000
    rest = max(began + measuring.interval - read_at, period)  # nobody can act for less
    return max(left_kwh / (rest / hour), 0.0)
