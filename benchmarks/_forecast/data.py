"""The series that are forecast, and what of each may be looked at when.

Files and their origin: `benchmarks/data/forecast/SOURCE.md`. A `Series` knows its whole course; a
model never sees it, but the `Past` that `past_at` cuts for one moment.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache, partial
from types import MappingProxyType
from zoneinfo import ZoneInfo

import numpy as np

from benchmarks.harness import ROOT
from vpp.model.calendar import Calendar
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import Interval, local_date, local_day
from vpp.sense.cleaning import MEASURED, clean, rules_for
from vpp.sense.forecast.base import Past, Site
from vpp.service.forecasting.past import cleaned_past

FOLDER = ROOT / "benchmarks" / "data" / "forecast"
ISSUE_TIME = time(12)
"""Local time of the day before at which a day is forecast."""

PREFIX: Mapping[str, str] = MappingProxyType(
    {
        "load": "power.",
        "price": "price.",
        "pv": "available.",
        "ev_daily": "arriving.",
        "ev_arrivals": "arriving.",
        "temperature": "outdoor.",
        "carbon": "carbon.",
        "wind": "carbon.",
    }
)
"""How the id of a series of each kind begins in the service: that says what `auto` chooses among.
Wind has no kind of its own there; it is as far from a clock as the carbon intensity is."""

NONE = "none"
PAST = "measured up to the issue"
STAND_IN = "measured, standing in for a forecast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series with all that ever became known of it."""

    name: str
    kind: str
    unit: str
    values: Profile
    """NaN where nothing was measured: such steps are not scored."""

    calendar: Calendar
    published_ahead: bool = False
    """Whether the values of the running day are known when it begins, as auction prices are."""

    ahead: Mapping[str, Profile] = field(default_factory=dict)
    """Regressors that are known for the day that is forecast."""

    measured: Mapping[str, Profile] = field(default_factory=dict)
    """Regressors that are known up to the moment of the issue."""

    weather: str = NONE
    """What the models know of the weather, as the rows say it."""

    site: Site | None = None
    daily: bool = False
    """Whether one step is one day."""

    @property
    def zone(self) -> ZoneInfo:
        return self.calendar.zone

    @property
    def days(self) -> tuple[date, ...]:
        """Every local day that lies wholly in the series."""
        span = self.values.horizon.span
        first, last = local_date(span.start, self.zone), local_date(span.end, self.zone)
        return tuple(
            day
            for n in range((last - first).days + 1)
            if span.start <= local_day(day := first + timedelta(days=n), self.zone).start
            and local_day(day, self.zone).end <= span.end
        )

    def issued_at(self, day: date) -> datetime:
        """When the forecast of a local day is issued."""
        return datetime.combine(day - timedelta(days=1), ISSUE_TIME, self.zone).astimezone(UTC)

    def target(self, day: date) -> Horizon:
        """The steps of a local day."""
        return Horizon.over(local_day(day, self.zone), self.values.horizon.step)

    def actual(self, horizon: Horizon) -> Floats:
        """What was measured, NaN where nothing was."""
        return self.values.values[self.values.horizon.slice(horizon.span)]

    def past_at(self, day: date) -> Past:
        """All that may be looked at when `day` is forecast, cleaned as the service cleans what meters say."""
        issued_at, end = self.issued_at(day), local_day(day, self.zone).end
        known = local_day(day, self.zone).start if self.published_ahead else issued_at
        # A step that has begun is there and not known.
        until = max(known, issued_at + (self.values.horizon.step if self.daily else timedelta(0)))
        past = Past(
            series_id=PREFIX[self.kind] + self.name.replace("_", "-"),
            unit=self.unit,
            issued_at=issued_at,
            values=_blind(_cut(self.values, until - self.values.horizon.start), known),
            calendar=self.calendar,
            regressors={
                **{name: _cut(one, end - one.horizon.start) for name, one in self.ahead.items()},
                **{
                    name: _blind(_cut(one, end - one.horizon.start), issued_at)
                    for name, one in self.measured.items()
                },
            },
            site=self.site,
        )
        if not past.series_id.startswith(MEASURED):
            return past
        rules = rules_for(past.series_id)
        return cleaned_past(past, clean(past.values, rules).profile, rules)


