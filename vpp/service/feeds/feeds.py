"""Feeds: series that are fetched. What they bring goes through the same door as what is put.

    folder, address ─▶ adapter ─▶ news ─▶ series door ─▶ journal, store
                                    └──▶ faults ─▶ events, each once; nothing of that document is taken

A source that cannot be reached is asked again after 10, 20, 40 … seconds, up to its own period. That it
is ill is told once, and once that it is well again.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import numpy as np

from vpp.errors import ConflictError, DataError, RejectedError, UnavailableError
from vpp.model.horizon import Horizon
from vpp.ports import FeedBatch, FeedNews
from vpp.service.events import Severity
from vpp.service.feeds import door as series_door
from vpp.service.feeds.desk import Feed
from vpp.service.plant import Plant

TICK = timedelta(seconds=5)
"""How often it is looked whether a feed is due."""

FIRST_RETRY = timedelta(seconds=10)


async def look(plant: Plant, now: datetime) -> None:
    """Look at every feed that is due."""
    due = [feed for feed in plant.feeds if feed.due is None or feed.due <= now]
    async with asyncio.TaskGroup() as group:
        for feed in due:
            group.create_task(_look(plant, feed, now), name=f"feed-{feed.section.id}")


async def _look(plant: Plant, feed: Feed, now: datetime) -> None:
    period = timedelta(seconds=feed.section.every_s)
    try:
        news = await feed.port.look(now)
        await _take(plant, feed, news, now)
    except UnavailableError as error:
        feed.due = now + min(FIRST_RETRY * 2 ** min(feed.failures, 20), period)
        _note_ill(plant, feed, str(error), now)
        return
    except RejectedError as error:
        feed.due = now + period
        _note_ill(plant, feed, str(error), now)
        return
    feed.due = now + period
    if feed.ill is not None:
        plant.events.emit("feed", f"feed {feed.section.id} is well again", at=now)
    feed.failures, feed.ill = 0, None


async def _take(plant: Plant, feed: Feed, news: FeedNews, now: datetime) -> None:
    """Put what came into its series, and tell what is wrong with the rest."""
    for fault in news.faults:
        _tell_fault(plant, feed, f"{fault.where}: {fault.what}", now)
    for batch in news.batches:
        issued_at = batch.upload.issued_at
        newest = feed.issued_at.get(batch.series_id, issued_at)
        try:
            # After a failure the store may hold what the journal does not.
            if feed.ill is not None or not _known(plant, batch):
                await series_door.put_series(plant, batch.series_id, batch.upload, now=now)
                feed.taken_at = now
        except (DataError, ConflictError) as error:
            _tell_fault(plant, feed, f"{batch.where}: {error}", now)
        else:
            feed.issued_at[batch.series_id] = max(newest, issued_at)
    feed.port.confirm(news)


def _known(plant: Plant, batch: FeedBatch) -> bool:
    """Whether all of it was known at its issue already: the journal need not hold it twice."""
    upload, store = batch.upload, plant.series
    step = timedelta(seconds=upload.resolution_s)
    if not store.has(batch.series_id) or not upload.values:
        return not upload.values
    if (store.unit(batch.series_id), store.resolution(batch.series_id)) != (upload.unit, step):
        return False  # refused by the door, which says why
    starts = [value.interval_start for value in upload.values]
    first = min(starts)
    horizon = Horizon(first, step, (max(starts) - first) // step + 1)
    there = store.known(batch.series_id, horizon, upload.issued_at).values
    given = np.array([np.nan if v.value is None else v.value for v in upload.values])
    at = [horizon.index(start) for start in starts]
    return bool(np.array_equal(there[at], given, equal_nan=True))


def _tell_fault(plant: Plant, feed: Feed, what: str, now: datetime) -> None:
    plant.metrics.feed_fault(feed.section.id)
    plant.events.emit(
        "feed_fault", f"feed {feed.section.id}: {what[:500]}", at=now, severity=Severity.WARNING,
        feed=feed.section.id,
    )  # fmt: skip


def _note_ill(plant: Plant, feed: Feed, why: str, now: datetime) -> None:
    if feed.ill is None:
        text = f"feed {feed.section.id} is ill: {why[:500]}"
        plant.events.emit("feed", text, at=now, severity=Severity.WARNING, feed=feed.section.id)
    feed.failures += 1
    feed.ill = why
