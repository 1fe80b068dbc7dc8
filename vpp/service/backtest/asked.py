"""What a back-test is asked for, and the park file with what a replay changes in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from math import gcd

from vpp.errors import ConfigError, DataError
from vpp.model.park import Park
from vpp.model.time import QUARTER, Interval, isoformat, local_day, parse_utc
from vpp.service.accounting import METERS_KEPT
from vpp.service.park.parkfile import ParkFile
from vpp.service.park.schema import PlanningSettings
from vpp.service.steering.schema import ControlSettings
from vpp.simulate.market import VenueTimes

CONTROL_PERIOD = timedelta(minutes=5)
"""How often a replay steers, and how finely its devices live: a fifth of the demo's work."""

TTL_PERIODS = 2.5
SOFT_S, HARD_S = 60.0, 180.0
"""A plan gets so long at least: plans are compared here, not machines. What each took is told."""

LONGEST = METERS_KEPT - timedelta(days=2)
SERIES_BEYOND = timedelta(days=2)
"""The series must go on for so long after the span: the last day's auction clears the day after."""


class Way(StrEnum):
    """What a row of the back-test is."""

    NOTHING = "nothing"
    POINT = "point"
    SCENARIO = "scenario"
    FORESIGHT = "foresight"


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestOptions:
    """What to play again."""

    span: Interval
    every: timedelta
    seed: int = 1
    scenarios: int = 0
    """How many futures the scenario plans are made for; below 2 that way is left out."""

    probability: float | None = None
    """With what probability the scenario plans keep limits in each step; None for no margins."""

    foresight: bool = True
    period: timedelta = CONTROL_PERIOD
    device_step: timedelta = CONTROL_PERIOD
    """How finely devices live, at most; a step that divides period and quarter-hour is taken."""

    times: VenueTimes = field(default_factory=VenueTimes)

    @property
    def longest_step(self) -> timedelta:
        """The longest step of the devices that is allowed and divides all it must."""
        steps = (self.period, self.device_step, QUARTER)
        return timedelta(seconds=gcd(*(int(step.total_seconds()) for step in steps)))


def span_of(file: ParkFile, since: str, until: str) -> Interval:
    """From two local dates (the second one exclusive), or moments that name their zone.

    Raises:
        ConfigError: No dates, an empty span, one that begins at no local midnight, or one that the
            park's series do not cover with a day of history before it.
    """
    if file.simulation is None:
        raise ConfigError(
            "has no simulation section: nothing to replay",
            where="park file",
            fix="Add one; docs/park-file.md shows how",
        )
    zone = file.park.timezone
    start, end = _moment(file.park, since, "--from"), _moment(file.park, until, "--to")
    if local_day(start.astimezone(zone).date(), zone).start != start:
        raise ConfigError(
            f"{since} is no local midnight", where="--from", fix="Name a day: 2025-12-03"
        )
    if end <= start or (end - start) % QUARTER:
        raise ConfigError(
            f"{since} … {until} is no whole number of quarter-hours",
            where="--to",
            fix="Name a later day; it is not played itself",
        )
    if end - start > LONGEST:
        raise ConfigError(
            f"{(end - start).days} days are asked for",
            where="--from, --to",
            fix=f"Play at most {LONGEST.days} days at once: books of meters reach no farther back",
        )
    series = file.simulation.day_ahead_per_mwh.horizon.span
    first, last = series.start + timedelta(days=2), series.end - SERIES_BEYOND
    if start < first or end > last:
        raise ConfigError(
            f"the park's series reach from {isoformat(series.start)} to {isoformat(series.end)}",
            where="--from, --to",
            fix=f"Stay between {isoformat(first)} and {isoformat(last)}: forecasts need a past, and"
            " the last day's auction a price",
        )
    return Interval(start, end)


def _moment(park: Park, text: str, where: str) -> datetime:
    try:
        return local_day(date.fromisoformat(text), park.timezone).start
    except ValueError:
        pass  # no date; perhaps a moment
    try:
        return parse_utc(text, where=where)
    except DataError as error:
        raise ConfigError(
            f"{text!r} is neither a day nor a moment",
            where=where,
            fix="Say 2025-12-03, or 2025-12-02T23:00:00Z",
        ) from error


def as_asked(file: ParkFile, options: BacktestOptions, way: Way) -> ParkFile:
    """The park file with what a replay changes: how often, how finely, and from when it trades.

    Raises:
        ConfigError: A step does not fit.
    """
    period_s = options.period.total_seconds()
    planning = file.planning.model_dump() | {
        "every_minutes": options.every // timedelta(minutes=1),
        "scenarios": options.scenarios if way is Way.SCENARIO else 0,
        "margin_probability": options.probability if way is Way.SCENARIO else None,
        "soft_s": max(file.planning.soft_s, SOFT_S),
        "hard_s": max(file.planning.hard_s, HARD_S),
    }
    control = file.control.model_dump() | {
        "period_s": period_s,
        "setpoint_ttl_s": max(file.control.setpoint_ttl_s, TTL_PERIODS * period_s),
    }
    try:
        asked_planning = PlanningSettings.model_validate(planning)
        asked_control = ControlSettings.model_validate(control)
    except ValueError as error:
        raise ConfigError(
            f"{options.every} and {options.period}: {error}",
            where="--every",
            fix="Say a multiple of 15 minutes, at most 12 h",
        ) from error
    units = tuple(replace(u, trades_from=options.span.start) for u in file.park.bidding_units)
    return replace(
        file,
        park=replace(file.park, bidding_units=units),
        planning=asked_planning,
        control=asked_control,
    )
