"""Turn a view and its terms into one sparse mixed-integer programme, in whole blocks.

Columns (T steps; S storages, G generators, Z zones, C cars, P connection points, N nodes of the
limit tree, M open products, B possible starts, K peak charges):

    charge, discharge, stored (S,T)      feed (G,T)        heat, temperature, cold, hot (Z,T)
    car (C,T)  unserved (C)              import, export (P,T)   excess_in, excess_out (N,T)
    sell, buy (M,T)  short, long (T)     peak (K)          start (B) 0/1   charging (S,·) 0/1

Rows, all two-sided (lower <= A x <= upper):

    store    stored[t] - stored[t-1] - ηc·h·charge + h/ηd·discharge = 0
    zone     temperature[t] - a·temperature[t-1] - (1-a)·g·heat = (1-a)·(outdoor + gain·R)
    band     temperature + cold >= min,  temperature - hot <= max
    wanted   Σ η·h·car + unserved = wanted            fleet    Σ car <= room
    once     Σ starts of a group = 1 (runs) or <= 1 (calls)
    point    export - import - Σ injections decided = base
    node     -import limit <= Σ (export - import) + excess_in - excess_out <= export limit
             (`own node` of one connection point, `shared node` of a feeder or the park)
    market   Σ (export - import) - Σ (sell - buy) + short - long = committed
    peak     peak - import >= 0
    one way  charge <= Pc·charging, discharge <= Pd·(1 - charging), only where the price is below 0

Limits of the tree are priced, at `limit_excess_price_per_kwh`, so that a forecast above a limit
still gives a plan that goes as little over as it can; the guard holds the limits themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
from scipy.sparse import csr_array

from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId, ProductId
from vpp.model.park import Limits, Park
from vpp.model.resource import Resource
from vpp.plan.fleet import Fleet, Ints, gather
from vpp.plan.terms import (
    Commitment,
    EnergyPrice,
    OpenTrade,
    PeakCharge,
    StoredEnergyValue,
    Term,
)
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Programme:
    """minimise cost·x  subject to  row_lower <= A x <= row_upper, lower <= x <= upper."""

    cost: Floats
    lower: Floats
    upper: Floats
    integral: Ints
    """Columns that are 0 or 1."""

    matrix: csr_array
    row_lower: Floats
    row_upper: Floats
    columns: dict[str, Ints]
    """Where each block of columns stands, in its shape."""

    rows: dict[str, Ints]
    causes: dict[str, Ints]
    """Which columns each cause of cost stands in; every priced column is in exactly one."""

    fleet: Fleet
    products: tuple[ProductId, ...]

    def digest(self) -> str:
        """SHA-256 of the numbers: the same input gives the same digest."""
        sha = hashlib.sha256()
        for array in (
            *(self.cost, self.lower, self.upper, self.integral, self.row_lower, self.row_upper),
            *(self.matrix.data, self.matrix.indices, self.matrix.indptr.astype(np.int64)),
        ):
            sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()


@dataclass(slots=True)
class _Builder:
    """Columns and rows as they are added, block by block."""

    steps: int
    cost: list[Floats] = field(default_factory=list)
    lower: list[Floats] = field(default_factory=list)
    upper: list[Floats] = field(default_factory=list)
    columns: dict[str, Ints] = field(default_factory=dict)
    rows: dict[str, Ints] = field(default_factory=dict)
    causes: dict[str, list[Ints]] = field(default_factory=dict)
    row_lower: list[Floats] = field(default_factory=list)
    row_upper: list[Floats] = field(default_factory=list)
    triplets: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    n_columns: int = 0
    n_rows: int = 0

    def add_columns(
        self,
        name: str,
        shape: tuple[int, ...],
        *,
        lower: float | Floats = 0.0,
        upper: float | Floats = np.inf,
        cost: float | Floats = 0.0,
        cause: str | None = None,
    ) -> Ints:
        """A block of columns in `shape`; bounds and cost broadcast to it."""
        size = int(np.prod(shape))
        index = np.arange(self.n_columns, self.n_columns + size).reshape(shape)
        self.n_columns += size
        for values, store in ((cost, self.cost), (lower, self.lower), (upper, self.upper)):
            store.append(np.broadcast_to(np.asarray(values, dtype=float), shape).ravel())
        self.columns[name] = index
        if cause is not None:
            self.causes.setdefault(cause, []).append(index.ravel())
        return index

    def add_rows(
        self, name: str, shape: tuple[int, ...], lower: float | Floats, upper: float | Floats
    ) -> Ints:
        """A block of rows in `shape`; sides broadcast to it."""
        size = int(np.prod(shape))
        index = np.arange(self.n_rows, self.n_rows + size).reshape(shape)
        self.n_rows += size
        self.row_lower.append(np.broadcast_to(np.asarray(lower, dtype=float), shape).ravel())
        self.row_upper.append(np.broadcast_to(np.asarray(upper, dtype=float), shape).ravel())
        self.rows[name] = index
        return index

    def put(self, rows: Ints, columns: Ints, values: float | Floats) -> None:
        """Coefficients `values` at (rows, columns); all three broadcast together."""
        rows, columns, filled = np.broadcast_arrays(rows, columns, np.asarray(values, dtype=float))
        self.triplets.append((rows.ravel(), columns.ravel(), filled.ravel()))


def build(
    view: PlanningView, terms: Sequence[Term], *, limit_excess_price_per_kwh: float
) -> Programme:
    """Compile a view and its terms. Pure; takes milliseconds for tens of resources.

    Raises:
        DataError: A term names a connection point that the park does not have.
    """
    fleet = gather(view)
    b = _Builder(steps=view.horizon.steps)
    point_rows = _tree(b, view, fleet, limit_excess_price_per_kwh)
    _storages(b, view, fleet, point_rows)
    _generators(b, view, fleet, point_rows)
    _zones(b, view, fleet, point_rows)
    _cars(b, view, fleet, point_rows)
    _starts(b, view, fleet, point_rows)
    products = _apply(b, view, fleet, terms)
    integral = [b.columns["start"].ravel()]
    if negative := _one_way(b, view, fleet, terms):
        integral.append(negative[0])
    causes = {cause: np.concatenate(parts) for cause, parts in b.causes.items()}
    rows, columns, values = (np.concatenate(part) for part in zip(*b.triplets, strict=True))
    return Programme(
        cost=np.concatenate(b.cost),
        lower=np.concatenate(b.lower),
        upper=np.concatenate(b.upper),
        integral=np.concatenate(integral),
        matrix=csr_array((values, (rows, columns)), shape=(b.n_rows, b.n_columns)),
        row_lower=np.concatenate(b.row_lower),
        row_upper=np.concatenate(b.row_upper),
        columns=b.columns,
        rows=b.rows,
        causes=causes,
        fleet=fleet,
        products=products,
    )


def limit_nodes(park: Park) -> list[tuple[Limits, list[int]]]:
    """Every node of the limit tree, with the indices of the connection points below it."""
    everything = list(range(len(park.connection_points)))
    nodes = [(p.limits, [i]) for i, p in enumerate(park.connection_points)]
    for feeder in park.feeders:
        below = [i for i, p in enumerate(park.connection_points) if p.feeder_id == feeder.feeder_id]
        nodes.append((feeder.limits, below))
    return [*nodes, (park.limits, everything)]


def points_of(park: Park, resources: Iterable[Resource]) -> Ints:
    """Index of each resource's connection point in park order, shape (len(resources),)."""
    order = {p.connection_point_id: i for i, p in enumerate(park.connection_points)}
    return np.array([order[r.connection_point_id] for r in resources], dtype=np.int64)


