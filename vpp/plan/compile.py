"""Turn a view and its terms into one sparse mixed-integer programme, in whole blocks.

Columns (T steps; S storages, G generators, Z zones, C cars, P connection points, M open products,
B possible starts, K peak charges):

    charge, discharge, stored (S,T)      feed (G,T)        heat, comfort, hot, cold (Z,T)
    car (C,T)  unserved (C)              import, export (P,T)   excess in, out (each node row)
    sell, buy (M,T)  short, long (T)     peak (K)          start (B) 0/1   charging (S,·) 0/1

Rows, all two-sided (lower <= A x <= upper):

    store    stored[t] - stored[t-1] - ηc·h·charge + h/ηd·discharge = 0
    zone     temperature[t] - a·temperature[t-1] - (1-a)·g·heat = (1-a)·(outdoor + gain·R)
             where temperature = comfort (within the band) + hot - cold
    wanted   Σ η·h·car + unserved = wanted            fleet    Σ car <= room
    once     Σ starts of a group = 1 (runs) or <= the calls left that day
    apart    Σ calls of a load that touch each other <= 1, where it may be called more than once
    point    export - import - Σ injections decided = base
    node     -import limit <= Σ (export - import) + excess in - excess out <= export limit
             (`own node` of one connection point, `shared node` of a feeder or the park; only in
             steps where what stands below could reach the limit)
    market   Σ (export - import) - Σ (sell - buy) + short - long = committed
    peak     peak - import >= 0
    one way  charge <= Pc·charging, discharge <= Pd·(1 - charging), only where burning energy pays

Limits of the tree are priced, at `limit_excess_price_per_kwh`, so that a forecast above a limit
still gives a plan that goes as little over as it can; the guard holds the limits themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId, ProductId
from vpp.model.park import Limits, Park
from vpp.model.resource import InterruptibleLoad, Resource, ShiftableRun
from vpp.plan.fleet import Fleet, Ints, gather
from vpp.plan.programme import Builder, Programme
from vpp.plan.terms import (
    Commitment,
    EnergyPrice,
    OpenTrade,
    PeakCharge,
    StoredEnergyValue,
    Term,
)
from vpp.plan.view import PlanningView


def build(
    view: PlanningView, terms: Sequence[Term], *, limit_excess_price_per_kwh: float
) -> Programme:
    """Compile a view and its terms. Pure; takes milliseconds for tens of resources.

    Raises:
        DataError: A term names a connection point that the park does not have, trades are open
            while no `Commitment` prices what is not delivered, or a run or a call is no whole
            number of steps.
    """
    fleet = gather(view)
    b = Builder(steps=view.horizon.steps)
    point_rows = _tree(b, view, fleet, limit_excess_price_per_kwh)
    _storages(b, view, fleet, point_rows)
    _generators(b, view, fleet, point_rows)
    _zones(b, view, fleet, point_rows)
    _cars(b, view, fleet, point_rows)
    _starts(b, view, fleet, point_rows)
    products = _apply(b, view, fleet, terms)
    integral = [b.columns["start"], *_one_way(b, view, fleet, terms)]
    return b.programme(integral=integral, fleet=fleet, products=products)


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


def _tree(b: Builder, view: PlanningView, fleet: Fleet, limit_excess_price_per_kwh: float) -> Ints:
    """Imports, exports and the limits above them; returns the rows of the point balances."""
    points, hours = len(view.park.connection_points), view.horizon.step_hours
    base = np.zeros((points, b.steps))
    np.add.at(base, points_of(view.park, view.park.resources), fleet.base_kw)
    imports = b.add_columns("import", (points, b.steps))
    exports = b.add_columns("export", (points, b.steps))
    rows = b.add_rows("point", (points, b.steps), base, base)
    b.put(rows, exports, 1.0)
    b.put(rows, imports, -1.0)
    # Nodes of one connection point and nodes that several share stand apart: the latter couple.
    price = limit_excess_price_per_kwh * hours
    nodes = limit_nodes(view.park)
    draw_kw, feed_kw = _reach(view, fleet, base)
    for name, some in (("own node", nodes[:points]), ("shared node", nodes[points:])):
        kept = [_may_bind(limits, draw_kw[below], feed_kw[below]) for limits, below in some]
        steps = [np.flatnonzero(binds) for binds in kept]
        lower = [
            np.full(len(at), -limits.import_kw) for at, (limits, _) in zip(steps, some, strict=True)
        ]
        upper = [
            np.full(len(at), limits.export_kw) for at, (limits, _) in zip(steps, some, strict=True)
        ]
        count = sum(len(at) for at in steps)
        node_rows = b.add_rows(name, (count,), np.concatenate(lower), np.concatenate(upper))
        for way, sign in (("in", 1.0), ("out", -1.0)):
            excess = b.add_columns(f"{name} excess {way}", (count,))
            b.price(excess, price, "limit excess")
            b.put(node_rows, excess, sign)
        ends = np.cumsum([len(at) for at in steps])
        for at, end, (_, below) in zip(steps, ends, some, strict=True):
            for point in below:
                b.put(node_rows[end - len(at) : end], exports[point, at], 1.0)
                b.put(node_rows[end - len(at) : end], imports[point, at], -1.0)
    return rows


def _may_bind(limits: Limits, draw_kw: Floats, feed_kw: Floats) -> NDArray[np.bool_]:
    """Steps in which a node could reach a limit if all below it went one way, shape (T,)."""
    binds: NDArray[np.bool_] = (draw_kw.sum(axis=0) > limits.import_kw) | (
        feed_kw.sum(axis=0) > limits.export_kw
    )
    return binds


def _reach(view: PlanningView, fleet: Fleet, base: Floats) -> tuple[Floats, Floats]:
    """The most each connection point could draw, and feed, in each step; shapes (P, T).

    Most limits are far from what stands behind them, most of the day: no row is made for those.
    """
    draw, feed = -base, base.copy()
    for unit in fleet.storages:
        point = points_of(view.park, [unit])
        draw[point] += unit.max_charge_kw
        feed[point] += unit.max_discharge_kw
    for zone in fleet.zones:
        draw[points_of(view.park, [zone])] += zone.max_draw_kw
    for generator, available in zip(fleet.generators, fleet.available_kw, strict=True):
        feed[points_of(view.park, [generator])] += np.maximum(available, 0.0)
    for ev_fleet, room in zip(fleet.ev_fleets, fleet.ev_room_kw, strict=True):
        draw[points_of(view.park, [ev_fleet])] += room
    for name in dict.fromkeys(start.resource_id for start in fleet.starts):
        resource = view.park.resource_by_id[name]
        point = points_of(view.park, [resource])
        draw[point] += resource.draw_kw if isinstance(resource, ShiftableRun) else 0.0
        feed[point] += resource.draw_kw if isinstance(resource, InterruptibleLoad) else 0.0
    return draw, feed


def _storages(b: Builder, view: PlanningView, fleet: Fleet, point_rows: Ints) -> None:
    units, hours = fleet.storages, view.horizon.step_hours
    shape = (len(units), b.steps)
    capacity = _column(unit.capacity_kwh for unit in units)
    # A store found below its reserve may stay there; it is not forced up at any price.
    floor = np.minimum(_column(u.min_soc for u in units) * capacity, fleet.stored_kwh[:, None])
    wear = _column(unit.wear_cost_per_kwh for unit in units) * hours
    charge = b.add_columns("charge", shape, upper=_column(u.max_charge_kw for u in units))
    discharge = b.add_columns("discharge", shape, upper=_column(u.max_discharge_kw for u in units))
    b.price(charge, wear, "wear")
    b.price(discharge, wear, "wear")
    stored = b.add_columns("stored", shape, lower=floor, upper=capacity)
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


def _generators(b: Builder, view: PlanningView, fleet: Fleet, point_rows: Ints) -> None:
    shape = (len(fleet.generators), b.steps)
    feed = b.add_columns("feed", shape, upper=np.maximum(fleet.available_kw, 0.0))
    b.put(point_rows[points_of(view.park, fleet.generators)], feed, -1.0)


def _zones(b: Builder, view: PlanningView, fleet: Fleet, point_rows: Ints) -> None:
    zones, hours = fleet.zones, view.horizon.step_hours
    shape = (len(zones), b.steps)
    discomfort = _column(zone.discomfort_cost_per_degc_h for zone in zones) * hours
    heat = b.add_columns("heat", shape, upper=_column(zone.max_draw_kw for zone in zones))
    # The temperature is what lies within the comfort band, plus what is too hot, less too cold.
    least, most = (_column(z.min_degc for z in zones), _column(z.max_degc for z in zones))
    comfort = b.add_columns("comfort", shape, lower=least, upper=most)
    hot, cold = b.add_columns("hot", shape), b.add_columns("cold", shape)
    b.price(hot, discomfort, "discomfort")
    b.price(cold, discomfort, "discomfort")
    decay = _column(zone.decay(hours) for zone in zones)
    gain = _column(zone.internal_gain_kw * zone.resistance_degc_per_kw for zone in zones)
    given = (1 - decay) * (fleet.outdoor_degc + gain)
    given[:, :1] += decay * fleet.temperature_degc[:, None]
    rows = b.add_rows("zone", shape, given, given)
    for part, sign in ((comfort, 1.0), (hot, 1.0), (cold, -1.0)):
        b.put(rows, part, sign)
        b.put(rows[:, 1:], part[:, :-1], -sign * decay)
    b.put(rows, heat, -(1 - decay) * _column(zone.degc_per_kw for zone in zones))
    b.put(point_rows[points_of(view.park, zones)], heat, 1.0)


def _cars(b: Builder, view: PlanningView, fleet: Fleet, point_rows: Ints) -> None:
    cars, hours = fleet.cars, view.horizon.step_hours
    owner = np.array([car.fleet for car in cars], dtype=np.int64)
    charger = _column(fleet.ev_fleets[car.fleet].charger_kw for car in cars)
    share = np.array([car.share for car in cars]).reshape(len(cars), b.steps)
    price = np.array([fleet.ev_fleets[car.fleet].unserved_cost_per_kwh for car in cars])
    efficiency = _column(fleet.ev_fleets[car.fleet].charge_efficiency for car in cars)
    wanted = np.array([car.session.wanted_kwh for car in cars])
    draw = b.add_columns("car", (len(cars), b.steps), upper=charger * share)
    unserved = b.add_columns("unserved", (len(cars),))
    b.price(unserved, price, "unserved")
    rows = b.add_rows("wanted", (len(cars),), wanted, wanted)
    b.put(rows[:, None], draw, hours * efficiency)
    b.put(rows, unserved, 1.0)
    room = b.add_rows("fleet", fleet.ev_room_kw.shape, -np.inf, fleet.ev_room_kw)
    b.put(room[owner], draw, 1.0)
    b.put(point_rows[points_of(view.park, [fleet.ev_fleets[i] for i in owner])], draw, 1.0)


def _starts(b: Builder, view: PlanningView, fleet: Fleet, point_rows: Ints) -> None:
    starts = fleet.starts
    cost = np.array([start.cost for start in starts])
    chosen = b.add_columns("start", (len(starts),), upper=1.0)
    b.price(chosen, cost, "calls")
    groups = np.array([start.group for start in starts], dtype=np.int64)
    least, most = np.zeros((2, groups.max(initial=-1) + 1))
    least[groups] = [float(start.must) for start in starts]
    most[groups] = [float(start.most) for start in starts]
    once = b.add_rows("once", least.shape, least, most)
    if not starts:
        return
    b.put(once[groups], chosen, 1.0)
    _apart(b, fleet, chosen)
    point = points_of(view.park, [view.park.resource_by_id[start.resource_id] for start in starts])
    lengths = np.array([len(start.draw_kw) for start in starts])
    which = np.repeat(np.arange(len(starts)), lengths)
    offset = np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    step = np.array([start.step for start in starts])[which] + offset
    draw = np.concatenate([np.asarray(start.draw_kw) for start in starts])
    b.put(point_rows[point[which], step], chosen[which], draw)


def _apart(b: Builder, fleet: Fleet, chosen: Ints) -> None:
    """Between two calls of a load it runs for at least a step: each call has a fixed length."""
    several = [index for index, start in enumerate(fleet.starts) if start.most > 1]
    rows = b.add_rows("apart", (len(several),), -np.inf, 1.0)
    for row, index in zip(rows, several, strict=True):
        first = fleet.starts[index]
        touching = [
            other
            for other in several
            if fleet.starts[other].resource_id == first.resource_id
            and first.step <= fleet.starts[other].step <= first.step + len(first.draw_kw)
        ]
        b.put(row, chosen[touching], 1.0)


def _apply(
    b: Builder, view: PlanningView, fleet: Fleet, terms: Sequence[Term]
) -> tuple[ProductId, ...]:
    """Price the columns as the terms say, and add the market balance and the peaks."""
    hours = view.horizon.step_hours
    order = {p.connection_point_id: i for i, p in enumerate(view.park.connection_points)}
    trades = [term for term in terms if isinstance(term, OpenTrade)]
    if trades and not any(isinstance(term, Commitment) for term in terms):
        raise DataError(
            "trades are open, and falling short of them costs nothing",
            where=", ".join(trade.product_id for trade in trades),
            fix="Add a Commitment, with nothing sold where nothing is",
        )
    shape = (len(trades), b.steps)
    room = np.array([term.max_kw for term in trades]).reshape(shape)
    sell = b.add_columns("sell", shape, upper=room)
    buy = b.add_columns("buy", shape, upper=room)
    short, long = b.add_columns("short", (b.steps,)), b.add_columns("long", (b.steps,))
    committed = np.zeros(b.steps)
    for index, trade in enumerate(trades):
        b.price(sell[index], -trade.sell_per_kwh * hours, "market")
        b.price(buy[index], trade.buy_per_kwh * hours, "market")
    for term in terms:
        match term:
            case OpenTrade():
                pass  # priced above, where its row is known
            case EnergyPrice():
                point = _known(order, term)
                imports, exports = b.columns["import"][point], b.columns["export"][point]
                b.price(imports, term.import_per_kwh * hours, "network energy")
                b.price(exports, -term.export_per_kwh * hours, "network energy")
            case Commitment():
                committed = committed + term.base_kw
                b.price(short, term.short_per_kwh * hours, "imbalance")
                b.price(long, -term.long_per_kwh * hours, "imbalance")
            case PeakCharge():
                pass  # a column of its own, below
            case StoredEnergyValue():
                _value_stores(b, fleet, term.price_per_kwh)
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


def _known(order: dict[ConnectionPointId, int], term: EnergyPrice | PeakCharge) -> int:
    if term.connection_point_id not in order:
        raise DataError(
            f"{type(term).__name__} at {term.connection_point_id}",
            where="terms",
            fix=f"Name one of {sorted(order)}",
        )
    return order[term.connection_point_id]


def _value_stores(b: Builder, fleet: Fleet, price_per_kwh: float) -> None:
    """Credit what is left at the end: kWh in storages, warmth or cold in zones."""
    kept = np.array([unit.discharge_efficiency for unit in fleet.storages])
    b.price(b.columns["stored"][:, -1], -price_per_kwh * kept, "stored energy")
    electric_kwh_per_degc = np.array(
        [
            (1.0 if zone.heating else -1.0) * zone.capacity_kwh_per_degc / zone.cop
            for zone in fleet.zones
        ]
    )
    for part, sign in (("comfort", 1.0), ("hot", 1.0), ("cold", -1.0)):
        value = -sign * price_per_kwh * electric_kwh_per_degc
        b.price(b.columns[part][:, -1], value, "stored energy")


def _peaks(b: Builder, peaks: Sequence[PeakCharge], order: dict[ConnectionPointId, int]) -> None:
    """A column for each peak, not below what is paid already; only the increase costs."""
    free = np.array([peak.free_kw for peak in peaks])
    price = np.array([peak.price_per_kw for peak in peaks])
    column = b.add_columns("peak", (len(peaks),))
    b.price(column, price, "peak")
    for index, peak in enumerate(peaks):
        imports = b.columns["import"][_known(order, peak), peak.first_step : peak.last_step]
        rows = b.add_rows(f"peak {index}", imports.shape, -free[index], np.inf)
        b.put(rows, column[index], 1.0)
        b.put(rows, imports, -1.0)


def _one_way(b: Builder, view: PlanningView, fleet: Fleet, terms: Sequence[Term]) -> list[Ints]:
    """Forbid charging and discharging at once where burning energy in the losses could pay.

    A kWh drawn and fed back shrinks to e = ηc·ηd and wears the store (1 + e) times: it pays where
    energy is worth less than -wear·(1 + e) / (1 - e), counting what its way out costs.
    (`search.py` repairs what is rarer: a load that feeds beyond an export limit.)
    """
    least = np.tile(_least_value(fleet, terms, b.steps), (len(view.park.connection_points), 1))
    order = {p.connection_point_id: i for i, p in enumerate(view.park.connection_points)}
    for term in terms:
        if isinstance(term, EnergyPrice):
            least[_known(order, term)] += term.export_per_kwh
    kept = _column(u.charge_efficiency * u.discharge_efficiency for u in fleet.storages)
    wear = _column(u.wear_cost_per_kwh for u in fleet.storages)
    worth = least[points_of(view.park, fleet.storages)]
    unit, step = np.nonzero(worth * (1 - kept) + wear * (1 + kept) < 0)
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


def _least_value(fleet: Fleet, terms: Sequence[Term], steps: int) -> Floats:
    """What one more kWh of the park's net is worth at least, shape (T,).

    Any amount can be left over at `long_per_kwh`. Where the products have more room than the park
    can feed, not all of them can be sold out, unless bought back or sold short: then it is worth no
    less than the worst of their prices.
    """
    positions = [term for term in terms if isinstance(term, Commitment)]
    committed, short, long = (
        np.sum([np.zeros(steps), *values], axis=0)
        for values in (
            [term.base_kw for term in positions],
            [term.short_per_kwh for term in positions],
            [term.long_per_kwh for term in positions],
        )
    )
    room, worst = np.zeros(steps), np.full(steps, np.inf)
    for trade in (term for term in terms if isinstance(term, OpenTrade)):
        room += trade.max_kw
        worst = np.where(trade.max_kw > 0, np.minimum(worst, trade.sell_per_kwh), worst)
    most_kw = np.maximum(fleet.base_kw, 0).sum(axis=0) + np.maximum(fleet.available_kw, 0).sum(
        axis=0
    )
    most_kw += sum(unit.max_discharge_kw for unit in fleet.storages)
    roomy = committed + room > most_kw
    least: Floats = np.where(roomy, np.maximum(long, np.minimum(worst, short)), long)
    return least


def _column(values: Iterable[float]) -> Floats:
    """Values of one kind as a column, shape (n, 1), to broadcast over steps."""
    return np.array(list(values), dtype=np.float64)[:, None]
