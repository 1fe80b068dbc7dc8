"""The one door for prices, weather and whatever else others tell us as a time series.

What came through it is on disk before it is acknowledged, and is read again after a restart.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from vpp.ports import JournalEntry
from vpp.sense.series import SeriesStore
from vpp.service.plant import Plant
from vpp.service.record import append
from vpp.service.trading import outside
from vpp.wire import SeriesUpload

KIND = "series"


async def put_series(plant: Plant, series_id: str, upload: SeriesUpload, *, now: datetime) -> None:
    """Take the values of one series. The same upload again changes nothing.

    Raises:
        DataError: The values do not fit the series (unit, resolution, grid), or the contract that it is of.
        ConflictError: The same revision came with other numbers.
        UnavailableError: The journal cannot be written: not acknowledged, so it must come again.
    """
    outside.require_curve(plant, series_id, upload)
    body = upload.model_dump_json().encode()
    _take(plant.series, series_id, upload)
    digest = hashlib.sha256(body).hexdigest()
    await append(plant, KIND, f"{series_id}/{digest}", body, now=now)
    if any(series_id in (c.quantity_series, c.price_series) for c in plant.file.contracts):
        outside.follow(plant, now)


def replay(store: SeriesStore, entry: JournalEntry) -> None:
    """Take an upload again that the journal holds."""
    _take(store, entry.key.rsplit("/", 1)[0], SeriesUpload.model_validate_json(entry.body))


def _take(store: SeriesStore, series_id: str, upload: SeriesUpload) -> None:
    store.put(
        series_id,
        unit=upload.unit,
        resolution=timedelta(seconds=upload.resolution_s),
        issued_at=upload.issued_at.astimezone(UTC),
        source=upload.source,
        revision=upload.revision,
        values=((v.interval_start.astimezone(UTC), v.value) for v in upload.values),
    )
