"""One tracked hour as a picture: what was owed, planned and measured, and who failed meanwhile.

The upper part is power at the main meters, the lower one a bar for each device that failed; those of storages
are red. Above each quarter-hour stands what was owed, and by how much it was missed.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks._fieldtrack import Quarter, Tracked, track
from vpp.model.time import QUARTER, Interval

HOUR = timedelta(hours=1)
OWED, PLANNED, MEASURED, FAILED = "#111111", "#e08214", "#2166ac", "#b2182b"


def plot_hour(path: Path, *, seed: int, failing_share: float) -> None:
    """Live a night of the demo park and draw its hour with the most failures among storages."""
    tracked = track(
        length=timedelta(hours=8),
        failing_share=failing_share,
        seed=seed,
        learn=False,
        plans_every=HOUR,
    )
    draw(tracked, hour_to_show(tracked), path)


def hour_to_show(tracked: Tracked) -> Interval:
    """The hour in which most storages failed, then most devices."""
    hours = [
        Interval(one.interval.start, one.interval.start + HOUR)
        for one in tracked.quarters[:-3]
        if one.interval.start.minute == 0
    ]

    def failures(hour: Interval) -> tuple[int, int]:
        names = [
            name
            for name, spans in tracked.failures.items()
            if any(span.overlaps(hour) for span in spans)
        ]
        return sum(name in tracked.stores_kw for name in names), len(names)

    return max(hours, key=failures)


def draw(tracked: Tracked, hour: Interval, path: Path) -> None:
    """Write the picture of an hour as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    failing = {
        name: [span for span in spans if span.overlaps(hour)]
        for name, spans in tracked.failures.items()
    }
    failing = {name: spans for name, spans in failing.items() if spans}
    figure, (power, bars) = plt.subplots(
        2,
        1,
        figsize=(12, 4.5 + 0.28 * len(failing)),
        sharex=True,
        height_ratios=[4.0, max(0.28 * len(failing), 0.5)],
        layout="constrained",
    )
    _draw_power(power, tracked, hour)
    for row, name in enumerate(sorted(failing, key=lambda one: (one in tracked.stores_kw, one))):
        colour = FAILED if name in tracked.stores_kw else "#999999"
        for span in failing[name]:
            begin, end = max(span.start, hour.start), min(span.end, hour.end)
            bars.barh(row, _minutes(end - begin), left=_minutes(begin - hour.start), color=colour)
        bars.text(-0.4, row, name, ha="right", va="center", fontsize=8, color=colour)
    bars.set_yticks([])
    bars.set_ylabel("failing", labelpad=110)
    bars.set_xlabel(f"minutes after {hour.start:%Y-%m-%d %H:%M} UTC")
    bars.set_xlim(0, _minutes(HOUR))
    bars.set_xticks(range(0, 61, 5))
    figure.suptitle("Demo park, one hour while devices fail at random (storages red, others grey)")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_power(power: Any, tracked: Tracked, hour: Interval) -> None:
    ticks = [tick for tick in tracked.ticks if hour.start <= tick.at <= hour.end]
    minutes = [_minutes(tick.at - hour.start) for tick in ticks]
    asked = [minute for minute in minutes if minute < _minutes(HOUR)]
    planned_kw = [tick.planned_kw for tick in ticks[: len(asked)]]
    quarters = [one for one in tracked.quarters if hour.covers(one.interval)]
    edges = [_minutes(one.interval.start - hour.start) for one in quarters] + [_minutes(HOUR)]
    power.stairs(
        [one.owed_kwh / one.interval.hours for one in quarters], edges, baseline=None,
        color=OWED, linewidth=2.5, label="owed, mean of the quarter-hour",
    )  # fmt: skip
    power.plot(
        [*asked, _minutes(HOUR)], [*planned_kw, *planned_kw[-1:]], color=PLANNED, linestyle="--",
        drawstyle="steps-post", label="planned",
    )  # fmt: skip
    power.plot(
        minutes, [tick.park_kw for tick in ticks], color=MEASURED, linewidth=1.4,
        drawstyle="steps-pre", label="measured by the main meters, mean of the minute",
    )  # fmt: skip
    power.margins(y=0.28)
    for one in quarters:
        middle = _minutes(one.interval.start - hour.start) + _minutes(QUARTER) / 2
        power.text(middle, 0.97, _words(one), ha="center", va="top", fontsize=9,
                   transform=power.get_xaxis_transform())  # fmt: skip
        power.axvline(_minutes(one.interval.start - hour.start), color="#cccccc", linewidth=0.8)
    power.set_ylabel("net injection, kW")
    power.legend(loc="lower left", fontsize=9, ncols=3, frameon=False)
    power.grid(axis="y", color="#eeeeee")


def _words(one: Quarter) -> str:
    share = one.error_kwh / abs(one.owed_kwh) * 100 if one.owed_kwh else 0.0
    return f"owed {one.owed_kwh:,.1f} kWh\nmissed by {one.error_kwh:+.2f} kWh ({share:+.2f} %)"


def _minutes(span: timedelta) -> float:
    return span / timedelta(minutes=1)
