"""Feeds in service: through the one door, each fault once, and told before a gate when they are late."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.service.test_calendars import demo_with
from vpp.errors import ConfigError, RejectedError, UnavailableError, VppError
from vpp.model.forecast import Forecast
from vpp.model.horizon import Horizon, Profile
from vpp.model.schedule import Unsolved
from vpp.model.time import QUARTER, isoformat
from vpp.ports import FeedBatch, FeedFault, FeedNews
from vpp.service.feeds import door as series_door
from vpp.service.feeds import feeds
from vpp.service.feeds import watch as feedwatch
from vpp.service.feeds.desk import Feed
from vpp.service.park.config import ConfigErrors
from vpp.service.plant import Plant
from vpp.service.trading.trading import answer_bid_request
from vpp.service.wiring import open_feeds
from vpp.trade.calendar import TradeRefusal
from vpp.wire import BidRequest, SeriesUpload

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
"""An hour before the day-ahead gate."""

PRICE = "price.day-ahead.se3"
WEATHER = "outdoor.mill"
FEED = """\
feeds:
  - id: weather
    kind: csv
    folder: inbox
    source: a station
    resolution_minutes: 60
    every_s: 30
    max_age_hours: 6
    series: [{id: outdoor.mill, column: temp, unit: degC}]
    needed: [{product: se3-day-ahead, minutes_before_gate: 45}]
