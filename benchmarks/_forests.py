"""Random forests of buses, of all kinds at once: what the fleet solver is tried on against HiGHS.

`random_forest` always has a solution: what a bus lacks or has too much is bought or spilled there at a
price, a zone may be too cold or too warm, and nobody asks for more than fits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator as Dice
from numpy.typing import NDArray

from vpp.plan.fleet.forest import (
    ROOT,
    Budgets,
    Buses,
    DayLimits,
    Forest,
    Parts,
    Peaks,
    SoftLevels,
    Stores,
    Tapers,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEP_HOURS = 0.25
LACK_PER_KW_STEP = 5 * STEP_HOURS
"""What a kW in a step costs that a bus lacks, or has too much."""


def random_forest(seed: int, *, trees: int = 3, levels: int = 1, steps: int = 0) -> Forest:
    """Trees of `levels` storeys with all kinds of things on their buses; steps 0: 2 to 30 of them.

    Two of five have stores that taper.
    """
    dice = np.random.default_rng([seed, trees, levels])
    steps = steps or int(dice.integers(2, 31))
    parent = _trees(dice, trees, levels)
    buses = len(parent)
    stores = _weathered(seed, _stores(dice, _spread(dice, buses, 3), steps))
    price = dice.uniform(-0.02, 0.3, steps) * STEP_HOURS
    parts, counts = _parts(dice, parent, price, steps)
    forest = Forest(
        steps=steps,
        buses=Buses(parent=parent, load_kw=dice.uniform(-50, 300, (buses, steps))),
        stores=stores,
        soft=_soft(dice, stores),
        budgets=_budgets(dice, _spread(dice, buses, 2), steps),
        parts=parts,
        peaks=_peaks(dice, _spread(dice, buses, 1), steps, counts),
        day_limits=_day_limits(dice, stores, steps),
        tapers=Tapers.none(steps),
    )
    if seed % 5 > 1:
        return forest
    return replace(forest, tapers=_tapers(seed, forest))


def _trees(dice: Dice, trees: int, levels: int) -> Ints:
    """Parents; the buses stand in any order."""
    parent: list[int] = [ROOT] * trees
    storey = list(range(trees))
    for _ in range(levels - 1):
        below = []
        for bus in storey:
            for _ in range(int(dice.integers(1, 4))):
                below.append(len(parent))
                parent.append(bus)
        storey = below
    place = dice.permutation(len(parent))
    shuffled = np.full(len(parent), ROOT)
    for bus, above in enumerate(parent):
        shuffled[place[bus]] = ROOT if above == ROOT else place[above]
    return shuffled.astype(np.int64)


def _spread(dice: Dice, buses: int, most: int) -> Ints:
    """The bus of each thing, 0 to `most` on each."""
    return np.repeat(np.arange(buses), dice.integers(0, most + 1, buses))


def _stores(dice: Dice, bus: Ints, steps: int) -> Stores:
    """Batteries that lose a little or nothing, half of them away at times; a third only takes."""
    n = len(bus)
    efficiency = dice.uniform(0.85, 1.0, n)
    size_kwh = dice.uniform(20, 400, n)
    power_kw = size_kwh * dice.uniform(0.2, 1.2, n)
    keep = np.where(dice.random(n) < 0.5, 1.0, dice.uniform(0.9, 0.999, n))
    here = (dice.random((n, 1)) < 0.5) | (dice.random((n, steps)) < 0.8)
    given = np.zeros((n, steps))
    given[:, 0] = keep * size_kwh * dice.uniform(0, 1, n)
    wear = (STEP_HOURS * dice.uniform(0.0, 0.03, n))[:, None]
    return Stores(
        bus=bus,
        keep=keep,
        gain=np.broadcast_to(efficiency[:, None] * STEP_HOURS, (n, steps)),
        loss=STEP_HOURS / efficiency,
        given=given,
        into_most=power_kw[:, None] * here,
        into_cost=np.broadcast_to(wear, (n, steps)),
        out_most=power_kw[:, None] * here * (dice.random((n, 1)) < 0.7),
        out_cost=np.broadcast_to(wear, (n, steps)),
        level_least=np.zeros((n, steps)),
        level_most=np.broadcast_to(size_kwh[:, None], (n, steps)),
        level_cost=_last(-dice.uniform(0.0, 0.1, n), steps),
    )


def _weathered(seed: int, stores: Stores) -> Stores:
    """In every other forest some stores take in more or less of a kW as the weather has it."""
    if seed % 2:
        return stores
    dice = np.random.default_rng([seed, 2])
    alike = dice.random((len(stores.bus), 1)) < 0.6
    return replace(
        stores,
        gain=stores.gain * np.where(alike, 1.0, dice.uniform(0.4, 1.0, stores.gain.shape)),
    )


def _tapers(seed: int, forest: Forest) -> Tapers:
    """Some stores fill ever slower the fuller they are, some empty ever slower."""
    stores, soft = forest.stores, forest.soft
    dice = np.random.default_rng([seed, 3])
    n = len(stores.bus)
    least, most = stores.level_least.copy(), stores.level_most.copy()
    np.add.at(least, soft.store, soft.least)
    np.add.at(most, soft.store, soft.most)
    store, way = np.nonzero(dice.random((n, 2)) < 0.6)
    empties = way == 1
    falls_over = dice.uniform(0.1, 0.9, (len(store), 1)) * (most - least)[store]
    power = np.where(empties[:, None], stores.out_most[store], stores.into_most[store])
    on = (dice.random(power.shape) < 0.9) & (power > 0)
    on[:, :1] = False
    end = np.where(empties[:, None], least[store], most[store])[:, :-1]
    steep = np.where(on, np.where(empties[:, None], -1.0, 1.0) * power / falls_over, 0.0)
    room = np.zeros(power.shape)
    room[:, 1:] = steep[:, 1:] * end
    return Tapers(store=store, empties=empties, on=on, steep=steep, most=room)


def _last(values: Floats, steps: int) -> Floats:
    found = np.zeros((len(values), steps))
    found[:, -1] = values
    return found


def _soft(dice: Dice, stores: Stores) -> SoftLevels:
    """A few stores that may be fuller or emptier than they should, at two prices."""
    store = np.flatnonzero(dice.random(len(stores.bus)) < 0.4).repeat(2)
    shape = (len(store), stores.given.shape[1])
    over = np.arange(len(store)) % 2 == 0
    size = stores.level_most[store]
    price = dice.uniform(0.05, 0.5, (len(store), 1))
    return SoftLevels(
        store=store,
        least=np.where(over[:, None], 0.0, -0.1 * size),
        most=np.where(over[:, None], 0.2 * size, 0.0),
        cost=np.broadcast_to(np.where(over[:, None], price, -price), shape),
    )


def _budgets(dice: Dice, bus: Ints, steps: int) -> Budgets:
    """Windows, some of which may be left short of, or be given a little more than they ask."""
    n = len(bus)
    first = dice.integers(0, steps, n)
    end = first + 1 + (dice.random(n) * (steps - first)).astype(np.int64)
    end = np.minimum(end, steps)
    inside = (first[:, None] <= np.arange(steps)) & (np.arange(steps) < end[:, None])
    draw_most = dice.uniform(5, 100, (n, 1)) * inside
    weight = STEP_HOURS * dice.uniform(0.85, 1.0, n)
    fits = weight * draw_most.sum(axis=1)
    asked = fits * dice.uniform(0.1, 0.9, n)
    return Budgets(
        bus=bus,
        first=first,
        end=end,
        weight=weight,
        asked=asked,
        lacking_most=np.where(dice.random(n) < 0.5, asked, 0.0),
        lacking_cost=dice.uniform(0.05, 1.0, n),
        spare_most=np.where(dice.random(n) < 0.3, 0.1 * asked, 0.0),
        draw_most=draw_most,
        draw_cost=STEP_HOURS * dice.uniform(-0.05, 0.05, (n, steps)),
    )


def _parts(dice: Dice, parent: Ints, price: Floats, steps: int) -> tuple[Parts, NDArray[np.bool_]]:
    """Import, export, sun, a heat pump's like, and what lacks or is too much, on every bus."""
    root = parent == ROOT
    pays = np.where(root[:, None], price, 0.0)
    fee = STEP_HOURS * dice.uniform(0.005, 0.08, (len(parent), 1))
    cop = dice.uniform(2.0, 4.0, (len(parent), 1)) * np.ones(steps)
    one, none = np.ones((len(parent), steps)), np.zeros((len(parent), steps))
    size = dice.uniform(100, 600, (len(parent), 1)) * one
    sun = dice.uniform(0, 100, (len(parent), steps)) * (dice.random((len(parent), 1)) < 0.5)
    tied = np.where(root, 0.0, 1.0)[:, None] * one
    heats = (tied > 0) & (dice.random((len(parent), 1)) < 0.3)
    # here, up, most, cost
    kinds = (
        (one, -tied, size, pays + fee),
        (-one, tied, size, -0.9 * pays + 0.1 * fee),
        (one, none, sun, none),
        (cop, -tied, np.where(heats, 50.0, 0.0), none),
        (one, none, 1e4 * one, none + LACK_PER_KW_STEP),
        (-one, none, 1e4 * one, none + LACK_PER_KW_STEP),
    )
    here, up, most, cost = (
        np.stack([kind[i] for kind in kinds], axis=1).reshape(-1, steps) for i in range(4)
    )
    parts = Parts(
        bus=np.arange(len(parent)).repeat(len(kinds)),
        here=here,
        up=up,
        least=np.zeros(here.shape),
        most=most,
        cost=cost,
    )
    return parts, np.tile(np.arange(len(kinds)) == 0, len(parent))


