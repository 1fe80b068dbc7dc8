"""An auction as a stranger learns it from `GET /v1/markets`: its calendar, nothing else.

The rule behind a gate is read off one example, the `next_delivery` of the product: a delivery
longer than one interval is a local day whose gate closes at a fixed local time some days before;
any other is a single interval whose gate closes a fixed time before it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from vpp.simulate.ledger import Slot

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PRICED = ("energy_da", "energy_id")
"""Kinds of energy whose auction makes a published price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auction:
    """One product and its calendar."""

    product: str
    currency: str
    zone: ZoneInfo
    interval: timedelta
    units: tuple[str, ...]
    daily: bool
    lead: timedelta
    """Rolling: from gate to delivery."""
    days_before: int
    """Daily: from the gate's local day to the delivery's."""
    closes: time
    """Daily: the local time of the gate."""
    starts: time = time()
    """Daily: the local time at which the delivery day begins."""
    kind: str = "energy_da"
    direction: str = "net"
    price_unit: str | None = "price_per_mwh"
    """What a price is paid for; None where a rule sets it."""

    @property
    def energy(self) -> bool:
        """Whether what is sold is energy; else a service, called against a schedule or a baseline."""
        return self.kind in _PRICED or self.kind == "energy_rt"

    @property
    def priced(self) -> bool:
        """Whether its price is published; that of the real time is the imbalance price."""
        return self.kind in _PRICED

    def closes_at(self, delivery: Slot) -> datetime:
        """The gate of a delivery."""
        if not self.daily:
            return delivery[0] - self.lead
        day = delivery[0].astimezone(self.zone).date() - timedelta(days=self.days_before)
        return datetime.combine(day, self.closes, self.zone).astimezone(UTC)

    def following(self, delivery: Slot) -> Slot:
        """The delivery after `delivery`."""
        if self.daily:
            return self._day(delivery[1])
        return (delivery[1], delivery[1] + self.interval)

    def first_open(self, moment: datetime, before: timedelta) -> Slot:
        """The first delivery whose gate is at least `before` away from `moment`."""
        delivery = self.delivery_of(moment)
        while self.closes_at(delivery) - before < moment:
            delivery = self.following(delivery)
        return delivery

    def slots(self, delivery: Slot) -> list[Slot]:
        """The intervals of a delivery, in order."""
        count = (delivery[1] - delivery[0]) // self.interval
        starts = [delivery[0] + index * self.interval for index in range(count)]
        return [(start, start + self.interval) for start in starts]

    def delivery_of(self, moment: datetime) -> Slot:
        """The delivery that `moment` lies in."""
        if self.daily:
            return self._day(moment)
        start = moment - (moment - _EPOCH) % self.interval
        return (start, start + self.interval)

    def _day(self, moment: datetime) -> Slot:
        """The delivery day that `moment` lies in; it may begin in the small hours."""
        local = moment.astimezone(self.zone)
        day = local.date() - timedelta(days=int(local.time() < self.starts))
        start = datetime.combine(day, self.starts, self.zone)
        end = datetime.combine(day + timedelta(days=1), self.starts, self.zone)
        return (start.astimezone(UTC), end.astimezone(UTC))


def is_auctioned(product: Mapping[str, Any], ruled: Collection[str]) -> bool:
    """Whether this venue holds an auction of it: energy that may be bid for, or what has a rule of its own."""
    usual = product.get("kind", "energy_da") in _PRICED or product["product"] in ruled
    return bool(product.get("biddable", True)) and usual


def read_auction(product: Mapping[str, Any]) -> Auction:
    """Read one product of `GET /v1/markets`.

    Raises:
        LookupError, TypeError, ValueError: It is not what the contract says.
    """
    zone = ZoneInfo(product["timezone"])
    interval = timedelta(seconds=product["delivery_interval_s"])
    example = product["next_delivery"]
    start, end = utc(example["delivery"]["start"]), utc(example["delivery"]["end"])
    closes_at = utc(example["closes_at"])
    closes_local = closes_at.astimezone(zone)
    return Auction(
        product=product["product"],
        currency=product["currency"],
        zone=zone,
        interval=interval,
        units=tuple(product["units"]),
        daily=end - start > interval,
        lead=start - closes_at,
        days_before=(start.astimezone(zone).date() - closes_local.date()).days,
        closes=closes_local.time(),
        starts=start.astimezone(zone).time(),
        kind=product.get("kind", "energy_da"),
        direction=product.get("direction", "net"),
        price_unit=product.get("price_unit", "price_per_mwh"),
    )


def utc(text: str) -> datetime:
    """Read a time that names its zone.

    Raises:
        ValueError: Not a time, or one without a zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)


def iso(moment: datetime) -> str:
    """`2025-12-03T00:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
