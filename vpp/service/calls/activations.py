"""Activations: a venue calls for what we hold ready, or an operator gives an instruction.

    POST ─▶ fits product, unit, grid? ─▶ journal ─▶ position ─▶ acknowledge ─▶ a new plan at once

It is owed against what would have been fed or drawn without it: net injection as it was planned when its
quarter-hour was first called for, less what other calls had asked of that plan. Plans keep to that plus all that
is called by a cap on the whole park, at `trading.activation_shortfall_per_kwh`. Nothing of it is offered or bought
back in another market, for it counts as sold; until a plan knows of it, its deliveries are not bid for at all. A
higher revision replaces it, one of 0 MW takes it back. The call of an invitation that was confirmed is owed there,
against the baseline of its product (`demandresponse/plan.py`), and adds nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from vpp.errors import DataError
from vpp.model.activation import Activation
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Side
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary
from vpp.plan.terms import Cap
from vpp.service.events import Severity
from vpp.service.markets.pack import Pack
from vpp.service.plant import Plant
from vpp.service.trading import log as tradelog
from vpp.trade.calendar import Refusal, TradeRefusal
from vpp.trade.callrecords import activation_to_record, is_move, move_to_record
from vpp.trade.drlifecycle import OWED
from vpp.trade.reservehold import serves
from vpp.wire import ActivationRequest

SIDES = {"up": Side.SELL, "down": Side.BUY}


async def take(
    plant: Plant,
    product_id: str,
    request: ActivationRequest,
    *,
    now: datetime,
    quiet: bool = False,
) -> Activation:
    """Book an activation; acknowledged when it is on disk. The same again changes nothing.

    `quiet` leaves it to the caller to tell of it and to ask for a plan: for many that come together.

    Raises:
        TradeRefusal: `unknown_product`, `unknown_unit`, `off_grid`, or `over`: its time has passed.
        DataError: More than the unit is registered for.
        ConflictError: The same revision came with other numbers.
        UnavailableError: The journal cannot be written; it must come again.
    """
    pack = listed(plant, product_id)
    async with plant.trading:
        tradelog.settle_unsure(plant)
        activation = _read(plant, pack, request, now)
        if not plant.book.calls.is_new(activation):
            return activation
        _require_sound(plant, activation, now)
        key = f"{activation.activation_id}/{activation.revision}"
        plant.reach("activation checked")
        if is_move(activation, plant.book.calls.known(activation.activation_id)):
            kind, body = tradelog.SIGNAL_MOVE, move_to_record(activation)
        else:
            kind, body = tradelog.ACTIVATION, activation_to_record(activation)
        await tradelog.append(plant, kind, key, body, now=now)
        plant.reach("activation journalled")
        plant.book.activate(activation)
    if now in activation.interval:  # what is owed now is another
        plant.acting.nudge.ask()
    if not quiet:
        _tell(plant, activation, now)
    plant.reach("activation booked")
    return activation


def terms(plant: Plant, horizon: Horizon) -> tuple[Cap, ...]:
    """What the plan keeps to for all activations that reach into its horizon: nothing for those taken back."""
    calls = [
        call
        for call in plant.book.calls.standing_in(horizon.span)
        if call.quantity_mw and call.invitation_id is None and not call.signal
    ]
    owed_kw, called_kw = _owed_kw(calls, horizon), _called_kw(calls, horizon)
    names = ", ".join(call.activation_id for call in calls)
    caps = []
    for side in Side:
        bound_kw = np.where(called_kw * side.sign > 0, owed_kw, np.nan)
        if np.isfinite(bound_kw).any():
            beyond = np.where(np.isfinite(bound_kw), bound_kw, -side.sign * np.inf)
            caps.append(
                Cap(
                    place=plant.file.park.park_id,
                    # A limit below 0 asks for the other direction: at least so much is fed, or drawn.
                    import_kw=-beyond if side is Side.SELL else None,
                    export_kw=beyond if side is Side.BUY else None,
                    excess_per_kwh=float(plant.file.trading.activation_shortfall_per_kwh),
                    reason=f"activation {names}",
                )
            )
    return tuple(caps)


def require_planned(plant: Plant, product_id: str, delivery: Interval) -> None:
    """Refuse to bid for a delivery that a call changed since the newest plan was made.

    The plan would buy back what is called, at any price.

    Raises:
        TradeRefusal: `plan_stale`.
    """
    for call in plant.book.calls.standing_in(delivery):
        key = call.activation_id, call.revision
        if call.signal:
            continue  # the plan holds headroom for all of it
        if key not in plant.calls_planned:
            raise TradeRefusal(
                f"activation {call.activation_id} came after the newest plan",
                code=Refusal.PLAN_STALE,
                where=f"product {product_id}",
                fix="Ask again after the next plan, which is due at once",
            )


def _called_kw(calls: Sequence[Activation], horizon: Horizon) -> Floats:
    """What all of `calls` ask for, signed as net injection, shape (T,)."""
    called = np.zeros(horizon.steps)
    for call in calls:
        inside = [call.interval.start <= start < call.interval.end for start in horizon.starts()]
        called[inside] += float(call.activated_mw) * 1000
    return called


def _owed_kw(calls: Sequence[Activation], horizon: Horizon) -> Floats:
    """Net injection with all of `calls`, shape (T,); NaN where none is called or none has a baseline."""
    first = np.full(horizon.steps, np.nan)
    for call in calls:
        for step, start in enumerate(horizon.starts()):
            if np.isnan(first[step]) and call.interval.start <= start < call.interval.end:
                baseline = baseline_kw(call, start)
                first[step] = np.nan if baseline is None else baseline
    return first + _called_kw(calls, horizon)


def baseline_kw(call: Activation, moment: datetime) -> float | None:
    """Net injection that was planned for a moment without the call; None where nothing was."""
    profile = call.baseline_kw
    if profile is None or moment not in profile.horizon.span:
        return None
    value = float(profile.values[profile.horizon.index(moment)])
    return value if np.isfinite(value) else None


def uncalled_kw(
    plant: Plant, interval: Interval, part: tuple[UnitId, Floats] | None = None
) -> Profile | None:
    """Net injection as it is planned now, less what calls have asked of that plan; NaN beyond it.

    Of the park; or of a `part` of it: a unit, and its plan on the plan's horizon. None where no plan reaches
    `interval`.
    """
    return _baseline(plant, None, interval, part)


def listed(plant: Plant, product_id: str) -> Pack:
    """The market file of a product, also of one that nothing is bid into yet.

    Raises:
        TradeRefusal: `unknown_product`.
    """
    for pack in plant.file.packs:
        if pack.product_id == product_id:
            return pack
    raise TradeRefusal(
        "this park does not list it",
        code=Refusal.UNKNOWN_PRODUCT,
        where=f"product {product_id[:80]}",
        fix=f"Use one of {sorted(pack.product_id for pack in plant.file.packs)}",
    )


def _read(plant: Plant, pack: Pack, request: ActivationRequest, now: datetime) -> Activation:
    units = {unit.unit_id for unit in plant.file.park.bidding_units}
    first = plant.book.calls.first(request.activation_id)
    unit = request.unit or (first.unit_id if first else plant.file.park.bidding_units[0].unit_id)
    if unit not in units:
        raise TradeRefusal(
            "this park has no such unit",
            code=Refusal.UNKNOWN_UNIT,
            where=f"unit {unit}",
            fix=f"Use one of {sorted(units)}, or leave it out",
        )
    start, end = request.start.astimezone(UTC), request.end.astimezone(UTC)
    product = plant.products.get(pack.product_id)
    signal = pack.by_signal and product is not None and not product.trades_energy
    on_grid = signal or all(latest_boundary(at, QUARTER) == at for at in (start, end))
    if not start < end or not on_grid:
        raise TradeRefusal(
            f"{isoformat(start)} to {isoformat(end)} is no span of quarter-hours",
            code=Refusal.OFF_GRID,
            where=f"activation {request.activation_id}",
            fix="Begin and end on whole quarter-hours, the end after the start",
        )
    interval = Interval(start, end)
    return Activation(
        activation_id=request.activation_id,
        revision=request.revision,
        product_id=pack.product_id,
        unit_id=UnitId(unit),
        interval=interval,
        side=SIDES[request.direction],
        quantity_mw=request.quantity_mw,
        source=request.source,
        received_at=now,
        signal=signal,
        invitation_id=_invitation(plant, pack.product_id, interval),
        baseline_kw=None if signal else _baseline(plant, first, interval),
    )


def _invitation(plant: Plant, product_id: ProductId, interval: Interval) -> str | None:
    """The confirmed invitation that this is the call of; it is owed against the baseline of that."""
    for story in plant.dr.book.stories(product_id):
        if story.stage in OWED and story.invitation.window.overlaps(interval):
            return story.invitation.invitation_id
    return None


def _baseline(
    plant: Plant,
    first: Activation | None,
    interval: Interval,
    part: tuple[UnitId, Floats] | None = None,
) -> Profile | None:
    """As it was when the first revision came, and beyond that as it is now: without what calls have asked for."""
    before = None if first is None else first.baseline_kw
    schedule = plant.schedule
    spans = [] if before is None else [before.horizon.span]
    if schedule is not None and interval.overlaps(schedule.horizon.span):
        seen = schedule.horizon.span
        spans.append(Interval(max(interval.start, seen.start), min(interval.end, seen.end)))
    if not spans:
        return None
    whole = Interval(min(span.start for span in spans), max(span.end for span in spans))
    horizon = Horizon.over(whole, QUARTER)
    values = np.full(horizon.steps, np.nan)
    if schedule is not None:
        unit_id, planned_kw = (None, schedule.net_kw) if part is None else part
        planned = Profile(schedule.horizon, planned_kw)
        calls = plant.book.calls.standing_in(horizon.span)
        known = [
            c
            for c in calls
            if (c.activation_id, c.revision) in plant.calls_planned and unit_id in (None, c.unit_id)
        ]
        asked = _called_kw(known, horizon)
        for step, start in enumerate(horizon.starts()):
            if start in schedule.horizon.span:
                values[step] = planned.at(start) - asked[step]
    for step, start in enumerate(horizon.starts()):
        if before is not None and start in before.horizon.span:
            values[step] = before.at(start)
    return Profile(horizon, values)


def _require_sound(plant: Plant, activation: Activation, now: datetime) -> None:
    where = f"activation {activation.activation_id}"
    if activation.interval.end <= now:
        raise TradeRefusal(
            f"it ended at {isoformat(activation.interval.end)}",
            code=Refusal.OVER,
            where=where,
            fix="Give a span that is not over",
        )
    if activation.signal:
        _require_awarded(plant, activation, now)
    unit = next(u for u in plant.file.park.bidding_units if u.unit_id == activation.unit_id)
    if activation.quantity_mw > Decimal(str(unit.declared_kw)) / 1000:
        raise DataError(
            f"{activation.quantity_mw} MW is more than the {unit.declared_kw / 1000:g} MW of {unit.unit_id}",
            where=where,
            fix="Ask for no more than the unit is registered for",
        )


def awarded_mw(plant: Plant, product_id: ProductId, unit_id: UnitId, moment: datetime) -> Decimal:
    """What is awarded of a product that is called, or of the capacity that it draws on, at a moment."""
    start = latest_boundary(moment, QUARTER)
    quarter, own = Interval(start, start + QUARTER), plant.products[product_id]
    position = plant.book.position(unit_id)
    return max(
        position.sold_mw(name, quarter)
        for name, one in plant.products.items()
        if name == own.product_id or serves(one, own)
    )


def _require_awarded(plant: Plant, activation: Activation, now: datetime) -> None:
    """A signal stays within what was awarded."""
    moment = max(now, activation.interval.start)
    awarded = awarded_mw(plant, activation.product_id, activation.unit_id, moment)
    if activation.quantity_mw > awarded:
        raise DataError(
            f"{activation.quantity_mw} MW, and {awarded} MW are awarded",
            where=f"activation {activation.activation_id}",
            fix="Stay within the award",
        )


def _tell(plant: Plant, activation: Activation, now: datetime) -> None:
    name = f"activation {activation.activation_id} of {activation.product_id}"
    if activation.signal:
        first = plant.book.calls.first(activation.activation_id)
        if first is not None and first.revision == activation.revision:  # not every few seconds
            plant.events.emit("activation", f"{name}: a signal by {activation.source}", at=now)
        return
    if not plant.book.calls.stands(activation):
        text = f"{name}: revision {activation.revision} came late and moves nothing"
    elif not activation.quantity_mw:
        text = f"{name} is taken back"
    else:
        way = "up" if activation.side is Side.SELL else "down"
        span = f"{isoformat(activation.interval.start)} to {isoformat(activation.interval.end)}"
        text = f"{name}: {activation.quantity_mw} MW {way}, {span}, by {activation.source}"
        horizon = Horizon.over(activation.interval, QUARTER)
        unplanned = sum(baseline_kw(activation, start) is None for start in horizon.starts())
        if unplanned:
            text += (
                f"; no plan reached {unplanned} of its {horizon.steps} quarter-hours: they are owed"
                " and no plan can keep to them"
            )
    plant.replan = text
    plant.events.emit(
        "activation",
        text,
        at=now,
        severity=Severity.WARNING,
        activation_id=activation.activation_id,
        revision=activation.revision,
    )
