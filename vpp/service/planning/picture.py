"""A picture of a plan: net power, storages, prices, how full the stores are. One glance, one page.

matplotlib is an extra (`.venv/bin/pip install '.[plot]'`): nothing else of the service needs it, so it is
imported here and only when a picture is asked for.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vpp.errors import ConfigError, PlanError
from vpp.model.horizon import Floats
from vpp.model.resource import FixedLoad, Generator, Storage
from vpp.model.schedule import Schedule
from vpp.service.cases.case import Ran

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, GRID = "#222222", "#dddddd"
SOURCES, DEMAND, MOVED, CARS = "#e0a100", "#8a8f98", "#3b7dd8", "#2a9d8f"
MOST_LINES = 6
"""So many stores are drawn one by one; more are drawn as their sum."""


def require_matplotlib() -> None:
    """Refuse before anything is planned where no picture can be drawn.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise ConfigError(
            "matplotlib is not installed", where="--plot", fix=".venv/bin/pip install '.[plot]'"
        )


def draw(ran: Ran, target: Path) -> None:
    """Draw the plan into a PNG file.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written.
        PlanError: There is no plan.
    """
    require_matplotlib()
    schedule = ran.schedule
    if schedule is None:
        raise PlanError("there is no plan", where=ran.case.name, fix="Mend the case first")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 10), dpi=110, layout="constrained")
    power, storages, prices, stored = figure.subplots(
        4, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2, 2, 2]}
    )
    _draw_power(power, ran, schedule)
    _draw_storages(storages, ran, schedule)
    _draw_prices(prices, ran, schedule)
    _draw_stored(stored, ran, schedule)
    _finish([power, storages, prices, stored], ran, schedule)
    figure.align_ylabels()
    figure.suptitle(
        f"{schedule.plan_id}: {schedule.cost:,.2f} {ran.case.file.park.currency} over"
        f" {schedule.horizon.steps} steps",
        color=INK,
    )
    try:
        figure.savefig(target, format="png")
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror}", where=str(target), fix="Name another file"
        ) from error


def _edges(ran: Ran, schedule: Schedule) -> list[Any]:
    """Beginnings of the steps and the end of the last, on the park's clock, without a zone."""
    zone, horizon = ran.case.file.park.timezone, schedule.horizon
    moments = [horizon.start + k * horizon.step for k in range(horizon.steps + 1)]
    # The axis is the wall clock at the beginning, carried on: a day of 25 hours stays in order.
    offset = moments[0].astimezone(zone).utcoffset()
    assert offset is not None
    return [(moment + offset).replace(tzinfo=None) for moment in moments]


def _steps(ax: Axes, ran: Ran, schedule: Schedule, kw: Floats, **look: Any) -> None:
    """A line that stays level over each step."""
    ax.step(_edges(ran, schedule), np.append(kw, kw[-1]), where="post", **look)


def _draw_power(ax: Axes, ran: Ran, schedule: Schedule) -> None:
    """What feeds above the line, what draws below, and the net of both."""
    park = ran.case.file.park
    electric = [i for i, r in enumerate(park.resources) if r.node_id is None]

    def total(*kinds: type[Any]) -> Floats:
        rows = [i for i in electric if isinstance(park.resources[i], kinds)]
        found: Floats = schedule.power_kw[rows].sum(axis=0)
        return found

    sources, fixed, stores = total(Generator), total(FixedLoad), total(Storage)
    others: Floats = schedule.power_kw[electric].sum(axis=0) - sources - fixed - stores
    up = np.zeros(schedule.horizon.steps)
    down = np.zeros(schedule.horizon.steps)
    for kw, color, label in (
        (fixed, DEMAND, "fixed loads"),
        (others, CARS, "loads that are moved"),
        (sources, SOURCES, "sources"),
        (stores, MOVED, "storages"),
    ):
        for part, base in ((np.maximum(kw, 0), up), (np.minimum(kw, 0), down)):
            if np.abs(part).max(initial=0.0) > 0:
                ax.fill_between(
                    _edges(ran, schedule),
                    np.append(base, base[-1]),
                    np.append(base + part, (base + part)[-1]),
                    step="post",
                    color=color,
                    alpha=0.75,
                    linewidth=0,
                    label=label,
                )
                label = "_shown"
                base += part
    _steps(ax, ran, schedule, schedule.net_kw, color=INK, linewidth=1.6, label="net")
    if np.abs(schedule.committed_kw).max(initial=0.0) > 0:
        look: dict[str, Any] = {"color": INK, "linewidth": 1, "linestyle": ":"}
        _steps(ax, ran, schedule, schedule.committed_kw, label="sold already", **look)
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel("kW, feeding above 0")


