"""Simulated machines: a load that can be turned down, work in windows, an engine, a converter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from vpp.model.resource import Converter, CurtailableLoad, EnergyWindow, FlexibleLoad, Generator
from vpp.model.time import Interval, isoformat, local_date, local_day, local_moment
from vpp.simulate.device import HOUR, BaseDevice, Course
from vpp.simulate.processes import CALLED, END_OF_DAY, RUNNING, WAITING

NOTHING_KW = 1e-9


class SimulatedCurtailable(BaseDevice):
    """A load that comes by itself; a set-point is the most it may draw, as far as it can be turned down.

    While a set-point below its size is in force it is called, though it may draw less than that by
    itself for a while.
    """

    STATE = (*BaseDevice.STATE, "_day_end", "_calls", "_phase", "_phase_since")

    def __init__(
        self, resource: CurtailableLoad, base_kw: Course, zone: ZoneInfo, opened_at: datetime
    ) -> None:
        super().__init__(resource, opened_at)
        self._resource = resource
        self._base_kw = base_kw
        self._zone = zone
        self._calls = 0
        self._phase, self._phase_since = RUNNING, opened_at
        self._day_end = local_day(local_date(opened_at, zone), zone).end

    def _run(self, start: datetime, end: datetime) -> float:
        if start >= self._day_end:
            self._day_end = local_day(local_date(start, self._zone), self._zone).end
            self._calls = 1 if self._phase == CALLED else 0
        hours, base_kw = (end - start) / HOUR, self._base_kw.at(start)
        wish_kw = self._wish_kw(start)
        least_kw = base_kw * (1 - self._resource.curtailable_share)
        power_kw = base_kw if wish_kw is None else min(max(base_kw, min(wish_kw, 0.0)), least_kw)
        capped = wish_kw is not None and -wish_kw < self._resource.max_draw_kw - NOTHING_KW
        phase = CALLED if capped else RUNNING
        if phase != self._phase:
            self._calls += phase == CALLED
            self._phase, self._phase_since = phase, start
        return self._ramped_kw(power_kw, hours) * hours

    def _report(self) -> Mapping[str, Any]:
        return {
            "phase": self._phase,
            "phase_since": isoformat(self._phase_since),
            "calls_today": self._calls,
        }


class SimulatedFlexible(BaseDevice):
    """Work in windows: it draws what it is told inside them, its default where nobody says.

    Where a window's work is done it stops by itself; outside its windows it draws nothing.
    """

    STATE = (
        *BaseDevice.STATE,
        "done_kwh", "_window", "_on", "_phase_since", "_starts", "_day_end",
    )  # fmt: skip

    def __init__(self, resource: FlexibleLoad, zone: ZoneInfo, opened_at: datetime) -> None:
        super().__init__(resource, opened_at)
        self._resource = resource
        self._zone = zone
        self.done_kwh = 0.0
        """Drawn so far in the window that is open."""
        self._window: datetime | None = None
        """Start of the window that `done_kwh` counts for."""
        self._on, self._phase_since, self._starts = False, opened_at, 0
        self._day_end = local_day(local_date(opened_at, zone), zone).end

    def _run(self, start: datetime, end: datetime) -> float:
        if start >= self._day_end:
            self._day_end = local_day(local_date(start, self._zone), self._zone).end
            self._starts = int(self._on)
        hours, target_kw = (end - start) / HOUR, 0.0
        open_now = self._open_window(start)
        if open_now is not None:
            span, window = open_now
            if span.start != self._window:
                self._window, self.done_kwh = span.start, 0.0
            target_kw = self._target_kw(start, window, hours)
        power_kw = -self._ramped_kw(target_kw, hours)
        self.done_kwh += -power_kw * hours
        on = power_kw < -NOTHING_KW
        if on != self._on:
            self._starts += on
            self._on, self._phase_since = on, start
        return power_kw * hours

    def _target_kw(self, moment: datetime, window: EnergyWindow, hours: float) -> float:
        of, wish_kw = self._resource, self._wish_kw(moment)
        draw_kw = of.default_draw_kw if wish_kw is None else min(max(-wish_kw, 0.0), of.max_draw_kw)
        least_kw = 0.0 if of.on_off is None else of.on_off.min_power_kw
        left_kwh = window.most_units * of.kwh_per_unit - self.done_kwh
        draw_kw = min(draw_kw, max(left_kwh, 0.0) / hours)
        return 0.0 if draw_kw < least_kw else draw_kw

    def _open_window(self, moment: datetime) -> tuple[Interval, EnergyWindow] | None:
        today = local_date(moment, self._zone)
        for window in self._resource.windows:
            for day in (today, today - timedelta(days=1)):
                if day.weekday() not in window.days:
                    continue
                last = day if window.end > window.start else day + timedelta(days=1)
                ends = (
                    local_day(last, self._zone).end
                    if window.end == END_OF_DAY
                    else local_moment(last, window.end, self._zone)
                )
                span = Interval(local_moment(day, window.start, self._zone), ends)
                if moment in span:
                    return span, window
        return None

    def _report(self) -> Mapping[str, Any]:
        return {
            "phase": RUNNING if self._on else WAITING,
            "phase_since": isoformat(self._phase_since),
            "calls_today": self._starts,
            "done_kwh": self.done_kwh,
        }


class SimulatedMachine(BaseDevice):
    """An engine or a converter: it runs at the power it is told and stands still where nobody says.

    What must run, runs; what stands ready draws for it. At a node of another carrier its network has the
    last word (`networks.py`). Of a converter only the electricity is told: what it feeds has no meter here.
    """

    STATE = (*BaseDevice.STATE, "_on", "_phase_since", "_starts", "_hours_on", "_day_end")

    def __init__(
        self, resource: Generator | Converter, zone: ZoneInfo, opened_at: datetime
    ) -> None:
        super().__init__(resource, opened_at)
        self.local_kw: float | None = None
        """What its network makes of its set-point for the step to come; None where it is in none."""
        self._low_kw, self._high_kw = -resource.draw_kw, resource.feed_kw
        rules = resource.on_off
        self._least_kw = 0.0 if rules is None else rules.min_power_kw
        self._must_kw = self._ready_kw = 0.0
        if isinstance(resource, Generator):
            self._must_kw = resource.must_run_share * resource.max_feed_kw
        else:
            self._ready_kw = resource.ready_kw
        self._zone = zone
        self._on, self._phase_since, self._starts = False, opened_at, 0
        self._hours_on = 0.0
        self._day_end = local_day(local_date(opened_at, zone), zone).end

    def _run(self, start: datetime, end: datetime) -> float:
        if start >= self._day_end:
            self._day_end = local_day(local_date(start, self._zone), self._zone).end
            self._starts, self._hours_on = int(self._on), 0.0
        hours = (end - start) / HOUR
        wish_kw = self._wish_kw(start) if self.local_kw is None else self.local_kw
        target_kw = min(max(wish_kw or 0.0, self._low_kw), self._high_kw)
        if abs(target_kw) < self._least_kw:
            target_kw = 0.0
        target_kw = max(target_kw, self._must_kw) if self._must_kw else target_kw
        power_kw = self._ramped_kw(target_kw or -self._ready_kw, hours)
        on = abs(power_kw + self._ready_kw) > NOTHING_KW
        self._hours_on += hours * on
        if on != self._on:
            self._starts += on
            self._on, self._phase_since = on, start
        return power_kw * hours

    def wish_kw(self, moment: datetime) -> float | None:
        """The set-point that holds from `moment` on, one that has just come too; None where nobody commands."""
        if self._disturbed.held_kw is not None:
            return self._disturbed.held_kw
        come = [order for order in self._coming if order.effective_at <= moment]
        order = come[-1] if come else self._in_force
        return order.power_kw if order and moment < order.expires_at else None

    def _report(self) -> Mapping[str, Any]:
        return {
            "phase": RUNNING if self._on else WAITING,
            "phase_since": isoformat(self._phase_since),
            "calls_today": self._starts,
            "hours_on_today": self._hours_on,
        }
