"""What hangs on which bus, and the forest that comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.plan.fleet.fitting.chains import Chains, ChainValues, in_one, stacked
from vpp.plan.fleet.fitting.counting import (
    Days,
    PaidPeaks,
    Tapering,
    Windows,
    days_of,
    peaks_of,
    tapers_of,
    windows_of,
)
from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools, Ledger, Role, RowKind, SomeInts
from vpp.plan.fleet.fitting.places import Places
from vpp.plan.fleet.fitting.reach import Reach, reach_of, signs_of
from vpp.plan.fleet.fitting.sides import Sides
from vpp.plan.fleet.fitting.stairs import Stairs, stairs_of
from vpp.plan.fleet.fitting.ways import PartTable, joined, plain_parts, ways_of
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
from vpp.plan.fleet.sums import slices
from vpp.plan.programme import Ints

Strange = tuple[Ints, Ints]
"""Rows and columns that fit nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hanging:
    """The forest, and what its arrays are in the programme."""

    forest: Forest
    bus: Ints
    """The forest's bus of each of the places' buses; -1 where it has none. Shape (places,)."""

    park_of: Ints
    """The bus of each car park that has one of its own, -1 elsewhere; shape (car parks,)."""

    stores: Ints
    """The chain of each of the forest's stores."""

    windows: Windows
    window_order: Ints
    """The window of each of the forest's budgets."""

    parts: PartTable
    peaks: PaidPeaks
    peak_order: Ints
    days: Days
    day_order: Ints
    tapering: Tapering
    taper_order: Ints
    levels: Stairs
    """Owner: chain · T + step."""

    nets: Stairs
    """Owner: bus · T + step, by the places' buses."""


_NONE = np.zeros(0, dtype=np.int64)


