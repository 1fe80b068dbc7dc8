"""From the terms that a case writes to those of `vpp/plan/terms.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId, FeederId, ParkId, ProductId, ResourceId
from vpp.model.park import LimitOrder, Limits, Park, Place
from vpp.model.resource import EvFleet, Storage
from vpp.model.resource.common import minutes as clock_minutes
from vpp.model.time import Interval
from vpp.plan import terms as plan
from vpp.service.cases import termschema as schema
from vpp.service.cases.schema import OrderSection
from vpp.service.cases.series import CaseSeries
from vpp.service.park.config import KeyPath
from vpp.service.park.schematypes import day_numbers
from vpp.service.park.units import Quantity


def terms_of(series: CaseSeries, given: Iterable[schema.AnyTerm]) -> tuple[plan.Term, ...]:
    """The terms, in order; what is wrong with them becomes faults of `series`."""
    found: list[plan.Term] = []
    for place, section in enumerate(given):
        path: KeyPath = ("terms", place)
        try:
            found += _terms(series, section, path)
        except DataError as error:
            series.fault(path, f"{error.what}: {error.fix}")
    return tuple(found)


def _terms(s: CaseSeries, given: schema.AnyTerm, path: KeyPath) -> Iterator[plan.Term]:
    match given:
        case schema.EnergyPriceTerm():
            for point in _points(s, given.at, (*path, "at")):
                yield plan.EnergyPrice(
                    connection_point_id=point,
                    import_per_kwh=_price(s, given.import_per_kwh, (*path, "import_per_kwh")),
                    export_per_kwh=_price(s, given.export_per_kwh, (*path, "export_per_kwh")),
                )
        case schema.CommitmentTerm():
            yield plan.Commitment(
                base_kw=_power(s, given.base_kw, (*path, "base_kw")),
                short_per_kwh=_price(s, given.short_per_kwh, (*path, "short_per_kwh")),
                long_per_kwh=_price(s, given.long_per_kwh, (*path, "long_per_kwh")),
            )
        case schema.OpenTradeTerm():
            yield plan.OpenTrade(
                product_id=ProductId(given.product),
                sell_per_kwh=_price(s, given.sell_per_kwh, (*path, "sell_per_kwh")),
                buy_per_kwh=_price(s, given.buy_per_kwh, (*path, "buy_per_kwh")),
                max_kw=_size(s, given.max_kw, (*path, "max_kw")),
            )
        case schema.CapTerm():
            yield plan.Cap(
                place=place_of(s, given.place, (*path, "place")),
                import_kw=_maybe_size(s, given.import_kw, (*path, "import_kw")),
                export_kw=_maybe_size(s, given.export_kw, (*path, "export_kw")),
                excess_per_kwh=given.excess_per_kwh,
                reason=given.reason,
            )
        case schema.PeakChargeTerm():
            for point in _points(s, given.at, (*path, "at")):
                yield _peak(s, given, point, path)
        case schema.ReserveTerm():
            yield _reserve(s, given, path)
        case _:
            yield _other(s, given, path)


Others = (
    schema.EnergyTargetTerm
    | schema.StoredFloorTerm
    | schema.CarDeadlineTerm
    | schema.CarbonPriceTerm
    | schema.GreenShareTerm
    | schema.ChangePenaltyTerm
    | schema.ActivityPriceTerm
    | schema.EqualBurdenTerm
    | schema.StoredEnergyValueTerm
)


def _other(s: CaseSeries, given: Others, path: KeyPath) -> plan.Term:
    """Terms that ask for little or no series."""
    match given:
        case schema.EnergyTargetTerm():
            return plan.EnergyTarget(
                resource_id=_store(s, given.resource, (*path, "resource")),
                step=max(_end_of(s, given.by, (*path, "by")) - 1, 0),
                stored_kwh=given.stored_kwh,
                shortfall_per_kwh=given.shortfall_per_kwh,
                reason=given.reason,
            )
        case schema.StoredFloorTerm():
            least = {
                _store(s, name, (*path, "least_kwh", name)): plan.uniform(kwh, s.horizon.steps)
                for name, kwh in given.least_kwh.items()
            }
            return plan.StoredFloor(
                least_kwh=least, shortfall_per_kwh_h=given.shortfall_per_kwh_h, reason=given.reason
            )
        case schema.CarDeadlineTerm():
            fleet = _resource(s, given.resource, (*path, "resource"))
            if not isinstance(s.park.resource_by_id.get(fleet, None), EvFleet | None):
                s.fault((*path, "resource"), f"{fleet} charges no cars")
            return plan.CarDeadline(
                resource_id=fleet,
                session_id=given.session_id,
                step=_end_of(s, given.by, (*path, "by")),
                charged_kwh=given.charged_kwh,
                shortfall_per_kwh=given.shortfall_per_kwh,
            )
        case schema.CarbonPriceTerm():
            grid: float | str | None = given.grid_kgco2_per_kwh
            grid = s.park.grid_kgco2_per_kwh if grid is None else grid
            return plan.CarbonPrice(
                price_per_kgco2=given.price_per_kgco2,
                grid_kgco2_per_kwh=s.course(grid, Quantity.CARBON, (*path, "grid_kgco2_per_kwh")),
            )
        case schema.GreenShareTerm():
            return plan.GreenShare(share=given.share, shortfall_per_kwh=given.shortfall_per_kwh)
        case schema.ChangePenaltyTerm():
            announced = {
                _resource(s, name, (*path, "announced_kw", name)): _power(
                    s, course, (*path, "announced_kw", name)
                )
                for name, course in given.announced_kw.items()
            }
            return plan.ChangePenalty(announced_kw=announced, price_per_kwh=given.price_per_kwh)
        case schema.ActivityPriceTerm():
            own = given.resource
            return plan.ActivityPrice(
                activity=given.activity,
                resource_id=None if own is None else _resource(s, own, (*path, "resource")),
                price_per_unit=given.price_per_unit,
                reason=given.reason,
            )
        case schema.EqualBurdenTerm():
            borne = {
                _resource(s, name, (*path, "borne_kwh", name)): kwh
                for name, kwh in given.borne_kwh.items()
            }
            return plan.EqualBurden(borne_kwh=borne, price_per_share=given.price_per_share)
        case schema.StoredEnergyValueTerm():
            return plan.StoredEnergyValue(price_per_kwh=given.price_per_kwh)
        case _:
            assert_never(given)


def _store(s: CaseSeries, given: str, path: KeyPath) -> ResourceId:
    name = _resource(s, given, path)
    if not isinstance(s.park.resource_by_id.get(name, None), Storage | None):
        s.fault(path, f"{name} is no storage")
    return name


def _end_of(s: CaseSeries, moment: datetime, path: KeyPath) -> int:
    """The step that begins at `moment`, which is the end of another."""
    step = s.step_at(moment, path)
    if step == 0:
        s.fault(path, "give the end of a step: nothing can be done before")
    return step


def _peak(
    s: CaseSeries, given: schema.PeakChargeTerm, point: ConnectionPointId, path: KeyPath
) -> plan.PeakCharge:
    steps, interval = s.horizon.steps, given.interval_minutes
    return plan.PeakCharge(
        connection_point_id=point,
        first_step=0 if given.start is None else s.step_at(given.start, (*path, "start")),
        last_step=steps if given.end is None else s.step_at(given.end, (*path, "end")),
        price_per_kw=given.price_per_kw,
        free_kw=given.free_kw,
        interval_steps=1
        if interval is None
        else max(s.steps_in(interval, (*path, "interval_minutes")), 1),
        elapsed_steps=s.steps_in(given.elapsed_minutes, (*path, "elapsed_minutes")),
        elapsed_kw=given.elapsed_kw,
        counts=None if given.windows is None else _inside(s, given.windows),
    )


def _inside(s: CaseSeries, windows: list[schema.ClockWindow]) -> NDArray[np.bool_]:
    """Steps that begin inside some window of local time, shape (T,)."""
    inside = np.zeros(s.horizon.steps, dtype=bool)
    local = [start.astimezone(s.park.timezone) for start in s.horizon.starts()]
    for window in windows:
        first, last = clock_minutes(window.start), clock_minutes(window.end)
        days = day_numbers(window.days)
        inside |= np.array(
            [
                first <= moment.hour * 60 + moment.minute < last and moment.weekday() in days
                for moment in local
            ]
        )
    return inside


def _reserve(s: CaseSeries, given: schema.ReserveTerm, path: KeyPath) -> plan.ReserveHeadroom:
    called, block = given.called_per_kwh, given.block_minutes
    return plan.ReserveHeadroom(
        product_id=ProductId(given.product),
        up=given.up,
        resource_ids=frozenset(
            _resource(s, name, (*path, "resources", place))
            for place, name in enumerate(given.resources)
        ),
        firm_kw=_size(s, given.firm_kw, (*path, "firm_kw")),
        shortfall_per_kw_h=given.shortfall_per_kw_h,
        open_kw=_size(s, given.open_kw, (*path, "open_kw")),
        price_per_kw_h=s.course(
            given.price_per_kw_h, Quantity.POWER_PRICE, (*path, "price_per_kw_h")
        ),
        activation_hours=given.activation_minutes / 60,
        called_share=given.called_share,
        called_per_kwh=None if called is None else _price(s, called, (*path, "called_per_kwh")),
        block_steps=1 if block is None else max(s.steps_in(block, (*path, "block_minutes")), 1),
        elapsed_steps=s.steps_in(given.elapsed_minutes, (*path, "elapsed_minutes")),
        survives_largest=given.survives_largest,
    )


def orders_of(series: CaseSeries, given: Iterable[OrderSection]) -> tuple[LimitOrder, ...]:
    """Limit orders; what is wrong with them becomes faults of `series`."""
    found = []
    for position, order in enumerate(given):
        path: KeyPath = ("limit_orders", position)
        place = place_of(series, order.place, (*path, "place"))
        utc = series.horizon.start.tzinfo
        sizes = {
            name: size
            for name, size in (("import_kw", order.import_kw), ("export_kw", order.export_kw))
            if size is not None
        }
        try:
            span = Interval(order.start.astimezone(utc), order.end.astimezone(utc))
        except DataError as error:
            series.fault((*path, "end"), f"{error.what}: {error.fix}")
            continue
        found.append(
            LimitOrder(
                order_id=order.id,
                place=place,
                span=span,
                limits=Limits(**sizes),
                source=order.source,
                priority=order.priority,
            )
        )
    return tuple(found)


# ---------------------------------------------------------------- names and courses


def places(park: Park) -> list[Place]:
    """Every node of the tree of limits, the park first."""
    return [
        ParkId(park.park_id),
        *(FeederId(feeder.feeder_id) for feeder in park.feeders),
        *(enterprise.enterprise_id for enterprise in park.enterprises),
        *(point.connection_point_id for point in park.connection_points),
    ]


def place_of(s: CaseSeries, name: str, path: KeyPath) -> Place:
    """A node of the tree by its id; a fault where there is none."""
    known = {str(place): place for place in places(s.park)}
    if name not in known:
        s.fault(path, f"unknown place {name!r}; known: {_some(known)}")
        return s.park.park_id
    return known[name]


def _points(s: CaseSeries, name: str, path: KeyPath) -> list[ConnectionPointId]:
    every = [point.connection_point_id for point in s.park.connection_points]
    if name == "all":
        return every
    found = [point for point in every if point == name]
    if not found:
        s.fault(path, f"unknown connection point {name!r}; known: all, {_some(every)}")
    return found


def _resource(s: CaseSeries, name: str, path: KeyPath) -> ResourceId:
    if name not in s.park.resource_by_id:
        s.fault(path, f"unknown resource {name!r}; known: {_some(s.park.resource_by_id)}")
    return ResourceId(name)


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:8]) + (", …" if len(listed) > 8 else "")


def _price(s: CaseSeries, given: float | str, path: KeyPath) -> Floats:
    return s.course(given, Quantity.PRICE, path)


def _power(s: CaseSeries, given: float | str, path: KeyPath) -> Floats:
    return s.course(given, Quantity.POWER, path)


def _size(s: CaseSeries, given: float | str, path: KeyPath) -> Floats:
    values = _power(s, given, path)
    if isinstance(given, str):
        s.within(given, values, 0.0, np.inf, what="a size is never negative")
    elif given < 0:
        s.fault(path, f"{given:g}: a size is never negative")
    return values


def _maybe_size(s: CaseSeries, given: float | str | None, path: KeyPath) -> Floats | None:
    return None if given is None else _size(s, given, path)