"""


@dataclass
class Scripted:
    """A feed that brings what it is told to."""

    brings: list[FeedNews | VppError] = field(default_factory=list)
    confirmed: int = 0

    async def look(self, now: datetime) -> FeedNews:
        news = self.brings.pop(0) if self.brings else FeedNews()
        if isinstance(news, VppError):
            raise news
        return news

    def confirm(self, news: FeedNews) -> None:
        self.confirmed += 1


def batch(
    first: datetime, hours: int, *, issued_at: datetime = NOW, unit: str = "degC"
) -> FeedBatch:
    upload = SeriesUpload.model_validate(
        {
            "unit": unit,
            "resolution_s": 3600,
            "issued_at": issued_at,
            "source": "a station",
            "values": [
                {"interval_start": first + timedelta(hours=hour), "value": 1.5}
                for hour in range(hours)
            ],
        }
    )
    return FeedBatch(series_id=WEATHER, upload=upload, where="inbox/w.csv")


@pytest.fixture
def fed(plant: Plant, tmp_path: Path) -> tuple[Plant, Scripted]:
    """A plant with one scripted feed that the day-ahead gate needs."""
    plant.file = demo_with(tmp_path, FEED)
    port = Scripted()
    plant.feeds = (Feed(section=plant.file.feeds[0], port=port),)
    return plant, port


def look(plant: Plant, *moments: datetime) -> None:
    async def run() -> None:
        for moment in moments:
            await feeds.look(plant, moment)

    asyncio.run(run())


def told(plant: Plant, kind: str) -> list[str]:
    return [event.text for event in plant.events.recent() if event.kind == kind]


def journalled(plant: Plant) -> int:
    return len(list(plant.journal.entries(series_door.KIND)))


# ---------------------------------------------------------------- taken


def test_what_a_feed_brings_is_in_its_series_and_in_the_journal(
    fed: tuple[Plant, Scripted],
) -> None:
    plant, port = fed
    port.brings = [FeedNews(batches=(batch(NOW, 2),))]

    look(plant, NOW)

    known = plant.series.known(WEATHER, Horizon(NOW, timedelta(hours=1), 3), NOW).values
    assert known[:2].tolist() == [1.5, 1.5]
    assert journalled(plant) == port.confirmed == 1


def test_the_same_numbers_again_are_not_journalled_again(fed: tuple[Plant, Scripted]) -> None:
    plant, port = fed
    later = NOW + timedelta(minutes=1)
    port.brings = [
        FeedNews(batches=(batch(NOW, 2),)),
        FeedNews(batches=(batch(NOW, 2, issued_at=later),)),
    ]

    look(plant, NOW, later)

    assert journalled(plant) == 1
    assert port.confirmed == 2
    assert plant.feeds[0].issued_at == {WEATHER: later}


def test_a_feed_is_looked_at_in_its_own_period(fed: tuple[Plant, Scripted]) -> None:
    plant, port = fed

    look(plant, *(NOW + timedelta(seconds=5 * tick) for tick in range(13)))

    assert port.confirmed == 3  # at 0, 30 and 60 seconds


def test_a_faulty_document_is_an_event_and_the_others_are_taken(
    fed: tuple[Plant, Scripted],
) -> None:
    plant, port = fed
    fault = FeedFault(where="inbox/bad.csv:7", what="temp 'x' is no number")
    port.brings = [FeedNews(batches=(batch(NOW, 1),), faults=(fault,))]

    look(plant, NOW)

    assert told(plant, "feed_fault") == ["feed weather: inbox/bad.csv:7: temp 'x' is no number"]
    assert journalled(plant) == 1


def test_values_that_do_not_fit_their_series_are_an_event(fed: tuple[Plant, Scripted]) -> None:
    plant, port = fed
    port.brings = [
        FeedNews(batches=(batch(NOW, 1),)),
        FeedNews(batches=(batch(NOW, 1, unit="K"),)),
    ]

    look(plant, NOW, NOW + timedelta(minutes=1))

    (text,) = told(plant, "feed_fault")
    assert text.startswith("feed weather: inbox/w.csv: series outdoor.mill: came in K")
    assert port.confirmed == 2


def test_a_source_that_is_away_is_told_once_and_asked_again_sooner_and_later(
    fed: tuple[Plant, Scripted],
) -> None:
    plant, port = fed
    away = UnavailableError("no answer", where="inbox", fix="Wait")
    port.brings = [away, away, away, FeedNews()]

    look(plant, *(NOW + timedelta(seconds=5 * tick) for tick in range(13)))

    assert told(plant, "feed") == [
        "feed weather is ill: inbox: no answer -> Wait",
        "feed weather is well again",
    ]  # at 0, 10, 30 (twice ten seconds) and 60 (its own period)
    assert port.confirmed == 1
    assert not port.brings


def test_a_refusal_is_not_asked_again_before_the_period_is_over(
    fed: tuple[Plant, Scripted],
) -> None:
    plant, port = fed
    port.brings = [RejectedError("answered 401", where="u", fix="Look"), FeedNews()]

    look(plant, NOW, NOW + timedelta(seconds=25))

    assert len(port.brings) == 1


def test_a_journal_that_refuses_leaves_the_document_for_the_next_look(
    fed: tuple[Plant, Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant, port = fed

    async def full(*_: object, **__: object) -> None:
        raise UnavailableError("disk full", where="journal", fix="Make room")

    monkeypatch.setattr(plant.journal, "append_all", full)
    port.brings = [FeedNews(batches=(batch(NOW, 1),))] * 2
    look(plant, NOW)
    assert port.confirmed == 0
    assert plant.feeds[0].ill is not None

    monkeypatch.undo()
    look(plant, NOW + timedelta(seconds=10))
    assert port.confirmed == journalled(plant) == 1


def test_feeds_of_a_park_file_are_opened_beside_it_and_bring_what_lies_there(
    plant: Plant, tmp_path: Path
) -> None:
    plant.file = demo_with(tmp_path, FEED)
    (tmp_path / "inbox").mkdir()
    table = "interval_start,temp\n2025-12-02T11:00+01:00,1.5\n"
    (tmp_path / "inbox" / "w.csv").write_text(table, encoding="utf-8")

    async def run() -> None:
        async with AsyncExitStack() as stack:
            plant.feeds = await open_feeds(plant.file, stack)
            await feeds.look(plant, NOW)

    asyncio.run(run())

    hour = Horizon(NOW, timedelta(hours=1), 1)
    assert plant.series.known(WEATHER, hour, NOW).values.tolist() == [1.5]
    assert plant.series.source(WEATHER) == "a station"


def test_local_stamps_are_readings_of_the_parks_clock(plant: Plant, tmp_path: Path) -> None:
    plant.file = demo_with(tmp_path, FEED.replace("kind: csv", "kind: csv\n    stamps: local"))
    (tmp_path / "inbox").mkdir()
    table = "interval_start,temp\n2025-12-02 11:00,1.5\n"
    (tmp_path / "inbox" / "w.csv").write_text(table, encoding="utf-8")

    async def run() -> None:
        async with AsyncExitStack() as stack:
            plant.feeds = await open_feeds(plant.file, stack)
            await feeds.look(plant, NOW)

    asyncio.run(run())

    hour = Horizon(NOW, timedelta(hours=1), 1)
    assert plant.series.known(WEATHER, hour, NOW).values.tolist() == [1.5]


def test_an_address_that_is_not_safe_does_not_let_the_service_begin(
    plant: Plant, tmp_path: Path
) -> None:
    unsafe = FEED.replace(
        "kind: csv\n    folder: inbox", "kind: http\n    url: http://example.org/x"
    )
    file = demo_with(tmp_path, unsafe)

    async def run() -> None:
        async with AsyncExitStack() as stack:
            await open_feeds(file, stack)

    with pytest.raises(ConfigError, match="https"):
        asyncio.run(run())


# ---------------------------------------------------------------- late


def warned(plant: Plant, *moments: datetime) -> list[str]:
    for moment in moments:
        feedwatch.tell_late(plant, moment)
    return [text for text in told(plant, "feed_late") if WEATHER in text]


def test_a_missing_feed_is_told_before_the_gate_that_needs_it_and_not_earlier(
    fed: tuple[Plant, Scripted],
) -> None:
    plant, _ = fed

    assert warned(plant, NOW - QUARTER) == []
    assert warned(plant, NOW + QUARTER, NOW + 2 * QUARTER) == [
        "outdoor.mill never came; the gate of se3-day-ahead closes at 2025-12-02T11:00:00Z"
    ]


def test_a_feed_that_comes_late_is_told_to_be_there(fed: tuple[Plant, Scripted]) -> None:
    plant, port = fed
    warned(plant, NOW + QUARTER)
    port.brings = [FeedNews(batches=(batch(NOW, 48),))]
    look(plant, NOW + QUARTER)

    assert warned(plant, NOW + 2 * QUARTER)[-1] == (
        "outdoor.mill is no longer missing for se3-day-ahead"
    )


def test_a_feed_that_stays_missing_is_told_once_a_day_and_not_that_it_came_when_the_gate_is_past(
    fed: tuple[Plant, Scripted],
) -> None:
    plant, _ = fed
    day = timedelta(days=1)
    every_quarter_hour = [NOW + QUARTER + i * QUARTER for i in range(97)]

    lines = warned(plant, *every_quarter_hour)

    gates = [NOW + timedelta(hours=1), NOW + timedelta(hours=1) + day]
    assert lines == [
        f"outdoor.mill never came; the gate of se3-day-ahead closes at {isoformat(gate)}"
        for gate in gates
    ]


def test_a_feed_that_ends_within_the_delivery_lacks_its_first_missing_hour(
    fed: tuple[Plant, Scripted],
) -> None:
    plant, port = fed
    port.brings = [FeedNews(batches=(batch(NOW, 14),))]  # to midnight UTC: an hour of the day
    look(plant, NOW)

    assert "has no value for 2025-12-03T00:00:00Z" in warned(plant, NOW + QUARTER)[0]


def test_a_feed_whose_values_are_old_is_late_though_they_reach_far(
    fed: tuple[Plant, Scripted],
) -> None:
    plant, port = fed
    port.brings = [FeedNews(batches=(batch(NOW, 72, issued_at=NOW - timedelta(hours=6)),))]
    look(plant, NOW)

    assert "was issued at 2025-12-02T04:00:00Z, too long ago" in warned(plant, NOW + QUARTER)[0]


def test_the_quarter_hour_market_needs_the_days_prices_once_they_are_due(
    empty_plant: Plant,
) -> None:
    """Those of 3 December are due a little after 12:00 on the 2nd, in Stockholm."""
    plant = empty_plant

    feedwatch.tell_late(plant, datetime(2025, 12, 2, 23, tzinfo=UTC))

    lines = [text for text in told(plant, "feed_late") if "se3-quarter-hour" in text]
    assert lines == [
        f"{PRICE} never came; the gate of se3-quarter-hour closes at 2025-12-02T23:15:00Z"
    ]


# ---------------------------------------------------------------- no bid on missing prices


def ask(plant: Plant, request_id: str = "r") -> str:
    """The code of the refusal; empty where bids were made."""
    request = BidRequest.model_validate(
        {
            "request_id": request_id,
            "delivery": {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"},
        }
    )
    try:
        asyncio.run(answer_bid_request(plant, "se3-day-ahead", request, digest=request_id, now=NOW))
    except TradeRefusal as refusal:
        return refusal.code
    return ""


def withdraw_prices(plant: Plant, since: datetime) -> None:
    """As if nothing had been published from `since` on."""
    steps = int((NOW + timedelta(days=2) - since) / QUARTER)
    plant.series.put(
        PRICE,
        unit="EUR/MWh",
        resolution=QUARTER,
        issued_at=NOW - timedelta(minutes=1),
        source="test",
        revision=1,
        values=[(since + step * QUARTER, None) for step in range(steps)],
    )


def test_bids_are_made_where_prices_are_published(plant: Plant) -> None:
    assert ask(plant) == ""


def test_no_bid_is_made_where_a_price_is_neither_published_nor_forecast(plant: Plant) -> None:
    withdraw_prices(plant, datetime(2025, 12, 3, tzinfo=UTC))
    plant.outcome = Unsolved(reason="no history")

    assert ask(plant) == "prices_missing"


def test_no_bid_is_made_on_a_forecast_from_prices_that_are_too_old(plant: Plant) -> None:
    withdraw_prices(plant, NOW - timedelta(hours=20))
    assert plant.schedule is not None
    plant.forecasts = (
        Forecast(
            series_id=PRICE,
            unit="EUR/MWh",
            issued_at=NOW,
            model="a/1",
            expected=Profile.constant(plant.schedule.horizon, 40.0),
        ),
    )
    assert ask(plant) == ""

    settings = plant.file.planning.model_copy(update={"max_price_age_hours": 19.0})
    plant.file = replace(plant.file, planning=settings)
    assert ask(plant, request_id="r2") == "prices_missing"


# ---------------------------------------------------------------- the park file


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("product: se3-day-ahead", "product: nord", "needed.0.product: unknown product 'nord'"),
        ("resolution_minutes: 60", "resolution_minutes: 7", "do not divide a day"),
        ("folder: inbox", "folder: inbox\n    pattern: ../*.csv", "no pattern for names of files"),
        ("max_age_hours: 6", "max_age: 6", "max_age"),
        (
            "unit: degC}]",
            "unit: degC}, {id: outdoor.mill, column: b, unit: K}]",
            "comes from feed 'weather' already",
        ),
        ("kind: csv\n    folder: inbox", "kind: http\n    url: https://x/{now}", "only {today}"),
    ],
)
def test_a_feed_that_cannot_be_is_told_at_its_place(
    old: str, new: str, says: str, tmp_path: Path
) -> None:
    assert old in FEED
    with pytest.raises(ConfigErrors, match=r"park.yaml:\d+:\d+: feeds.0") as error:
        demo_with(tmp_path, FEED.replace(old, new))

    assert says in str(error.value)
