"""Flexible loads: how much they draw in each step of their windows, and what each window gets.

    columns   draw (K,T)   lacking (·) one each window that may lack, units     band (·,T,B) on (·,T) 0/1
    rows      work     least <= h·Σ draw + kwh_per_unit·lacking <= most, over the steps of a window
              bands    draw - Σ band_kw·band = 0,  Σ band <= 1
              on/off   min_power·on <= draw <= max_draw·on, and the rules of `onoff.py`
              begun    Σ started over a window + on before it + lacking / least >= 1
              ramp     `ramp.py`, but for a load whose bands are further apart than that: it jumps

*begun* says nothing new of what is on or off: who works was started. Without it a relaxation starts by the
tenth, so its cost was below the best plan's by half of what starts cost; with it by a few per mille of that.

A load that is not heard draws its default in its windows by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.kindred import Kindred
from vpp.model.resource import FlexibleLoad
from vpp.model.time import isoformat
from vpp.plan.kinds import column, onoff, ramp
from vpp.plan.kinds.windows import Windows, windows_of
from vpp.plan.programme import Builder, Ints, Side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flexibles:
    """Flexible loads that are heard, shapes (K,) and (K, T)."""

    units: tuple[FlexibleLoad, ...]
    draw: Ints
    open: NDArray[np.bool_]
    """Where each load has a window."""

    windows: Windows
    machines: onoff.OnOff
    """Those of them that are on or off."""

    step_hours: float

    def undone_units(self, x: Floats) -> dict[str, float]:
        """What each window lacks in a solution, by `resource id/start of the window`."""
        windows = self.windows
        window, step = windows.members()
        draw_kw = x[self.draw[windows.load[window], step]]
        done = self.step_hours * np.bincount(window, draw_kw, len(windows.load))
        per_unit = np.array([unit.kwh_per_unit for unit in self.units])[windows.load]
        lacking = np.maximum(windows.least_kwh - done, 0.0) / per_unit
        said = {starts_at: isoformat(starts_at) for starts_at in set(windows.starts_at)}
        return {
            f"{self.units[load].resource_id}/{said[starts_at]}": lacks
            for load, starts_at, lacks in zip(
                windows.load.tolist(), windows.starts_at, lacking.tolist(), strict=True
            )
        }


def add(b: Builder, *, limit_excess_price_per_kwh: float) -> Flexibles:
    """All flexible loads; what those draw that are not heard goes into `b.base_kw`."""
    every, known = b.view.park.kindred(FlexibleLoad), b.view.state.readings
    heard = np.array([name in known for name in every.names], dtype=bool)
    _leave_alone(b, every.only(~heard))
    units = every.only(heard)
    windows = windows_of(b.view, units.units, [known[name] for name in units.names])
    is_open = windows.open(len(units), b.steps)
    most_kw = units.column("max_draw_kw")
    draw = b.add_columns(is_open.shape, upper=most_kw * is_open)
    worth = units.column("value_per_unit") / units.column("kwh_per_unit")
    b.price(draw, -worth * b.hours, "product value")
    b.inject(units.rows[:, None], draw, -1.0)
    b.may(units.rows, draw_kw=most_kw * is_open)
    _name_bounds(b, units, draw, is_open)
    lacking = _work(b, units, windows, draw, limit_excess_price_per_kwh)
    _bands(b, units, draw, is_open)
    machines = _machines(b, units, draw, is_open)
    _begun(b, units, windows, lacking, machines)
    _ramps(b, units, draw, is_open, machines)
    return Flexibles(
        units=units.units,
        draw=draw,
        open=is_open,
        windows=windows,
        machines=machines,
        step_hours=b.hours,
    )


def _leave_alone(b: Builder, units: Kindred[FlexibleLoad]) -> None:
    is_open = windows_of(b.view, units.units, [None] * len(units)).open(len(units), b.steps)
    b.base_kw[units.rows] = -units.column("default_draw_kw") * is_open


def _name_bounds(
    b: Builder, units: Kindred[FlexibleLoad], draw: Ints, is_open: NDArray[np.bool_]
) -> None:
    """In a window the size limits the draw, outside the windows do."""
    nothing = b.add_columns(())  # stands where another name speaks; has no price
    for field, here in (("max_draw_kw", is_open), ("windows", ~is_open)):
        b.name(units.words(field), Side.UPPER, np.where(here, draw, nothing))


def _work(
    b: Builder,
    units: Kindred[FlexibleLoad],
    windows: Windows,
    draw: Ints,
    limit_excess_price_per_kwh: float,
) -> Ints:
    """What is done in each window; what lacks costs, where it must not lack as much as a limit.

    The columns of what lacks, by window where anything is asked.
    """
    rows = b.add_rows(windows.least_kwh.shape, windows.least_kwh, windows.most_kwh)
    window, step = windows.members()
    b.put(rows[window], draw[windows.load[window], step], b.hours)
    asked = np.flatnonzero(windows.least_kwh > 0)
    owners = windows.load[asked]
    per_unit = units.column("kwh_per_unit")[owners, 0]
    lacking = b.add_columns((len(owners),), upper=windows.least_kwh[asked] / per_unit)
    b.put(rows[asked], lacking, per_unit)
    cost = units.column("unserved_cost_per_unit")[owners, 0]
    must = np.isnan(cost)
    b.price(lacking[~must], cost[~must], "unserved")
    b.price(lacking[must], limit_excess_price_per_kwh * per_unit[must], "limit excess")
    named = units.words("least_units")
    names = [named[load] for load in owners[must].tolist()]
    # A window's work is told in its last step, not at the end of the horizon.
    last = np.full(len(windows.least_kwh), -1)
    np.maximum.at(last, window, step)
    b.name(names, Side.BROKEN, lacking[must], last[asked][must][:, None])
    for field, side in (("least_units", Side.ROW_LOWER), ("most_units", Side.ROW_UPPER)):
        limited = windows.least_kwh > 0 if side is Side.ROW_LOWER else windows.most_kwh < np.inf
        named = units.words(field)
        words = [named[load] for load in windows.load[limited].tolist()]
        b.name(words, side, rows[limited], last[limited][:, None])
    return lacking


def _begun(
    b: Builder,
    units: Kindred[FlexibleLoad],
    windows: Windows,
    lacking: Ints,
    machines: onoff.OnOff,
) -> None:
    """Where a start costs: what is asked of a window is not done without one, or the one before it."""
    place = {name: k for k, name in enumerate(machines.names)}
    asked = np.flatnonzero(windows.least_kwh > 0)
    mine = np.isin(windows.load[asked], units.where("on_off"))
    for window, lacks in zip(asked[mine].tolist(), lacking[mine], strict=True):
        unit = units.units[windows.load[window]]
        if unit.on_off is None or unit.on_off.start_cost <= 0:
            continue
        k, first = place[unit.resource_id], int(windows.first[window])
        was = onoff.is_on(b.view.state.reading(unit.resource_id)) if first == 0 else False
        row = b.add_rows((1,), 1.0 - was, np.inf)
        b.put(row, machines.started[k, first : windows.last[window]], 1.0)
        b.put(row, machines.on[k, max(first - 1, 0) : first], 1.0)
        b.put(row, lacks, unit.kwh_per_unit / windows.least_kwh[window])


def _bands(
    b: Builder, units: Kindred[FlexibleLoad], draw: Ints, is_open: NDArray[np.bool_]
) -> None:
    for k in units.where("bands_kw").tolist():
        unit = units.units[k]
        band = b.decide((len(unit.bands_kw), b.steps), upper=is_open[k].astype(float))
        power = b.add_rows((b.steps,), 0.0, 0.0)
        b.put(power, draw[k], 1.0)
        b.put(power, band, -column(unit.bands_kw))
        one = b.add_rows((b.steps,), -np.inf, 1.0)
        b.put(one, band, 1.0)


def _machines(
    b: Builder, units: Kindred[FlexibleLoad], draw: Ints, is_open: NDArray[np.bool_]
) -> onoff.OnOff:
    some = units.where("on_off")
    rules = [rule for k in some.tolist() if (rule := units.units[k].on_off) is not None]
    names = [units.names[k] for k in some.tolist()]
    found = onoff.add(b, names, rules, may=is_open[some])
    most = b.add_rows(found.on.shape, -np.inf, 0.0)
    b.put(most, draw[some], 1.0)
    b.put(most, found.on, -units.column("max_draw_kw")[some])
    least = b.add_rows(found.on.shape, 0.0, np.inf)
    b.put(least, draw[some], 1.0)
    b.put(least, found.on, -column(rule.min_power_kw for rule in rules))
    b.name([f"{name}: min_power_kw" for name in names], Side.ROW_LOWER, least)
    return found


def _ramps(
    b: Builder,
    units: Kindred[FlexibleLoad],
    draw: Ints,
    is_open: NDArray[np.bool_],
    machines: onoff.OnOff,
) -> None:
    on = dict(zip(machines.names, machines.on, strict=True))
    for k in np.flatnonzero(units.column("ramp_kw_per_min") < np.inf).tolist():
        unit = units.units[k]
        if unit.widest_jump_kw > unit.ramp_kw_per_min * 60 * b.hours:
            continue
        ramp.add(
            b,
            unit,
            [(draw[k], -1.0)],
            least_kw=-unit.highest_draw_kw * is_open[k],
            most_kw=np.zeros(b.steps),
            on=on.get(unit.resource_id),
            running_kw=(-np.inf, 0.0 if unit.on_off is None else -unit.on_off.min_power_kw),
        )
