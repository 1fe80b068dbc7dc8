"""Generators and converters."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np

from tests.plan.independent.machines import on_off, ramp
from tests.plan.independent.sheet import Part, Sheet
from vpp.model.measurement import Reading
from vpp.model.resource import Converter, Generator


def generator(sheet: Sheet, r: Generator, reading: Reading | None) -> Part:
    hours = sheet.hours
    has = np.full(sheet.steps, r.max_feed_kw)
    if r.weather_driven:
        has = np.maximum(sheet.view.available_kw[r.resource_id].values, 0.0)
    feed = sheet.size(has)
    sheet.hold(feed >= r.must_run_share * has)
    part = Part(power=feed, fed=feed, up_room=has - feed)
    part.down_room = feed - r.must_run_share * has
    machine = None
    if r.on_off is not None:
        machine = on_off(sheet, r.on_off, reading, has >= r.on_off.min_power_kw)
        on = machine.on
        sheet.hold(feed <= cp.multiply(has, on), feed >= r.on_off.min_power_kw * on)
        if r.max_hours_per_day is not None:
            used = 0.0 if reading is None else reading.hours_on_today or 0.0
            must = hours * machine.goes_on
            sheet.per_day(hours * on, r.max_hours_per_day, used, reading, at_least=must)
        part.on, part.running, part.started = on, on, machine.started
    if not r.weather_driven:
        size = r.max_feed_kw
        ramp(sheet, r.ramp_kw_per_min, feed, reading, size=size, machine=machine)
    sheet.pay(r.cost_per_kwh * hours * cp.sum(feed))
    sheet.pay(r.curtailment_cost_per_kwh * hours * cp.sum(has - feed))
    return part


def converter(sheet: Sheet, r: Converter, reading: Reading | None) -> Part:
    """What flows at carrier ports is put where it meets; the rest is the part's power."""
    points, steps = np.array(r.points_kw), sheet.steps
    part = Part(power=np.zeros(steps))
    machine = None
    if reading is None:
        weights: Any = np.zeros((len(points), steps))
        on: Any = np.zeros(steps)
        part.running = on
    else:
        weights = sheet.size(shape=(len(points), steps))
        on = np.ones(steps)
        if r.on_off is None:
            sheet.hold(cp.sum(weights, axis=0) <= 1)
        else:
            may = np.ones(steps, dtype=bool)
            machine = on_off(sheet, r.on_off, reading, may, standby_kw=r.standby_kw)
            on = machine.on
            sheet.hold(cp.sum(weights, axis=0) == on)
            sheet.pay(r.running_cost_per_h * sheet.hours * cp.sum(on))
            part.on, part.running, part.started = on, on, machine.started
    flows = []
    for number, port in enumerate(r.ports):
        flow: Any = points[:, number] @ weights
        if r.outdoor_series_id is not None:
            outdoor = sheet.view.outdoor_degc[r.outdoor_series_id].values
            warm = 1 + port.per_degc * (outdoor - port.reference_degc)
            flow = cp.multiply(warm, flow)
        if number == 0 and r.on_off is not None:
            flow = flow - r.standby_kw * (1 - on)
        flows.append(flow)
        if port.node_id is None:
            part.power = part.power + flow
        else:
            sheet.meets[port.node_id].append(flow)
    if reading is not None:
        electric = any(port.node_id is None for port in r.ports)
        told = part.power if electric else flows[0]
        size = 10 * float(np.abs(points).max()) + r.standby_kw
        ramp(sheet, r.ramp_kw_per_min, told, reading, size=size, machine=machine)
    part.draw = -part.power
    return part
