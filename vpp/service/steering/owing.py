"""What the park owes its market at this moment, as the closed loop wants it: energy of the interval, power of a signal.

sold + called ─▶ as planned where only reserve is sold ─▶ as demand response has it ─▶ mean_kw
signals, by the second ─▶ signal_kw now, signalled_kwh so far
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from vpp.act.correct import Owed
from vpp.model.horizon import Horizon
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.service.calls import reserves
from vpp.service.demandresponse import plan as drplan
from vpp.service.inputs import trading_unit
from vpp.service.plant import Plant

KW_PER_MW = 1000


def owed_at(plant: Plant, now: datetime) -> Owed | None:
    """What is owed in the interval that runs; None where nothing is."""
    start = latest_boundary(now, QUARTER)
    interval = Interval(start, start + QUARTER)
    mean_kw = mean_owed_kw(plant, interval)
    if mean_kw is None:
        return None
    asked_mw, asked_mwh = Decimal(0), Decimal(0)
    for call in reserves.signals(plant, interval):
        asked_mw += call.asked_mw(now)
        if now > start:
            asked_mwh += call.asked_mwh(Interval(start, now))
    return Owed(
        interval=interval,
        mean_kw=mean_kw,
        next_kw=mean_owed_kw(plant, Interval(interval.end, interval.end + QUARTER)),
        signal_kw=float(asked_mw) * KW_PER_MW,
        signalled_kwh=float(asked_mwh) * KW_PER_MW,
    )


def mean_kw(owed: Owed, now: datetime) -> float:
    """Mean net injection owed over the whole interval where a signal stays as it is: what people are shown."""
    rest_hours = (owed.interval.end - now) / timedelta(hours=1)
    signal_kwh = owed.signalled_kwh + owed.signal_kw * rest_hours
    return owed.mean_kw + signal_kwh / owed.interval.hours


def mean_owed_kw(plant: Plant, interval: Interval) -> float | None:
    """Mean net injection that is owed for `interval` without what signals ask; None before the unit trades."""
    owed_kw = reserves.owed_kw(plant, interval, _sold_and_called_kw(plant, interval))
    return drplan.owed_kw(plant, interval, owed_kw)


def _sold_and_called_kw(plant: Plant, interval: Interval) -> float | None:
    if interval.start < trading_unit(plant).trades_from:
        return None
    step = Horizon(interval.start, QUARTER, 1)
    called_kw = plant.book.position().activated_kw(step, signals=False)
    return float(plant.sold_mw(interval)) * KW_PER_MW + float(called_kw[0])