def _tree(b: _Builder, view: PlanningView, fleet: Fleet, limit_excess_price_per_kwh: float) -> Ints:
    """Imports, exports and the limits above them; returns the rows of the point balances."""
    points, hours = len(view.park.connection_points), view.horizon.step_hours
    base = np.zeros((points, b.steps))
    np.add.at(base, points_of(view.park, view.park.resources), fleet.base_kw)
    imports = b.add_columns("import", (points, b.steps), cause="network energy")
    exports = b.add_columns("export", (points, b.steps), cause="network energy")
    rows = b.add_rows("point", (points, b.steps), base, base)
    b.put(rows, exports, 1.0)
    b.put(rows, imports, -1.0)
    nodes = limit_nodes(view.park)
    price = limit_excess_price_per_kwh * hours
    excess_in = b.add_columns("excess_in", (len(nodes), b.steps), cost=price, cause="limit excess")
    excess_out = b.add_columns(
        "excess_out", (len(nodes), b.steps), cost=price, cause="limit excess"
    )
    lower = np.array([-limits.import_kw for limits, _ in nodes])[:, None]
    upper = np.array([limits.export_kw for limits, _ in nodes])[:, None]
    # Nodes of one connection point and nodes that several share stand apart: the latter couple.
    own = b.add_rows("own node", (points, b.steps), lower[:points], upper[:points])
    above = (len(nodes) - points, b.steps)
    shared = b.add_rows("shared node", above, lower[points:], upper[points:])
    node_rows = np.concatenate([own, shared])
    b.put(node_rows, excess_in, 1.0)
    b.put(node_rows, excess_out, -1.0)
    for index, (_, below) in enumerate(nodes):
        b.put(node_rows[index], exports[below], 1.0)
        b.put(node_rows[index], imports[below], -1.0)
    return rows