def _peaks(dice: Dice, bus: Ints, steps: int, counts: NDArray[np.bool_]) -> Peaks:
    """Means of one step or of two, of which some do not count; what was paid for already is free."""
    n = len(bus)
    long = dice.integers(1, 3, (n, 1))
    interval = np.arange(steps) // long
    counted = dice.random((n, steps)) < 0.9
    intervals = np.arange(steps) < -(-steps // long)
    free_kw = dice.uniform(0, 200, (n, 1))
    return Peaks(
        bus=bus,
        cost=dice.uniform(0.05, 0.5, n),
        most=np.full(n, 1e4),
        interval=np.where(counted, interval, -1),
        share=np.where(counted, 1.0 / long, 0.0),
        least=np.where(intervals, -free_kw, -np.inf),
        counts=counts,
    )


def _day_limits(dice: Dice, stores: Stores, steps: int) -> DayLimits:
    """What some stores may give out in either half of the horizon."""
    store = np.flatnonzero(dice.random(len(stores.bus)) < 0.4).repeat(2)
    second = np.arange(len(store)) % 2
    half = (steps + 1) // 2
    return DayLimits(
        store=store,
        first=second * half,
        end=np.where(second == 1, steps, half),
        most=stores.level_most[store, 0] * dice.uniform(0.05, 1.0, len(store)),
    )


def harsh_forest(seed: int, *, enterprises: int = 1, tied: bool = False, steps: int = 96) -> Forest:
    """What a site may well be like, and solvers stumble over; about every seventh has no solution.

    Three in ten units are dead, batteries are a thousand times as large as others or a ten-thousandth, full
    or empty to the brim, loads must run flat out; nothing is priced, or import and export alike, or below
    nothing; connections are short, or wide enough to burn
    what is paid for. Twenty batteries, ten loads and five roofs an enterprise; `tied`: all
    behind one portfolio with a promise and a cap.
    """
    dice = np.random.default_rng([seed, enterprises, tied, 1])
    wholesale = STEP_HOURS * dice.uniform(0.02, 0.3, steps)
    if dice.random() < 0.4:
        wholesale[steps // 3 : 2 * steps // 3] -= STEP_HOURS * dice.uniform(0.2, 0.4)
    parent = np.full(enterprises + tied, enterprises if tied else ROOT)
    if tied:
        parent[-1] = ROOT
    stores = _harsh_stores(dice, np.repeat(np.arange(enterprises), 20), steps)
    budgets = _harsh_budgets(dice, np.repeat(np.arange(enterprises), 10), steps)
    load = dice.uniform(50, 400, (enterprises, 1)) * dice.uniform(0.3, 1.0, (enterprises, steps))
    parts, counts, limit = _harsh_parts(dice, load, budgets, wholesale, tied)
    priced = np.flatnonzero(dice.random(enterprises) < 0.8)
    promised = np.zeros((0, steps))
    if tied:
        promised = -dice.uniform(0.3, 1.0) * load.sum(axis=0)[None, :]
    return Forest(
        steps=steps,
        buses=Buses(parent=parent, load_kw=np.concatenate([load, promised])),
        stores=stores,
        soft=SoftLevels(
            store=np.zeros(0, dtype=np.int64),
            least=np.zeros((0, steps)),
            most=np.zeros((0, steps)),
            cost=np.zeros((0, steps)),
        ),
        budgets=budgets,
        parts=parts,
        peaks=Peaks(
            bus=priced,
            cost=dice.uniform(0.05, 0.5, len(priced)),
            most=limit[priced],
            interval=np.broadcast_to(np.arange(steps), (len(priced), steps)),
            share=np.ones((len(priced), steps)),
            least=np.zeros((len(priced), steps)),
            counts=counts,
        ),
        day_limits=DayLimits(
            store=np.zeros(0, dtype=np.int64),
            first=np.zeros(0, dtype=np.int64),
            end=np.zeros(0, dtype=np.int64),
            most=np.zeros(0),
        ),
        tapers=Tapers.none(steps),
    )


def _harsh_stores(dice: Dice, bus: Ints, steps: int) -> Stores:
    n = len(bus)
    size_kwh = dice.uniform(50, 500, n) * dice.choice([1.0, 1e3, 1e-4], n, p=[0.8, 0.1, 0.1])
    power_kw = dice.uniform(0.25, 1.0, n) * np.minimum(size_kwh, 500.0)
    dead = dice.random(n)
    power_kw[dead < 0.15] = 0.0
    size_kwh[(dead >= 0.15) & (dead < 0.3)] = 0.0
    full = dice.choice([0.0, 0.5, 1.0], n) * size_kwh
    given, least = np.zeros((n, steps)), np.zeros((n, steps))
    given[:, 0], least[:, -1] = full, full
    wear = STEP_HOURS * (0.003 if dice.random() < 0.5 else 0.0)
    efficiency = dice.choice([0.85, 0.9, 1.0], n)
    power = np.broadcast_to(power_kw[:, None], (n, steps))
    return Stores(
        bus=bus,
        keep=np.ones(n),
        gain=np.broadcast_to(STEP_HOURS * efficiency[:, None], (n, steps)),
        loss=STEP_HOURS / efficiency,
        given=given,
        into_most=power,
        into_cost=np.full((n, steps), wear),
        out_most=power,
        out_cost=np.full((n, steps), wear),
        level_least=least,
        level_most=np.broadcast_to(size_kwh[:, None], (n, steps)),
        level_cost=np.zeros((n, steps)),
    )


def _harsh_budgets(dice: Dice, bus: Ints, steps: int) -> Budgets:
    """A tenth must run flat out, a tenth must not run, a few ask more than fits."""
    n = len(bus)
    length = dice.integers(1, max(steps // 2, 2), n)
    first = dice.integers(0, steps - length + 1)
    inside = (first[:, None] <= np.arange(steps)) & (np.arange(steps) < (first + length)[:, None])
    power_kw = dice.uniform(10, 100, n) * (dice.random(n) > 0.15)
    share = dice.uniform(0.2, 0.9, n)
    kind = dice.random(n)
    share[kind < 0.1] = 1.0
    share[(kind >= 0.1) & (kind < 0.2)] = 0.0
    share[kind > 0.996] = 1.1
    return Budgets(
        bus=bus,
        first=first,
        end=first + length,
        weight=np.full(n, STEP_HOURS),
        asked=STEP_HOURS * share * power_kw * length,
        lacking_most=np.zeros(n),
        lacking_cost=np.zeros(n),
        spare_most=np.zeros(n),
        draw_most=power_kw[:, None] * inside,
        draw_cost=np.zeros((n, steps)),
    )


def _harsh_parts(
    dice: Dice, load: Floats, budgets: Budgets, wholesale: Floats, tied: bool
) -> tuple[Parts, NDArray[np.bool_], Floats]:
    """Import, export and five roofs an enterprise, over and under the promise; and the import limits."""
    m, steps = load.shape
    loads = np.bincount(budgets.bus, budgets.draw_most.max(axis=1), m)
    limit = dice.uniform(0.5, 0.85, m) * (load.max(axis=1) + 0.3 * loads)
    limit *= dice.choice([1.0, 3.0], m)
    fee = STEP_HOURS * (0.0 if dice.random() < 0.3 else 0.05)
    hours = np.maximum(np.sin(2 * np.pi * np.arange(steps) / steps), 0.0)
    sun = dice.uniform(20, 80, (m, 5, 1)) * hours * (dice.random((m, 5, 1)) > 0.3)
    up = 1.0 if tied else 0.0
    bus, sign, above, most, cost = [], [], [], [], []
    for i in range(m):
        bus += [i] * 7
        sign += [1.0, -1.0] + [1.0] * 5
        above += [-up, up] + [0.0] * 5
        most += [np.full((2, steps), limit[i]), sun[i]]
        cost += [(wholesale + fee)[None], -wholesale[None], np.zeros((5, steps))]
    if tied:
        bus += [m, m]
        sign += [1.0, -1.0]
        above += [0.0, 0.0]
        most += [np.full((2, steps), 2 * limit.sum())]
        cost += [np.full((2, steps), STEP_HOURS * 0.1)]
    shape = (len(bus), steps)
    parts = Parts(
        bus=np.array(bus),
        here=np.broadcast_to(np.array(sign)[:, None], shape),
        up=np.broadcast_to(np.array(above)[:, None], shape),
        least=np.zeros(shape),
        most=np.concatenate(most),
        cost=np.concatenate(cost),
    )
    counts = np.zeros(len(bus), dtype=bool)
    counts[: 7 * m : 7] = True
    return parts, counts, limit
