"""What came of the forecasts: scores by lead, told where a series does worse than the naive forecast.

    issue ▸ record (all of them), memory (those of whole hours, as long as they reach ahead)
    a value comes ▸ each forecast in memory that spoke of it ▸ sums by day, model and lead ▸ record

Values are taken in order. One that has not come `GIVE_UP` after its step is passed over. Steps
whose value was known when the forecast was issued (published prices) are no forecast and not scored.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta

import numpy as np

from vpp.errors import UnavailableError
from vpp.model.forecast import Forecast
from vpp.model.forecastscore import ScoreKey, ScoreSums
from vpp.model.horizon import Horizon
from vpp.model.time import EPOCH, QUARTER, latest_boundary, local_date, local_moment
from vpp.sense.forecast.tally import bucket_of, meter_noise, naive_values, sums_of
from vpp.service.events import Severity
from vpp.service.plant import Plant

GIVE_UP = timedelta(hours=2)
SCORED_EVERY = timedelta(hours=1)
"""Of forecasts issued more often, those on its multiples are scored: the others say nearly the same."""

LOOK_BACK = timedelta(hours=60)
"""After a restart: forecasts issued before are not scored any further."""

DAYS_TO_RECOVER = 7
"""A series is forecast better than naively again after so many days in a row: each weekday once."""

KNOWN = "+known"

BY_DAY_TYPE = ("power.", "net.", "arriving.", "flexibility.")
"""What people do; weather and prices know no holidays."""


def take_up(plant: Plant, now: datetime) -> None:
    """After a restart: what was forecast lately, and how far it is scored. The record may refuse (told)."""
    desk = plant.desk
    try:
        kept = desk.record.issued(since=now - LOOK_BACK, until=now)
        desk.scored_until = desk.record.scored_until()
        # It began earlier: what is on record of the day that goes on is on record from its beginning.
        desk.scored_from = dict.fromkeys(desk.scored_until, EPOCH)
        desk.sums = desk.record.scores(
            local_date(now, plant.file.park.timezone) - timedelta(days=1)
        )
    except UnavailableError as error:
        _refused(plant, error, now)
        return
    _remember(plant, kept, now)
    if kept:
        newest = kept[-1].issued_at
        plant.forecasts = tuple(one for one in kept if one.issued_at == newest)


async def keep(plant: Plant, forecasts: Sequence[Forecast], now: datetime) -> None:
    """Put what a plan goes by on record, and remember it until it has come."""
    _remember(plant, forecasts, now)
    await _write(plant, now, lambda: plant.desk.record.keep(forecasts))


def _remember(plant: Plant, forecasts: Sequence[Forecast], now: datetime) -> None:
    waiting = plant.desk.waiting
    for one in forecasts:
        if latest_boundary(one.issued_at, SCORED_EVERY) == one.issued_at:
            there = waiting.setdefault(one.series_id, [])
            # A plan out of turn issues again what its quarter-hour issued: as on record, the first counts.
            if not any((o.issued_at, o.model) == (one.issued_at, one.model) for o in there):
                there.append(one)
    for name, issued in waiting.items():
        waiting[name] = [one for one in issued if one.expected.horizon.end > now - GIVE_UP]


async def score(plant: Plant, now: datetime) -> None:
    """Score every value that has come since the last time, and judge each local day that is over."""
    desk, zone = plant.desk, plant.file.park.timezone
    fresh: defaultdict[ScoreKey, ScoreSums] = defaultdict(ScoreSums)
    begun, until = dict[str, datetime](), dict[str, datetime]()
    for name, issued in desk.waiting.items():
        first = desk.scored_until.get(name, min((one.issued_at for one in issued), default=now))
        desk.scored_from.setdefault(name, first)
        came, end = _came(plant, name, latest_boundary(first, QUARTER), now)
        noise = meter_noise(plant.series, name, end, now) if came else 0.0
        for start, value in came:
            for key, sums in _scored(plant, name, issued, start, value, noise).items():
                fresh[key] += sums
        if end > first:
            begun[name], until[name] = first, end
    if not until:
        return
    desk.scored_until |= until
    for key, sums in fresh.items():
        desk.sums[key] = desk.sums.get(key, ScoreSums()) + sums
    await _write(plant, now, lambda: desk.record.add_scores(fresh, until))
    for name, first in begun.items():
        day = local_date(first, zone)
        whole = desk.scored_from[name] <= local_moment(day, time(), zone)
        if whole and day < local_date(until[name], zone):
            _judge(plant, name, day, now)
    await _tidy(plant, now)


def _came(
    plant: Plant, name: str, first: datetime, now: datetime
) -> tuple[list[tuple[datetime, float]], datetime]:
    """Values of the steps from `first` on, in order, and up to where they are taken."""
    end = latest_boundary(now, QUARTER)
    if first >= end or not plant.series.has(name):
        return [], first
    horizon = Horizon(first, QUARTER, (end - first) // QUARTER)
    values = plant.series.known(name, horizon, now).values
    came = []
    for start, value in zip(horizon.starts(), values.tolist(), strict=True):
        if not np.isnan(value):
            came.append((start, value))
        elif start + QUARTER > now - GIVE_UP:
            return came, start
    return came, end


def _scored(
    plant: Plant,
    name: str,
    issued: Sequence[Forecast],
    start: datetime,
    value: float,
    noise: float,
) -> dict[ScoreKey, ScoreSums]:
    """Sums of one value, by model and lead of the forecasts that spoke of it; `noise` of its meter."""
    calendar = plant.file.calendar_of(name)
    by_day_type = name.startswith(BY_DAY_TYPE)
    day = local_date(start, plant.file.park.timezone)
    cases: defaultdict[ScoreKey, list[tuple[Forecast, int]]] = defaultdict(list)
    for one in issued:
        horizon = one.expected.horizon
        step = horizon.index(start)
        if not 0 <= step < horizon.steps or one.quantiles is None or _was_known(one, step):
            continue
        key = ScoreKey(
            series_id=name,
            day=day,
            model=one.model.removesuffix(KNOWN),
            lead=bucket_of(step * horizon.step),
        )
        cases[key].append((one, step))
    found = {}
    for key, those in cases.items():
        naive = naive_values(
            plant.series,
            name,
            start,
            QUARTER,
            calendar=calendar,
            same_day_type=by_day_type,
            issued_at=[one.issued_at for one, _ in those],
        )
        fan = np.array([one.quantiles[:, step] for one, step in those if one.quantiles is not None])
        actual = np.full(len(those), value)
        found[key] = sums_of(fan.T, actual, naive, noise=noise)
    return found


def _was_known(one: Forecast, step: int) -> bool:
    """Whether the value was published already when the forecast was issued."""
    fan = one.quantiles
    return one.model.endswith(KNOWN) and fan is not None and bool(fan[0, step] == fan[-1, step])


def _judge(plant: Plant, name: str, day: date, now: datetime) -> None:
    """Show how a whole day went, and tell when a series falls below the naive forecast, or rises for good.

    A series as good as the naive forecast is below it every other day: that is told once.
    """
    desk = plant.desk
    total = sum_of(desk.sums, series_id=name, day=day)
    plant.metrics.forecasts.scored(name, total.skill, total.coverage80)
    if total.skill is None:
        return
    below = total.skill < 0
    if below and name not in desk.days_above:
        plant.events.emit(
            "forecast_skill",
            f"{name}: on {day} the naive forecast erred by {total.naive_mae:.3g},"
            f" ours by {total.mae:.3g} on the mean",
            at=now,
            severity=Severity.WARNING,
            series_id=name,
            skill=round(total.skill, 4),
        )
    if name in desk.days_above or below:
        desk.days_above[name] = 0 if below else desk.days_above[name] + 1
    if desk.days_above.get(name) == DAYS_TO_RECOVER:
        plant.events.emit(
            "forecast_skill",
            f"{name} is forecast better than naively again",
            at=now,
            series_id=name,
        )
        del desk.days_above[name]


def sum_of(
    sums: Mapping[ScoreKey, ScoreSums], *, series_id: str, day: date | None = None
) -> ScoreSums:
    """All models and leads of a series together, of one day or of all."""
    return sum(
        (one for key, one in sums.items() if key.series_id == series_id and day in (None, key.day)),
        ScoreSums(),
    )


async def _tidy(plant: Plant, now: datetime) -> None:
    """Once a day: forget what is older than the park file says."""
    desk, settings, zone = plant.desk, plant.file.forecasts, plant.file.park.timezone
    today = local_date(now, zone)
    if desk.tidied_on == today:
        return
    desk.tidied_on = today
    desk.sums = {k: one for k, one in desk.sums.items() if k.day >= today - timedelta(days=1)}
    before = local_moment(today - timedelta(days=settings.keep_days), time(), zone)
    scored_before = today - timedelta(days=settings.keep_scores_days)
    await _write(
        plant,
        now,
        lambda: desk.record.forget(issued_before=before, scored_before=scored_before),
    )


async def _write(plant: Plant, now: datetime, write: Callable[[], None]) -> None:
    """Write beside the event loop; that the disk refuses is told once, and forecasts go on."""
    desk = plant.desk
    try:
        await asyncio.to_thread(write)
    except UnavailableError as error:
        _refused(plant, error, now)
        return
    if desk.record_fault is not None:
        desk.record_fault = None
        plant.events.emit("forecast_record", "forecasts are recorded again", at=now)


def _refused(plant: Plant, error: UnavailableError, now: datetime) -> None:
    if plant.desk.record_fault is None:
        plant.events.emit(
            "forecast_record",
            f"forecasts are made and not recorded: {error}",
            at=now,
            severity=Severity.WARNING,
        )
    plant.desk.record_fault = str(error)
