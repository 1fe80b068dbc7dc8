"""Storages, zones and cars."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cvxpy as cp
import numpy as np

from tests.plan.independent.sheet import Asked, Kept, Part, Sheet
from vpp.model.measurement import EvSession, Reading
from vpp.model.resource import EvFleet, Storage, ThermalZone
from vpp.plan.terms import ReserveHeadroom


def storage(
    sheet: Sheet, r: Storage, reading: Reading | None, kept: dict[int, Kept], asked: Asked
) -> Part:
    """`kept` and `asked`: headroom and terms by the term's number."""
    steps, hours = sheet.steps, sheet.hours
    if reading is None or reading.soc is None:
        return Part(power=np.zeros(steps), draw=np.zeros(steps))
    share = np.ones(steps)
    if r.power_series_id is not None:
        share = sheet.view.power_share[r.power_series_id].values
    found, cap = reading.soc * r.capacity_kwh, r.capacity_kwh
    keeps = (1 - r.standing_loss_per_h) ** hours
    floor = np.minimum(r.min_soc * cap, found * keeps ** np.arange(1, steps + 1))
    charge = sheet.size(r.max_charge_kw * share)
    discharge = sheet.size(r.max_discharge_kw * share)
    stored, charging = sheet.size(cap), sheet.choice()
    before = sheet.before(stored, found)
    gains = r.charge_efficiency * charge - discharge / r.discharge_efficiency
    taken_out = discharge / r.discharge_efficiency
    for number, part in kept.items():
        term = asked[number]
        if term.up:
            called = part.relief * r.charge_efficiency + part.extra / r.discharge_efficiency
            taken_out = taken_out + term.called_share * part.extra / r.discharge_efficiency
            gains = gains - term.called_share * called
        else:
            called = part.relief / r.discharge_efficiency + part.extra * r.charge_efficiency
            taken_out = taken_out - term.called_share * part.relief / r.discharge_efficiency
            gains = gains + term.called_share * called
    sheet.hold(stored == keeps * before + hours * gains, stored >= floor)
    sheet.hold(charge <= r.max_charge_kw * charging)
    sheet.hold(discharge <= r.max_discharge_kw * (1 - charging))
    if r.charge_taper_soc < 1:
        room = (1 - before / cap) / (1 - r.charge_taper_soc)
        sheet.hold(charge <= cp.multiply(r.max_charge_kw * share, room))
    if r.discharge_taper_soc > 0:
        room = before / cap / r.discharge_taper_soc
        sheet.hold(discharge <= cp.multiply(r.max_discharge_kw * share, room))
    if r.final_soc is not None:
        lacking = sheet.size(shape=1)
        sheet.hold(stored[-1] + lacking >= r.final_soc * cap)
        sheet.pay(sheet.excess_per_kwh * cp.sum(lacking))
    if r.reserve_soc > 0:
        short = sheet.size()
        sheet.hold(stored + short >= r.reserve_soc * cap)
        sheet.pay(r.reserve_cost_per_kwh_h * hours * cp.sum(short))
    if r.max_cycles_per_day is not None:
        out = hours * discharge / r.discharge_efficiency
        used = reading.discharged_today_kwh or 0.0
        sheet.per_day(out, r.max_cycles_per_day * cap, used, reading)
    sheet.pay(r.wear_cost_per_kwh * hours * cp.sum(charge + discharge))
    _energy(sheet, r, kept, asked, before, floor)
    # A call may come at any moment of a step, except where a product's rule says otherwise. What of
    # such a product is held at the start alone leaves the rest of the step free.
    until_end = {number: part for number, part in kept.items() if asked[number].held_at_end}
    _energy(sheet, r, until_end, asked, stored, floor)
    _power(sheet, r, kept, asked, (charge, discharge), share, before / max(cap, 1e-9))
    return Part(power=discharge - charge, draw=charge, stored=stored, taken_out=taken_out)


def _ways(
    kept: dict[int, Kept], asked: Asked
) -> Iterator[tuple[bool, list[tuple[ReserveHeadroom, Kept]]]]:
    """What is kept upwards, and what downwards, for all products together."""
    for up in (True, False):
        parts = [(asked[n], part) for n, part in kept.items() if asked[n].up is up]
        if parts:
            yield up, parts