def _cut(profile: Profile, length: timedelta) -> Profile:
    horizon = profile.horizon
    steps = min(max(length // horizon.step, 1), horizon.steps)
    return Profile(Horizon(horizon.start, horizon.step, steps), profile.values[:steps])


def _blind(profile: Profile, known_by: datetime) -> Profile:
    """NaN in every step that had not ended at `known_by`."""
    values = profile.values.copy()
    values[max(profile.horizon.index(known_by), 0) :] = np.nan
    return Profile(profile.horizon, values)


# ---------------------------------------------------------------- files


@lru_cache(maxsize=32)
def grid(name: str) -> Mapping[str, Profile]:
    """The columns of a file, on its grid."""
    with gzip.open(FOLDER / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        _, start, _, minutes, _ = next(file).split()
        names, *rows = csv.reader(file)
    values = np.array([[float(cell or "nan") for cell in row] for row in rows])
    horizon = Horizon(
        datetime.fromisoformat(start).astimezone(UTC), timedelta(minutes=int(minutes)), len(rows)
    )
    return MappingProxyType(
        {one: Profile(horizon, values[:, i].copy()) for i, one in enumerate(names)}
    )


def _resampled(profile: Profile, onto: Horizon) -> Profile:
    """A coarser series held over its intervals, NaN where it does not reach."""
    index = np.array([profile.horizon.index(start) for start in onto.starts()])
    inside = (index >= 0) & (index < profile.horizon.steps)
    values = np.full(onto.steps, np.nan)
    values[inside] = profile.values[index[inside]]
    return Profile(onto, values)


# ---------------------------------------------------------------- the sets


def _calendar(zone: str, country: str | None = None, subdivision: str | None = None) -> Calendar:
    """A zone with the public holidays of its country."""
    if country is None:
        return Calendar(zone=ZoneInfo(zone))
    import holidays  # a second, and only here

    days = holidays.country_holidays(country, subdiv=subdivision, years=range(2012, 2020))
    return Calendar(zone=ZoneInfo(zone), rest_days=frozenset(days))


def _load(name: str, column: str, unit: str, zone: str, country: str) -> Series:
    return Series(
        name=name,
        kind="load",
        unit=unit,
        values=grid(name)[column],
        calendar=_calendar(zone, country),
    )


def _building(name: str) -> Series:
    """One building of Cambridge, with the temperature that was measured so far."""
    return Series(
        name=f"cambridge_{name}",
        kind="load",
        unit="kW",
        values=grid("cambridge")[f"{name}_kw"],
        calendar=_calendar("Europe/London", "GB", "ENG"),
        measured={"outdoor": grid("bedford")["outdoor_degc"]},
        weather=PAST,
    )


def _nord_pool() -> Series:
    columns = grid("nord_pool")
    return Series(
        name="nord_pool_price",
        kind="price",
        unit="EUR/MWh",
        values=columns["price_eur_per_mwh"],
        calendar=_calendar("UTC"),
        published_ahead=True,
        ahead={
            "forecast.load": columns["load_forecast_mw"],
            "forecast.wind": columns["wind_forecast_mw"],
        },
    )


GOLDEN = Site(latitude_deg=39.742, longitude_deg=-105.17, altitude_m=1800.0)
"""Where the roof stands, as well as its publisher tells."""


def _pv(with_weather: bool) -> Series:
    values = grid("pv")["ac_power_w"]
    series = Series(
        name="pv_2012_weather" if with_weather else "pv_2012",
        kind="pv",
        unit="W",
        values=values,
        calendar=_calendar("America/Denver"),
        site=GOLDEN,
    )
    if not with_weather:
        return series
    weather = {
        "ghi": _resampled(grid("pv_weather")["ghi_w_per_m2"], values.horizon),
        "outdoor": _resampled(grid("pv_weather")["outdoor_degc"], values.horizon),
    }
    return replace(series, ahead=weather, weather=STAND_IN)


def _plain(name: str, kind: str, unit: str, file: str, column: str, zone: str) -> Series:
    return Series(
        name=name, kind=kind, unit=unit, values=grid(file)[column], calendar=_calendar(zone)
    )


@lru_cache(maxsize=1)
def _sessions() -> tuple[tuple[datetime, str, float], ...]:
    """Arrival, site and kWh of every charging session."""
    with gzip.open(FOLDER / "ev_sessions.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return tuple(
            (
                datetime.fromisoformat(row["arrives_local"]).replace(tzinfo=UTC),
                row["site"],
                float(row["kwh"]),
            )
            for row in csv.DictReader(file)
        )


CAR_PARKS = (
    "493904", "976902", "461655", "868085", "481066", "928191",
    "144857", "503205", "566549", "978130", "814002", "202527",
)  # fmt: skip
"""The sites that saw a hundred sessions or more."""


def _arrived(site: str | None, step: timedelta) -> Profile:
    """What cars took that came in each step, in kWh; the days on which sessions were recorded at all."""
    sessions = _sessions()
    first = datetime.combine(sessions[0][0].date(), time(), UTC)
    last = datetime.combine(sessions[-1][0].date(), time(), UTC)
    horizon = Horizon.over(Interval(first, last), step)
    values = np.zeros(horizon.steps)
    for arrives_at, at, kwh in sessions:
        if arrives_at < last and site in (None, at):
            values[horizon.index(arrives_at)] += kwh
    return Profile(horizon, values)


def _cars(site: str) -> Series:
    return Series(
        name=f"ev_site_{site}",
        kind="ev_daily",
        unit="kWh",
        values=_arrived(site, timedelta(days=1)),
        calendar=_calendar("UTC", "US"),
        daily=True,
    )


def _arrivals() -> Series:
    return Series(
        name="ev_arrivals",
        kind="ev_arrivals",
        unit="kWh",
        values=_arrived(None, timedelta(hours=1)),
        calendar=_calendar("UTC", "US"),
    )


BUILDINGS = ("b91", "b2", "b58", "b21", "b27", "b5", "b40", "b33", "b31", "b36")


@dataclass(frozen=True, slots=True)
class Set:
    """A series that was not read yet."""

    kind: str
    read: Callable[[], Series]


SETS: Mapping[str, Set] = MappingProxyType(
    {
        "steel": Set("load", partial(_load, "steel", "kw", "kW", "Asia/Seoul", "KR")),
        **{
            name: Set(
                "load", partial(_load, name, "w_per_mwh_year", "W/MWh", "Europe/Berlin", "DE")
            )
            for name in ("metal", "office", "school", "furniture")
        },
        **{f"cambridge_{name}": Set("load", partial(_building, name)) for name in BUILDINGS},
        "nord_pool_price": Set("price", _nord_pool),
        "pv_2012": Set("pv", partial(_pv, False)),
        "pv_2012_weather": Set("pv", partial(_pv, True)),
        **{f"ev_site_{site}": Set("ev_daily", partial(_cars, site)) for site in CAR_PARKS},
        "ev_arrivals": Set("ev_arrivals", _arrivals),
        "temperature": Set(
            "temperature",
            partial(_plain, "temperature", "temperature", "degC", "bedford", "outdoor_degc", "UTC"),
        ),
        "carbon": Set(
            "carbon",
            partial(_plain, "carbon", "carbon", "kg/kWh", "carbon", "kgco2_per_kwh", "UTC"),
        ),
        "wind": Set("wind", partial(_plain, "wind", "wind", "kW", "wind", "kw", "UTC")),
    }
)
"""Every set by name."""


def windows(series: Series) -> Mapping[str, tuple[date, ...]]:
    """The days of a series that are forecast: `validation` is its second third, `test` its last.

    Whatever is chosen by hand is chosen on the first two thirds.
    """
    days = series.days
    third = len(days) / 3
    return {
        "validation": days[round(third) : round(2 * third)],
        "test": days[round(2 * third) :],
    }
