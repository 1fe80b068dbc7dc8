"""Storages: the energy that follows from the power, its bounds, its tapers and its cycles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import Storage
from vpp.plan.terms import ReserveHeadroom
from vpp.plan.validate.case import Case, parts
from vpp.plan.validate.compare import between, column, each_between, equal, slack


def storage_faults(case: Case, units: Sequence[Storage]) -> Iterator[str]:
    """What no store of this kind could do."""
    known = []
    for unit in units:
        if (opening := opening_kwh(case, unit)) is None:
            words = f"{unit.resource_id}: idle, nobody knows how full it is"
            yield from equal(words, case.power(unit.resource_id), case.zeros())
        else:
            known.append((unit, opening))
    for some in parts(known):
        yield from _together(case, some)


def _together(case: Case, known: Sequence[tuple[Storage, float]]) -> Iterator[str]:
    """The same of stores that say how full they are."""
    units, names = [unit for unit, _ in known], [unit.resource_id for unit, _ in known]
    power, share = case.powers(names), np.ones((len(units), case.steps))
    for row, unit in enumerate(units):
        if unit.power_series_id is not None or unit.resource_id in case.view.left_alone:
            share[row] = power_share(case, unit)
    most_in = column(u.max_charge_kw for u in units) * share
    most_out = column(u.max_discharge_kw for u in units) * share
    for row, name in enumerate(names):
        if (held_kw := case.view.held_kw.get(name)) is not None:
            hand = case.view.in_hand(name)
            most_in[row, hand], most_out[row, hand] = -held_kw[hand], held_kw[hand]
    yield from each_between(names, ": max_charge_kw, max_discharge_kw", power, -most_in, most_out)
    yield from _energy(case, units, power, column(opening for _, opening in known))
    for row, (unit, opening) in enumerate(known):
        if unit.charge_taper_soc < 1 or unit.discharge_taper_soc > 0:
            yield from _tapers(case, unit, power[row], opening, share[row])
        if unit.max_cycles_per_day is not None:
            yield from _cycles(case, unit, power[row])


def opening_kwh(case: Case, unit: Storage) -> float | None:
    """Energy in the store as the horizon begins; None where nobody says."""
    reading = case.reading(unit.resource_id)
    if reading is None or reading.soc is None:
        return None
    return reading.soc * unit.capacity_kwh


def power_share(case: Case, unit: Storage) -> Floats:
    """Share of its power limits that is there in each step, shape (T,); in an operator's hand, all of it."""
    name = unit.power_series_id
    share = np.ones(case.steps) if name is None else case.view.power_share[name].values
    free = share * ~case.view.alone(unit.resource_id)
    return np.where(case.view.in_hand(unit.resource_id), 1.0, free)


def floor_kwh(case: Case, unit: Storage, opening: float) -> Floats:
    """The least it may hold at the end of each step: found below its reserve it may stay there.

    So it may where an operator's hand has left it, less what it loses from then on.
    """
    kept = unit.kept(case.hours) ** np.arange(1, case.steps + 1)
    floor = np.minimum(unit.min_soc * unit.capacity_kwh, opening * kept)
    hand = np.flatnonzero(case.view.in_hand(unit.resource_id))
    if len(hand):
        planned, end = case.schedule.stored_kwh[unit.resource_id], hand[-1] + 1
        floor[:end] = np.minimum(floor[:end], planned[:end])
        floor[end:] = np.minimum(floor[end:], planned[end - 1] * kept[: case.steps - end])
    return np.asarray(floor)


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
    def parts(self) -> tuple[Floats, ...]:
        """What is added up to get the change."""
        return (self.fed_kwh, self.not_charged_kwh, self.charged_kwh, self.not_fed_kwh)

    @property
    def change_kwh(self) -> Floats:
        return self.charged_kwh + self.not_fed_kwh - self.fed_kwh - self.not_charged_kwh


def called(case: Case, unit: Storage) -> Called:
    """What all products' expected calls do to one store."""
    fed, not_charged, charged, not_fed = (case.zeros() for _ in range(4))
    into, out = unit.charge_efficiency, 1 / unit.discharge_efficiency
    for term in case.reserves:
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


def _energy(case: Case, units: Sequence[Storage], power: Floats, opening: Floats) -> Iterator[str]:
    """Each step's energy follows from the one before; a net power cannot charge and discharge.

    `power` and `opening` have a row each, shapes (K, T) and (K, 1).
    """
    names, hours = [unit.resource_id for unit in units], case.hours
    planned = np.array([case.schedule.stored_kwh[name] for name in names])
    held = np.hstack([opening, planned[:, :-1]])
    kept = column(u.kept(hours) for u in units)
    charged = hours * column(u.charge_efficiency for u in units) * np.maximum(-power, 0.0)
    drawn = hours / column(u.discharge_efficiency for u in units) * np.maximum(power, 0.0)
    follows, parts = kept * held + charged - drawn, [planned, held, charged, drawn]
    if case.reserves:
        moved = [called(case, unit) for unit in units]
        follows += np.array([one.change_kwh for one in moved])
        parts += [np.array(each) for each in zip(*(one.parts for one in moved), strict=True)]
    off = ~(np.abs(follows - planned) <= slack(*parts))
    floor = np.minimum(
        column(u.min_soc * u.capacity_kwh for u in units),
        opening * kept ** np.arange(1, case.steps + 1),
    )
    for row, unit in enumerate(units):
        if unit.resource_id in case.view.held_kw:
            floor[row] = floor_kwh(case, unit, float(opening[row, 0]))
    full = column(u.capacity_kwh for u in units)
    bad = ~((planned >= floor - slack(floor, planned)) & (planned <= full + slack(full, planned)))
    for row in np.flatnonzero((off | bad).any(axis=1)).tolist():
        if off[row].any():
            step = int(np.argmax(off[row]))
            yield (
                f"{names[row]}: step {step} stores {follows[row, step]:.6f} kWh,"
                f" the plan says {planned[row, step]:.6f}"
            )
        if bad[row].any():
            step = int(np.argmax(bad[row]))
            yield (
                f"{names[row]}: step {step} ends at {planned[row, step]:.6f} kWh, allowed"
                f" {floor[row, step]:.6f} … {full[row, 0]:.6f}"
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
        most = max(most, float(taken[on_day & case.view.in_hand(name)].sum()))
        total = float(taken[on_day].sum())
        if not total <= most + slack(total, most):
            yield f"{name}: max_cycles_per_day: {total:.6f} kWh on {day}, allowed {most:.6f}"