def _storages(b: _Builder, view: PlanningView, fleet: Fleet, point_rows: Ints) -> None:
    units, hours = fleet.storages, view.horizon.step_hours
    shape = (len(units), b.steps)
    capacity = _column(unit.capacity_kwh for unit in units)
    # A store found below its reserve may stay there; it is not forced up at any price.
    floor = np.minimum(_column(u.min_soc for u in units) * capacity, fleet.stored_kwh[:, None])
    wear = _column(unit.wear_cost_per_kwh for unit in units) * hours
    charge = b.add_columns(
        "charge", shape, upper=_column(u.max_charge_kw for u in units), cost=wear, cause="wear"
    )
    discharge = b.add_columns(
        "discharge",
        shape,
        upper=_column(u.max_discharge_kw for u in units),
        cost=wear,
        cause="wear",
    )
    stored = b.add_columns("stored", shape, lower=floor, upper=capacity, cause="stored energy")
    opening = np.zeros(shape)
    opening[:, :1] = fleet.stored_kwh[:, None]
    rows = b.add_rows("store", shape, opening, opening)
    b.put(rows, stored, 1.0)
    b.put(rows[:, 1:], stored[:, :-1], -1.0)
    b.put(rows, charge, -hours * _column(unit.charge_efficiency for unit in units))
    b.put(rows, discharge, hours / _column(unit.discharge_efficiency for unit in units))
    at = point_rows[points_of(view.park, units)]
    b.put(at, discharge, -1.0)
    b.put(at, charge, 1.0)


def _generators(b: _Builder, view: PlanningView, fleet: Fleet, point_rows: Ints) -> None:
    shape = (len(fleet.generators), b.steps)
    feed = b.add_columns("feed", shape, upper=np.maximum(fleet.available_kw, 0.0))
    b.put(point_rows[points_of(view.park, fleet.generators)], feed, -1.0)


def _zones(b: _Builder, view: PlanningView, fleet: Fleet, point_rows: Ints) -> None:
    zones, hours = fleet.zones, view.horizon.step_hours
    shape = (len(zones), b.steps)
    discomfort = _column(zone.discomfort_cost_per_degc_h for zone in zones) * hours
    heat = b.add_columns("heat", shape, upper=_column(zone.max_draw_kw for zone in zones))
    temperature = b.add_columns("temperature", shape, lower=-np.inf, cause="stored energy")
    cold = b.add_columns("cold", shape, cost=discomfort, cause="discomfort")
    hot = b.add_columns("hot", shape, cost=discomfort, cause="discomfort")
    decay = _column(zone.decay(hours) for zone in zones)
    gain = _column(zone.internal_gain_kw * zone.resistance_degc_per_kw for zone in zones)
    given = (1 - decay) * (fleet.outdoor_degc + gain)
    given[:, :1] += decay * fleet.temperature_degc[:, None]
    rows = b.add_rows("zone", shape, given, given)
    b.put(rows, temperature, 1.0)
    b.put(rows[:, 1:], temperature[:, :-1], -decay)
    b.put(rows, heat, -(1 - decay) * _column(zone.degc_per_kw for zone in zones))
    low = b.add_rows("band_low", shape, _column(zone.min_degc for zone in zones), np.inf)
    b.put(low, temperature, 1.0)
    b.put(low, cold, 1.0)
    high = b.add_rows("band_high", shape, -np.inf, _column(zone.max_degc for zone in zones))
    b.put(high, temperature, 1.0)
    b.put(high, hot, -1.0)
    b.put(point_rows[points_of(view.park, zones)], heat, 1.0)


