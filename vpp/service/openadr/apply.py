"""What a utility asks becomes what we do: series, limit orders, activations, alerts.

Each part compares what is wanted from the running quarter-hour on with what stands, and sends the difference
through the same doors that everybody uses: the journal, revisions and refusals are theirs. What has passed is
never touched.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import inf, isnan

import numpy as np

from vpp.errors import ConflictError, DataError
from vpp.model.activation import Activation
from vpp.model.horizon import Horizon, Profile
from vpp.model.market import Side
from vpp.model.park import LimitOrder
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.service.calls import activations, limits
from vpp.service.events import Severity
from vpp.service.feeds import door as series_door
from vpp.service.openadr.desk import OpenAdrDesk
from vpp.service.plant import Plant
from vpp.trade.calendar import TradeRefusal
from vpp.trade.programme import NotDone
from vpp.trade.programmeorders import (
    AlertOrder,
    CapacityOrder,
    ChangeOrder,
    SeriesUse,
    SetpointOrder,
    SignalOrder,
)
from vpp.wire import ActivationRequest, LimitRequest, SeriesUpload

SOON = timedelta(hours=1)
"""A call that no plan reaches waits for one, but not until it begins."""

GRAVE = ("ALERT_GRID_EMERGENCY", "ALERT_BLACK_START")


async def apply(
    plant: Plant, desk: OpenAdrDesk, window: Interval, now: datetime
) -> tuple[NotDone, ...]:
    """Do what `desk.schedule` asks for in `window`; what cannot be done comes back, with the reason.

    Raises:
        UnavailableError: The journal cannot be written: the rest waits for the next look.
    """
    tell_alerts(plant, desk, now)
    return (
        *await _apply_limits(plant, desk, window, now),
        *await _apply_calls(plant, desk, window, now),
        *await _apply_series(plant, desk, window, now),
    )


def tell_alerts(plant: Plant, desk: OpenAdrDesk, now: datetime) -> None:
    """Tell the alerts of the running quarter-hour, each once."""
    running = min(desk.schedule, default=now)
    for order in desk.schedule.get(running, ()) if running <= now else ():
        if not isinstance(order, AlertOrder):
            continue
        key = order.event_id, order.alert, order.text
        if key not in desk.told:
            desk.told.add(key)
            plant.events.emit(
                "openadr_alert",
                f"utility {desk.section.id}: {order.alert}: {order.text}"[:500],
                at=now,
                severity=Severity.ALARM if order.alert in GRAVE else Severity.WARNING,
                utility=desk.section.id,
                event_id=order.event_id,
            )


# ---------------------------------------------------------------- limits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """Equal limits of one event at one place, over consecutive quarter-hours."""

    place: str
    event_id: str
    span: Interval
    import_kw: float
    export_kw: float


async def _apply_limits(
    plant: Plant, desk: OpenAdrDesk, window: Interval, now: datetime
) -> list[NotDone]:
    """New orders first, then withdrawals: between the two the tighter one holds.

    Where the new one is refused, what stands at its place in its time stays: it ends by itself.
    """
    limits.settle_unsure(plant, now)
    stamp = f"oadr-{_digest(desk.section.id, 6)}-"
    stale = {
        order_id: held
        for order_id, held in plant.limits.items()
        if order_id.startswith(stamp) and not held.withdrawn and held.order.span.end > now
    }
    not_done: list[NotDone] = []
    refused: list[_Limit] = []
    for wanted in _limits(desk):
        source = desk.source(wanted.event_id)
        same = next((i for i, h in stale.items() if _is(h.order, wanted, source, window)), None)
        if same is not None:
            del stale[same]
            continue
        name = f"{wanted.place}/{wanted.event_id}/{isoformat(wanted.span.start)}"
        order_id = stamp + _digest(name, 16)
        held = plant.limits.get(order_id)
        request = LimitRequest(
            place=wanted.place,
            start=wanted.span.start,
            end=wanted.span.end,
            import_kw=None if wanted.import_kw == inf else wanted.import_kw,
            export_kw=None if wanted.export_kw == inf else wanted.export_kw,
            source=source,
            revision=1 if held is None else held.revision + 1,
        )
        try:
            await limits.put_order(plant, order_id, request, now=now)
        except (DataError, ConflictError) as error:
            refused.append(wanted)
            kind = "IMPORT_CAPACITY_LIMIT" if wanted.import_kw < inf else "EXPORT_CAPACITY_LIMIT"
            not_done.append(
                NotDone(
                    event_id=wanted.event_id, payload_type=kind, why=f"{error.where}: {error.what}"
                )
            )
        else:
            stale.pop(order_id, None)
    for order_id, held in stale.items():
        order = held.order
        if not any(r.place == order.place and r.span.overlaps(order.span) for r in refused):
            await limits.withdraw(
                plant, order_id, by=order.source, reason="its event asks for it no more", now=now
            )
    return not_done


def _is(order: LimitOrder, wanted: _Limit, source: str, window: Interval) -> bool:
    """Whether an order that stands is what is wanted, from now on."""
    return (
        order.place == wanted.place
        and order.source == source
        and max(order.span.start, window.start) == wanted.span.start
        and order.span.end == wanted.span.end
        and (order.limits.import_kw, order.limits.export_kw) == (wanted.import_kw, wanted.export_kw)
    )


def _limits(desk: OpenAdrDesk) -> Iterator[_Limit]:
    """The limits of the schedule, joined where they go on."""
    running: dict[tuple[str, str], tuple[datetime, tuple[float, float]]] = {}
    ends: datetime | None = None
    for start in [*desk.schedule, None]:
        asked: dict[tuple[str, str], list[float]] = defaultdict(lambda: [inf, inf])
        if start is not None:
            for order in desk.schedule[start]:
                if isinstance(order, CapacityOrder):
                    asked[order.place, order.event_id][0 if order.imports else 1] = order.most_kw
        gap = start is None or start != ends
        for key, (begun, kw) in list(running.items()):
            if gap or tuple(asked.get(key, ())) != kw:
                del running[key]
                assert ends is not None
                span = Interval(begun, ends)
                yield _Limit(
                    place=key[0], event_id=key[1], span=span, import_kw=kw[0], export_kw=kw[1]
                )
        if start is not None:
            for key, (import_kw, export_kw) in asked.items():
                running.setdefault(key, (start, (import_kw, export_kw)))
            ends = start + QUARTER


# ---------------------------------------------------------------- calls


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """What one quarter-hour is to be moved by, signed as net injection."""

    product_id: str
    unit_id: str | None
    event_id: str
    start: datetime
    change_kw: float


async def _apply_calls(
    plant: Plant, desk: OpenAdrDesk, window: Interval, now: datetime
) -> list[NotDone]:
    """A call for each quarter-hour: so a change or an end of one leaves those before it as they were."""
    prefix = f"openadr/{desk.section.id}/"
    stale = {
        call.activation_id: call
        for call in plant.book.calls.standing()
        if call.activation_id.startswith(prefix)
        and call.quantity_mw
        and call.interval.start >= window.start
    }
    known = {call.activation_id: call for call in plant.book.calls.standing()}
    changed: dict[str, int] = defaultdict(int)
    not_done: list[NotDone] = []
    orders = list(_call_orders(desk))
    uncalled = activations.uncalled_kw(plant, window) if orders else None
    for order, start in orders:
        call_id = f"{prefix}{order.product_id}/{order.unit_id or ''}/{isoformat(start)}"
        standing = known.get(call_id)
        try:
            wanted = _call(order, start, standing, uncalled, now)
            stale.pop(call_id, None)
            if wanted is not None and not _stands(wanted, standing, desk.source(order.event_id)):
                await _take(plant, desk, call_id, wanted, standing, now)
                changed[order.event_id] += 1
        except (DataError, TradeRefusal, ConflictError) as error:
            kind = "DISPATCH_SETPOINT" if isinstance(order, SetpointOrder) else "DISPATCH"
            not_done.append(NotDone(event_id=order.event_id, payload_type=kind, why=error.what))
    for call_id, call in stale.items():
        nothing = _Call(
            product_id=call.product_id,
            unit_id=call.unit_id,
            event_id="",
            start=call.interval.start,
            change_kw=0.0,
        )
        try:
            await _take(plant, desk, call_id, nothing, call, now)
        except (DataError, TradeRefusal, ConflictError) as error:
            why = f"a call of {call.source} is not taken back: {error.what}"
            not_done.append(NotDone(event_id=call_id, payload_type="", why=why))
        else:
            changed[call.source] += 1
    _tell_calls(plant, desk, changed, now)
    return not_done


def _call_orders(desk: OpenAdrDesk) -> Iterator[tuple[SetpointOrder | ChangeOrder, datetime]]:
    for start, orders in desk.schedule.items():
        for order in orders:
            if isinstance(order, SetpointOrder | ChangeOrder):
                yield order, start


def _call(
    order: SetpointOrder | ChangeOrder,
    start: datetime,
    standing: Activation | None,
    uncalled: Profile | None,
    now: datetime,
) -> _Call | None:
    """What an order comes to in one quarter-hour; None where the call that stands is to stay.

    Raises:
        DataError: It asks against a plan, and none reaches it yet.
    """
    baseline = None if standing is None else activations.baseline_kw(standing, start)
    if baseline is None and uncalled is not None and start in uncalled.horizon.span:
        planned = uncalled.at(start)
        baseline = None if isnan(planned) else planned
    fixed = isinstance(order, ChangeOrder) and not order.change_share
    if baseline is None and not (fixed and start < now + SOON):
        raise DataError(
            "no plan reaches it yet", where=f"event {order.event_id}", fix="Wait for the next plan"
        )
    planned_kw = baseline or 0.0
    if isinstance(order, SetpointOrder):
        change_kw = order.net_kw - planned_kw
    else:
        change_kw = order.change_kw + order.change_share * max(-planned_kw, 0.0)
    return _Call(
        product_id=order.product_id,
        unit_id=order.unit_id,
        event_id=order.event_id,
        start=start,
        change_kw=change_kw,
    )


def _mw(change_kw: float) -> Decimal:
    return Decimal(str(round(abs(change_kw), 3))) / 1000


def _stands(wanted: _Call, standing: Activation | None, source: str) -> bool:
    if standing is None or not standing.quantity_mw:
        return not _mw(wanted.change_kw)
    return (
        standing.quantity_mw == _mw(wanted.change_kw)
        and standing.side is (Side.SELL if wanted.change_kw > 0 else Side.BUY)
        and standing.source == source
    )


async def _take(
    plant: Plant,
    desk: OpenAdrDesk,
    call_id: str,
    wanted: _Call,
    standing: Activation | None,
    now: datetime,
) -> None:
    source = standing.source if not wanted.event_id and standing else desk.source(wanted.event_id)
    request = ActivationRequest(
        activation_id=call_id,
        revision=1 if standing is None else standing.revision + 1,
        unit=wanted.unit_id,
        start=wanted.start,
        end=wanted.start + QUARTER,
        direction="up" if wanted.change_kw >= 0 else "down",
        quantity_mw=_mw(wanted.change_kw),
        source=source,
    )
    await activations.take(plant, wanted.product_id, request, now=now, quiet=True)


def _tell_calls(plant: Plant, desk: OpenAdrDesk, changed: dict[str, int], now: datetime) -> None:
    for name, count in changed.items():
        whose = name if name.startswith("OpenADR") else desk.source(name)
        text = f"{whose}: {count} quarter-hours are called otherwise"
        plant.replan = text
        plant.events.emit(
            "activation", text, at=now, severity=Severity.WARNING, utility=desk.section.id
        )


# ---------------------------------------------------------------- series


async def _apply_series(
    plant: Plant, desk: OpenAdrDesk, window: Interval, now: datetime
) -> list[NotDone]:
    """Put the values that changed, and withdraw those that are no more."""
    wanted: dict[str, dict[datetime, SignalOrder]] = defaultdict(dict)
    for start, orders in desk.schedule.items():
        for order in orders:
            if isinstance(order, SignalOrder):
                wanted[order.series_id][start] = order
    horizon = Horizon.over(window, QUARTER)
    not_done = []
    for series_id, unit in _series(desk).items():
        asked = wanted[series_id]
        values = np.array([asked[s].value if s in asked else np.nan for s in horizon.starts()])
        there = np.full(horizon.steps, np.nan)
        try:
            if plant.series.has(series_id):
                there = plant.series.known(series_id, horizon, now).values
            differ = ~((values == there) | (np.isnan(values) & np.isnan(there)))
            if not differ.any():
                continue
            upload = SeriesUpload.model_validate(
                {
                    "unit": unit,
                    "resolution_s": 900,
                    "issued_at": now,
                    "source": f"OpenADR {desk.section.id}",
                    "values": [
                        {"interval_start": start, "value": None if isnan(value) else float(value)}
                        for start, value, new in zip(horizon.starts(), values, differ, strict=True)
                        if new
                    ],
                }
            )
            await series_door.put_series(plant, series_id, upload, now=now)
        except (DataError, ConflictError) as error:
            first = next(iter(asked.values()), None)
            event_id = "" if first is None else first.event_id
            not_done.append(NotDone(event_id=event_id, payload_type=series_id, why=error.what))
    return not_done


def _series(desk: OpenAdrDesk) -> dict[str, str]:
    """The series that this utility's payloads are, with their units."""
    return {
        use.series_id: use.unit
        for program in desk.section.programs
        for use in program.does.uses().values()
        if isinstance(use, SeriesUse)
    }


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:length]
