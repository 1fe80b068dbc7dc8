"""Seeded parks to plan, as plain arrays that any tool can read: nothing here knows our types.

| family | what                                                                          | programme |
|--------|-------------------------------------------------------------------------------|-----------|
| A      | N batteries, N/2 windowed loads, N/4 PV behind N/20 enterprises, each alone    | LP        |
| AC     | A with one import cap over all and a committed schedule that all answer for     | LP        |
| B      | A plus N/5 on/off loads and N/10 electrolysers                                 | MILP      |
| FM     | N batteries and one fixed load behind one connection: what a site scheduler does | LP      |

A day in quarter-hours. Powers are sizes in kW here, energies kWh, prices EUR. What each tool has to
minimise:

    Σ h·(import price·import - export price·export) + peak price·max(import)      each enterprise
    + Σ h·wear·(charge + discharge)                                               each battery
    + start cost·starts                                                           each unit
    + Σ h·penalty·|net import - committed|                                        the portfolio

subject to, in every step,

    import - export = fixed + Σ (charge - discharge) + Σ loads + Σ units - Σ PV,  both limited
    stored = stored before + h·(η·charge - discharge/η), and at the end at least what there was
    a load draws its energy inside its window; a unit too, on with at least its minimum power and
    for its minimum time, or off; PV feeds at most what there is
    net import = Σ (import - export) of all enterprises is at most the cap
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FAMILIES = ("A", "AC", "B", "FM")
STEPS = 96
STEP_HOURS = 0.25
EFFICIENCY = 0.95
"""Each way, of every battery."""
MIN_UP_STEPS = 4
"""Of an on/off load; an electrolyser may stop whenever it likes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Enterprises:
    """Shapes (M,) and (M, T)."""

    import_limit_kw: Floats
    export_limit_kw: Floats
    import_per_kwh: Floats
    export_per_kwh: Floats
    peak_per_kw: Floats
    """Once, for the highest import of the day."""

    fixed_kw: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batteries:
    """Shape (N,) each."""

    of: Ints
    """Which enterprise."""

    capacity_kwh: Floats
    power_kw: Floats
    """Either way."""

    wear_per_kwh: Floats
    """Per kWh charged, and per kWh discharged."""

    initial_kwh: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Loads:
    """Shape (L,) each: any power up to the size, inside the window."""

    of: Ints
    power_kw: Floats
    first: Ints
    end: Ints
    """Exclusive."""

    energy_kwh: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panels:
    """Shapes (P,) and (P, T)."""

    of: Ints
    available_kw: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """Shape (U,) each: loads that are either off or above a minimum, inside their window."""

    of: Ints
    min_kw: Floats
    max_kw: Floats
    first: Ints
    end: Ints
    """Exclusive."""

    energy_kwh: Floats
    min_up: Ints
    """Steps that a start lasts at least."""

    start_cost: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portfolio:
    """Shapes (Q,) and (Q, T): Q is 1 where all enterprises are tied together, 0 where each is alone."""

    import_cap_kw: Floats
    """The most that all of them import, net."""

    committed_kw: Floats
    """The net import that was promised, at most the cap."""

    penalty_per_kwh: Floats
    """For every kWh away from it, either way."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One park and its day."""

    family: str
    portfolio: Portfolio
    enterprises: Enterprises
    batteries: Batteries
    loads: Loads
    panels: Panels
    units: Units

    @property
    def integer(self) -> bool:
        """Whether anything is either on or off."""
        return len(self.units.of) > 0

    def digest(self) -> str:
        """SHA-256 of every byte: the same seed gives the same park."""
        found = hashlib.sha256(self.family.encode())
        groups = (self.enterprises, self.batteries, self.loads, self.panels, self.units)
        for group in (self.portfolio, *groups):
            for field in fields(group):
                found.update(np.ascontiguousarray(getattr(group, field.name)).tobytes())
        return found.hexdigest()


def make_case(family: str, batteries: int, *, seed: int) -> Case:
    """The park of `family` with so many batteries. B and AC are A of the same seed, with more.

    Raises:
        ValueError: There is no such family, or no battery at all.
    """
    if family not in FAMILIES or batteries < 1:
        raise ValueError(f"family {family!r} with {batteries} batteries: use some of {FAMILIES}")
    random = np.random.default_rng([seed, batteries, family == "FM"])
    if family == "FM":
        return _site(random, batteries)
    return _park(random, family, batteries)


