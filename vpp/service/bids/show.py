"""Bids for people: what is bought and sold at which price, and why."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from vpp.model.market import Bid, Side
from vpp.model.offer import BlockOffer, most_mw
from vpp.model.time import Interval
from vpp.service.bids.case import BidRan
from vpp.trade.reasonmessages import BidReason

MOST_ROWS = 30
"""Of more intervals the full hours are shown; `--json` has all."""

MOST_STEPS = 5
"""Of one offer; the others are in `--json`."""


def show_bids(made: BidRan, console: Console) -> None:
    """Print what a person looks at first."""
    for line in _head(made):
        console.print(line, highlight=False, markup=False)
    if made.bids:
        console.print(_table(made))


def _head(made: BidRan) -> Iterator[str]:
    reasons, zone, currency = (
        made.reasons,
        made.ran.case.file.park.timezone,
        made.product.currency,
    )
    start, end = made.delivery.start.astimezone(zone), made.delivery.end.astimezone(zone)
    yield (
        f"{made.product.product_id} of {made.unit.unit_id}: {len(made.bids)} bids for"
        f" {start:%a %Y-%m-%d %H:%M} to {end:%a %Y-%m-%d %H:%M}, times of {zone.key}"
    )
    yield f"plan {reasons.plan_id}, strategies {reasons.strategy_version}, mode {reasons.mode}"
    if reasons.note:
        yield f"not in the mode expected: {reasons.note}"
    if (refused := made.ran.case.file.not_biddable(made.product.product_id)) is not None:
        yield f"nothing of it would leave a live park: {refused}"
    curves = made.curves
    if curves is None or curves.check is None or made.reasons.curves is None:
        return
    check = curves.check
    yield (
        f"{reasons.curves.scenarios if reasons.curves else 0} price scenarios: expected cost"
        f" {curves.expected_cost:,.2f} {currency}, mean of the worst"
        f" {1 - curves.cvar_level:.0%} {curves.cvar_cost:,.2f}; worked out in {curves.solve_s:.1f} s"
    )
    yield (
        f"{check.paths} of {check.asked} price paths tried: {check.share_before_cut:.2%} of what is"
        f" traded cannot be delivered, on {check.paths_short} of them anything at all"
    )
    if check.kept < 1:
        yield (
            f"cut: {check.kept:.0%} of the way from the plan's own quantities is left, and"
            f" {check.undelivered_share:.2%} of what was traded at most cannot be delivered"
        )


def _table(made: BidRan) -> Table:
    currency = made.product.currency
    table = Table(
        title=f"MW @ limit in {currency}/MWh, best price first",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("from", justify="right", no_wrap=True)
    table.add_column("expects", justify="right")
    table.add_column("10 … 90 %", justify="right", no_wrap=True)
    table.add_column("buys", overflow="fold")
    table.add_column("sells", overflow="fold")
    table.add_column("worth", justify="right", no_wrap=True)
    table.add_column("headroom MW", justify="right", no_wrap=True)
    zone = made.ran.case.file.park.timezone
    reasons = {reason.bid_id: reason for reason in made.reasons.bids}
    for interval, sides in _shown(made):
        whys = [
            reasons[bid.bid_id.rsplit("/", 1)[0]] for bid in sides.values()
        ]  # one for each side
        first = whys[0]
        table.add_row(
            f"{interval.start.astimezone(zone):%H:%M}",
            "" if first.expected_price_per_mwh is None else f"{first.expected_price_per_mwh:.2f}",
            _spread(first),
            _offer(sides.get(Side.BUY)),
            _offer(sides.get(Side.SELL)),
            _worth(whys),
            " / ".join(f"{why.headroom_mw:.1f}" for why in whys),
        )
    return table


def _shown(made: BidRan) -> Iterator[tuple[Interval, dict[Side, Bid]]]:
    """Intervals with their bids: all of them, or those that begin with a full hour."""
    found: dict[Interval, dict[Side, Bid]] = {}
    for bid in made.bids:
        found.setdefault(bid.interval, {})[bid.side] = bid
    for interval, sides in found.items():
        if len(found) <= MOST_ROWS or interval.start.minute == 0:
            yield interval, sides


def _offer(bid: Bid | None) -> str:
    if bid is None:
        return ""
    if isinstance(bid.offer, BlockOffer):
        return _block(bid.offer)
    priced = bid.offer.priced_mw
    told = [
        f"{mw}" if price is None else f"{mw} @ {price}" for mw, price in priced[:MOST_STEPS] if mw
    ]
    if len(priced) > MOST_STEPS:
        told.append(f"… {most_mw(bid.offer)} in all")
    return ", ".join(told)


def _block(block: BlockOffer) -> str:
    """Its parts, the price, and whether it hangs on another one."""
    sizes = [part.quantity_mw for part in block.parts]
    mw = f"{sizes[0]}" if min(sizes) == max(sizes) else f"{min(sizes)} … {max(sizes)}"
    tied = "" if block.linked_to is None else ", tied"
    return f"block of {len(sizes)}: {mw} @ {block.price_per_mwh}{tied}"


def _spread(reason: BidReason) -> str:
    if not reason.price_levels:
        return ""
    low, high = reason.price_levels[0], reason.price_levels[-1]
    return f"{low.price_per_mwh:.1f} … {high.price_per_mwh:.1f}"


def _worth(whys: list[BidReason]) -> str:
    """What a MWh is worth behind the steps, from the least to the most."""
    worth = [step.shadow_price_per_mwh for why in whys for step in why.steps]
    low, high = min(worth), max(worth)
    return f"{low:.1f}" if low == high else f"{low:.1f} … {high:.1f}"
