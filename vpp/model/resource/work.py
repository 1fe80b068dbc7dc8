"""Work that can be moved in time: runs with a fixed profile, and energy within windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from itertools import pairwise
from math import inf

from vpp.errors import DataError
from vpp.model.ids import ResourceId
from vpp.model.resource.common import (
    EVERY_DAY,
    WORKDAYS,
    Common,
    OnOffRules,
    minutes,
    require_days,
    require_positive,
    require_size,
)

DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftableRun(Common):
    """A job that must run on each working day, at a time that may be chosen; it is never stopped."""

    profile_kw: tuple[float, ...]
    """Mean draw in each quarter-hour of the run; sizes, so not negative."""

    earliest_start: time
    latest_end: time
    """Local times between which the whole run must lie."""

    default_start: time
    run_days: tuple[int, ...] = WORKDAYS
    """0 is Monday."""

    runs_per_day: int = 1
    """How often it runs on each of its days; by itself one after the other from `default_start` on."""

    after: ResourceId | None = None
    """The run that must have ended on the same day before this one starts: the k-th before the k-th
    where both run several times. Only starts that the planner chooses can wait."""

    def __post_init__(self) -> None:
        Common.__post_init__(self)
        if not self.profile_kw or not all(0 <= kw < inf for kw in self.profile_kw):
            raise DataError(
                f"profile_kw is {self.profile_kw}",
                where=self.resource_id,
                fix="Give one size for each quarter-hour of the run",
            )
        require_days(self, self.run_days)
        if self.runs_per_day < 1 or self.after == self.resource_id:
            raise DataError(
                f"{self.runs_per_day} runs a day, after {self.after}",
                where=self.resource_id,
                fix="Let it run at least once, and wait for another run than itself",
            )
        quarters = len(self.profile_kw) * self.runs_per_day
        latest = minutes(self.latest_end) - 15 * quarters
        if not minutes(self.earliest_start) <= minutes(self.default_start) <= latest:
            what = "a run" if self.runs_per_day == 1 else f"a row of {self.runs_per_day} runs"
            raise DataError(
                f"{what} of {quarters} quarter-hours started at {self.default_start} does not lie"
                f" between {self.earliest_start} and {self.latest_end}",
                where=self.resource_id,
                fix="Widen the window or move default_start",
            )

    @property
    def draw_kw(self) -> float:
        return max(self.profile_kw)

    @property
    def feed_kw(self) -> float:
        return 0.0

    @property
    def length(self) -> timedelta:
        return timedelta(minutes=15 * len(self.profile_kw))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyWindow:
    """A span of local time on some weekdays, and how much is to be done in it.

    A plan counts a step to the window in which it starts. One whose most is done is over. Of a window that began before the plan, what
    the device says is done (`Reading.done_kwh`) counts; of one that goes on beyond its end, what is
    left is asked for in proportion to the steps that it shows.
    """

    start: time
    end: time
    """00:00 as the end means 24:00 and is written 23:59; earlier than `start`: the next day."""

    days: tuple[int, ...] = EVERY_DAY
    """Weekdays on which it starts; 0 is Monday."""

    least_units: float = 0.0
    most_units: float = inf

    def __post_init__(self) -> None:
        if not 0 <= self.least_units <= self.most_units or self.start == self.end:
            raise DataError(
                f"{self.start} … {self.end}: {self.least_units} … {self.most_units} units",
                where="window",
                fix="Let it last, and let least_units lie between 0 and most_units",
            )

    @property
    def length_minutes(self) -> int:
        """By the clock on the wall."""
        length = minutes(self.end) - minutes(self.start)
        return length if length > 0 else length + DAY_MINUTES


@dataclass(frozen=True, slots=True, kw_only=True)
class FlexibleLoad(Common):
    """A load whose power may be chosen inside windows, so long as the work of each is done.

    The work is counted in `unit`: kWh, or tonnes of a product with its energy per tonne. A shift
    calendar is a list of windows, which do not overlap. Outside its windows it draws nothing.
    """

    max_draw_kw: float
    windows: tuple[EnergyWindow, ...]

    unit: str = "kWh"
    kwh_per_unit: float = 1.0

    unserved_cost_per_unit: float | None = None
    """Price of a unit that a window lacks. None where each window must get its least: what cannot be
    done all the same is told, and priced like a limit that is broken."""

    value_per_unit: float = 0.0
    """What a unit done earns."""

    default_draw_kw: float = 0.0
    """What it draws inside its windows when nobody commands."""

    bands_kw: tuple[float, ...] = ()
    """The only draws beside 0 that it knows; empty where any draw will do. Where its ramp does not get
    from one to the next within a step of the plan, it jumps, whatever its ramp."""

    on_off: OnOffRules | None = None
    """None where it may draw any little."""

    def __post_init__(self) -> None:
        Common.__post_init__(self)
        require_size(self, "max_draw_kw", "default_draw_kw")
        require_positive(self, "kwh_per_unit")
        if self.unserved_cost_per_unit is not None:
            require_size(self, "unserved_cost_per_unit")
        if not -inf < self.value_per_unit < inf:
            raise DataError(
                f"value_per_unit is {self.value_per_unit}",
                where=self.resource_id,
                fix="Give a finite number",
            )
        if (
            not all(0 < kw <= self.max_draw_kw for kw in self.bands_kw)
            or tuple(sorted(set(self.bands_kw))) != self.bands_kw
        ):
            raise DataError(
                f"bands_kw is {self.bands_kw}",
                where=self.resource_id,
                fix="Give rising draws above 0 and not above max_draw_kw",
            )
        for window in self.windows:
            require_days(self, window.days)
        self._require_apart()
        if self.default_draw_kw > self.max_draw_kw:
            raise DataError(
                f"default_draw_kw is {self.default_draw_kw}",
                where=self.resource_id,
                fix="Let it not exceed max_draw_kw",
            )

    @property
    def draw_kw(self) -> float:
        return self.max_draw_kw

    @property
    def feed_kw(self) -> float:
        return 0.0

    @property
    def highest_draw_kw(self) -> float:
        """The most that it knows to draw."""
        return self.bands_kw[-1] if self.bands_kw else self.max_draw_kw

    @property
    def widest_jump_kw(self) -> float:
        """The widest step between draws that it knows, 0 among them; 0 where any draw will do."""
        return max((b - a for a, b in pairwise((0.0, *self.bands_kw))), default=0.0)

    def _require_apart(self) -> None:
        """Two windows at once: nobody could say to which of them the work belongs."""
        week = 7 * DAY_MINUTES
        spans = sorted(
            (day * DAY_MINUTES + minutes(window.start), window.length_minutes)
            for window in self.windows
            for day in window.days
        )
        followers = [start for start, _ in spans[1:]] + [start + week for start, _ in spans[:1]]
        for (start, length), follower in zip(spans, followers, strict=True):
            if start + length > follower:
                raise DataError(
                    "two of its windows overlap",
                    where=self.resource_id,
                    fix="Let each begin when the one before has ended",
                )