def _park(random: Generator, family: str, count: int) -> Case:
    m = max(1, count // 20)
    of = _dealt(count, m)
    batteries = _batteries(random, of, wear_per_kwh=random.uniform(0.005, 0.03, count))
    loads = _loads(random, _dealt(count // 2, m))
    panels = _panels(random, _dealt(count // 4, m))
    wholesale = _wholesale(random)
    fee = random.uniform(0.02, 0.08, m)[:, None]
    peak_per_kw = random.uniform(0.05, 0.2, m)
    fixed_kw = _fixed(random, m)
    units = _units(random, count // 5, count // 10, m) if family == "B" else _no_units()
    limit_kw = (
        fixed_kw.max(axis=1)
        + 0.75 * np.bincount(loads.of, loads.power_kw, m)
        + 0.75 * np.bincount(units.of, units.max_kw, m)
        + 0.3 * np.bincount(of, batteries.power_kw, m)
    )
    enterprises = Enterprises(
        import_limit_kw=limit_kw,
        export_limit_kw=limit_kw,
        import_per_kwh=wholesale + fee,
        export_per_kwh=np.tile(np.maximum(0.9 * wholesale - 0.01, 0.005), (m, 1)),
        peak_per_kw=peak_per_kw,
        fixed_kw=fixed_kw,
    )
    park = Case(
        family=family,
        portfolio=_untied(),
        enterprises=enterprises,
        batteries=batteries,
        loads=loads,
        panels=panels,
        units=units,
    )
    if family != "AC":
        return park
    return replace(park, portfolio=_tied(random, park, wholesale))


def _site(random: Generator, count: int) -> Case:
    """One connection with nothing but batteries and a load: no wear, no peak, no PV."""
    of = np.zeros(count, dtype=np.int64)
    batteries = _batteries(random, of, wear_per_kwh=np.zeros(count))
    wholesale = _wholesale(random)
    fixed_kw = _fixed(random, 1)
    limit_kw = fixed_kw.max(axis=1) + 0.3 * batteries.power_kw.sum()
    enterprises = Enterprises(
        import_limit_kw=limit_kw,
        export_limit_kw=limit_kw,
        import_per_kwh=wholesale[None, :] + random.uniform(0.02, 0.08),
        export_per_kwh=np.maximum(0.9 * wholesale - 0.01, 0.005)[None, :],
        peak_per_kw=np.zeros(1),
        fixed_kw=fixed_kw,
    )
    return Case(
        family="FM",
        portfolio=_untied(),
        enterprises=enterprises,
        batteries=batteries,
        loads=_loads(random, np.zeros(0, dtype=np.int64)),
        panels=_panels(random, np.zeros(0, dtype=np.int64)),
        units=_no_units(),
    )


def _dealt(count: int, enterprises: int) -> Ints:
    """Whose each resource is, dealt round."""
    return np.arange(count, dtype=np.int64) % enterprises


def _batteries(random: Generator, of: Ints, *, wear_per_kwh: Floats) -> Batteries:
    capacity_kwh = random.uniform(50, 500, len(of))
    return Batteries(
        of=of,
        capacity_kwh=capacity_kwh,
        power_kw=np.clip(capacity_kwh * random.uniform(0.25, 1.0, len(of)), 25, 250),
        wear_per_kwh=wear_per_kwh,
        initial_kwh=0.5 * capacity_kwh,
    )


def _loads(random: Generator, of: Ints) -> Loads:
    power_kw = random.uniform(10, 100, len(of))
    first, end = _windows(random, len(of), latest_end=STEPS)
    share = random.uniform(0.2, 0.7, len(of))
    energy_kwh = share * (end - first) * STEP_HOURS * power_kw
    return Loads(of=of, power_kw=power_kw, first=first, end=end, energy_kwh=energy_kwh)


def _windows(random: Generator, count: int, *, latest_end: int) -> tuple[Ints, Ints]:
    """First and last (exclusive) step of windows of 3 to 12 hours."""
    length = random.integers(12, 49, count)
    first = random.integers(0, latest_end - length + 1)
    return first, first + length


def _panels(random: Generator, of: Ints) -> Panels:
    hour = np.arange(STEPS) * STEP_HOURS
    sun = np.clip(np.sin(np.pi * (hour - 6) / 12), 0.0, None) * ((hour >= 6) & (hour <= 18))
    size_kw = random.uniform(50, 400, len(of))
    clouds = random.uniform(0.7, 1.0, (len(of), STEPS))
    return Panels(of=of, available_kw=size_kw[:, None] * sun * clouds)


def _wholesale(random: Generator) -> Floats:
    """EUR/kWh, shape (T,): a morning and a higher evening peak, a dent at noon."""
    hour = np.arange(STEPS) * STEP_HOURS
    return (
        0.12
        + 0.06 * np.exp(-(((hour - 8) / 2) ** 2))
        + 0.12 * np.exp(-(((hour - 19) / 2) ** 2))
        - 0.07 * np.exp(-(((hour - 13) / 3) ** 2))
        + random.normal(0.0, 0.006, STEPS)
    )


def _fixed(random: Generator, enterprises: int) -> Floats:
    """kW, shape (M, T): two humps a day."""
    hour = np.arange(STEPS) * STEP_HOURS
    shape = (
        0.4 + 0.5 * np.exp(-(((hour - 10) / 3) ** 2)) + 0.4 * np.exp(-(((hour - 18) / 2.5) ** 2))
    )
    size_kw = random.uniform(200, 1500, (enterprises, 1))
    noise: Floats = random.uniform(0.9, 1.1, (enterprises, STEPS))
    size: Floats = size_kw * shape * noise
    return size


def _units(random: Generator, on_off: int, electrolysers: int, enterprises: int) -> Units:
    """On/off loads within windows that leave room for a whole start, then electrolysers all day."""
    max_kw = np.append(random.uniform(20, 150, on_off), random.uniform(100, 400, electrolysers))
    first, end = _windows(random, on_off, latest_end=STEPS - MIN_UP_STEPS)
    first = np.append(first, np.zeros(electrolysers, dtype=np.int64))
    end = np.append(end, np.full(electrolysers, STEPS))
    share = np.append(random.uniform(0.2, 0.7, on_off), random.uniform(0.3, 0.6, electrolysers))
    least = np.append(random.uniform(0.3, 0.5, on_off), random.uniform(0.15, 0.3, electrolysers))
    of = np.append(_dealt(on_off, enterprises), _dealt(electrolysers, enterprises))
    return Units(
        of=of,
        min_kw=least * max_kw,
        max_kw=max_kw,
        first=first,
        end=end,
        energy_kwh=share * (end - first) * STEP_HOURS * max_kw,
        min_up=np.repeat([MIN_UP_STEPS, 1], [on_off, electrolysers]),
        start_cost=np.append(random.uniform(0.5, 5.0, on_off), np.zeros(electrolysers)),
    )


def _tied(random: Generator, park: Case, wholesale: Floats) -> Portfolio:
    """A schedule by the hour as a trader commits it: expected loads, less PV, batteries with the price.

    The cap cuts what cheap hours draw: above the fixed loads it leaves a fifth of the others.
    """
    loads, fixed_kw = park.loads, park.enterprises.fixed_kw.sum(axis=0)
    spread_kw = loads.energy_kwh / ((loads.end - loads.first) * STEP_HOURS)
    cheap = np.clip((wholesale.mean() - wholesale) / wholesale.std(), -1.0, 1.0)
    expected_kw = (
        fixed_kw
        + spread_kw @ windows(loads.first, loads.end).astype(float)
        - 0.9 * park.panels.available_kw.sum(axis=0)
        + 0.5 * park.batteries.power_kw.sum() * cheap
    )
    hourly_kw = expected_kw.reshape(-1, 4).mean(axis=1) * random.uniform(0.9, 1.1, STEPS // 4)
    cap_kw = fixed_kw.max() + 0.2 * loads.power_kw.sum()
    return Portfolio(
        import_cap_kw=np.array([cap_kw]),
        committed_kw=np.minimum(np.repeat(hourly_kw, 4), cap_kw)[None, :],
        penalty_per_kwh=np.array([0.05]),
    )


def _untied() -> Portfolio:
    return Portfolio(
        import_cap_kw=np.zeros(0), committed_kw=np.zeros((0, STEPS)), penalty_per_kwh=np.zeros(0)
    )


def _no_units() -> Units:
    return _units(np.random.default_rng(0), 0, 0, 1)


def parted(case: Case) -> list[Case]:
    """Each enterprise as a case of its own, in order; no portfolio ties them."""
    count = len(case.enterprises.peak_per_kw)
    shares = zip(
        _shared_out(case.batteries, count),
        _shared_out(case.loads, count),
        _shared_out(case.panels, count),
        _shared_out(case.units, count),
        strict=True,
    )
    return [
        Case(
            family=case.family,
            portfolio=_untied(),
            enterprises=_some(case.enterprises, np.array([enterprise])),
            batteries=batteries,
            loads=loads,
            panels=panels,
            units=units,
        )
        for enterprise, (batteries, loads, panels, units) in enumerate(shares)
    ]


Group = TypeVar("Group", Enterprises, Batteries, Loads, Panels, Units)
Owned = TypeVar("Owned", Batteries, Loads, Panels, Units)


def _shared_out(group: Owned, enterprises: int) -> Iterator[Owned]:
    """What each enterprise has of it, as the only one there is."""
    order = np.argsort(group.of, kind="stable")
    cuts = np.searchsorted(group.of[order], np.arange(1, enterprises))
    for own in np.split(order, cuts):
        yield replace(_some(group, own), of=np.zeros(len(own), dtype=np.int64))


def _some(group: Group, index: Ints) -> Group:
    return replace(group, **{one.name: getattr(group, one.name)[index] for one in fields(group)})


def windows(first: Ints, end: Ints) -> NDArray[np.bool_]:
    """Which steps lie inside each window, shape (len(first), T)."""
    steps = np.arange(STEPS)
    return (steps >= first[:, None]) & (steps < end[:, None])


def members(of: Ints, enterprises: int) -> Iterator[Ints]:
    """The resources of each enterprise, by index."""
    for enterprise in range(enterprises):
        yield np.flatnonzero(of == enterprise)
