"""When a product is delivered and until when it can be bid: local days, their intervals, their gates.

    opens ──────────────── closes ┄┄┄┄┄┄┄┄┄ [ delivery )

A delivery is what one auction is about: a whole local day (92 to 100 quarter-hours, the calendar says
how many; it may begin at 04:00), or one interval. Blocks longer than an hour follow the clock on the
wall, as auctions in 4-hour blocks have it: on the day of a clock change the first one has 3 or 5 hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TypeAlias
from zoneinfo import ZoneInfo

from vpp.model.calendar import Calendar, DayType
from vpp.model.ids import ProductId
from vpp.model.time import Interval, local_date, local_moment

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayMoment:
    """A local time so many calendar days before a delivery day: D-1T12:00."""

    days_before: int
    at: time

    def of(self, day: date, zone: ZoneInfo) -> datetime:
        """That moment before the delivery day `day`, in UTC."""
        return local_moment(day - timedelta(days=self.days_before), self.at, zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayAheadGate:
    """One auction for a whole local day."""

    opens: DayMoment
    closes: DayMoment
    results_after: timedelta
    day_starts: time = time()
    """When a delivery day begins by the local clock."""

    def delivery(self, moment: datetime, zone: ZoneInfo, interval: timedelta) -> Interval:
        """The local delivery day that `moment` lies in."""
        day = local_date(moment, zone)
        if moment < local_moment(day, self.day_starts, zone):
            day -= timedelta(days=1)
        following = day + timedelta(days=1)
        return Interval(
            local_moment(day, self.day_starts, zone), local_moment(following, self.day_starts, zone)
        )

    def closes_at(self, delivery: Interval, zone: ZoneInfo) -> datetime:
        return self.closes.of(local_date(delivery.start, zone), zone)

    def opens_at(self, delivery: Interval, zone: ZoneInfo) -> datetime:
        return self.opens.of(local_date(delivery.start, zone), zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingGate:
    """One auction for each delivery interval, closed `lead` before it starts."""

    lead: timedelta
    opens: timedelta | DayMoment
    """So long before the delivery, or at a local time relative to the delivery's day."""
    results_after: timedelta

    def delivery(self, moment: datetime, zone: ZoneInfo, interval: timedelta) -> Interval:
        """The interval of the product's grid that `moment` lies in."""
        start = moment - (moment - datetime.fromtimestamp(0, moment.tzinfo)) % interval
        return Interval(start, start + interval)

    def closes_at(self, delivery: Interval, zone: ZoneInfo) -> datetime:
        return delivery.start - self.lead

    def opens_at(self, delivery: Interval, zone: ZoneInfo) -> datetime:
        if isinstance(self.opens, timedelta):
            return delivery.start - self.opens
        return self.opens.of(local_date(delivery.start, zone), zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitedGate:
    """One window that somebody invites to, and the time there is to reply."""

    window: Interval
    opens: datetime
    closes: datetime
    results_after: timedelta = timedelta(0)

    def delivery(self, moment: datetime, zone: ZoneInfo, interval: timedelta) -> Interval:
        """The window: nothing else is bid for."""
        return self.window

    def closes_at(self, delivery: Interval, zone: ZoneInfo) -> datetime:
        return self.closes

    def opens_at(self, delivery: Interval, zone: ZoneInfo) -> datetime:
        return self.opens


Gate: TypeAlias = DayAheadGate | RollingGate | InvitedGate


class DeliveryDays(StrEnum):
    """Kinds of delivery day that a product may be limited to."""

    BUSINESS = "business"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"


EVERY_KIND = frozenset(DeliveryDays)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductCalendar:
    """Deliveries, intervals and gates of one product."""

    product_id: ProductId
    timezone: ZoneInfo
    delivery_interval: timedelta
    gate: Gate
    day_kinds: frozenset[DeliveryDays] = EVERY_KIND
    """The product is delivered on these days alone."""
    days: Calendar | None = None
    """Which days are holidays or worked instead; without one every Monday to Friday is a business day."""

    def delivery_at(self, moment: datetime) -> Interval:
        """The delivery (a day, an interval) of this product that `moment` lies in."""
        return self.gate.delivery(moment, self.timezone, self.delivery_interval)

    def delivers(self, delivery: Interval) -> bool:
        """Whether the product is delivered on the day that `delivery` begins on."""
        if self.day_kinds == EVERY_KIND:
            return True
        return self._kind_of(local_date(delivery.start, self.timezone)) in self.day_kinds

    def gate_closes_at(self, delivery: Interval) -> datetime:
        return self.gate.closes_at(delivery, self.timezone)

    def gate_opens_at(self, delivery: Interval) -> datetime:
        return self.gate.opens_at(delivery, self.timezone)

    def intervals(self, delivery: Interval) -> tuple[Interval, ...]:
        """What is bid apart within one delivery, in order and without a gap."""
        if self.delivery_interval <= HOUR:
            return tuple(delivery.split(self.delivery_interval))
        first = delivery.start.astimezone(self.timezone).replace(tzinfo=None)
        starts, wall = [delivery.start], first + self.delivery_interval
        # The clock on the wall, not hours that have passed: 04:00 is 04:00 on every day.
        while (start := wall.replace(tzinfo=self.timezone).astimezone(UTC)) < delivery.end:
            starts.append(start)
            wall += self.delivery_interval
        return tuple(map(Interval, starts, [*starts[1:], delivery.end]))

    def _kind_of(self, day: date) -> DeliveryDays:
        calendar = self.days or Calendar(zone=self.timezone)
        if calendar.day_type(day) is DayType.WORKDAY:
            return DeliveryDays.BUSINESS
        return DeliveryDays.HOLIDAY if day in calendar.rest_days else DeliveryDays.WEEKEND
