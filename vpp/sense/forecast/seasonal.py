"""The seasonal baseline: tomorrow at nine is like the last days of its kind at nine.

    baseline   mean of the last `days` known values at the same local clock time, on days of the
               same type where the series' rule asks for that
    level      the error of the newest known hour, fading with exp(-lead / tau)

Nothing issued after `now` is looked at. On the day of a clock change a local time may be missing
or double: a past day on which it is missing is passed over, of a past double hour the first
occurrence counts, and both hours of a double hour ahead have the same baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError, PlanError
from vpp.model.calendar import Calendar, DayType
from vpp.model.forecast import Forecast
from vpp.model.horizon import Floats, Horizon, Profile
from vpp.model.time import Interval, isoformat, local_date, local_day
from vpp.sense.series import SeriesStore

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

MODEL = "seasonal-baseline/1"

_SECOND = timedelta(seconds=1)
_RECENT = timedelta(hours=6)
"""How far back the newest known hour is looked for."""

_FACTOR_RANGE = (0.3, 2.5)
_DARK = 0.05
"""Below this share of its own maximum a baseline is too small to divide by: night, dawn, dusk."""

_SKIPPED = -(2**40)
"""Stands for a clock time that a day does not have: far before any history."""


class Correction(StrEnum):
    """How the error of the newest hour is carried on."""

    NONE = "none"
    ADD = "add"
    MULTIPLY = "multiply"
    """For what scales with the weather and is 0 at night; the factor stays within 0.3 … 2.5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesRule:
    """How one family of series repeats."""

    same_day_type: bool
    """Whether workdays, Saturdays and rest days are kept apart."""

    correction: Correction = Correction.NONE
    tau: timedelta = timedelta(hours=2)
    """After so long 37 % of the correction are left."""

    keeps_sign: bool = False
    """Whether a series that was never above 0 (or never below) stays so: a load never feeds."""


DEFAULT_RULES: Mapping[str, SeriesRule] = MappingProxyType(
    {
        "power.": SeriesRule(same_day_type=True, correction=Correction.ADD, keeps_sign=True),
        "available.": SeriesRule(
            same_day_type=False, correction=Correction.MULTIPLY, keeps_sign=True
        ),
        "outdoor.": SeriesRule(
            same_day_type=False, correction=Correction.ADD, tau=timedelta(hours=12)
        ),
        "price.": SeriesRule(same_day_type=False),
        "arriving.": SeriesRule(same_day_type=True, keeps_sign=True),
        "net.": SeriesRule(same_day_type=True, correction=Correction.ADD),
        "flexibility.": SeriesRule(same_day_type=True, correction=Correction.ADD, keeps_sign=True),
        "carbon.": SeriesRule(
            same_day_type=False,
            correction=Correction.ADD,
            tau=timedelta(hours=12),
            keeps_sign=True,
        ),
    }
)
"""By the beginning of the series id; the longest one that fits counts."""


