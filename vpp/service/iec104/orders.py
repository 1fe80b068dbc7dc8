"""What a dispatch centre orders becomes a limit order or an activation, by the park file: the doors of everybody else.

    order ─▶ journal ─▶ limits.put_order / activations.take ─▶ journal ─▶ an act cycle at once ─▶ confirmed
                  └ cannot be written, or the door says no ─▶ refused

So it goes through plan, share and guard. A call holds for quarter-hours, each a call of its own, so that the
next order replaces what is left of the one before and rewrites nothing that has passed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import assert_never

from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.activation import Activation
from vpp.model.market import Side
from vpp.model.telecontrol import DispatchOrder, Flaw, OrderPoint, Shown
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary
from vpp.service.calls import activations, limits
from vpp.service.events import Severity
from vpp.service.iec104.desk import StationDesk
from vpp.service.iec104.schema import ActivationSection, AnyOrder, LimitSection
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.wire import ActivationRequest, LimitRequest

ORDER = "dispatch_order"
"""Kind of journal entries."""


def order_points(orders: list[AnyOrder]) -> tuple[OrderPoint, ...]:
    """What the station takes, by the point table."""
    return tuple(_order_point(order) for order in orders)


def _order_point(order: AnyOrder) -> OrderPoint:
    match order:
        case LimitSection(switch_kw=None):
            return OrderPoint(address=order.ioa, pace=order.how, low=0.0, high=1e9 / order.scale)
        case LimitSection():
            return OrderPoint(address=order.ioa, pace=order.how, is_switch=True)
        case ActivationSection():
            most = order.most_kw / order.scale
            return OrderPoint(address=order.ioa, pace=order.how, low=-most, high=most)
        case _:
            assert_never(order)


async def take(plant: Plant, desk: StationDesk, order: DispatchOrder) -> str | None:
    """Do what is ordered; why not, or None where it is on record and in force."""
    now = order.received_at
    section = next(one for one in desk.section.orders if one.ioa == order.address)
    try:
        await _put_on_record(plant, order, section)
        plant.reach("dispatch order journalled")
        match section:
            case LimitSection():
                await _limit(plant, order, section, now)
            case ActivationSection():
                await _call(plant, order, section, now)
            case _:
                assert_never(section)
    except (DataError, ConflictError, UnavailableError) as error:
        return error.what
    return None


def standing(plant: Plant, station: str, section: AnyOrder, now: datetime) -> Shown | None:
    """What stands of an order in the books, as the centre counts it; None where nothing was ordered.

    Not topical once its time is over.
    """
    match section:
        case LimitSection():
            return _standing_limit(plant, station, section, now)
        case ActivationSection():
            return _standing_call(plant, station, section, now)
        case _:
            assert_never(section)


def _standing_limit(
    plant: Plant, station: str, section: LimitSection, now: datetime
) -> Shown | None:
    held = plant.limits.get(f"{station}-{section.ioa}")
    if held is None:
        return None
    over = held.order.span.end <= now or (held.withdrawn and section.switch_kw is None)
    flaw = Flaw.NOT_TOPICAL if over else Flaw.NONE
    if section.switch_kw is not None:
        return Shown(float(not (held.withdrawn or over)), Flaw.NONE, held.received_at)
    limits_ = held.order.limits
    kw = limits_.import_kw if section.side == "import" else limits_.export_kw
    return Shown(kw / section.scale, flaw, held.received_at)


def _standing_call(
    plant: Plant, station: str, section: ActivationSection, now: datetime
) -> Shown | None:
    quarter = next(_quarters(now, 15))
    call = _newest(plant, _call_id(station, section, quarter))
    if call is None:
        return None
    kw = float(call.activated_mw) * 1000
    if section.meaning == "net":
        kw += activations.baseline_kw(call, quarter.start) or 0.0
    return Shown(kw * _sign(section) / section.scale, Flaw.NONE, call.received_at)


async def _put_on_record(plant: Plant, order: DispatchOrder, section: AnyOrder) -> None:
    newest = plant.journal.greatest_key(ORDER)
    number = 1 if newest is None else int(newest.partition("/")[0]) + 1
    body = {
        "station": order.station,
        "master": order.master,
        "ioa": order.address,
        "value": order.value,
        "becomes": section.what,
        "received_at": isoformat(order.received_at),
    }
    key = f"{number:012d}/{order.station}"
    await append(plant, ORDER, key, json.dumps(body).encode(), now=order.received_at)


# ---------------------------------------------------------------- limits


async def _limit(plant: Plant, order: DispatchOrder, section: LimitSection, now: datetime) -> None:
    order_id = f"{order.station}-{order.address}"
    if section.switch_kw is not None and not order.value:
        await limits.withdraw(
            plant, order_id, by=order.station, reason="the station switched it off", now=now
        )
        return
    kw = order.value * section.scale if section.switch_kw is None else section.switch_kw
    limits.settle_unsure(plant, now)
    held, hold = plant.limits.get(order_id), timedelta(minutes=section.hold_minutes)
    if held is not None and not held.withdrawn and held.order.span.end - now > hold / 2:
        standing_kw = getattr(held.order.limits, f"{section.side}_kw")
        if standing_kw == kw:
            return  # said again: renewed when half of its time is over
    request = LimitRequest(
        place=section.place,
        start=now,
        end=now + hold,
        import_kw=kw if section.side == "import" else None,
        export_kw=kw if section.side == "export" else None,
        source=_source(order),
        priority=section.priority,
        revision=1 if held is None else held.revision + 1,
        orderly_use=section.orderly_use,
    )
    await limits.put_order(plant, order_id, request, now=now)


# ---------------------------------------------------------------- calls


async def _call(
    plant: Plant, order: DispatchOrder, section: ActivationSection, now: datetime
) -> None:
    if plant.kill.reason is not None:
        raise DataError(
            "the kill switch stops this plant", where="kill", fix="Order again when it is released"
        )
    asked_kw = order.value * section.scale * _sign(section)
    changed = 0
    for quarter in _quarters(now, section.hold_minutes):
        call_id = _call_id(order.station, section, quarter)
        standing = _newest(plant, call_id)
        change_kw = asked_kw
        if section.meaning == "net":
            change_kw -= _planned_kw(plant, standing, quarter)
        quantity_mw = Decimal(str(round(abs(change_kw), 3))) / 1000
        if _stands(standing, change_kw, quantity_mw):
            continue
        request = ActivationRequest(
            activation_id=call_id,
            revision=1 if standing is None else standing.revision + 1,
            unit=section.unit,
            start=quarter.start,
            end=quarter.end,
            direction="up" if change_kw >= 0 else "down",
            quantity_mw=quantity_mw,
            source=_source(order),
        )
        await activations.take(plant, section.product, request, now=now, quiet=True)
        changed += 1
    if changed:
        text = (
            f"{_source(order)} calls for {asked_kw:g} kW ({section.meaning}) of {section.product}"
        )
        plant.replan = text
        plant.events.emit("activation", text, at=now, severity=Severity.WARNING)


def _call_id(station: str, section: ActivationSection, quarter: Interval) -> str:
    return f"{station}-{section.ioa}/{isoformat(quarter.start)}"


def _sign(section: ActivationSection) -> int:
    return 1 if section.counts == "feed" else -1


def _quarters(now: datetime, minutes: int) -> Iterator[Interval]:
    """Those that an order given now holds in: the one that runs, and as many as its time says."""
    start = latest_boundary(now, QUARTER)
    for number in range(minutes // 15):
        yield Interval(start + number * QUARTER, start + (number + 1) * QUARTER)


def _newest(plant: Plant, call_id: str) -> Activation | None:
    book = plant.book.calls
    return None if book.first(call_id) is None else book.newest(call_id)


def _planned_kw(plant: Plant, standing: Activation | None, quarter: Interval) -> float:
    """What would be fed or drawn without the call.

    Raises:
        DataError: No plan reaches it.
    """
    planned_kw = None
    if standing is not None:
        planned_kw = activations.baseline_kw(standing, quarter.start)
    if planned_kw is None:
        profile = activations.uncalled_kw(plant, quarter)
        planned_kw = None if profile is None else float(profile.values[0])
    if planned_kw is None or planned_kw != planned_kw:
        raise DataError(
            "no plan reaches it", where=isoformat(quarter.start), fix="Order again after a plan"
        )
    return planned_kw


def _stands(standing: Activation | None, change_kw: float, quantity_mw: Decimal) -> bool:
    if standing is None or not standing.quantity_mw:
        return not quantity_mw
    side = Side.SELL if change_kw > 0 else Side.BUY
    return standing.quantity_mw == quantity_mw and standing.side is side


def _source(order: DispatchOrder) -> str:
    return f"dispatch {order.station}, {order.master}"
