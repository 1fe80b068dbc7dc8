"""Files in a folder: which are read, when they count as finished, and that they stay."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.csv_feed import CsvFeed
from adapters.feed_table import SeriesColumn, TableLayout
from vpp.ports import FeedNews

NOW = datetime(2025, 12, 1, 12, tzinfo=UTC)
LAYOUT = TableLayout(
    start="t",
    stamps="zoned",
    issued=None,
    resolution=timedelta(hours=1),
    source="s",
    series=(SeriesColumn(series_id="a", column="x", unit="kW"),),
)


def put(folder: Path, name: str, text: str, *, changed: datetime = NOW) -> None:
    (folder / name).write_bytes(text.encode())
    os.utime(folder / name, (changed.timestamp(), changed.timestamp()))


def table(value: float) -> str:
    return f"t,x\n2025-12-01T10:00Z,{value}\n"


def look(feed: CsvFeed, now: datetime = NOW) -> FeedNews:
    return asyncio.run(feed.look(now))


def found(news: FeedNews) -> list[float | None]:
    return [value.value for batch in news.batches for value in batch.upload.values]


@pytest.fixture
def feed(tmp_path: Path) -> CsvFeed:
    return CsvFeed(tmp_path, "p*.csv", LAYOUT, max_bytes=1000)


def test_only_finished_files_that_fit_the_pattern_are_read(feed: CsvFeed, tmp_path: Path) -> None:
    for name in ("p1.csv", ".p.csv", "p.csv.tmp", "p.csv.part", "q.csv", "p.txt"):
        put(tmp_path, name, table(1 if name == "p1.csv" else 2))
    (tmp_path / "p-folder.csv").mkdir()

    news = look(feed)

    assert found(news) == [1]
    assert not news.faults


def test_files_are_read_in_the_order_in_which_they_were_changed(
    feed: CsvFeed, tmp_path: Path
) -> None:
    put(tmp_path, "p1.csv", table(2), changed=NOW)
    put(tmp_path, "p2.csv", table(1), changed=NOW - timedelta(hours=1))

    news = look(feed)

    assert found(news) == [1, 2]
    assert [b.upload.issued_at for b in news.batches] == [NOW - timedelta(hours=1), NOW]


def test_a_file_without_a_last_line_break_is_believed_at_the_second_look(
    feed: CsvFeed, tmp_path: Path
) -> None:
    put(tmp_path, "p.csv", table(1).rstrip())

    assert found(look(feed)) == []
    assert found(look(feed)) == [1]


def test_a_file_that_still_grows_is_not_believed(feed: CsvFeed, tmp_path: Path) -> None:
    put(tmp_path, "p.csv", "t,x\n2025-12-01T10:00Z,1", changed=NOW - timedelta(seconds=1))
    assert found(look(feed)) == []
    put(tmp_path, "p.csv", "t,x\n2025-12-01T10:00Z,12")
    assert found(look(feed)) == []


def test_one_faulty_file_does_not_keep_the_others_out_and_all_stay(
    feed: CsvFeed, tmp_path: Path
) -> None:
    put(tmp_path, "p1.csv", "t,x\nnever,1\n")
    put(tmp_path, "p2.csv", table(2))
    (tmp_path / "p3.csv").write_bytes(b"t,x\n\xff\xfe\n")
    put(tmp_path, "p4.csv", table(4) + "#" * 1000)

    news = look(feed)
    feed.confirm(news)

    assert found(news) == [2]
    assert {fault.where.removeprefix(str(tmp_path)): fault.what[:9] for fault in news.faults} == {
        "/p1.csv:2": "t 'never'",
        "/p3.csv": "no UTF-8:",
        "/p4.csv": "has 1024 ",
    }
    assert len(list(tmp_path.iterdir())) == 4
    assert look(feed) == FeedNews()


def test_a_file_dated_in_the_future_counts_as_known_now(feed: CsvFeed, tmp_path: Path) -> None:
    put(tmp_path, "p.csv", table(1), changed=NOW + timedelta(days=1))

    assert look(feed).batches[0].upload.issued_at == NOW


def test_a_file_that_was_removed_and_comes_again_is_news_again(
    feed: CsvFeed, tmp_path: Path
) -> None:
    put(tmp_path, "p.csv", table(1))
    feed.confirm(look(feed))
    (tmp_path / "p.csv").unlink()
    look(feed)
    put(tmp_path, "p.csv", table(1))

    assert found(look(feed)) == [1]


def test_a_byte_order_mark_is_no_part_of_the_header(feed: CsvFeed, tmp_path: Path) -> None:
    put(tmp_path, "p.csv", "\ufeff" + table(1))

    assert found(look(feed)) == [1]