def hang(
    ledger: Ledger, sides: Sides, places: Places, chains: Chains, values: ChainValues
) -> Hanging | Strange:
    """The forest of a ledger whose rows were all recognised; or what is strange still."""
    balances, steps = ledger.programme.balance.shape
    market = balances if len(ledger.programme.fleet.market.rows) else NOWHERE
    meets = _meets(ledger, places, balances)
    park_of = _car_parks(ledger, sides, places, meets.bus)
    peaks = peaks_of(ledger, sides, steps)
    if isinstance(peaks, PaidPeaks):
        peaks = replace(peaks, bus=_one_a_bus(places, peaks.bus))
    _cap(ledger, sides)
    reach = reach_of(ledger, places, balances, market)
    windows = windows_of(ledger, sides, meets.bus, meets.feeds, steps)
    days = days_of(ledger, sides, chains, values)
    tapering = (
        days if isinstance(days, np.ndarray) else tapers_of(ledger, sides, chains, values, days)
    )
    strange = [one for one in (windows, peaks, days, tapering) if isinstance(one, np.ndarray)]
    store_bus, homeless = _store_buses(ledger, chains, meets)
    del meets
    strange += [chains.rows[homeless, 0]] if len(homeless) else []
    if strange:
        return np.concatenate(strange), _NONE
    assert not isinstance(windows, np.ndarray)
    assert not isinstance(peaks, np.ndarray)
    assert not isinstance(days, np.ndarray)
    assert not isinstance(tapering, np.ndarray)
    taken = ledger.role != Role.PLAIN
    taken[windows.columns[windows.columns >= 0]] = True
    parts = plain_parts(ledger, sides, places, signs_of(places, balances), taken, values.guests)
    if isinstance(parts, np.ndarray):
        return _NONE, parts
    nets = _net_stairs(ledger, sides, places, steps)
    levels = _level_stairs(ledger, sides, steps)
    with_ways = _with_ways(ledger, places, balances, market)
    table = joined(
        [
            ways_of(ledger, places, with_ways, nets, reach),
            parts,
            _park_links(ledger, places, park_of, reach),
        ]
    )
    used = np.unique(np.concatenate([table.bus, store_bus[store_bus >= 0], windows.bus, peaks.bus]))
    above = {places.parent[bus] for bus in used.tolist()} - {ROOT}
    assert above <= set(used.tolist()) | {market}
    used = np.unique(np.concatenate([used, np.array(sorted(above), dtype=np.int64)]))
    number = np.full(len(places.parent), NOWHERE, dtype=np.int64)
    number[used] = np.arange(len(used))
    active = np.flatnonzero(store_bus >= 0)
    stores = active[np.argsort(store_bus[active], kind="stable")]
    window_order = np.argsort(windows.bus, kind="stable")
    peak_order = np.argsort(peaks.bus, kind="stable")
    store_number = np.full(len(store_bus), NOWHERE, dtype=np.int64)
    store_number[stores] = np.arange(len(stores))
    day_order = np.argsort(store_number[days.store], kind="stable")
    taper_order = np.argsort(store_number[tapering.store], kind="stable")
    forest = Forest(
        steps=steps,
        buses=Buses(
            parent=np.array(
                [
                    ROOT if places.parent[b] == ROOT else number[places.parent[b]]
                    for b in used.tolist()
                ],
                dtype=np.int64,
            ),
            load_kw=reach.load_kw[used],
        ),
        stores=(made := _stores(ledger, chains, values, stores, number[store_bus[stores]], levels))[
            0
        ],
        soft=made[1],
        budgets=_budgets(ledger, windows, window_order, number),
        parts=Parts(
            bus=number[table.bus],
            here=table.here,
            up=table.up,
            least=table.least,
            most=table.most,
            cost=table.cost,
        ),
        peaks=_peaks(ledger, sides, peaks, peak_order, number, table, reach),
        day_limits=_days(days, day_order, store_number),
        tapers=_tapers(tapering, taper_order, store_number),
    )
    return Hanging(
        forest=forest,
        bus=number,
        park_of=park_of,
        stores=stores,
        windows=windows,
        window_order=window_order,
        parts=table,
        peaks=peaks,
        peak_order=peak_order,
        days=days,
        day_order=day_order,
        tapering=tapering,
        taper_order=taper_order,
        levels=levels,
        nets=nets,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Meets:
    """What each column meets first of the balances, shape (columns,)."""

    bus: NDArray[np.int32]
    """-1 where it meets none."""

    feeds: NDArray[np.int8]
    """1 and -1 where a unit of it feeds or draws as much, else 0."""

    several: Bools
    """Whether it meets more than one."""


def _meets(ledger: Ledger, places: Places, balances: int) -> Meets:
    count = len(ledger.role)
    bus = np.full(count, NOWHERE, dtype=np.int32)
    feeds, several = np.zeros(count, dtype=np.int8), np.zeros(count, dtype=bool)
    sign = signs_of(places, balances)
    place = np.empty(count, dtype=np.int32)
    for row, column, value in ledger.chunks(ledger.of_kind(RowKind.BUS)):
        number = np.arange(len(column), dtype=np.int32)
        place[column] = number
        several[column[place[column] != number]] = True
        new = bus[column] == NOWHERE
        if not new.all():
            several[column[~new]] = True
            row, column, value = row[new], column[new], value[new]
        fed = sign[ledger.bus[row]] * value
        # Of two in one chunk the first stays: they are written from behind.
        bus[column[::-1]] = ledger.bus[row][::-1]
        feeds[column[::-1]] = ((fed == 1.0).view(np.int8) - (fed == -1.0).view(np.int8))[::-1]
    return Meets(bus=bus, feeds=feeds, several=several)


def _one_a_bus(places: Places, bus: Ints) -> Ints:
    """The bus of each peak, where no two share one: each further peak of a point has a bus above it.

    What flows through such a bus is what the point imports and exports, for nothing.
    """
    own = bus.copy()
    order = np.argsort(bus, kind="stable")
    further = order[1:][bus[order[1:]] == bus[order[:-1]]]
    for peak in further.tolist():
        point = int(bus[peak])
        own[peak] = len(places.parent)
        places.parent.append(places.parent[point])
        places.parent[point] = len(places.parent) - 1
        places.groups[len(places.parent) - 1] = np.array([point])
    return own


def _car_parks(ledger: Ledger, sides: Sides, places: Places, bus_of: SomeInts) -> Ints:
    """Give every car park that may be short of room a bus, and move its cars there."""
    park_of = np.full(len(ledger.programme.fleet.cars.fleets), NOWHERE, dtype=np.int64)
    short = np.unique(ledger.bus[sides.room])
    row, column, _ = ledger.entries(ledger.of_kind(RowKind.ROOM))
    of = ledger.bus[row]
    order = np.argsort(of, kind="stable")
    begins, ends = (np.searchsorted(of[order], short, side) for side in ("left", "right"))
    for number, park in enumerate(short.tolist()):
        mine = column[order[begins[number] : ends[number]]]
        park_of[park] = len(places.parent)
        places.parent.append(int(bus_of[mine[0]]))
        bus_of[mine] = park_of[park]
    return park_of


def _store_buses(ledger: Ledger, chains: Chains, meets: Meets) -> tuple[Ints, Ints]:
    """The bus of each chain that moves, shape (n,), -1 elsewhere; and which move and have none."""
    count, steps = chains.rows.shape
    bus = np.full(count, NOWHERE, dtype=np.int64)
    wrong = np.zeros(count, dtype=bool)
    for some in slices(count, steps):
        found = []
        for columns, feeds in ((chains.into[some], -1), (chains.out[some], 1)):
            free = (columns >= 0) & ledger.free[columns]
            bad = (meets.feeds[columns] != feeds) | meets.several[columns]
            bad |= ledger.lower[columns] != 0
            wrong[some] |= (bad & free).any(axis=1)
            found.append(np.where(free, meets.bus[columns], NOWHERE))
        met = np.hstack(found)
        bus[some] = met.max(axis=1, initial=NOWHERE)
        wrong[some] |= ((met != bus[some, None]) & (met != NOWHERE)).any(axis=1)
    moves = ledger.used[chains.rows].any(axis=1)
    homeless = np.flatnonzero(moves & ((bus == NOWHERE) | wrong))
    bus[~moves] = NOWHERE
    return bus, homeless


def _net_stairs(ledger: Ledger, sides: Sides, places: Places, steps: int) -> Stairs:
    row, column, _ = ledger.aside
    at = sides.limit[row] & (ledger.role[column] == Role.EXPORT)
    step = np.zeros(len(ledger.kind), dtype=np.int64)
    step[row[at]] = ledger.step[column[at]]
    return stairs_of(sides.slacks, sides.limit, places.limit_bus * steps + step, ledger)


def _level_stairs(ledger: Ledger, sides: Sides, steps: int) -> Stairs:
    row, column, _ = ledger.aside
    at = sides.level[row] & (ledger.role[column] == Role.LEVEL)
    owner = np.zeros(len(ledger.kind), dtype=np.int64)
    column = column[at]
    owner[row[at]] = ledger.place[column].astype(np.int64) * steps + ledger.step[column]
    return stairs_of(sides.slacks, sides.level, owner, ledger)


def _with_ways(ledger: Ledger, places: Places, balances: int, market: int) -> Ints:
    """Buses that have an import and an export: points that move, and groups of points."""
    imports = ledger.programme.fleet.points.imports
    points = np.flatnonzero(ledger.free[imports].any(axis=1))
    groups = [bus for bus in places.groups if bus != market]
    return np.concatenate([points, np.array(groups, dtype=np.int64)])


def _park_links(ledger: Ledger, places: Places, park_of: Ints, reach: Reach) -> PartTable:
    """What car parks of their own draw from their connection points, at most their room."""
    steps = reach.load_kw.shape[1]
    short = np.flatnonzero(park_of >= 0)
    rows = ledger.programme.fleet.cars.room[short]
    used = ledger.used[rows]
    most = np.where(used, ledger.row_upper[rows], 0.0)
    shape = (len(short), steps)
    back = np.zeros(shape)
    cars = ledger.entries(ledger.of_kind(RowKind.ROOM))
    number = np.full(len(park_of), NOWHERE, dtype=np.int64)
    number[short] = np.arange(len(short))
    row, column, _ = cars.only(cars.value < 0)
    at = number[ledger.bus[row]]
    own = at >= 0
    np.add.at(back, (at[own], ledger.row_step[row[own]]), ledger.upper[column[own]])
    return PartTable(
        bus=park_of[short],
        here=np.broadcast_to(1.0, shape),
        up=np.broadcast_to(-1.0, shape),
        least=-back,
        most=most,
        cost=np.zeros(shape),
        columns=np.full(shape, NOWHERE),
        imports=np.zeros(len(short), dtype=bool),
    )


def _stores(
    ledger: Ledger, chains: Chains, values: ChainValues, stores: Ints, bus: Ints, levels: Stairs
) -> tuple[Stores, SoftLevels]:
    """Stores and their soft levels, a slice after the other."""
    steps = chains.rows.shape[1]
    table = levels.table(chains.rows.size)
    made = [
        _some_stores(ledger, chains, values, stores[some], bus[some], table, some.start)
        for some in [slice(0, 0), *slices(len(stores), steps)]
    ]
    return (
        Stores(**_joined([store for store, _ in made])),
        SoftLevels(**_joined([soft for _, soft in made])),
    )


def _joined(groups: Sequence[Stores] | Sequence[SoftLevels]) -> dict[str, Any]:
    """The arrays of some groups behind each other."""
    names = [each.name for each in fields(groups[0])]
    return {name: stacked([getattr(one, name) for one in groups]) for name in names}


def _some_stores(
    ledger: Ledger,
    chains: Chains,
    values: ChainValues,
    stores: Ints,
    bus: Ints,
    table: tuple[Floats, Floats],
    begin: int,
) -> tuple[Stores, SoftLevels]:
    """Some stores, the first of which is number `begin`; `table` has the stairs of all levels."""
    steps = chains.rows.shape[1]

    def bounds(columns: Ints) -> tuple[Floats, Floats, Floats]:
        """Least, most and cost, 0 where nothing moves."""
        free = (columns >= 0) & ledger.free[columns]
        return (
            np.where(free, ledger.lower[columns], 0.0),
            np.where(free, ledger.upper[columns], 0.0),
            np.where(free, ledger.cost[columns], 0.0),
        )

    sign = values.sign[stores, None]
    low, high, cost = bounds(chains.level[stores])
    least, most = np.where(sign > 0, low, -high), np.where(sign > 0, high, -low)
    # Kinks within the bounds cut the level into pieces: the main one lies above the last kink.
    at, rise = (one.reshape(len(one), len(chains.rows), steps)[:, stores] for one in table)
    at = np.where(np.isfinite(at), np.clip(at, least, most), -np.inf)
    main_least = np.maximum(least, at.max(axis=0, initial=-np.inf))
    soft: list[tuple[Ints, Floats, Floats, Floats]] = []
    edges = np.concatenate([least[None], np.maximum(at, least)])
    edges = np.maximum.accumulate(edges, axis=0)
    dearer = np.flip(np.cumsum(np.flip(rise, axis=0), axis=0), axis=0) if len(rise) else rise
    for k in range(len(rise)):  # below kink k: all rises from k on are lost for each unit less
        width = edges[k + 1] - edges[k]
        some = np.flatnonzero((width > 0).any(axis=1))
        price = (sign * cost) - dearer[k]
        soft.append((some, -width[some], np.zeros((len(some), steps)), price[some]))
    into_least, into_most, into_cost = bounds(chains.into[stores])
    _, out_most, out_cost = bounds(chains.out[stores])
    assert not into_least.any()
    chain = Stores(
        bus=bus,
        keep=values.keep[stores],
        gain=_rows(values.gain, stores),
        loss=values.loss[stores],
        given=values.given[stores],
        into_most=in_one(into_most),
        into_cost=in_one(into_cost),
        out_most=in_one(out_most),
        out_cost=in_one(out_cost),
        level_least=in_one(main_least),
        level_most=in_one(most),
        level_cost=in_one(sign * cost),
    )
    highest, lowest = _free_range(chain)
    for columns, way, room in (
        (chains.hot[stores], 1.0, highest - most),
        (chains.cold[stores], -1.0, least - lowest),
    ):
        up = way * sign  # which way it moves the level
        free = (columns >= 0) & ledger.free[columns]
        some = np.flatnonzero(free.any(axis=1))
        # Turned round, what is too hot is a level too low.
        far = np.where(sign > 0, room, (least - lowest) if way > 0 else (highest - most))
        size = np.where(free, np.maximum(far, 0.0) + 1.0, 0.0)
        ledger.upper[columns[free]] = size[free]
        size = size[some]
        price = np.where(free, ledger.cost[columns], 0.0)[some]
        rises = (up > 0)[some]
        soft.append(
            (
                some,
                np.where(rises, 0.0, -size),
                np.where(rises, size, 0.0),
                np.where(rises, price, -price),
            )
        )
    which, low_soft, high_soft, price_soft = (
        np.concatenate([one[i] for one in soft]) for i in range(4)
    )
    order = np.argsort(which, kind="stable")
    return chain, SoftLevels(
        store=begin + which[order],
        least=low_soft[order],
        most=high_soft[order],
        cost=price_soft[order],
    )


def _rows(values: Floats, which: Ints) -> Floats:
    """Some rows; what is alike in all steps stays a view of one column."""
    if values.shape[1] and values.strides[1] == 0:
        return np.broadcast_to(values[which, :1], (len(which), values.shape[1]))
    return values[which]


def _free_range(chain: Stores) -> tuple[Floats, Floats]:
    """The highest and lowest that each level could be without its bounds, shapes (n, T)."""
    rising = chain.given + chain.gain * chain.into_most
    falling = chain.given - chain.loss[:, None] * chain.out_most
    high, low = np.empty_like(rising), np.empty_like(falling)
    top, bottom = np.zeros((2, len(chain.keep)))
    for t in range(rising.shape[1]):
        top, bottom = chain.keep * top + rising[:, t], chain.keep * bottom + falling[:, t]
        high[:, t], low[:, t] = top, bottom
    return high, low


def _budgets(ledger: Ledger, windows: Windows, order: Ints, number: Ints) -> Budgets:
    columns = windows.columns[order]
    shown = columns >= 0
    steps = columns.shape[1]
    first = np.argmax(shown, axis=1) if len(columns) else _NONE
    end = steps - np.argmax(shown[:, ::-1], axis=1) if len(columns) else _NONE
    return Budgets(
        bus=number[windows.bus[order]],
        first=first,
        end=end,
        weight=windows.weight[order],
        asked=windows.asked[order],
        lacking_most=windows.lacking_most[order],
        lacking_cost=windows.lacking_cost[order],
        spare_most=windows.spare_most[order],
        draw_most=np.where(shown, ledger.upper[columns], 0.0),
        draw_cost=np.where(shown, ledger.cost[columns], 0.0),
    )


def _peaks(
    ledger: Ledger,
    sides: Sides,
    peaks: PaidPeaks,
    order: Ints,
    number: Ints,
    table: PartTable,
    reach: Reach,
) -> Peaks:
    """The peaks; gives their columns a bound."""
    least, interval = peaks.least[order], peaks.interval[order]
    drawn = reach.drawn_kw[peaks.bus[order]].max(axis=1, initial=0.0)
    least_most = np.max(np.maximum(least, 0.0), axis=1, initial=0.0)
    most = drawn + least_most + 1.0
    of_row = np.zeros(len(ledger.kind))
    rows = peaks.rows[order]
    of_row[rows[rows >= 0]] = np.repeat(most[:, None], rows.shape[1], axis=1)[rows >= 0]
    aside = ledger.aside
    row, column, _ = aside.only(sides.peak[aside.row] & sides.peaks[aside.column])
    ledger.upper[column] = 0.0
    np.maximum.at(ledger.upper, column, of_row[row])
    return Peaks(
        bus=number[peaks.bus[order]],
        cost=peaks.cost[order],
        most=most,
        interval=interval,
        share=peaks.share[order],
        least=least,
        counts=table.imports & np.isin(table.bus, peaks.bus),
    )


def _cap(ledger: Ledger, sides: Sides) -> None:
    """Take what limits one power of a store in one step for a bound of its column."""
    row, column, _ = ledger.aside.only(sides.cap[ledger.aside.row])
    most = ledger.row_upper[row]
    np.minimum.at(ledger.upper, column, np.maximum(most, ledger.lower[column]))


def _tapers(tapering: Tapering, order: Ints, store_number: Ints) -> Tapers:
    return Tapers(
        store=store_number[tapering.store[order]],
        empties=tapering.empties[order],
        on=tapering.rows[order] >= 0,
        steep=tapering.steep[order],
        most=tapering.most[order],
    )


def _days(days: Days, order: Ints, store_number: Ints) -> DayLimits:
    return DayLimits(
        store=store_number[days.store[order]],
        first=days.first[order],
        end=days.end[order],
        most=days.most[order],
    )
