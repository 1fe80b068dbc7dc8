"""The one door for prices, weather and whatever else others tell us as a time series."""

from __future__ import annotations

from datetime import datetime, timedelta

from vpp.model.horizon import Horizon
from vpp.model.time import Interval, latest_boundary
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.api.views import SeriesTaken, SeriesView
from vpp.service.feeds import door as series_door
from vpp.service.park.numbers import listed
from vpp.service.plant import Plant
from vpp.wire import Moment, SeriesUpload, WireModel

MOST_VALUES = 3000
"""A month of quarter-hours."""


class SeriesQuery(WireModel):
    start: Moment | None = None
    """A day ago, where left out."""
    end: Moment | None = None
    """Three days after `start`, where left out; at most 3000 values after it."""
    known_by: Moment | None = None
    """What could be known at that moment; now, where left out."""


async def put_series(plant: Plant, call: Call[Nothing, SeriesUpload]) -> SeriesTaken:
    series_id = call.path["series_id"]
    await series_door.put_series(plant, series_id, call.body, now=call.now)
    return SeriesTaken(series_id=series_id, values=len(call.body.values))


async def show_series(plant: Plant, call: Call[SeriesQuery, Nothing]) -> SeriesView:
    series_id, store = call.path["series_id"], plant.series
    if not store.has(series_id):
        raise HttpRefusal(
            "nobody has put values into it",
            code="unknown_series",
            where=f"series {series_id[:80]}",
            fix="PUT values first, or look at /v1/forecasts for names",
        )
    step = store.resolution(series_id)
    known_by = call.query.known_by or call.now
    horizon = _horizon(call.query, step, call.now)
    return SeriesView(
        series_id=series_id,
        unit=store.unit(series_id),
        source=store.source(series_id),
        known_by=known_by,
        start=horizon.start,
        step_s=step // timedelta(seconds=1),
        values=listed(store.known(series_id, horizon, known_by).values),
    )


def _horizon(query: SeriesQuery, step: timedelta, now: datetime) -> Horizon:
    """The steps of the series that touch what was asked for."""
    start = latest_boundary(query.start or now - timedelta(days=1), step)
    asked = query.end or start + min(timedelta(days=3), MOST_VALUES * step)
    end = latest_boundary(asked - timedelta(microseconds=1), step) + step
    if not start < end <= start + MOST_VALUES * step:
        raise HttpRefusal(
            f"from {start} to {asked}",
            code="invalid_query",
            where="query.end",
            fix=f"Let it lie after `start`, by at most {MOST_VALUES} values",
        )
    return Horizon.over(Interval(start, end), step)


ROUTES: tuple[AnyRoute, ...] = (
    writing(
        "PUT",
        "/v1/series/{series_id}",
        "Put values into a series; the same again changes nothing",
        put_series,
        takes=SeriesUpload,
        gives=SeriesTaken,
        codes=("conflict", "invalid_data", "unavailable"),
    ),
    reading(
        "/v1/series/{series_id}",
        "Values of a series, as they were known at a moment",
        show_series,
        gives=SeriesView,
        query=SeriesQuery,
        codes=("unknown_series",),
    ),
)
