"""The offers a market gets of random parks (`_randomparks.py`), and what becomes of a taken part on simulated devices.

park of a seed ─▶ our planner ─▶ offer of a form ─▶ some of it is taken ─▶ set-points ─▶ devices
held to: power sold, energy in stores,
every limit of the tree, level at the end
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator as Dice

from benchmarks._randomparks import (
    BEFORE,
    DELIVERY,
    HORIZON,
    LOT_KW,
    TOLERANCE_KW,
    UNIT,
    UTC_ZONE,
    Case,
)
from vpp.model.gate import DayAheadGate, DayMoment
from vpp.model.horizon import Floats, Horizon
from vpp.model.ids import (
    ProductId,
    ResourceId,
)
from vpp.model.market import Bid, Call, Direction, MarketProduct, PriceGrid, Side
from vpp.model.offer import BlockOffer, PriceUnit, SingleOffer, most_mw
from vpp.model.park import Limits, Park
from vpp.model.resource import CurtailableLoad, FixedLoad, Generator, Resource, Storage
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.simulate.device import BaseDevice, Course
from vpp.simulate.devices import SimulatedGenerator, SimulatedLoad, SimulatedStorage
from vpp.simulate.machines import SimulatedCurtailable, SimulatedMachine
from vpp.trade.blocks import Blocks, block_bids, blocks_of
from vpp.trade.forms import ladder_bids
from vpp.trade.position import Position, Trade
from vpp.trade.robust import Freedom, freedoms, robust_ladders
from vpp.wire import CommandMessage

# ---------------------------------------------------------------- products


def product(form: str, **changes: Any) -> MarketProduct:
    """A product of that form with small lots, a whole day in quarter-hours."""
    given: dict[str, Any] = {
        "product_id": ProductId("product"),
        "timezone": UTC_ZONE,
        "delivery_interval": QUARTER,
        "gate": DayAheadGate(
            opens=DayMoment(days_before=1, at=time(8)),
            closes=DayMoment(days_before=1, at=time(12)),
            results_after=timedelta(hours=1),
            day_starts=time(1),
        ),
        "kind": "energy_da",
        "form": form,
        "currency": "EUR",
        "lot_mw": Decimal("0.01"),
        "max_quantity_mw": Decimal(50),
        "price": PriceGrid(least=Decimal(-500), most=Decimal(4000), tick=Decimal("0.1")),
        "price_series_id": "price",
        "exclusivity_group": "group",
        "unverified": (),
        "pack_digest": "d" * 64,
    }
    return MarketProduct(**(given | changes))


CAPACITY = PriceGrid(
    unit=PriceUnit.CAPACITY_HOUR, least=Decimal(0), most=Decimal(10_000), tick=Decimal("0.01")
)
HOUR = timedelta(hours=1)


def products() -> dict[str, MarketProduct]:
    """One product for each form, and for each way a form is called, by a name for the table."""
    up, down, both = Direction.UP, Direction.DOWN, Direction.SYMMETRIC
    event = Call(longest=None, most_hours_per_day=3.0)
    return {
        "curve_step": product("curve_step", most_steps=256),
        "curve_linear": product("curve_linear", least_steps=2, most_steps=256),
        "segments": product("segments", most_steps=10),
        "segments, day prices": product(
            "segments", least_steps=3, most_steps=10, prices_per_day=True
        ),
        "envelope": product("envelope", most_steps=10, delivery_interval=HOUR),
        "price_bands": product(
            "price_bands",
            kind="energy_rt",
            direction=Direction.BOTH_SEPARATE,
            least_steps=10,
            most_steps=10,
            prices_per_day=True,
            delivery_interval=timedelta(minutes=5),
        ),
        "single, energy": product("single", kind="energy_id", direction=Direction.BOTH_SEPARATE),
        "single, demand response": product("single", kind="dr_event", direction=up, call=event),
        "single, valley": product("single", kind="dr_event", direction=down, call=event),
        "quantity_only": product(
            "quantity_only", kind="dr_contract", direction=up, call=event, price=None
        ),
        "single, capacity up": product(
            "single",
            kind="reserve_capacity",
            direction=up,
            delivery_interval=4 * HOUR,
            call=Call(longest=HOUR),
            price=CAPACITY,
        ),
        "single, symmetric": product(
            "single",
            kind="regulation",
            direction=both,
            delivery_interval=HOUR,
            call=Call(longest=QUARTER),
            price=CAPACITY,
        ),
        "single, up, N-1": product(
            "single",
            kind="reserve_capacity",
            direction=up,
            delivery_interval=4 * HOUR,
            call=Call(longest=QUARTER, survives_largest=True),
            price=CAPACITY,
        ),
        "bid_offer_pairs": product(
            "bid_offer_pairs",
            kind="energy_bm",
            direction=Direction.BOTH_SEPARATE,
            most_steps=5,
            delivery_interval=timedelta(minutes=30),
        ),
        "segments, baseline": product(
            "segments", direction=up, most_steps=10, delivery_interval=HOUR
        ),
        "curve_step, sold before": product("curve_step", kind="energy_id"),
        "block": product("block", linked_blocks=True),
        "block, all or none": product("block", linked_blocks=True, min_share=Decimal(1)),
        "block, without links": product("block"),
    }


def sold_before(case: Case, dice: Dice) -> Position:
    """What another market took of the plan, hour by hour, in whole lots."""
    trades = []
    for number, interval in enumerate(DELIVERY.split(HOUR)):
        steps = slice(BEFORE + 4 * number, BEFORE + 4 * number + 4)
        lots = int(float(case.schedule.net_kw[steps].mean()) * dice.uniform(0.8, 1.1) / LOT_KW)
        if lots:
            trades.append(
                Trade(
                    award_id="a",
                    bid_id=f"b-{number}",
                    product_id=ProductId("sold"),
                    unit_id=UNIT,
                    interval=interval,
                    side=Side.SELL if lots > 0 else Side.BUY,
                    quantity_mw=abs(lots) * Decimal("0.01"),
                    price_per_mwh=Decimal(0),
                    quarantined=False,
                )
            )
    return Position(trades)


SOLD = product("curve_step", product_id=ProductId("sold"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Offered:
    """What a market got of one park, and what stands behind it."""

    case: Case
    product: MarketProduct
    position: Position
    bids: tuple[Bid, ...]
    freedoms: tuple[Freedom, ...]
    """None of a product that is offered in blocks."""
    blocks: Blocks | None = None

    @property
    def movers(self) -> frozenset[ResourceId]:
        """Who may leave the plan."""
        rest_kw = self.freedoms[0].rest_kw if self.blocks is None else self.blocks.rest_kw
        return frozenset(rest_kw)

    @property
    def fine(self) -> timedelta:
        """Steps of the devices: the plan's or the product's, whichever are shorter."""
        return min(self.product.delivery_interval, QUARTER)

    @property
    def first(self) -> int:
        """The first of them in the delivery."""
        return BEFORE * (QUARTER // self.fine)

    @cached_property
    def resting_kwh(self) -> dict[ResourceId, Floats]:
        """Level of each store after each step where nothing is taken."""
        plan = wanted(self, {}, None)
        return {
            r.resource_id: _levels(self.case, r, plan[r.resource_id][self.first :], self.fine)
            for r in self.case.park.resources
            if isinstance(r, Storage)
        }

    @cached_property
    def following_kw(self) -> dict[ResourceId, Floats]:
        """What the devices of those do that never leave the plan; they do it whatever is taken."""
        schedule, parts = self.case.schedule, QUARTER // self.fine
        rows = {name: row for row, name in enumerate(schedule.resource_ids)}
        return {
            r.resource_id: _run(
                _device(self.case, r),
                np.repeat(schedule.power_kw[rows[r.resource_id]], parts)[self.first :],
                self,
            )
            for r in self.case.park.resources
            if r.resource_id not in self.movers
        }


def offered(case: Case, one: MarketProduct, position: Position) -> Offered:
    known = {p.product_id: p for p in (one, SOLD)}
    if one.form == "block":
        # These parks pay at their points; blocks ask what energy is worth to the unit: the same price.
        plan = replace(case.schedule, net_value_per_kwh=case.view.spot_per_kwh.values)
        blocks = blocks_of(one, case.unit, DELIVERY, plan, position, case.park, known)
        return Offered(
            case=case,
            product=one,
            position=position,
            bids=block_bids(one, case.unit, blocks, revision=1),
            freedoms=(),
            blocks=blocks,
        )
    found = freedoms(one, case.unit, DELIVERY, case.schedule, position, case.park, known)
    return Offered(
        case=case,
        product=one,
        position=position,
        bids=ladder_bids(one, case.unit, robust_ladders(one, found), revision=1),
        freedoms=found,
    )


# ---------------------------------------------------------------- what is taken

Taken: TypeAlias = dict[tuple[Interval, Side], float]
"""kW taken of each bid; of a block its share."""


def random_taken(offer: Offered, dice: Dice) -> Taken:
    """Any step of any interval or not, or part of it; what is offered whatever the price is taken."""
    often = float(dice.choice([0.1, 0.5, 0.9]))
    parts = bool(dice.integers(0, 2))

    def share() -> float:
        if dice.random() > often:
            return 0.0
        return float(dice.random()) if parts else 1.0

    return _taken(offer, share)


def worst_taken(offer: Offered, number: int) -> Taken:
    """All, nothing, only one side, one half of the day, every other interval …, by number."""
    way, half = number % 5, number // 5
    if offer.blocks is not None:  # every combination of the first few blocks, and then again
        chosen = {bid.bid_id: float(number >> at & 1) for at, bid in enumerate(offer.bids)}
        return _shares(offer, chosen)
    taken: Taken = {}
    for at, bid in enumerate(offer.bids):
        place = (bid.interval.start - DELIVERY.start) / (DELIVERY.end - DELIVERY.start)
        inside = (place * (half + 1)) % 1 < 0.5 or half == 0
        whole = {0: inside, 1: not inside, 2: bid.side is Side.SELL and inside}
        whole |= {3: bid.side is Side.BUY and inside, 4: bool((at + half) % 2)}
        taken[bid.interval, bid.side] = _of(offer.product, bid, _all if whole[way] else _nothing)
    return taken


def _all() -> float:
    return 1.0


def _nothing() -> float:
    return 0.0


def _taken(offer: Offered, share: Callable[[], float]) -> Taken:
    if offer.blocks is not None:
        return _shares(offer, {bid.bid_id: share() for bid in offer.bids})
    return {(bid.interval, bid.side): _of(offer.product, bid, share) for bid in offer.bids}


def _shares(offer: Offered, wished: Mapping[str, float]) -> Taken:
    """What a market may take of the blocks: what is certain whole, a tied one no more than what it is tied to."""
    grid, shares = offer.product.price, dict[str, float]()
    assert grid is not None
    taken: Taken = {}
    for bid in sorted(offer.bids, key=_ties):
        block = bid.offer
        assert isinstance(block, BlockOffer)
        bound = grid.least if bid.side is Side.SELL else grid.most
        share = 1.0 if block.price_per_mwh == bound else wished[bid.bid_id]
        if block.min_share == 1:
            share = round(share)
        if block.linked_to is not None:
            share = min(share, shares[block.linked_to])
        shares[bid.bid_id] = share
        taken[bid.interval, bid.side] = share
    return taken


def _ties(bid: Bid) -> bool:
    return isinstance(bid.offer, BlockOffer) and bid.offer.linked_to is not None


def _of(one: MarketProduct, bid: Bid, share: Callable[[], float]) -> float:
    """KW taken of a bid; the steps at the best price there is are taken, they have no alternative."""
    assert not isinstance(bid.offer, BlockOffer)
    grid = one.price
    bound = None if grid is None else grid.least if bid.side is Side.SELL else grid.most
    if isinstance(bid.offer, SingleOffer) and bid.offer.min_share == 1:
        return float(most_mw(bid.offer)) * 1000 * round(share())
    total = 0.0
    for mw, price in bid.offer.priced_mw:
        firm = one.trades_energy and price in (None, bound)
        total += float(mw) * 1000 * (1.0 if firm else share())
    return total


# ---------------------------------------------------------------- what is asked of whom


def wanted(offer: Offered, taken: Taken, dice: Dice | None) -> dict[ResourceId, Floats]:
    """Set-points of everyone who moves, on steps as fine as the product's; all calls without dice."""
    fine = offer.fine
    grid = Horizon(HORIZON.start, fine, HORIZON.steps * (QUARTER // fine))
    parts = QUARTER // fine
    rows = {name: row for row, name in enumerate(offer.case.schedule.resource_ids)}
    movers = sorted(offer.movers)
    plan = {n: np.repeat(offer.case.schedule.power_kw[rows[n]], parts) for n in movers}
    stores = {n for n in movers if isinstance(offer.case.park.resource_by_id[n], Storage)}
    after = grid.index(DELIVERY.end)
    for name in stores:
        plan[name][after:] = 0.0
    if offer.blocks is not None:
        _run_blocks(offer.blocks, taken, stores, plan, grid)
        return plan
    hours_left = float("inf")
    if offer.product.call is not None and offer.product.call.most_hours_per_day is not None:
        hours_left = offer.product.call.most_hours_per_day
    for one in offer.freedoms:
        steps = slice(grid.index(one.interval.start), grid.index(one.interval.end))
        for name in stores:
            plan[name][steps] = one.rest_kw[name]
        sell = taken.get((one.interval, Side.SELL), 0.0)
        buy = taken.get((one.interval, Side.BUY), 0.0)
        moved_kw, at = sell - buy, steps
        if not taken:
            continue
        if offer.product.trades_energy:
            moved_kw -= _firm_kw(one)
        elif offer.product.call is not None:
            moved_kw, at, hours_left = _call(
                offer.product, one, sell, steps, fine, hours_left, dice
            )
        pieces = one.up if moved_kw > 0 else one.down
        left = abs(moved_kw)
        for piece in pieces:
            kw = min(piece.kw, left)
            left -= kw
            plan[piece.resource_id][at] += kw if moved_kw > 0 else -kw
        if left > TOLERANCE_KW:
            raise UndeliverableError(
                f"{left:.3f} kW of {moved_kw:.3f} have no piece at {one.interval}"
            )
    return plan


def _run_blocks(
    blocks: Blocks,
    taken: Taken,
    stores: set[ResourceId],
    plan: dict[ResourceId, Floats],
    grid: Horizon,
) -> None:
    """Stores at rest, and on top what was taken of each leg."""
    spans = [slice(grid.index(i.start), grid.index(i.end)) for i in blocks.intervals]
    for name in stores:
        for steps, kw in zip(spans, blocks.rest_kw[name], strict=True):
            plan[name][steps] = kw
    for leg in (leg for cycle in blocks.cycles for leg in cycle):
        span = Interval(blocks.intervals[min(leg.kw)].start, blocks.intervals[max(leg.kw)].end)
        share = taken.get((span, Side.SELL if leg.up else Side.BUY), 0.0)
        for at, size_kw in leg.kw.items():
            plan[leg.resource_id][spans[at]] += share * size_kw if leg.up else -share * size_kw


def _firm_kw(one: Freedom) -> float:
    return int(round(one.firm_kw, 6) / LOT_KW) * LOT_KW


def _call(
    one: MarketProduct,
    freedom: Freedom,
    taken_kw: float,
    steps: slice,
    fine: timedelta,
    hours_left: float,
    dice: Dice | None,
) -> tuple[float, slice, float]:
    """How a call of what was taken comes: all of it as early as can be, or some at some moment."""
    call = one.call
    assert call is not None
    count = steps.stop - steps.start
    longest = count if call.longest is None else min(count, call.longest // fine)
    hours = longest * (fine / HOUR)
    if not taken_kw or hours_left < hours - 1e-9:
        return 0.0, slice(0, 0), hours_left
    share, first = 1.0, steps.start
    up = one.direction is not Direction.DOWN
    if dice is not None:
        share = float(dice.random()) if dice.random() < 0.5 else 1.0
        first += int(dice.integers(0, count - longest + 1))
        up = up and not (one.direction is Direction.SYMMETRIC and dice.random() < 0.5)
    return (share if up else -share) * taken_kw, slice(first, first + longest), hours_left - hours


class UndeliverableError(Exception):
    """What was taken cannot be done."""


# ---------------------------------------------------------------- devices


def faults(offer: Offered, taken: Taken, dice: Dice | None) -> list[str]:
    """What does not hold when what was taken is delivered; empty where all does."""
    try:
        plan = wanted(offer, taken, dice)
    except UndeliverableError as error:
        return [str(error)]
    found: list[str] = []
    measured = dict(offer.following_kw)
    for resource in offer.case.park.resources:
        if resource.resource_id in plan:
            target = plan[resource.resource_id][offer.first :]
            device = _device(offer.case, resource)
            powers = _run(device, target, offer)
            found += _power_faults(device.resource_id, powers, target)
            if isinstance(device, SimulatedStorage):
                found += _level_faults(offer, device, target)
            measured[resource.resource_id] = powers
    return [*found, *_tree_faults(offer.case.park, measured)]


def _run(device: BaseDevice, target: Floats, offer: Offered) -> Floats:
    """What a device does that is told `target`, step by step from the delivery on."""
    fine, hours = offer.fine, offer.fine / HOUR
    told: float | None = None
    powers = np.zeros(len(target))
    now = DELIVERY.start
    commanded = not isinstance(device, SimulatedLoad)
    for step, kw in enumerate(target.tolist()):
        if commanded and kw != told:
            told = kw
            device.receive(_command(device.resource_id, step + 1, now, kw), now)
        before = device.energy_kwh
        now += fine
        device.step(now, fine)
        powers[step] = (device.energy_kwh - before) / hours
    return powers


def _power_faults(name: ResourceId, powers: Floats, target: Floats) -> Iterator[str]:
    off = np.abs(powers - target)
    if off.max() > TOLERANCE_KW:
        step = int(off.argmax())
        yield f"{name} runs at {powers[step]:.3f} kW, not {target[step]:.3f}, in step {step}"


def _command(name: ResourceId, seq: int, now: datetime, kw: float) -> CommandMessage:
    return CommandMessage(
        command_id=f"{name}-{seq}",
        seq=seq,
        issued_at=isoformat(now),
        expires_at=isoformat(now + timedelta(days=3)),
        power_kw=kw,
    )


def _device(case: Case, resource: Resource) -> BaseDevice:
    opened = DELIVERY.start
    name = resource.resource_id
    match resource:
        case Storage():
            stored = float(case.schedule.stored_kwh[name][BEFORE - 1])
            return SimulatedStorage(resource, stored / resource.capacity_kwh, UTC_ZONE, opened)
        case FixedLoad():
            return SimulatedLoad(resource, Course(case.view.base_kw[name], name), opened)
        case CurtailableLoad():
            course = Course(case.view.base_kw[name], name)
            return SimulatedCurtailable(resource, course, UTC_ZONE, opened)
        case Generator(weather_driven=True):
            course = Course(case.view.available_kw[name], name)
            return SimulatedGenerator(resource, course, opened)
        case Generator():
            return SimulatedMachine(resource, UTC_ZONE, opened)
        case _:
            raise AssertionError(resource)


def _level_faults(offer: Offered, device: SimulatedStorage, target: Floats) -> Iterator[str]:
    """The level by what the device was told, since its own register tells the end alone.

    At its floor a store loses all the same: below it is a fault only where it is lower than at rest.
    """
    of = offer.case.park.resource_by_id[device.resource_id]
    assert isinstance(of, Storage)
    levels = _levels(offer.case, of, target, offer.fine)
    resting = offer.resting_kwh[of.resource_id]
    floor = np.minimum(of.min_soc * of.capacity_kwh, resting)
    if (levels < floor - TOLERANCE_KW).any():
        yield f"{of.resource_id} falls to {levels.min():.3f} kWh"
    if levels.max() > of.capacity_kwh + TOLERANCE_KW:
        yield f"{of.resource_id} rises to {levels.max():.3f} kWh of {of.capacity_kwh:.3f}"
    least = min((of.final_soc or 0.0) * of.capacity_kwh, float(resting[-1]))
    if device.stored_kwh < least - TOLERANCE_KW:
        yield f"{of.resource_id} ends at {device.stored_kwh:.3f} kWh, not {least:.3f}"


def _levels(case: Case, of: Storage, target: Floats, fine: timedelta) -> Floats:
    stored = float(case.schedule.stored_kwh[of.resource_id][BEFORE - 1])
    levels = []
    for kw in target:
        stored = of.stored_kwh_after(stored, float(kw), fine / HOUR)
        levels.append(stored)
    return np.array(levels)


def _tree_faults(park: Park, measured: Mapping[ResourceId, Floats]) -> Iterator[str]:
    def check(name: str, limits: Limits, members: Sequence[ResourceId]) -> Iterator[str]:
        net = np.sum([measured[member] for member in members], axis=0)
        if net.max() > limits.export_kw + TOLERANCE_KW:
            yield f"{name} feeds {net.max():.3f} of {limits.export_kw:.3f} kW"
        if -net.min() > limits.import_kw + TOLERANCE_KW:
            yield f"{name} draws {-net.min():.3f} of {limits.import_kw:.3f} kW"

    yield from check("park", park.limits, list(measured))
    for point in park.connection_points:
        name = point.connection_point_id
        yield from check(name, point.limits, park.behind_point[name])
    for feeder in park.feeders:
        yield from check(feeder.feeder_id, feeder.limits, park.behind_feeder[feeder.feeder_id])
    for owner in park.enterprises:
        behind = park.behind_enterprise[owner.enterprise_id]
        yield from check(owner.enterprise_id, owner.limits, behind)