def _cars(b: _Builder, view: PlanningView, fleet: Fleet, point_rows: Ints) -> None:
    cars, hours = fleet.cars, view.horizon.step_hours
    owner = np.array([car.fleet for car in cars], dtype=np.int64)
    charger = _column(fleet.ev_fleets[car.fleet].charger_kw for car in cars)
    share = np.array([car.share for car in cars]).reshape(len(cars), b.steps)
    price = np.array([fleet.ev_fleets[car.fleet].unserved_cost_per_kwh for car in cars])
    efficiency = _column(fleet.ev_fleets[car.fleet].charge_efficiency for car in cars)
    wanted = np.array([car.session.wanted_kwh for car in cars])
    draw = b.add_columns("car", (len(cars), b.steps), upper=charger * share)
    unserved = b.add_columns("unserved", (len(cars),), cost=price, cause="unserved")
    rows = b.add_rows("wanted", (len(cars),), wanted, wanted)
    b.put(rows[:, None], draw, hours * efficiency)
    b.put(rows, unserved, 1.0)
    room = b.add_rows("fleet", fleet.ev_room_kw.shape, -np.inf, fleet.ev_room_kw)
    b.put(room[owner], draw, 1.0)
    b.put(point_rows[points_of(view.park, [fleet.ev_fleets[i] for i in owner])], draw, 1.0)


def _starts(b: _Builder, view: PlanningView, fleet: Fleet, point_rows: Ints) -> None:
    starts = fleet.starts
    cost = np.array([start.cost for start in starts])
    chosen = b.add_columns("start", (len(starts),), upper=1.0, cost=cost, cause="calls")
    groups = np.array([start.group for start in starts], dtype=np.int64)
    must = np.zeros(groups.max(initial=-1) + 1)
    must[groups] = [float(start.must) for start in starts]
    once = b.add_rows("once", must.shape, must, 1.0)
    if not starts:
        return
    b.put(once[groups], chosen, 1.0)
    point = points_of(view.park, [view.park.resource_by_id[start.resource_id] for start in starts])
    lengths = np.array([len(start.draw_kw) for start in starts])
    which = np.repeat(np.arange(len(starts)), lengths)
    offset = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    step = np.array([start.step for start in starts])[which] + offset
    draw = np.concatenate([np.asarray(start.draw_kw) for start in starts])
    b.put(point_rows[point[which], step], chosen[which], draw)


def _apply(
    b: _Builder, view: PlanningView, fleet: Fleet, terms: Sequence[Term]
) -> tuple[ProductId, ...]:
    """Price the columns as the terms say, and add the market balance and the peaks."""
    hours = view.horizon.step_hours
    order = {p.connection_point_id: i for i, p in enumerate(view.park.connection_points)}
    trades = [term for term in terms if isinstance(term, OpenTrade)]
    shape = (len(trades), b.steps)
    room = np.array([term.max_kw for term in trades]).reshape(shape)
    sell = b.add_columns("sell", shape, upper=room, cause="market")
    buy = b.add_columns("buy", shape, upper=room, cause="market")
    short = b.add_columns("short", (b.steps,), cause="imbalance")
    long = b.add_columns("long", (b.steps,), cause="imbalance")
    cost = np.concatenate(b.cost)
    b.cost = [cost]
    committed = np.zeros(b.steps)
    for index, trade in enumerate(trades):
        cost[sell[index]] -= trade.sell_per_kwh * hours
        cost[buy[index]] += trade.buy_per_kwh * hours
    for term in terms:
        match term:
            case OpenTrade():
                pass  # priced above, where its row is known
            case EnergyPrice():
                point = order[term.connection_point_id]
                cost[b.columns["import"][point]] += term.import_per_kwh * hours
                cost[b.columns["export"][point]] -= term.export_per_kwh * hours
            case Commitment():
                committed = committed + term.base_kw
                cost[short] += term.short_per_kwh * hours
                cost[long] -= term.long_per_kwh * hours
            case PeakCharge():
                pass  # a column of its own, below
            case StoredEnergyValue():
                _value_stores(b, fleet, term.price_per_kwh, cost)
            case _:
                assert_never(term)
    rows = b.add_rows("market", (b.steps,), committed, committed)
    b.put(rows, b.columns["export"], 1.0)
    b.put(rows, b.columns["import"], -1.0)
    b.put(rows, sell, -1.0)
    b.put(rows, buy, 1.0)
    b.put(rows, short, 1.0)
    b.put(rows, long, -1.0)
    _peaks(b, [term for term in terms if isinstance(term, PeakCharge)], order)
    return tuple(trade.product_id for trade in trades)