class SeasonalBaseline:
    """Forecasts many series on one horizon at once, by the rules above."""

    def __init__(
        self,
        calendar: Calendar,
        *,
        days: int = 4,
        lookback_days: int = 35,
        rules: Mapping[str, SeriesRule] = DEFAULT_RULES,
    ) -> None:
        """Average the last `days` known days of a kind, none older than `lookback_days`."""
        if not 1 <= days <= lookback_days:
            raise DataError(
                f"days is {days}, lookback_days {lookback_days}",
                where="SeasonalBaseline",
                fix="Average at least one day, and look back at least as far",
            )
        self.calendar = calendar
        self._zone = calendar.zone
        self._days = days
        self._lookback_days = lookback_days
        self._rules = rules

    def issue(
        self, store: SeriesStore, series: Sequence[str], horizon: Horizon, now: datetime
    ) -> tuple[Forecast, ...]:
        """Forecast each series over `horizon` from what was known at `now`, in the order given.

        Raises:
            DataError: A series is not in the store, off the horizon's grid, or no rule fits it.
            PlanError: A step has no value to go by; names series and step.
        """
        recent = _with_recent(horizon, now)
        expected: dict[str, Floats] = {}
        for rule, family, known, baseline in self._families(store, series, recent, now):
            values = _corrected(rule, known, baseline, recent, horizon, now)
            expected |= dict(zip(family, values, strict=True))
        return tuple(
            Forecast(
                series_id=one,
                unit=store.unit(one),
                issued_at=now,
                model=MODEL,
                expected=Profile(horizon, _complete(one, expected[one], horizon)),
            )
            for one in series
        )

    def errors(
        self, store: SeriesStore, series: Sequence[str], past: Horizon, now: datetime
    ) -> dict[str, Floats]:
        """How far values known at `now` lay above the baseline of the days before each of them.

        By series, shape (steps,), NaN where value or baseline is missing. Without the correction of
        the level: what a forecast made long before would have missed by.

        Raises:
            DataError: As `issue`.
        """
        errors: dict[str, Floats] = {}
        for _, family, known, baseline in self._families(store, series, past, now):
            errors |= dict(zip(family, known[:, -past.steps :] - baseline, strict=True))
        return errors

    def _families(
        self, store: SeriesStore, series: Sequence[str], over: Horizon, now: datetime
    ) -> Iterator[tuple[SeriesRule, list[str], Floats, Floats]]:
        """Series of one rule together: what is known of them, and their baselines over `over`.

        Of shape (series, history) and (series, steps of `over`); the history ends with `over`.
        """
        history = self._history_horizon(over)
        same_clock, same_type = _candidates(self.calendar, self._lookback_days, over, history)
        rules = {one: self.rule(one) for one in series}
        for rule in dict.fromkeys(rules.values()):
            family = [one for one in rules if rules[one] == rule]
            candidates = np.where(same_type, same_clock, -1) if rule.same_day_type else same_clock
            known = np.array([store.known(one, history, now).values for one in family])
            yield rule, family, known, _mean_of_last(known, candidates, self._days)

    def rule(self, series_id: str) -> SeriesRule:
        """The rule that fits a series.

        Raises:
            DataError: None does.
        """
        fitting = [prefix for prefix in self._rules if series_id.startswith(prefix)]
        if not fitting:
            raise DataError(
                "no rule says how this series repeats",
                where=f"forecast of {series_id}",
                fix=f"Begin its id with one of {sorted(self._rules)}, or add a rule",
            )
        return self._rules[max(fitting, key=len)]

    def _history_horizon(self, recent: Horizon) -> Horizon:
        """From `lookback_days` before the first local day to the end of the forecast."""
        first_day = local_date(recent.start, self._zone) - timedelta(days=self._lookback_days)
        steps = -((local_day(first_day, self._zone).start - recent.end) // recent.step)
        return Horizon(recent.end - steps * recent.step, recent.step, steps)


@lru_cache(maxsize=64)
def _candidates(
    calendar: Calendar, lookback_days: int, recent: Horizon, history: Horizon
) -> tuple[Ints, Bools]:
    """For each step of `recent` the history steps at the same clock time, newest day first.

    Shape (steps, lookback_days), -1 where that day does not show that time; and which of them
    lie on a day of the same type. Read-only.

    Kept: all series of a plan ask for the same one, and those that learn one after the other for the
    same hundred. To find it takes ten times as long as to average by it.
    """
    zone = calendar.zone
    locals_ = [start.astimezone(zone) for start in recent.starts()]
    seconds = np.array([at.hour * 3600 + at.minute * 60 + at.second for at in locals_])
    ordinals = np.array([at.toordinal() for at in locals_])
    oldest = int(ordinals[0]) - lookback_days
    days = [date.fromordinal(one) for one in range(oldest, int(ordinals[-1]) + 1)]
    spans = [local_day(day, zone) for day in days]
    kinds = np.array([list(DayType).index(calendar.day_type(day)) for day in days])
    begun_s = np.array([(span.start - history.start) // _SECOND for span in spans])

    past = ordinals[:, None] - np.arange(1, lookback_days + 1) - oldest
    at_s = begun_s[past] + seconds[:, None]
    for index, span in enumerate(spans):
        if span.end - span.start != timedelta(days=1):
            here = past == index
            shown = _shown(span, zone)
            passed = np.array([shown.get(int(second), _SKIPPED) for second in seconds])
            at_s[here] = (begun_s[index] + np.broadcast_to(passed[:, None], here.shape))[here]
    steps, rest = np.divmod(at_s, history.step // _SECOND)
    candidates = np.where((rest == 0) & (steps >= 0), steps, -1)
    same_type = kinds[past] == kinds[ordinals - oldest][:, None]
    candidates.setflags(write=False)
    same_type.setflags(write=False)
    return candidates, same_type


@lru_cache(maxsize=32)
def _shown(span: Interval, zone: ZoneInfo) -> Mapping[int, int]:
    """Seconds since an odd local day began, by the second of the day that its clocks show first.

    Kept: a day of change stays in sight for weeks, and every series of every forecast looks at it.
    """
    shown: dict[int, int] = {}
    for minute in span.split(timedelta(minutes=1)):
        local = minute.start.astimezone(zone)
        shown.setdefault(
            local.hour * 3600 + local.minute * 60, (minute.start - span.start) // _SECOND
        )
    return MappingProxyType(shown)


def _with_recent(horizon: Horizon, now: datetime) -> Horizon:
    """The horizon, begun early enough to hold the last hours before `now`."""
    early = min(horizon.start, now) - _RECENT
    before = -((early - horizon.start) // horizon.step)
    return Horizon(horizon.start - before * horizon.step, horizon.step, horizon.steps + before)


def _mean_of_last(known: Floats, candidates: Ints, days: int) -> Floats:
    """Mean of the first `days` known candidates of each step, NaN where there is none.

    `known` has shape (series, history), `candidates` (steps, n); gives (series, steps).
    """
    # Candidate -1 reads the NaN that is put behind the history.
    padded = np.pad(known, ((0, 0), (0, 1)), constant_values=np.nan)
    total = np.zeros((len(known), len(candidates)))
    count = np.zeros_like(total)
    for column in candidates.T:
        if (column < 0).all():
            continue
        values = padded[:, column]
        use = ~np.isnan(values) & (count < days)
        total += np.where(use, values, 0.0)
        count += use
        if (count == days).all():
            break
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)


def _corrected(
    rule: SeriesRule,
    known: Floats,
    baseline: Floats,
    recent: Horizon,
    horizon: Horizon,
    now: datetime,
) -> Floats:
    """The baselines over `horizon`, moved by the error of each series' newest known hour.

    `known` has shape (series, history), `baseline` (series, recent); `recent` and the history end
    with `horizon`. Gives (series, horizon).
    """
    first = recent.steps - horizon.steps
    expected = baseline[:, first:].copy()
    ended = max(min((now - recent.start) // recent.step, recent.steps), 0)
    if rule.correction is not Correction.NONE and ended:
        actual = known[:, known.shape[1] - recent.steps :][:, :ended]
        was, is_, newest = _newest_hour(
            actual, baseline[:, :ended], timedelta(hours=1) // recent.step
        )
        lead = np.arange(first, recent.steps) - newest[:, None]
        fading = np.exp(-np.maximum(lead, 0) * (recent.step / rule.tau))
        if rule.correction is Correction.ADD:
            expected += np.nan_to_num(is_ - was)[:, None] * fading
        else:
            # fmax passes over NaN; a series without any value fails later, by name.
            bright = was > _DARK * np.fmax.reduce(baseline, axis=1)
            factor = np.divide(is_, was, out=np.ones_like(was), where=bright)
            expected *= 1 + (np.clip(factor, *_FACTOR_RANGE) - 1)[:, None] * fading
    if rule.keeps_sign:
        low = np.where(np.fmin.reduce(known, axis=1) >= 0, 0.0, -np.inf)
        high = np.where(np.fmax.reduce(known, axis=1) <= 0, 0.0, np.inf)
        expected = np.clip(expected, low[:, None], high[:, None])
    return expected


def _newest_hour(actual: Floats, baseline: Floats, most: int) -> tuple[Floats, Floats, Ints]:
    """Mean baseline and mean actual over the `most` newest steps that have both, and the newest.

    Inputs have shape (series, steps), each output (series,). NaN and 0 where no step has both.
    """
    both = ~np.isnan(actual) & ~np.isnan(baseline)
    from_end = np.cumsum(both[:, ::-1], axis=1)[:, ::-1]
    use = both & (from_end <= max(most, 1))
    count = use.sum(axis=1)
    nothing = np.full(len(actual), np.nan)
    was = np.divide(
        np.where(use, baseline, 0.0).sum(axis=1), count, out=nothing.copy(), where=count > 0
    )
    is_ = np.divide(np.where(use, actual, 0.0).sum(axis=1), count, out=nothing, where=count > 0)
    newest = np.where(use, np.arange(actual.shape[1]), 0).max(axis=1)
    return was, is_, newest


def _complete(series_id: str, values: Floats, horizon: Horizon) -> Floats:
    missing = np.flatnonzero(np.isnan(values))
    if missing.size:
        start = horizon.start + int(missing[0]) * horizon.step
        raise PlanError(
            f"no known value to go by for the step at {isoformat(start)}"
            f" ({missing.size} of {horizon.steps} steps)",
            where=f"forecast of {series_id}",
            fix="Give the series at least one day of history of each day type",
        )
    return values


def with_known(store: SeriesStore, forecast: Forecast, now: datetime) -> Forecast:
    """The forecast with every value replaced that is known already, such as published prices.

    Such a step has no spread. Its model says so with `+known`. `now` is what the forecast was issued
    at, or later.
    """
    known = store.known(forecast.series_id, forecast.expected.horizon, now).values
    there = ~np.isnan(known)
    if not there.any():
        return forecast
    return Forecast(
        series_id=forecast.series_id,
        unit=forecast.unit,
        issued_at=now,
        model=f"{forecast.model}+known",
        expected=Profile(
            forecast.expected.horizon, np.where(there, known, forecast.expected.values)
        ),
        quantiles=None
        if forecast.quantiles is None
        else np.where(there, known, forecast.quantiles),
    )
