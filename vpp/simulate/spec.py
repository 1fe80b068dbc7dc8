"""What a simulated world is made of: measured series, opening states, rules of its market.

The park file's `simulation` section is read by the service and handed over as a `Scenario`.
All profiles stand on one quarter-hour grid and hold *actual* values, past and future: only
simulated devices and the simulated market may look at them, and the foresight run of the score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Literal

from vpp.model.horizon import Profile
from vpp.model.ids import ResourceId
from vpp.simulate.clearingrules import Clearing


@dataclass(frozen=True, slots=True, kw_only=True)
class CarVisit:
    """One real charging session, moved into the scenario's calendar."""

    session_id: str
    arrives_at: datetime
    departs_at: datetime
    wanted_kwh: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRules:
    """How the illustrative prices are derived from the recorded day-ahead price, by seed.

    quarter_hour = day_ahead + AR(1) noise (sd, correlation)
    short        = max(day_ahead, quarter_hour) + spread      paid for what is missing
    long         = min(day_ahead, quarter_hour) - spread      got for what is too much

    A market of two settlements has no quarter-hour auction: that price is then the one of the real time,
    and both short and long (`imbalance: real_time`).
    """

    quarter_hour_noise_sd_per_mwh: float
    quarter_hour_noise_correlation: float
    imbalance_spread_per_mwh: float
    imbalance: Literal["two_prices", "real_time"] = "two_prices"
    least_per_mwh: float = -inf
    most_per_mwh: float = inf
    """Derived prices stay within these."""
    claw_back_band: Decimal | None = None
    """What a declaration may lie off what was metered before its gain is taken back; None: never."""
    claw_back_times: Decimal = Decimal(1)
    clearing: Mapping[str, Clearing] = field(default_factory=dict)
    """By product; one that is not named is cleared at the recorded price, everyone at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One call that the simulated load-management platform plans."""

    event_id: str
    start: datetime
    end: datetime
    invited_at: datetime
    reply_by: datetime
    wanted_mw: Decimal
    price_cap_per_mwh: Decimal
    area: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformRules:
    """How the simulated load-management platform invites, confirms and pays."""

    product: str
    direction: str
    """up or down."""
    step_mw: Decimal
    confirm_share: Decimal
    clears_at_share: Decimal
    confirms_after: timedelta
    reminds_before: timedelta
    history_days: int
    events: tuple[Event, ...]
    evaluation: EvaluationRules


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRules:
    """The numbers by which the platform judges a call: those of the published market rules."""

    days: int
    window_days: int
    outlier: Decimal | None
    """A day whose energy lies farther from the mean, as a share, is dropped; None: none is."""
    no_holidays: bool
    correct_h: tuple[Decimal, Decimal] | None
    """Hours that correct the baseline, and hours left out before the window; None: no correction."""
    correct_within: tuple[Decimal, Decimal]
    below_baseline: bool
    """Highest and mean load must lie below the baseline, or nothing is paid."""
    bands: tuple[tuple[Decimal, Decimal | None, Decimal, Decimal | None], ...]
    """From, to, factor, cap as a share of what was confirmed."""
    shortfall: tuple[Decimal, Decimal] | None
    """Below which part of what was confirmed an hour costs a penalty, and which part of the price; None: none."""
    rest_days: Mapping[str, frozenset[date]]
    """By enterprise."""
    work_days: Mapping[str, frozenset[date]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenario:
    """The actual course of everything that is not decided by us."""

    first_delivery_day: date
    """D: the local day on which the scored span begins by default."""

    base_kw: Mapping[ResourceId, Profile]
    """Net injection (so not above 0) of each FixedLoad and CurtailableLoad."""

    available_kw: Mapping[ResourceId, Profile]
    """What each weather-driven Generator could feed."""

    outdoor_degc: Mapping[str, Profile]
    """Outdoor temperature by series id, as ThermalZone.outdoor_series_id names it."""

    visits: Mapping[ResourceId, tuple[CarVisit, ...]]
    """Sessions of each EvFleet, by arrival."""

    day_ahead_per_mwh: Profile
    """Recorded day-ahead price of the bidding zone."""

    opening_soc: Mapping[ResourceId, float]
    opening_degc: Mapping[ResourceId, float]
    """Temperature at the opening; a zone that is not named begins at its target."""

    market: MarketRules
    minor_unit: Decimal
    """Smallest amount the venue books."""

    demand_response: PlatformRules | None = None
    """None: nobody invites."""
