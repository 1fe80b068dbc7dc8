"""What hangs on which bus, and the forest that comes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vpp.plan.fleet.fitting.chains import Chains, ChainValues
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
from vpp.plan.fleet.fitting.ledger import NOWHERE, Ledger, Role, RowKind
from vpp.plan.fleet.fitting.meeting import Meets, car_parks, meets_of, one_a_bus, store_buses
from vpp.plan.fleet.fitting.places import Places
from vpp.plan.fleet.fitting.reach import Reach, reach_of, signs_of
from vpp.plan.fleet.fitting.sides import Sides
from vpp.plan.fleet.fitting.stairs import Stairs, stairs_of
from vpp.plan.fleet.fitting.storing import stores_of
from vpp.plan.fleet.fitting.ways import PartTable, joined, plain_parts, ways_of
from vpp.plan.fleet.forest import (
    ROOT,
    Budgets,
    Buses,
    DayLimits,
    Forest,
    Parts,
    Peaks,
    Tapers,
)
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
    meets = meets_of(ledger, places, balances)
    park_of = car_parks(ledger, sides, places, meets.bus)
    peaks = peaks_of(ledger, sides, steps)
    if isinstance(peaks, PaidPeaks):
        peaks = replace(peaks, bus=one_a_bus(places, peaks.bus))
    _cap(ledger, sides)
    reach = reach_of(ledger, places, balances, market)
    counted = _counted(ledger, sides, chains, values, meets, peaks)
    store_bus, homeless = store_buses(ledger, chains, meets)
    del meets
    strange = [chains.rows[homeless, 0]] if len(homeless) else []
    if isinstance(counted, np.ndarray):
        strange.append(counted)
    if strange:
        return np.concatenate(strange), _NONE
    assert isinstance(counted, Counted)
    taken = ledger.role != Role.PLAIN
    columns = counted.windows.columns
    taken[columns[columns >= 0]] = True
    parts = plain_parts(ledger, sides, places, signs_of(places, balances), taken, values.guests)
    if isinstance(parts, np.ndarray):
        return _NONE, parts
    nets = _net_stairs(ledger, sides, places, steps)
    ways = ways_of(ledger, places, _with_ways(ledger, places, balances, market), nets, reach)
    table = joined([ways, parts, _park_links(ledger, places, park_of, reach)])
    orders = _orders(counted, store_bus, _numbers(places, table, counted, store_bus, market))
    levels = _level_stairs(ledger, sides, steps)
    return Hanging(
        forest=_forest(
            ledger, sides, places, chains, values, counted, orders, levels, table, reach
        ),
        bus=orders.number,
        park_of=park_of,
        stores=orders.stores,
        windows=counted.windows,
        window_order=orders.windows,
        parts=table,
        peaks=counted.peaks,
        peak_order=orders.peaks,
        days=counted.days,
        day_order=orders.days,
        tapering=counted.tapering,
        taper_order=orders.tapers,
        levels=levels,
        nets=nets,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """What rows count over several steps, or tie within one."""

    windows: Windows
    peaks: PaidPeaks
    days: Days
    tapering: Tapering


def _counted(
    ledger: Ledger,
    sides: Sides,
    chains: Chains,
    values: ChainValues,
    meets: Meets,
    peaks: PaidPeaks | Ints,
) -> Counted | Ints:
    """All that is counted; or rows that count what a forest cannot."""
    steps = chains.rows.shape[1]
    windows = windows_of(ledger, sides, meets.bus, meets.feeds, steps)
    days = days_of(ledger, sides, chains, values)
    tapering = tapers_of(ledger, sides, chains, values)
    if (
        isinstance(windows, np.ndarray)
        or isinstance(peaks, np.ndarray)
        or isinstance(days, np.ndarray)
        or isinstance(tapering, np.ndarray)
    ):
        told = (windows, peaks, days, tapering)
        return np.concatenate([one for one in told if isinstance(one, np.ndarray)])
    return Counted(windows=windows, peaks=peaks, days=days, tapering=tapering)


def _numbers(
    places: Places, table: PartTable, counted: Counted, store_bus: Ints, market: int
) -> Ints:
    """The forest's number of each of the places' buses, -1 where nothing hangs on it or below; shape (places,)."""
    moving = store_bus[store_bus >= 0]
    used = np.unique(np.concatenate([table.bus, moving, counted.windows.bus, counted.peaks.bus]))
    above = {places.parent[bus] for bus in used.tolist()} - {ROOT}
    assert above <= set(used.tolist()) | {market}
    used = np.unique(np.concatenate([used, np.array(sorted(above), dtype=np.int64)]))
    number = np.full(len(places.parent), NOWHERE, dtype=np.int64)
    number[used] = np.arange(len(used))
    return number


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Orders:
    """In which order the forest has what was found: by bus, or by store."""

    number: Ints
    """Of each of the places' buses in the forest, -1 where it has none."""

    stores: Ints
    """Chains that move."""

    store_number: Ints
    """Of each chain among them, -1 elsewhere."""

    windows: Ints
    peaks: Ints
    days: Ints
    tapers: Ints
    store_bus: Ints
    """The forest's bus of each of `stores`."""


def _orders(counted: Counted, store_bus: Ints, number: Ints) -> _Orders:
    active = np.flatnonzero(store_bus >= 0)
    stores = active[np.argsort(store_bus[active], kind="stable")]
    store_number = np.full(len(store_bus), NOWHERE, dtype=np.int64)
    store_number[stores] = np.arange(len(stores))
    return _Orders(
        number=number,
        stores=stores,
        store_number=store_number,
        windows=np.argsort(counted.windows.bus, kind="stable"),
        peaks=np.argsort(counted.peaks.bus, kind="stable"),
        days=np.argsort(store_number[counted.days.store], kind="stable"),
        tapers=np.argsort(store_number[counted.tapering.store], kind="stable"),
        store_bus=number[store_bus[stores]],
    )


def _forest(
    ledger: Ledger,
    sides: Sides,
    places: Places,
    chains: Chains,
    values: ChainValues,
    counted: Counted,
    orders: _Orders,
    levels: Stairs,
    table: PartTable,
    reach: Reach,
) -> Forest:
    number = orders.number
    used = np.flatnonzero(number != NOWHERE)
    parents = [places.parent[bus] for bus in used.tolist()]
    above = [ROOT if bus == ROOT else number[bus] for bus in parents]
    stores, soft = stores_of(ledger, chains, values, orders.stores, orders.store_bus, levels)
    return Forest(
        steps=chains.rows.shape[1],
        buses=Buses(parent=np.array(above, dtype=np.int64), load_kw=reach.load_kw[used]),
        stores=stores,
        soft=soft,
        budgets=_budgets(ledger, counted.windows, orders.windows, number),
        parts=Parts(
            bus=number[table.bus],
            here=table.here,
            up=table.up,
            least=table.least,
            most=table.most,
            cost=table.cost,
        ),
        peaks=_peaks(ledger, sides, counted.peaks, orders.peaks, number, table, reach),
        day_limits=_days(counted.days, orders.days, orders.store_number),
        tapers=_tapers(counted.tapering, orders.tapers, orders.store_number),
    )


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
