"""Loads that come by themselves: fixed, turned down, interrupted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta
from math import inf

from vpp.errors import DataError
from vpp.model.resource.common import (
    WORKDAYS,
    Common,
    require_days,
    require_share,
    require_size,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedLoad(Common):
    """A load nobody moves, of any carrier: measured, forecast, paid for."""

    max_draw_kw: float
    """The most it can draw; readings above are refused as implausible."""

    forecast_as: str | None = None
    """Whose course it shares: all that name the same are measured and forecast as one (`series.py`)."""

    def __post_init__(self) -> None:
        Common.__post_init__(self)
        require_size(self, "max_draw_kw")

    @property
    def draw_kw(self) -> float:
        return self.max_draw_kw

    @property
    def feed_kw(self) -> float:
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CurtailableLoad(Common):
    """A load that comes by itself (a forecast series) and can be turned down for a price.

    Where something limits its calls, it is turned down in calls only: spans of time which the plan
    announces by their start and length. During a call it may be turned down by little, or by
    nothing for a while. One that says it is called is in a call that began before the plan; what is
    turned down before the plan's first call belongs to that one.
    """

    max_draw_kw: float
    """The most it can draw; readings above are refused as implausible."""

    curtailable_share: float
    """Share of what it would draw that can be turned down."""

    forecast_as: str | None = None
    """Whose course it shares: all that name the same are measured and forecast as one (`series.py`)."""

    curtailment_cost_per_kwh: float
    """What the owner asks for one kWh not drawn."""

    max_calls_per_day: int | None = None
    """Calls that begin on one local day; None where nothing limits them."""

    rest: timedelta = timedelta(0)
    """Least time between two calls."""

    longest_call: timedelta | None = None

    notice: timedelta = timedelta(0)
    """How long before its start a call must be announced."""

    def __post_init__(self) -> None:
        Common.__post_init__(self)
        require_size(self, "max_draw_kw", "curtailment_cost_per_kwh")
        require_share(self, "curtailable_share")
        if (self.max_calls_per_day or 0) < 0 or min(self.rest, self.notice) < timedelta(0):
            raise DataError(
                f"max_calls_per_day {self.max_calls_per_day}, rest {self.rest},"
                f" notice {self.notice}",
                where=self.resource_id,
                fix="Give a count and lengths that are not negative",
            )
        if self.longest_call is not None and self.longest_call <= timedelta(0):
            raise DataError(
                f"longest_call {self.longest_call}",
                where=self.resource_id,
                fix="Give a positive length, or leave it out",
            )

    @property
    def calls_limited(self) -> bool:
        """Whether its calls are decided one by one, since something limits them."""
        return (
            self.max_calls_per_day is not None
            or self.longest_call is not None
            or max(self.rest, self.notice) > timedelta(0)
        )

    @property
    def draw_kw(self) -> float:
        return self.max_draw_kw

    @property
    def feed_kw(self) -> float:
        return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebound:
    """What a load draws more after a call: part of what it did not draw."""

    share: float
    """kWh drawn later per kWh not drawn during the call; above 1 where catching up costs more."""

    delay: timedelta
    length: timedelta

    def __post_init__(self) -> None:
        if not 0 <= self.share < inf or self.delay < timedelta(0) or self.length <= timedelta(0):
            raise DataError(
                f"share {self.share}, delay {self.delay}, length {self.length}",
                where="rebound",
                fix="Give a share and a delay not below 0, and a positive length",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptibleLoad(Common):
    """A process that can be switched off for a while, called on the hour."""

    rated_draw_kw: float
    operating_from: time
    operating_to: time
    operating_days: tuple[int, ...] = WORKDAYS
    """0 is Monday. Outside its hours the process draws nothing and cannot be called."""

    call_length: timedelta
    """Length of a call; the shortest one where `longest_call` is given."""

    longest_call: timedelta | None = None
    """None where every call has the same length. A call under way lasts as long as the newest plan
    says, within these bounds."""

    notice: timedelta = timedelta(0)
    """How long before its start a call must be announced."""

    rest: timedelta = timedelta(0)
    """Least time of running between two calls."""

    rebound: Rebound | None = None
    """What is made up for after a call; None where it is lost."""

    callable_hours: tuple[int, ...]
    """Local hours on which a call may start."""

    max_calls_per_day: int = 1
    call_cost_per_kwh: float
    """What the owner asks for one kWh not drawn during a call."""

    def __post_init__(self) -> None:
        Common.__post_init__(self)
        require_size(self, "rated_draw_kw", "call_cost_per_kwh")
        require_days(self, self.operating_days)
        if self.operating_to <= self.operating_from:
            raise DataError(
                f"operating hours {self.operating_from} … {self.operating_to}",
                where=self.resource_id,
                fix="Let them end after they begin, within one day",
            )
        if not set(self.callable_hours) <= set(range(24)):
            raise DataError(
                f"callable_hours {self.callable_hours}",
                where=self.resource_id,
                fix="Give hours of the clock, from 0 to 23",
            )
        if self.call_length <= timedelta(0) or self.max_calls_per_day < 0:
            raise DataError(
                f"calls of {self.call_length}, {self.max_calls_per_day} a day",
                where=self.resource_id,
                fix="Give calls a positive length and a count not below 0",
            )
        if self.longest_call is not None and self.longest_call < self.call_length:
            raise DataError(
                f"longest_call {self.longest_call} is shorter than call_length {self.call_length}",
                where=self.resource_id,
                fix="Let call_length be the shortest call",
            )
        if min(self.notice, self.rest) < timedelta(0):
            raise DataError(
                f"notice {self.notice}, rest {self.rest}",
                where=self.resource_id,
                fix="Give lengths that are not negative",
            )

    @property
    def draw_kw(self) -> float:
        return self.rated_draw_kw

    @property
    def most_draw_kw(self) -> float:
        """While it makes up for its longest call, beside its rated draw."""
        if self.rebound is None:
            return self.rated_draw_kw
        longest = self.longest_call or self.call_length
        return self.rated_draw_kw * (1 + self.rebound.share * (longest / self.rebound.length))

    @property
    def feed_kw(self) -> float:
        return 0.0