def _value_stores(b: _Builder, fleet: Fleet, price_per_kwh: float, cost: Floats) -> None:
    """Credit what is left at the end: kWh in storages, warmth or cold in zones."""
    for index, unit in enumerate(fleet.storages):
        cost[b.columns["stored"][index, -1]] -= price_per_kwh * unit.discharge_efficiency
    for index, zone in enumerate(fleet.zones):
        sign = 1.0 if zone.heating else -1.0
        cost[b.columns["temperature"][index, -1]] -= (
            sign * price_per_kwh * zone.capacity_kwh_per_degc / zone.cop
        )


def _peaks(b: _Builder, peaks: Sequence[PeakCharge], order: dict[ConnectionPointId, int]) -> None:
    """A column for each peak, not below what is paid already; only the increase costs."""
    free = np.array([peak.free_kw for peak in peaks])
    price = np.array([peak.price_per_kw for peak in peaks])
    column = b.add_columns("peak", (len(peaks),), upper=np.inf, cost=price, cause="peak")
    for index, peak in enumerate(peaks):
        imports = b.columns["import"][order[peak.connection_point_id]]
        imports = imports[peak.first_step : peak.last_step]
        rows = b.add_rows(f"peak {index}", imports.shape, -free[index], np.inf)
        b.put(rows, column[index], 1.0)
        b.put(rows, imports, -1.0)


def _one_way(b: _Builder, view: PlanningView, fleet: Fleet, terms: Sequence[Term]) -> list[Ints]:
    """Forbid charging and discharging at once where drawing energy earns money."""
    prices = [term.buy_per_kwh for term in terms if isinstance(term, OpenTrade)]
    prices += [term.long_per_kwh for term in terms if isinstance(term, Commitment)]
    if not prices or not fleet.storages:
        return []
    network = {t.connection_point_id: t.import_per_kwh for t in terms if isinstance(t, EnergyPrice)}
    least = np.min(prices, axis=0)
    zero = np.zeros(b.steps)
    earns = np.array(
        [
            least + network.get(u.connection_point_id, zero) + u.wear_cost_per_kwh < 0
            for u in fleet.storages
        ]
    )
    unit, step = np.nonzero(earns)
    if not len(unit):
        return []
    charging = b.add_columns("charging", (len(unit),), upper=1.0)
    charge_kw = np.array([fleet.storages[i].max_charge_kw for i in unit])
    discharge_kw = np.array([fleet.storages[i].max_discharge_kw for i in unit])
    in_rows = b.add_rows("charge one way", (len(unit),), -np.inf, 0.0)
    b.put(in_rows, b.columns["charge"][unit, step], 1.0)
    b.put(in_rows, charging, -charge_kw)
    out_rows = b.add_rows("discharge one way", (len(unit),), -np.inf, discharge_kw)
    b.put(out_rows, b.columns["discharge"][unit, step], 1.0)
    b.put(out_rows, charging, discharge_kw)
    return [charging]


def _column(values: Iterable[float]) -> Floats:
    """Values of one kind as a column, shape (n, 1), to broadcast over steps."""
    return np.array(list(values), dtype=np.float64)[:, None]
