"""Demand charges: what a month costs by its highest import, or by what was agreed.

    form        a month costs                                              one more kW of peak costs
    actual      price · peak                                               price
    contract    price · max(contract, least share · capacity)              excess_times · price,
                + excess_times · price · max(0, peak - free share · contract)   above the free share
    capacity    price · capacity                                           nothing

The peak is the highest mean import over a measuring interval of the month (15, 30 or 60 minutes by the
local clock). Where a month uses so many kWh for each kVA, some tariffs lower the price of the demand.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import inf
from typing import TypeAlias
from zoneinfo import ZoneInfo

from vpp.errors import DataError
from vpp.model.hours import Hours
from vpp.model.time import QUARTER

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracted:
    """What a connection point has agreed with its grid operator; None where it has not."""

    capacity_kva: Decimal | None = None
    """Installed transformers."""

    contract_kw: Decimal | None = None
    """Demand agreed for a month."""

    def __post_init__(self) -> None:
        for name in ("capacity_kva", "contract_kw"):
            value = getattr(self, name)
            if value is not None and not 0 < value < Decimal("Infinity"):
                raise DataError(
                    f"{name} is {value}", where="connection point", fix="Give a size above 0"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """How the highest import of a month is found."""

    interval: timedelta = QUARTER
    """Imports are averaged over it; it divides an hour and begins with it, by the local clock."""

    windows: tuple[Hours, ...] = ()
    """Intervals that touch none of these do not count; empty where all do."""

    def __post_init__(self) -> None:
        if not timedelta(0) < self.interval <= HOUR or HOUR % self.interval:
            raise DataError(
                f"measuring interval of {self.interval}",
                where="demand charge",
                fix="Give minutes that divide an hour: 15, 30 or 60",
            )

    def began(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """When the measuring interval of `moment` began."""
        local = moment.astimezone(zone)
        passed = timedelta(
            minutes=local.minute, seconds=local.second, microseconds=local.microsecond
        )
        return moment - passed % self.interval

    def counts(self, moment: datetime, zone: ZoneInfo, holidays: Set[date]) -> bool:
        """Whether what is imported at `moment` can make a peak."""
        local = moment.astimezone(zone)
        holiday = local.date() in holidays
        return not self.windows or any(w.hold(local, holiday=holiday) for w in self.windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFactorDiscount:
    """The price of the demand times `times`, in months that use the transformers well."""

    least_kwh_per_kva: Decimal
    """Energy of the month for each kVA of capacity."""

    times: Decimal

    def of(self, at: Contracted, month_kwh: Decimal | None) -> Decimal:
        """What to multiply the price with; 1 for a month whose energy is not known yet."""
        if at.capacity_kva is None or month_kwh is None:
            return Decimal(1)
        used_well = month_kwh >= self.least_kwh_per_kva * at.capacity_kva
        return self.times if used_well else Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActualDemand:
    """The month's highest mean import is charged."""

    price_per_kw_month: Decimal
    measuring: Measuring = Measuring()
    discount: LoadFactorDiscount | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """What a connection point has to have agreed."""
        return () if self.discount is None else ("capacity_kva",)

    @property
    def rise_per_kw(self) -> Decimal:
        """What one more kW of peak costs, above `free_kw`."""
        return self.price_per_kw_month

    def free_kw(self, at: Contracted) -> float:
        """Up to which peak nothing more is charged."""
        return 0.0

    def standing(self, at: Contracted, month_kwh: Decimal | None = None) -> Decimal:
        """What a month costs whatever is imported."""
        return Decimal(0)

    def rising(self, at: Contracted, peak_kw: Decimal, month_kwh: Decimal | None = None) -> Decimal:
        """What a month costs for its peak."""
        return _price(self.price_per_kw_month, self.discount, at, month_kwh) * peak_kw


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDemand:
    """The agreed demand is charged, and what goes beyond a share of it at a multiple of the price."""

    price_per_kw_month: Decimal
    least_share_of_capacity: Decimal
    """The contract counts at least as this share of the capacity, kW for kVA."""

    free_share: Decimal
    """Up to this share of the contract the peak is included, e.g. 1.05."""

    excess_times: Decimal
    measuring: Measuring = Measuring()
    discount: LoadFactorDiscount | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """What a connection point has to have agreed."""
        by_capacity = self.least_share_of_capacity > 0 or self.discount is not None
        return ("contract_kw", "capacity_kva") if by_capacity else ("contract_kw",)

    @property
    def rise_per_kw(self) -> Decimal:
        """What one more kW of peak costs, above `free_kw`."""
        return self.price_per_kw_month * self.excess_times

    def free_kw(self, at: Contracted) -> float:
        """Up to which peak nothing more is charged."""
        return float(self.free_share * _agreed(at, "contract_kw"))

    def standing(self, at: Contracted, month_kwh: Decimal | None = None) -> Decimal:
        """What a month costs whatever is imported."""
        least = self.least_share_of_capacity * (at.capacity_kva or Decimal(0))
        billed_kw = max(_agreed(at, "contract_kw"), least)
        return _price(self.price_per_kw_month, self.discount, at, month_kwh) * billed_kw

    def rising(self, at: Contracted, peak_kw: Decimal, month_kwh: Decimal | None = None) -> Decimal:
        """What a month costs for its peak."""
        beyond_kw = max(peak_kw - self.free_share * _agreed(at, "contract_kw"), Decimal(0))
        price = _price(self.price_per_kw_month, self.discount, at, month_kwh)
        return price * self.excess_times * beyond_kw


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityCharge:
    """The installed capacity is charged, however it is used: the plan cannot change it."""

    price_per_kva_month: Decimal

    @property
    def needs(self) -> tuple[str, ...]:
        """What a connection point has to have agreed."""
        return ("capacity_kva",)

    @property
    def measuring(self) -> Measuring:
        """Of a peak that costs nothing."""
        return Measuring()

    @property
    def rise_per_kw(self) -> Decimal:
        """What one more kW of peak costs."""
        return Decimal(0)

    def free_kw(self, at: Contracted) -> float:
        """Up to which peak nothing more is charged."""
        return inf

    def standing(self, at: Contracted, month_kwh: Decimal | None = None) -> Decimal:
        """What a month costs whatever is imported."""
        return self.price_per_kva_month * _agreed(at, "capacity_kva")

    def rising(self, at: Contracted, peak_kw: Decimal, month_kwh: Decimal | None = None) -> Decimal:
        """What a month costs for its peak."""
        return Decimal(0)


DemandCharge: TypeAlias = ActualDemand | ContractDemand | CapacityCharge


def _price(
    price: Decimal, discount: LoadFactorDiscount | None, at: Contracted, month_kwh: Decimal | None
) -> Decimal:
    return price if discount is None else price * discount.of(at, month_kwh)


def _agreed(at: Contracted, name: str) -> Decimal:
    value: Decimal | None = getattr(at, name)
    if value is None:
        raise DataError(
            f"{name} is not given",
            where="demand charge",
            fix=f"Say at the connection point what its {name} is",
        )
    return value