def _stores(ran: Ran, schedule: Schedule) -> list[Storage]:
    return [
        r
        for r in ran.case.file.park.resources
        if isinstance(r, Storage) and r.resource_id in schedule.stored_kwh
    ]


def _draw_storages(ax: Axes, ran: Ran, schedule: Schedule) -> None:
    stores = _stores(ran, schedule)
    rows = [schedule.row_of[r.resource_id] for r in stores]
    if len(stores) > MOST_LINES:
        total: Floats = schedule.power_kw[rows].sum(axis=0)
        _steps(ax, ran, schedule, total, label=f"{len(stores)} storages", color=MOVED)
    else:
        for row, unit in zip(rows, stores, strict=True):
            _steps(ax, ran, schedule, schedule.power_kw[row], label=unit.resource_id)
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel("storages, kW")


def _draw_prices(ax: Axes, ran: Ran, schedule: Schedule) -> None:
    """What a kWh is worth at the connection points, as a band, beside the spot price."""
    view = ran.case.view
    if view.open_products:
        spot = view.spot_per_kwh.values
        _steps(ax, ran, schedule, spot, color=INK, linewidth=1.2, label="day-ahead price")
    if schedule.point_value_per_kwh:
        values = np.array(list(schedule.point_value_per_kwh.values()))
        low, high, mean = values.min(axis=0), values.max(axis=0), np.median(values, axis=0)
        if len(values) > 1:
            ax.fill_between(
                _edges(ran, schedule),
                np.append(low, low[-1]),
                np.append(high, high[-1]),
                step="post",
                color=MOVED,
                alpha=0.25,
                linewidth=0,
                label="least to most at the connection points",
            )
        label = "a kWh at its connection point" + (", median" if len(values) > 1 else "")
        _steps(ax, ran, schedule, mean, color=MOVED, linewidth=1.2, label=label)
    ax.set_ylabel(f"{ran.case.file.park.currency} per kWh")


def _draw_stored(ax: Axes, ran: Ran, schedule: Schedule) -> None:
    """Shares of capacity, from the opening state on."""
    stores, edges = _stores(ran, schedule), _edges(ran, schedule)
    capacity = sum(unit.capacity_kwh for unit in stores)
    profiles = {
        unit.resource_id: np.concatenate(
            [[_opening_kwh(ran, unit)], schedule.stored_kwh[unit.resource_id]]
        )
        for unit in stores
    }
    if len(stores) > MOST_LINES and capacity:
        total = np.sum(list(profiles.values()), axis=0)
        ax.plot(edges, 100 * total / capacity, color=MOVED, label=f"{len(stores)} storages")
    else:
        for unit in stores:
            share = 100 * profiles[unit.resource_id] / max(unit.capacity_kwh, 1e-9)
            ax.plot(edges, share, label=unit.resource_id)
    ax.set_ylim(-2, 102)
    ax.set_ylabel("stored, %")


def _opening_kwh(ran: Ran, unit: Storage) -> float:
    reading = ran.case.view.state.reading(unit.resource_id)
    soc = None if reading is None else reading.soc
    return float("nan") if soc is None else soc * unit.capacity_kwh


def _finish(axes: list[Axes], ran: Ran, schedule: Schedule) -> None:
    """Axes, grids and legends, the same for all."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import StrMethodFormatter

    edges = _edges(ran, schedule)
    for ax in axes:
        ax.grid(color=GRID, linewidth=0.6)
        ax.set_axisbelow(True)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize="small")
        else:
            ax.text(0.5, 0.5, "none", transform=ax.transAxes, ha="center", color=DEMAND)
    for ax in axes[:2]:
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    locator = AutoDateLocator(minticks=6, maxticks=14)
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes[-1].set_xlim(edges[0], edges[-1])
    zone, span = ran.case.file.park.timezone, schedule.horizon.span
    changes = span.start.astimezone(zone).utcoffset() != span.end.astimezone(zone).utcoffset()
    carried = ", as the clock stands at the beginning" if changes else ""
    axes[-1].set_xlabel(f"time of {zone.key}{carried}")
