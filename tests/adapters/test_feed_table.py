"""Odd rows of somebody else's table: each is a value, a gap, or a fault that names its place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import feed_table
from adapters.feed_table import SeriesColumn, TableLayout, batches_of, csv_rows, json_rows
from vpp.errors import DataError
from vpp.ports import FeedBatch

NOW = datetime(2025, 12, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def layout(**changes: Any) -> TableLayout:
    standing: dict[str, Any] = {
        "start": "start",
        "stamps": "zoned",
        "issued": None,
        "resolution": timedelta(hours=1),
        "source": "s",
        "series": (SeriesColumn(series_id="a", column="x", unit="kW"),),
    }
    return TableLayout(**{**standing, **changes})


def read(rows: list[dict[str, object]], **changes: Any) -> tuple[FeedBatch, ...]:
    placed = [(f"t:{number}", row) for number, row in enumerate(rows)]
    return batches_of(placed, layout(**changes), issued_at=NOW, now=NOW, where="t")


def values(batches: tuple[FeedBatch, ...]) -> list[tuple[str, int, float | None]]:
    return [
        (batch.series_id, value.interval_start.hour, value.value)
        for batch in batches
        for value in batch.upload.values
    ]


def test_offsets_become_utc_and_numbers_our_unit_and_sign() -> None:
    series = (SeriesColumn(series_id="power.mill", column="x", unit="kW", times=-0.001),)

    batches = read([{"start": "2025-12-01T03:00:00+01:00", "x": "4000"}], series=series)

    assert values(batches) == [("power.mill", 2, -4.0)]


@pytest.mark.parametrize("cell", ["", " ", "NaN", "null", None])
def test_an_empty_cell_is_left_out(cell: object) -> None:
    batches = read(
        [{"start": "2025-12-01T03:00Z", "x": cell}, {"start": "2025-12-01T04:00Z", "x": 1}]
    )

    assert values(batches) == [("a", 4, 1.0)]


@pytest.mark.parametrize(
    ("stamps", "text"),
    [("utc", "2025-12-01T03:00"), ("unix_s", 1764558000), ("zoned", "2025-12-01T03:00Z")],
)
def test_stamps_are_read_as_the_layout_says(stamps: str, text: object) -> None:
    assert values(read([{"start": text, "x": 1}], stamps=stamps)) == [("a", 3, 1.0)]


def test_rows_with_an_issue_time_of_their_own_are_known_since_then_oldest_first() -> None:
    rows: list[dict[str, object]] = [
        {"start": "2025-12-01T03:00Z", "x": 2, "at": "2025-12-01T02:00Z"},
        {"start": "2025-12-01T03:00Z", "x": 1, "at": "2025-12-01T01:00Z"},
    ]

    first, second = read(rows, issued="at")

    assert (first.upload.issued_at.hour, second.upload.issued_at.hour) == (1, 2)
    assert values((first, second)) == [("a", 3, 1.0), ("a", 3, 2.0)]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        pytest.param({"start": "2025-12-01T03:00", "x": 1}, "no offset from UTC", id="no zone"),
        pytest.param({"start": "yesterday", "x": 1}, "is no time", id="no time"),
        pytest.param({"start": "9999-12-31T23:00-23:00", "x": 1}, "is no time", id="past the end"),
        pytest.param({"start": "2025-12-01T03:10Z", "x": 1}, "not on the grid", id="off the grid"),
        pytest.param({"start": "2025-12-01T03:00Z", "x": "1,5"}, "is no number", id="a comma"),
        pytest.param({"start": "2025-12-01T03:00Z", "x": "inf"}, "not finite", id="infinite"),
        pytest.param({"start": "2025-12-01T03:00Z", "x": True}, "is no number", id="a truth"),
        pytest.param({"start": "2025-12-01T03:00Z", "x": [1]}, "is no number", id="a list"),
        pytest.param({"start": "2025-12-01T03:00Z"}, "there is no column 'x'", id="no column"),
    ],
)
def test_what_cannot_be_read_is_a_fault_at_its_row(row: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says) as error:
        read([{"start": "2025-12-01T02:00Z", "x": 1}, row])

    assert error.value.where == "t:1"


def test_an_interval_twice_with_other_numbers_is_a_fault_and_with_the_same_none() -> None:
    once: dict[str, object] = {"start": "2025-12-01T02:00Z", "x": 1}

    assert values(read([once, once])) == [("a", 2, 1.0)]
    with pytest.raises(DataError, match="came before with another number"):
        read([once, once | {"x": 2}])


def test_what_is_issued_in_the_future_is_a_fault() -> None:
    row = {"start": "2025-12-01T03:00Z", "x": 2, "at": "2025-12-01T12:00:01Z"}

    with pytest.raises(DataError, match="still to come"):
        read([row], issued="at")


def test_a_long_table_becomes_several_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_table, "MOST_VALUES", 2)
    rows: list[dict[str, object]] = [
        {"start": f"2025-12-01T0{hour}:00Z", "x": hour} for hour in range(5)
    ]

    batches = read(rows)

    assert [len(batch.upload.values) for batch in batches] == [2, 2, 1]


# ---------------------------------------------------------------- documents


def test_csv_rows_carry_their_line() -> None:
    assert csv_rows("a,b\n1,2\n\n3,4\n", "f") == [
        ("f:2", {"a": "1", "b": "2"}),
        ("f:4", {"a": "3", "b": "4"}),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("", "f:1: has no header", id="empty"),
        pytest.param("a,a\n", "f:1: has no header, or a column twice", id="a column twice"),
        pytest.param("a,b\n1\n", "f:2: 1 cells under a header of 2", id="cut"),
        pytest.param("a,b\n1,2,3\n", "f:2: 3 cells under a header of 2", id="a comma too many"),
    ],
)
def test_a_csv_document_that_is_none_is_told_at_its_line(text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        csv_rows(text, "f")


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        pytest.param([{"t": 1, "x": 2}, {"t": 3, "x": 4}], "", id="objects"),
        pytest.param({"d": [{"p": [{"t": 1, "x": 2}, {"t": 3, "x": 4}]}]}, "d.0.p", id="deep"),
        pytest.param({"hourly": {"t": [1, 3], "x": [2, 4], "unit": "C"}}, "hourly", id="columns"),
    ],
)
def test_json_rows_are_objects_or_columns_wherever_they_stand(tree: object, path: str) -> None:
    assert [dict(cells) for _, cells in json_rows(tree, path, "u")] == [
        {"t": 1, "x": 2},
        {"t": 3, "x": 4},
    ]


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        pytest.param({"a": []}, "b", id="no such key"),
        pytest.param([1, 2], "", id="numbers"),
        pytest.param({"a": [1], "b": [1, 2]}, "", id="columns of two lengths"),
        pytest.param({}, "", id="nothing"),
        pytest.param("text", "", id="text"),
    ],
)
def test_json_without_rows_is_refused(tree: object, path: str) -> None:
    with pytest.raises(DataError):
        json_rows(tree, path, "u")


ANY: Callable[[], st.SearchStrategy[Any]] = lambda: st.recursive(  # noqa: E731
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(start=ANY(), x=ANY(), stamps=st.sampled_from(["zoned", "utc", "unix_s"]))
def test_whatever_stands_in_a_row_it_is_read_or_refused(start: Any, x: Any, stamps: str) -> None:
    try:
        read([{"start": start, "x": x}], stamps=stamps)
    except DataError:
        pass


# ---------------------------------------------------------------- a wall clock


def test_the_hour_that_a_local_clock_shows_twice_is_told_apart_by_order() -> None:
    """26 October 2025 in Berlin: 02:00 is 00:00Z, and an hour later 01:00Z."""
    labels = ["01:00", "02:00", "02:00", "03:00"]
    rows: list[dict[str, object]] = [
        {"start": f"2025-10-26 {label}", "x": place} for place, label in enumerate(labels)
    ]

    assert values(read(rows, stamps=BERLIN)) == [
        ("a", 23, 0.0),
        ("a", 0, 1.0),
        ("a", 1, 2.0),
        ("a", 2, 3.0),
    ]


@pytest.mark.parametrize(
    ("labels", "place", "says"),
    [
        pytest.param(
            ["2025-03-30 01:00", "2025-03-30 02:00"],
            "t:1",
            "never was",
            id="an hour that is skipped",
        ),
        pytest.param(
            ["2025-11-01 01:00", "2025-11-01 01:00"],
            "t:1",
            "comes again",
            id="an ordinary hour twice",
        ),
        pytest.param(
            ["2025-11-01 02:00", "2025-11-01 01:00"], "t:1", "lies before", id="newest first"
        ),
        pytest.param(["2025-11-01T01:00Z"], "t:0", "names a zone", id="an offset"),
        pytest.param(["noon"], "t:0", "is no time", id="no time"),
    ],
)
def test_a_label_that_no_clock_showed_is_a_fault_at_its_row(
    labels: list[str], place: str, says: str
) -> None:
    with pytest.raises(DataError, match=says) as error:
        read([{"start": label, "x": 1} for label in labels], stamps=BERLIN)

    assert error.value.where == place


def test_beside_local_starts_the_issue_keeps_its_offset() -> None:
    row: dict[str, object] = {"start": "2025-12-01 14:00", "at": "2025-12-01T10:00+01:00", "x": 1}

    (batch,) = read([row], stamps=BERLIN, issued="at")

    assert batch.upload.issued_at == datetime(2025, 12, 1, 9, tzinfo=UTC)
    assert values((batch,)) == [("a", 13, 1.0)]
