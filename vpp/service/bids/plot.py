"""A picture of a bid: what it trades through the day at low and high prices, and the curves of some intervals.

matplotlib is an extra, as for `planning/picture.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from vpp.errors import ConfigError, PlanError
from vpp.model.horizon import Floats
from vpp.model.market import Bid
from vpp.model.offer import BlockOffer, PricedMw
from vpp.model.time import Interval
from vpp.service.bids.case import BidRan
from vpp.service.planning.picture import DEMAND, GRID, INK, MOVED, SOURCES, require_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES = 4
"""So many intervals have their curve drawn."""


def draw_bids(made: BidRan, target: Path) -> None:
    """Draw the bids into a PNG file.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written.
        PlanError: There is nothing to draw.
    """
    require_matplotlib()
    if not made.bids:
        raise PlanError("there is nothing to offer", where="--plot", fix="Look at the table")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9.5), dpi=110, layout="constrained")
    grid = figure.add_gridspec(3, CURVES, height_ratios=[3, 2, 3])
    traded, prices = figure.add_subplot(grid[0, :]), figure.add_subplot(grid[1, :])
    prices.sharex(traded)
    bids = _by_interval(made.bids)
    _draw_traded(traded, made, bids)
    _draw_prices(prices, made)
    ax = None
    for place, interval in enumerate(_telling(made, bids)):
        ax = figure.add_subplot(grid[2, place], sharey=ax)
        _draw_curve(ax, made, interval, bids[interval])
        if not place:
            ax.set_ylabel("MW, sold above 0")
    if ax is not None:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize="small")
    _finish([traded, prices], made)
    figure.suptitle(
        f"{made.product.product_id} of {made.unit.unit_id}: plan {made.reasons.plan_id}, mode"
        f" {made.reasons.mode}",
        color=INK,
    )
    try:
        figure.savefig(target, format="png")
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", where=str(target), fix="Name another file"
        ) from error


Priced: TypeAlias = tuple[int, tuple[PricedMw, ...]]
"""(1 sold, -1 bought; MW at their limits), of one bid in one interval."""


def _by_interval(bids: Sequence[Bid]) -> dict[Interval, list[Priced]]:
    """What is bid in each interval, in order of time: a block in each of its parts."""
    found: dict[Interval, list[Priced]] = {}
    for bid in bids:
        if isinstance(bid.offer, BlockOffer):
            for part in bid.offer.parts:
                priced = ((part.quantity_mw, bid.offer.price_per_mwh),)
                found.setdefault(part.interval, []).append((bid.side.sign, priced))
        else:
            found.setdefault(bid.interval, []).append((bid.side.sign, bid.offer.priced_mw))
    return dict(sorted(found.items()))


def net_mw(bids: Sequence[Priced], price_per_mwh: float) -> float:
    """What the bids of one interval sell at a price, less what they buy."""
    total, price = Decimal(0), Decimal(str(price_per_mwh))
    for sign, priced in bids:
        for quantity, limit in priced:
            if limit is None or limit * sign <= price * sign:
                total += sign * quantity
    return float(total)


def _bounds(made: BidRan) -> tuple[float, float]:
    """The least and the greatest price that there can be."""
    grid = made.product.price
    return (0.0, 0.0) if grid is None else (float(grid.least), float(grid.most))


def _clock(made: BidRan, moments: Sequence[datetime]) -> list[datetime]:
    """On the wall clock as it stands when the delivery begins, without a zone."""
    offset = made.delivery.start.astimezone(made.ran.case.file.park.timezone).utcoffset()
    assert offset is not None
    return [(moment + offset).replace(tzinfo=None) for moment in moments]


def _edges(made: BidRan) -> list[datetime]:
    steps = made.delivery.split(made.product.delivery_interval)
    return _clock(made, [*(step.start for step in steps), made.delivery.end])


def _draw_traded(ax: Axes, made: BidRan, bids: dict[Interval, list[Priced]]) -> None:
    """From what is traded at the lowest price to what is at the highest, and at the expected one."""
    steps = list(made.delivery.split(made.product.delivery_interval))
    low, high = _bounds(made)
    expected = _expected(made)
    found = [
        (
            net_mw(bids.get(step, []), low),
            net_mw(bids.get(step, []), price),
            net_mw(bids.get(step, []), high),
        )
        for step, price in zip(steps, expected.tolist(), strict=True)
    ]
    values = np.array([*found, found[-1]])
    edges = _edges(made)
    ax.fill_between(
        edges,
        values[:, 0],
        values[:, 2],
        step="post",
        color=MOVED,
        alpha=0.25,
        linewidth=0,
        label="from the lowest to the highest price",
    )
    ax.step(
        edges, values[:, 1], where="post", color=INK, linewidth=1.6, label="at the expected price"
    )
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel("MW, sold above 0")


def _expected(made: BidRan) -> Floats:
    """Of each delivery interval, per MWh."""
    view = made.ran.case.view
    inside = view.horizon.slice(made.delivery)
    width = made.product.delivery_interval // view.horizon.step
    values: Floats = view.spot_per_kwh.values[inside].reshape(-1, width).mean(axis=1) * 1000
    return values


def _draw_prices(ax: Axes, made: BidRan) -> None:
    edges, curves = _edges(made), made.curves
    label = "price scenarios"
    for row in () if curves is None else curves.scenario_per_kwh * 1000:
        ax.step(edges, [*row, row[-1]], where="post", color=DEMAND, linewidth=0.7, label=label)
        label = "_shown"
    expected = _expected(made)
    ax.step(
        edges, [*expected, expected[-1]], where="post", color=INK, linewidth=1.6, label="expected"
    )
    ax.set_ylabel(f"{made.product.currency} per MWh")


def _telling(made: BidRan, bids: dict[Interval, list[Priced]]) -> list[Interval]:
    """The intervals whose bids move most with the price, in order of time, an hour apart at least."""
    low, high = _bounds(made)

    def moves(interval: Interval) -> float:
        return net_mw(bids[interval], high) - net_mw(bids[interval], low)

    chosen: list[Interval] = []
    for interval in sorted(bids, key=lambda one: (-moves(one), one)):
        apart = [abs((interval.start - other.start).total_seconds()) for other in chosen]
        if len(chosen) < CURVES and all(seconds >= 3600 for seconds in apart):
            chosen.append(interval)
    return sorted(chosen)


def _draw_curve(ax: Axes, made: BidRan, interval: Interval, bids: list[Priced]) -> None:
    """MW against price: the offer, what was planned at each scenario's price, the expected price."""
    curves = made.curves
    place = (interval.start - made.delivery.start) // made.product.delivery_interval
    expected = float(_expected(made)[place])
    grid = made.product.price
    inside = [
        float(limit)
        for _, priced in bids
        for _, limit in priced
        if limit is not None and grid is not None and grid.least < limit < grid.most
    ]
    seen = [expected, *inside]
    if curves is not None:
        seen += (curves.scenario_per_kwh[:, place] * 1000).tolist()
    low, high = min(seen), max(seen)
    room = max((high - low) * 0.12, 1.0)
    prices = np.unique([low - room, *inside, *(limit + 1e-6 for limit in inside), high + room])
    mw = [net_mw(bids, float(price)) for price in prices]
    ax.step(prices, mw, where="post", color=MOVED, linewidth=1.8, label="bid")
    if curves is not None:
        ax.plot(
            curves.scenario_per_kwh[:, place] * 1000,
            curves.planned_kw[:, place] / 1000,
            "o",
            color=SOURCES,
            markersize=4,
            label="planned at a scenario's price",
        )
    ax.axvline(expected, color=INK, linewidth=1, linestyle=":", label="expected price")
    ax.axhline(0, color=INK, linewidth=0.6)
    start = interval.start.astimezone(made.ran.case.file.park.timezone)
    ax.set_title(f"{start:%H:%M}", fontsize="medium")
    ax.set_xlabel(f"{made.product.currency} per MWh")
    ax.grid(color=GRID, linewidth=0.6)


def _finish(axes: list[Axes], made: BidRan) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    for ax in axes:
        ax.grid(color=GRID, linewidth=0.6)
        ax.set_axisbelow(True)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize="small")
    locator = AutoDateLocator(minticks=6, maxticks=14)
    edges = _edges(made)
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes[-1].set_xlim(edges[0], edges[-1])
    axes[-1].set_xlabel(f"time of {made.ran.case.file.park.timezone.key}")
