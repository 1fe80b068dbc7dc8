"""Storages: the energy that follows from the power, its bounds, its tapers and its cycles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import Storage
from vpp.plan.terms import ReserveHeadroom
from vpp.plan.validate.case import Case
from vpp.plan.validate.compare import between, equal, slack


def storage_faults(case: Case, unit: Storage) -> Iterator[str]:
    """What no store of this kind could do."""
    name, power = unit.resource_id, case.power(unit.resource_id)
    opening = opening_kwh(case, unit)
    if opening is None:
        yield from equal(f"{name}: idle, nobody knows how full it is", power, case.zeros())
        return
    share = power_share(case, unit)
    yield from between(
        f"{name}: max_charge_kw, max_discharge_kw",
        power,
        -unit.max_charge_kw * share,
        unit.max_discharge_kw * share,
    )
    yield from _energy(case, unit, power, opening)
    yield from _tapers(case, unit, power, opening, share)
    yield from _cycles(case, unit, power)


def opening_kwh(case: Case, unit: Storage) -> float | None:
    """Energy in the store as the horizon begins; None where nobody says."""
    reading = case.reading(unit.resource_id)
    if reading is None or reading.soc is None:
        return None
    return reading.soc * unit.capacity_kwh


def power_share(case: Case, unit: Storage) -> Floats:
    """Share of its power limits that is there in each step, shape (T,)."""
    name = unit.power_series_id
    share = np.ones(case.steps) if name is None else case.view.power_share[name].values
    return share * ~case.view.alone(unit.resource_id)


def floor_kwh(case: Case, unit: Storage, opening: float) -> Floats:
    """The least it may hold at the end of each step: found below its reserve it may stay there."""
    kept = unit.kept(case.hours) ** np.arange(1, case.steps + 1)
    return np.asarray(np.minimum(unit.min_soc * unit.capacity_kwh, opening * kept))


def before(case: Case, unit: Storage, opening: float) -> Floats:
    """Energy in the store as each step begins, shape (T,)."""
    planned = case.schedule.stored_kwh[unit.resource_id]
    return np.concatenate([[opening], planned[:-1]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Called:
    """Energy that expected calls of reserve move in a store, counted inside it; shapes (T,)."""

    fed_kwh: Floats
    """Taken out, beside the plan."""
    not_charged_kwh: Floats
    """Not put in, which the plan would have."""
    charged_kwh: Floats
    """Put in, beside the plan."""
    not_fed_kwh: Floats
    """Not taken out, which the plan would have."""

    @property
    def change_kwh(self) -> Floats:
        return self.charged_kwh + self.not_fed_kwh - self.fed_kwh - self.not_charged_kwh


def called(case: Case, unit: Storage) -> Called:
    """What all products' expected calls do to one store."""
    fed, not_charged, charged, not_fed = (case.zeros() for _ in range(4))
    into, out = unit.charge_efficiency, 1 / unit.discharge_efficiency
    for term in case.terms:
        if not isinstance(term, ReserveHeadroom):
            continue
        kept, relief = kept_kw(case, term, unit.resource_id)
        hours = term.called_share * case.hours
        if term.up:
            fed += hours * out * (kept - relief)
            not_charged += hours * into * relief
        else:
            charged += hours * into * (kept - relief)
            not_fed += hours * out * relief
    return Called(
        fed_kwh=fed, not_charged_kwh=not_charged, charged_kwh=charged, not_fed_kwh=not_fed
    )


def kept_kw(case: Case, term: ReserveHeadroom, name: ResourceId) -> tuple[Floats, Floats]:
    """What a resource keeps for a product, and how much of it is relief; shapes (T,)."""
    reserve = case.schedule.reserve[term.key]
    return case.of(reserve.kept_kw, name), case.of(reserve.relief_kw, name)


def _energy(case: Case, unit: Storage, power: Floats, opening: float) -> Iterator[str]:
    """Each step's energy follows from the one before; a net power cannot charge and discharge."""
    name, hours = unit.resource_id, case.hours
    planned = case.schedule.stored_kwh[name]
    held = before(case, unit, opening)
    moved = called(case, unit)
    parts = (moved.fed_kwh, moved.not_charged_kwh, moved.charged_kwh, moved.not_fed_kwh)
    charged = hours * unit.charge_efficiency * np.maximum(-power, 0.0)
    drawn = hours / unit.discharge_efficiency * np.maximum(power, 0.0)
    follows = np.array(
        [
            unit.stored_kwh_after(kwh, kw, hours)
            for kwh, kw in zip(held.tolist(), power.tolist(), strict=True)
        ]
    )
    follows += moved.change_kwh
    off = ~(np.abs(follows - planned) <= slack(planned, held, charged, drawn, *parts))
    if off.any():
        step = int(np.argmax(off))
        yield (
            f"{name}: step {step} stores {follows[step]:.6f} kWh, the plan says {planned[step]:.6f}"
        )
    floor = floor_kwh(case, unit, opening)
    bad = ~(
        (planned >= floor - slack(floor, planned))
        & (planned <= unit.capacity_kwh + slack(unit.capacity_kwh, planned))
    )
    if bad.any():
        step = int(np.argmax(bad))
        yield (
            f"{name}: step {step} ends at {planned[step]:.6f} kWh, allowed {floor[step]:.6f} …"
            f" {unit.capacity_kwh:.6f}"
        )


def _tapers(
    case: Case, unit: Storage, power: Floats, opening: float, share: Floats
) -> Iterator[str]:
    """Nearly full it charges slower, nearly empty it discharges slower."""
    if not unit.capacity_kwh:
        return
    name = unit.resource_id
    soc = before(case, unit, opening) / unit.capacity_kwh
    if unit.charge_taper_soc < 1:
        most = unit.max_charge_kw * share * (1 - soc) / (1 - unit.charge_taper_soc)
        full = unit.max_charge_kw * share / (1 - unit.charge_taper_soc)
        yield from between(f"{name}: charge_taper_soc", -power, -np.inf, most, full, full * soc)
    if unit.discharge_taper_soc > 0:
        most = unit.max_discharge_kw * share * soc / unit.discharge_taper_soc
        yield from between(f"{name}: discharge_taper_soc", power, -np.inf, most)


def _cycles(case: Case, unit: Storage, power: Floats) -> Iterator[str]:
    if unit.max_cycles_per_day is None:
        return
    name, reading = unit.resource_id, case.reading(unit.resource_id)
    taken = case.hours * np.maximum(power, 0.0) / unit.discharge_efficiency
    for day, on_day in case.days.items():
        used = 0.0
        if reading is not None and case.told_on(reading, day):
            used = reading.discharged_today_kwh or 0.0
        most = max(unit.max_cycles_per_day * unit.capacity_kwh - used, 0.0)
        total = float(taken[on_day].sum())
        if not total <= most + slack(total, most):
            yield f"{name}: max_cycles_per_day: {total:.6f} kWh on {day}, allowed {most:.6f}"
