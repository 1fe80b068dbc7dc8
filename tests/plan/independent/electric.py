"""Random resources of every kind, and what their devices say."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import numpy as np

from tests.plan.independent.draw import Making
from vpp.model.horizon import Profile
from vpp.model.ids import ResourceId
from vpp.model.measurement import EvSession, RunPhase
from vpp.model.resource import (
    CurtailableLoad,
    EnergyWindow,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    OnOffRules,
    Rebound,
    ShiftableRun,
    Storage,
    ThermalZone,
)


def rules(m: Making, least_kw: float = 0.0) -> OnOffRules:
    d = m.dice
    return OnOffRules(
        min_power_kw=least_kw,
        min_up=d.pick(0, 0, 1, 3) * m.step,
        min_down=d.pick(0, 0, 1, 2) * m.step,
        start_cost=d.pick(0.0, 0.5, 3.0),
        max_starts_per_day=d.pick(None, None, 1, 2),
    )


def standing(m: Making, on_kw: float, off_kw: float = 0.0) -> dict[str, Any]:
    """What a machine says that is either on or off."""
    on = m.dice.chance(0.4)
    said: dict[str, Any] = {
        "power_kw": on_kw if on else off_kw,
        "calls_today": m.dice.count(0, 1),
        "hours_on_today": m.dice.between(0, 1),
    }
    if m.dice.chance(0.8):
        said["phase"] = RunPhase.RUNNING if on else RunPhase.WAITING
        said["phase_since"] = m.since(4)
    return said


def fixed(m: Making) -> None:
    of = m.common("load")
    m.base_kw[of["resource_id"]] = m.profile(-60, -5)
    m.add(FixedLoad(max_draw_kw=100.0, **of))


def storage(m: Making, node: str | None = None) -> None:
    d = m.dice
    of = m.common("store", node)
    cap = d.between(20, 100)
    more: dict[str, Any] = {}
    if d.chance(0.3):
        more["standing_loss_per_h"] = d.pick(0.01, 0.1)
    if d.chance(0.2):
        more["final_soc"] = d.between(0.5, 0.9)
    if d.chance(0.2):
        more |= {"reserve_soc": d.between(0.2, 0.6), "reserve_cost_per_kwh_h": d.pick(0.02, 0.3)}
    if d.chance(0.25):
        more |= {"charge_taper_soc": d.pick(0.6, 0.8), "discharge_taper_soc": d.pick(0.0, 0.3)}
    if d.chance(0.2):
        more["max_cycles_per_day"] = d.between(0.2, 1.0)
    if d.chance(0.2):
        series = f"share-{len(m.resources)}"
        more["power_series_id"] = series
        m.power_share[series] = m.profile(0, 1)
    m.add(
        Storage(
            capacity_kwh=cap,
            max_charge_kw=d.between(5, 60),
            max_discharge_kw=d.between(5, 60),
            charge_efficiency=d.pick(1.0, 0.95, 0.8),
            discharge_efficiency=d.pick(1.0, 0.95, 0.9),
            min_soc=d.pick(0.0, 0.1, 0.4),
            wear_cost_per_kwh=d.pick(0.0, 0.002, 0.02),
            **more,
            **of,
        ),
        soc=d.between(0, 1) if d.chance(0.9) else None,
        discharged_today_kwh=d.pick(None, d.between(0, cap / 2)),
    )


def weather(m: Making) -> None:
    d = m.dice
    of = m.common("pv")
    m.available_kw[of["resource_id"]] = m.profile(-1, 60)
    turbine = d.chance(0.2)
    calm = OnOffRules(min_power_kw=d.between(5, 20), start_cost=d.pick(0.0, 0.5))
    m.add(
        Generator(
            max_feed_kw=60.0,
            on_off=calm if turbine else None,
            must_run_share=0.0 if turbine else d.pick(0.0, 0.0, 0.0, 0.5),
            curtailment_cost_per_kwh=d.pick(0.0, 0.0, 0.03),
            cost_per_kwh=d.pick(0.0, 0.0, 0.01),
            kgco2_per_kwh=d.pick(0.0, 0.02),
            green=d.chance(0.8),
            **of,
        )
    )


def engine(m: Making, node: str | None = None) -> None:
    """A source that the weather does not drive."""
    d = m.dice
    of = m.common("engine", node)
    size = d.between(10, 60)
    more: dict[str, Any] = {}
    said: dict[str, Any] = {"power_kw": d.between(0, size)}
    if d.chance(0.7):
        more["on_off"] = rules(m, d.pick(0.0, round(0.3 * size, 2)))
        more["max_hours_per_day"] = d.pick(None, d.between(1, 4))
        said = standing(m, d.between(0.3 * size, size))
    else:
        more["must_run_share"] = d.pick(0.0, 0.2)
        said["power_kw"] = d.between(more["must_run_share"] * size, size)
    if d.chance(0.5):
        more["ramp_kw_per_min"] = d.between(0.2, 0.8) * size / (60 * m.horizon.step_hours)
    m.add(
        Generator(
            max_feed_kw=size,
            weather_driven=False,
            cost_per_kwh=d.between(0.0, 0.3) if d.chance(0.9) else -0.02,
            curtailment_cost_per_kwh=d.pick(0.0, 0.0, 0.02),
            kgco2_per_kwh=d.pick(0.0, 0.2, 0.6),
            green=d.chance(0.3),
            **more,
            **of,
        ),
        **said,
    )


def curtailable(m: Making) -> None:
    d = m.dice
    of = m.common("line")
    m.base_kw[of["resource_id"]] = m.profile(-50, -1)
    more: dict[str, Any] = {}
    said: dict[str, Any] = {"power_kw": -10.0}
    if d.chance(0.7):
        more = {
            "max_calls_per_day": d.pick(None, 1, 2, 3),
            "rest": d.pick(0, 0, 1, 3) * m.step,
            "longest_call": d.pick(None, 1, 2, 4),
            "notice": d.pick(0, 0, 1, 2) * m.step,
        }
        if more["longest_call"]:
            more["longest_call"] *= m.step
        said |= {"calls_today": d.count(0, 1), "phase": RunPhase.WAITING}
        if d.chance(0.3):
            since = m.since(2)
            said |= {"phase": RunPhase.CALLED, "phase_since": since, "calls_today": 1}
    m.add(
        CurtailableLoad(
            max_draw_kw=60.0,
            curtailable_share=d.pick(0.3, 0.6, 1.0),
            curtailment_cost_per_kwh=d.between(0, 0.4),
            **more,
            **of,
        ),
        **said,
    )


def process(m: Making) -> None:
    d = m.dice
    of = m.common("process")
    hours = tuple(sorted(d.rng.choice(np.arange(4, 23), 8, replace=False).tolist()))
    shortest = d.count(1, 3)
    more: dict[str, Any] = {}
    if d.chance(0.4):
        more["longest_call"] = (shortest + d.count(0, 3)) * m.step
    if d.chance(0.4):
        more["rest"] = d.count(1, 4) * m.step
    if d.chance(0.3):
        more["notice"] = d.count(1, 4) * m.step
    if d.chance(0.4):
        more["rebound"] = Rebound(
            share=d.pick(0.5, 1.0, 1.1), delay=d.count(0, 2) * m.step, length=d.count(1, 3) * m.step
        )
    said: dict[str, Any] = {"calls_today": d.count(0, 1)}
    if d.chance(0.2):
        since = m.since(2)
        said |= {"phase": RunPhase.CALLED, "phase_since": since, "calls_today": 1}
    m.add(
        InterruptibleLoad(
            rated_draw_kw=d.between(5, 60),
            operating_from=time(5),
            operating_to=time(d.count(12, 23)),
            call_length=shortest * m.step,
            callable_hours=hours,
            max_calls_per_day=d.count(0, 3),
            call_cost_per_kwh=d.between(0, 0.3),
            **more,
            **of,
        ),
        **said,
    )


def run(m: Making) -> None:
    d = m.dice
    of = m.common("run")
    length, opens = d.count(1, 5), d.count(0, 50)
    quarters = d.count(length, 24)
    default = d.count(0, quarters - length)
    phase = d.pick(RunPhase.WAITING, RunPhase.WAITING, RunPhase.RUNNING, RunPhase.DONE)
    m.add(
        ShiftableRun(
            profile_kw=tuple(np.round(d.rng.uniform(0, 50, length), 2).tolist()),
            earliest_start=_quarter(opens),
            latest_end=_quarter(opens + quarters),
            default_start=_quarter(opens + default),
            run_days=tuple(range(7)),
            **of,
        ),
        phase=phase,
        phase_since=m.since(2),
    )


def _quarter(number: int) -> time:
    return time(number // 4, number % 4 * 15)


def runs_in_a_row(m: Making) -> None:
    """Two jobs of today, one after the other, or one that runs several times."""
    d = m.dice
    of = m.common("run")
    first, times = of["resource_id"], d.pick(1, 2)
    room = m.horizon.steps
    today = (m.local_start.weekday(),)
    closes = m.clock(room / 4)
    lengths = (d.count(1, max(room // 6, 1)), d.count(1, max(room // 6, 1)))
    _job(m, of, lengths[0], times, None, today, closes)
    if d.chance(0.7):
        _job(m, m.common("run"), lengths[1], times, first, today, closes)


def _job(
    m: Making,
    of: dict[str, Any],
    length: int,
    times: int,
    after: ResourceId | None,
    today: tuple[int, ...],
    closes: time,
) -> None:
    d = m.dice
    opens = m.clock(0)
    last = (closes.hour * 4 + closes.minute // 15) if closes != time(23, 59) else 96
    if last - (opens.hour * 4 + opens.minute // 15) < length:
        return  # the day is nearly over
    waits = {"phase": RunPhase.WAITING, "calls_today": 0}
    if after is None and d.chance(0.3):
        since = m.since(length - 1)
        waits = {"phase": RunPhase.RUNNING, "phase_since": since, "calls_today": 1}
    m.add(
        ShiftableRun(
            profile_kw=tuple(np.round(d.rng.uniform(5, 40, length), 2).tolist()),
            earliest_start=opens,
            latest_end=closes,
            default_start=opens,
            run_days=today,
            runs_per_day=times,
            after=after,
            **of,
        ),
        heard=1.0,
        **waits,
    )


def flexible(m: Making) -> None:
    d = m.dice
    of = m.common("work")
    size = d.between(10, 60)
    per_unit = d.pick(1.0, 1.0, 25.0)
    hours = m.horizon.steps * m.horizon.step_hours
    windows: list[EnergyWindow] = []
    first = at = round(4 * d.pick(-1.0, 0.0, 0.2 * hours)) / 4
    while at < hours and len(windows) < 2:
        length = max(round(4 * d.between(0.3, 0.9) * hours) / 4, m.horizon.step_hours)
        start, end = _wrapped(m, at), _wrapped(m, at + length)
        if at + length - first > 23.5:
            break  # it would overlap the first one of the next day
        least = d.between(0.1, 0.6) * size * length / per_unit
        most = d.pick(np.inf, least * d.between(1, 2))
        windows.append(EnergyWindow(start=start, end=end, least_units=least, most_units=most))
        at += length + d.pick(0.0, m.horizon.step_hours)
    more: dict[str, Any] = {}
    said: dict[str, Any] = {"done_kwh": d.pick(None, d.between(0, size))}
    if d.chance(0.3):
        more["bands_kw"] = (round(size / 3, 2), round(size / 1.5, 2))
    inside = bool(windows) and windows[0].start <= m.clock(0)
    if d.chance(0.3):
        more["on_off"] = rules(m, d.pick(0.0, round(0.2 * size, 2)))
        said |= standing(m, -round(0.5 * size, 2)) if inside else {"power_kw": 0.0}
    if d.chance(0.3):
        more["ramp_kw_per_min"] = d.between(0.4, 0.8) * size / (60 * m.horizon.step_hours)
    m.add(
        FlexibleLoad(
            max_draw_kw=size,
            windows=tuple(windows),
            kwh_per_unit=per_unit,
            unserved_cost_per_unit=per_unit * d.pick(0.15, 2.0) if d.chance(0.85) else None,
            value_per_unit=per_unit * d.pick(0.0, 0.0, 0.2),
            default_draw_kw=d.between(0, 0.5) * size,
            **more,
            **of,
        ),
        **said,
    )


def _wrapped(m: Making, hours: float) -> time:
    """The wall clock so many hours after the start, round midnight too."""
    return (m.local_start + timedelta(minutes=round(hours * 4) * 15)).time()


def zone(m: Making) -> None:
    d = m.dice
    m.add(
        ThermalZone(
            heating=d.chance(0.7),
            max_draw_kw=d.between(2, 15),
            cop=d.between(1, 4),
            cop_per_degc=d.pick(0.0, 0.05),
            resistance_degc_per_kw=d.between(0.5, 2),
            capacity_kwh_per_degc=d.between(2, 30),
            internal_gain_kw=d.between(0, 4),
            min_degc=19.0,
            max_degc=23.0,
            target_degc=20.0,
            discomfort_cost_per_degc_h=d.pick(0.05, 2.0),
            outdoor_series_id="outdoor",
            **m.common("zone"),
        ),
        temperature_degc=d.between(16, 26) if d.chance(0.8) else None,
    )


def cars(m: Making) -> None:
    d = m.dice
    of = m.common("cars")
    feeds = d.chance(0.5)
    arriving = m.course(-8, 0) if d.chance(0.6) else np.zeros(m.horizon.steps)
    m.arriving_kw[of["resource_id"]] = Profile(m.horizon, arriving)
    minutes = m.horizon.steps * m.horizon.step_hours * 60
    sessions = []
    for number in range(d.count(1, 3)):
        comes = d.between(0, 0.5) * minutes if d.chance(0.3) else None
        leaves = (comes or 0.0) + d.between(0.1, 1.1) * minutes
        sessions.append(
            EvSession(
                session_id=str(number),
                arrives_at=None
                if comes is None
                else m.horizon.start + timedelta(minutes=int(comes)),
                departs_at=m.horizon.start + timedelta(minutes=int(leaves)),
                wanted_kwh=d.between(0, 30),
                lends_kwh=d.between(0, 15) if feeds else 0.0,
            )
        )
    m.add(
        EvFleet(
            charger_kw=10.0,
            max_draw_kw=d.between(8, 40),
            charge_efficiency=d.pick(1.0, 0.9),
            unserved_cost_per_kwh=d.pick(0.1, 2.0),
            max_car_feed_kw=d.pick(5.0, 10.0) if feeds else 0.0,
            discharge_efficiency=d.pick(1.0, 0.9),
            wear_cost_per_kwh=d.pick(0.0, 0.03),
            guaranteed=d.chance(0.25),
            **of,
        ),
        sessions=tuple(sessions),
    )
