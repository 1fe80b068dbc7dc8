"""Thermal zones: the temperature that follows from the draw."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.resource import ThermalZone
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import between, equal, slack


def _holding_kw(zone: ThermalZone, outdoor_degc: Floats) -> Floats:
    """What a thermostat draws to hold the target: heat lost (or gained) through the walls, less the gain."""
    lost_kw = (zone.target_degc - outdoor_degc) / zone.resistance_degc_per_kw
    lost_kw = lost_kw - zone.internal_gain_kw
    cop = np.array([zone.cop_at(degc) for degc in outdoor_degc.tolist()])
    draw_kw: Floats = np.clip((lost_kw if zone.heating else -lost_kw) / cop, 0.0, zone.max_draw_kw)
    return draw_kw


def zone_faults(case: Case, zone: ThermalZone) -> Iterator[str]:
    """A draw that the machine has not, or a temperature that is not its consequence."""
    name, power = zone.resource_id, case.power(zone.resource_id)
    outdoor = case.view.outdoor_degc[zone.outdoor_series_id].values
    reading = case.reading(name)
    if reading is None:
        yield from equal(f"{name}: holds target_degc", power, -_holding_kw(zone, outdoor))
        return
    alone = case.view.alone(name)
    held = -_holding_kw(zone, outdoor)[alone]
    yield from equal(f"{name}: left alone", power[alone], held)
    yield from between(f"{name}: max_draw_kw", power, -zone.max_draw_kw, 0.0)
    opening = zone.target_degc if reading.temperature_degc is None else reading.temperature_degc
    planned = case.schedule.temperature_degc[name]
    before = np.concatenate([[opening], planned[:-1]])
    steps = zip(before.tolist(), power.tolist(), outdoor.tolist(), strict=True)
    follows = np.array([zone.temperature_after(*step, case.hours) for step in steps])
    per_kw = (1 - zone.decay(case.hours)) * np.array(
        [zone.degc_per_kw(o) for o in outdoor.tolist()]
    )
    wrong = ~(np.abs(follows - planned) <= slack(planned, before, outdoor, per_kw * power))
    if wrong.any():
        step = int(np.argmax(wrong))
        yield f"{name}: step {step} ends at {follows[step]:.6f} °C, the plan says {planned[step]:.6f}"