def _power(
    sheet: Sheet,
    r: Storage,
    kept: dict[int, Kept],
    asked: Asked,
    runs: tuple[Any, Any],
    share: Any,
    level: Any,
) -> None:
    """A store stops what it does, and then does the opposite, as strongly as its level lets it."""
    charge, discharge = runs
    for up, parts in _ways(kept, asked):
        relief = sum(part.relief for _, part in parts)
        extra = sum(part.extra for _, part in parts)
        if up:
            sheet.hold(relief <= charge, extra <= r.max_discharge_kw * share - discharge)
            if r.discharge_taper_soc > 0:
                tapered = cp.multiply(r.max_discharge_kw * share, level / r.discharge_taper_soc)
                sheet.hold(extra <= tapered - discharge)
        else:
            sheet.hold(relief <= discharge, extra <= r.max_charge_kw * share - charge)
            if r.charge_taper_soc < 1:
                room = (1 - level) / (1 - r.charge_taper_soc)
                sheet.hold(extra <= cp.multiply(r.max_charge_kw * share, room) - charge)


def _energy(
    sheet: Sheet, r: Storage, kept: dict[int, Kept], asked: Asked, held: Any, floor: Any
) -> None:
    """It has the energy, or the room, for the longest call."""
    ins, outs = r.charge_efficiency, 1 / r.discharge_efficiency
    for up, parts in _ways(kept, asked):
        energy = sum(
            term.activation_hours
            * (part.relief * (ins if up else outs) + part.extra * (outs if up else ins))
            for term, part in parts
        )
        sheet.hold(energy <= (held - floor if up else r.capacity_kwh - held))


def zone(sheet: Sheet, r: ThermalZone, reading: Reading | None) -> Part:
    steps, hours = sheet.steps, sheet.hours
    outdoor = sheet.view.outdoor_degc[r.outdoor_series_id].values
    cop = np.maximum(r.cop + r.cop_per_degc * (outdoor - r.cop_outdoor_degc), 1e-3)
    heat = (1 if r.heating else -1) * cop * r.resistance_degc_per_kw
    idle = outdoor + r.internal_gain_kw * r.resistance_degc_per_kw
    if reading is None:
        holding = np.clip((r.target_degc - idle) / heat, 0, r.max_draw_kw)
        return Part(power=-holding, draw=holding, given_draw=holding)
    opening = r.target_degc if reading.temperature_degc is None else reading.temperature_degc
    draw, temperature = sheet.size(r.max_draw_kw), cp.Variable(steps)
    decay = np.exp(-hours / (r.resistance_degc_per_kw * r.capacity_kwh_per_degc))
    settled = idle + cp.multiply(heat, draw)
    before = sheet.before(temperature, opening)
    sheet.hold(temperature == decay * before + (1 - decay) * settled)
    outside = cp.pos(r.min_degc - temperature) + cp.pos(temperature - r.max_degc)
    sheet.pay(r.discomfort_cost_per_degc_h * hours * cp.sum(outside))
    return Part(power=-draw, draw=draw, temperature=temperature)


def cars(sheet: Sheet, r: EvFleet, reading: Reading | None) -> Part:
    hours = sheet.hours
    arriving = sheet.view.arriving_kw[r.resource_id].values
    draws: Any = np.zeros(sheet.steps)
    feeds: Any = np.zeros(sheet.steps)
    levels: dict[str, Any] = {}
    sessions = () if reading is None else reading.sessions or ()
    for session in sessions:
        share = _present(sheet, session)
        draw, feed = sheet.size(r.charger_kw * share), sheet.size(r.max_car_feed_kw * share)
        gain = r.charge_efficiency * draw - feed / r.discharge_efficiency
        levels[session.session_id] = level = hours * cp.cumsum(gain)
        unserved = sheet.size(shape=1)
        sheet.hold(level >= -session.lends_kwh, level <= session.wanted_kwh)
        sheet.hold(level[-1] + unserved == session.wanted_kwh)
        price = sheet.excess_per_kwh if r.guaranteed else r.unserved_cost_per_kwh
        sheet.pay(price * cp.sum(unserved) + r.wear_cost_per_kwh * hours * cp.sum(feed))
        if r.max_car_feed_kw > 0:
            charging = sheet.choice()
            sheet.hold(draw <= r.charger_kw * charging)
            sheet.hold(feed <= r.max_car_feed_kw * (1 - charging))
        draws, feeds = draws + draw, feeds + feed
    if sessions:
        sheet.hold(draws - feeds <= np.maximum(r.max_draw_kw + arriving, 0.0))
        sheet.hold(feeds <= r.max_draw_kw)
    return Part(
        power=arriving - draws + feeds,
        draw=draws - feeds - arriving,
        given_draw=-arriving,
        levels=levels,
    )


def _present(sheet: Sheet, session: EvSession) -> Any:
    """Share of each step in which a car is here."""
    share = []
    for span in sheet.view.horizon.intervals():
        since = max(session.arrives_at or span.start, span.start)
        stays = (min(session.departs_at, span.end) - since) / sheet.view.horizon.step
        share.append(max(stays, 0.0))
    return np.array(share)
