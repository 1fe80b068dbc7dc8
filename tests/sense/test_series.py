"""Knowledge time: nobody sees a number before it was issued, and nothing that was known is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.errors import ConflictError, DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER
from vpp.sense.series import SeriesStore

MIDNIGHT = datetime(2025, 12, 3, tzinfo=UTC)
PRICE = "price.day-ahead.se3"
DAY = Horizon(MIDNIGHT, QUARTER, 8)


def put(store: SeriesStore, quarters: dict[int, float | None], **changes: Any) -> None:
    """Put values by number of the quarter-hour after midnight."""
    store.put(
        PRICE,
        **{
            "unit": "EUR/MWh",
            "resolution": QUARTER,
            "issued_at": MIDNIGHT,
            "source": "test",
            "revision": 1,
            "values": [(MIDNIGHT + i * QUARTER, value) for i, value in quarters.items()],
            **changes,
        },
    )


def known(store: SeriesStore, by: datetime) -> list[float | None]:
    values = store.known(PRICE, DAY, by).values
    return [None if np.isnan(value) else float(value) for value in values]


def test_a_later_issue_wins_and_the_earlier_one_stays_visible_to_earlier_moments() -> None:
    store, later = SeriesStore(), MIDNIGHT + timedelta(hours=1)
    put(store, {0: 40.0, 1: 41.0})
    put(store, {1: 51.0, 2: 52.0}, issued_at=later)

    assert known(store, MIDNIGHT - timedelta(microseconds=1)) == [None] * 8
    assert known(store, MIDNIGHT)[:3] == [40.0, 41.0, None]
    assert known(store, later)[:3] == [40.0, 51.0, 52.0]


def test_an_older_issue_that_arrives_late_does_not_replace_the_newer_one() -> None:
    store, later = SeriesStore(), MIDNIGHT + timedelta(hours=1)
    put(store, {0: 51.0}, issued_at=later)
    put(store, {0: 41.0})

    assert known(store, later)[0] == 51.0
    assert known(store, MIDNIGHT)[0] == 41.0


def test_a_higher_revision_of_one_issue_wins() -> None:
    store = SeriesStore()
    put(store, {0: 42.0}, revision=2)
    put(store, {0: 41.0}, revision=1)

    assert known(store, MIDNIGHT)[0] == 42.0


def test_none_withdraws_a_value_from_then_on() -> None:
    store, later = SeriesStore(), MIDNIGHT + timedelta(hours=1)
    put(store, {0: 40.0})
    put(store, {0: None}, issued_at=later)

    assert known(store, later)[0] is None
    assert known(store, MIDNIGHT)[0] == 40.0


def test_the_same_again_changes_nothing_and_other_numbers_conflict() -> None:
    store = SeriesStore()
    put(store, {0: 40.0, 1: None})
    put(store, {0: 40.0, 1: None})

    with pytest.raises(ConflictError, match="same issue and revision"):
        put(store, {0: 40.5, 2: 1.0})
    assert known(store, MIDNIGHT)[:3] == [40.0, None, None], (
        "an upload is taken whole or not at all"
    )


def test_an_older_version_conflicts_as_the_newest_does() -> None:
    store = SeriesStore()
    put(store, {0: 40.0})
    put(store, {0: 50.0}, issued_at=MIDNIGHT + QUARTER)

    with pytest.raises(ConflictError):
        put(store, {0: 40.5})


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"unit": "EUR/kWh"}, id="another unit"),
        pytest.param({"resolution": timedelta(hours=1)}, id="another resolution"),
        pytest.param({"values": [(MIDNIGHT + timedelta(minutes=7), 1.0)]}, id="off the grid"),
        pytest.param({"values": [(MIDNIGHT, float("nan"))]}, id="NaN"),
        pytest.param({"values": [(MIDNIGHT, float("inf"))]}, id="infinite"),
        pytest.param({"values": [(MIDNIGHT, 10**400)]}, id="a number of 400 digits"),
        pytest.param({"values": [(MIDNIGHT.replace(tzinfo=None), 1.0)]}, id="naive start"),
        pytest.param({"issued_at": MIDNIGHT.replace(tzinfo=None)}, id="naive issue"),
        pytest.param({"revision": 0}, id="revision 0"),
        pytest.param({"values": [(MIDNIGHT.replace(year=2525), 1.0)]}, id="a wrong century"),
    ],
)
def test_what_breaks_the_rules_of_the_series_is_refused_and_leaves_it_whole(
    changes: dict[str, Any],
) -> None:
    store = SeriesStore()
    put(store, {0: 40.0})

    with pytest.raises(DataError):
        put(store, {1: 1.0}, **changes)
    assert known(store, MIDNIGHT + QUARTER) == [40.0, *[None] * 7]


@pytest.mark.parametrize("name", ["", "Price", "-x", "a/b", "a b", "a" * 81, "a\n", "../a"])
def test_a_bad_id_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="no series id"):
        SeriesStore().put_profile(
            name,
            unit="kW",
            profile=Profile.constant(DAY, 1.0),
            known_at=MIDNIGHT,
            source="test",
        )


def test_an_unknown_series_is_an_error_not_a_row_of_nothing() -> None:
    store = SeriesStore()

    assert not store.has("power.x")
    with pytest.raises(DataError, match="no such series"):
        store.known("power.x", DAY, MIDNIGHT)


def test_a_measured_profile_becomes_known_interval_by_interval() -> None:
    store = SeriesStore()
    store.put_profile(
        PRICE,
        unit="EUR/MWh",
        profile=Profile(DAY, np.array([1.0, 2, np.nan, 4, 5, 6, 7, 8])),
        known_at="interval_end",
        source="test",
    )

    assert known(store, MIDNIGHT + timedelta(minutes=14)) == [None] * 8
    assert known(store, MIDNIGHT + timedelta(minutes=60)) == [1, 2, None, 4, *[None] * 4]


def test_a_coarse_series_holds_its_value_over_finer_steps() -> None:
    store = SeriesStore()
    store.put_profile(
        "outdoor.park",
        unit="degC",
        profile=Profile(Horizon(MIDNIGHT, timedelta(hours=1), 3), np.array([1.0, 2.0, 3.0])),
        known_at=MIDNIGHT,
        source="test",
    )
    half_past = Horizon(MIDNIGHT + 2 * QUARTER, QUARTER, 8)

    values = store.known("outdoor.park", half_past, MIDNIGHT).values

    assert values.tolist() == [1, 1, 2, 2, 2, 2, 3, 3]
    with pytest.raises(DataError, match="grid"):
        store.known("outdoor.park", Horizon(MIDNIGHT, timedelta(hours=2), 1), MIDNIGHT)


def test_the_store_tells_what_it_holds() -> None:
    store = SeriesStore()
    put(store, {0: 1.0}, source="entsoe")

    assert (store.ids, store.has(PRICE)) == ((PRICE,), True)
    assert (store.unit(PRICE), store.resolution(PRICE)) == ("EUR/MWh", QUARTER)
    assert store.source(PRICE) == "entsoe"


VERSIONS = st.lists(
    st.tuples(
        st.integers(0, 5),  # issued, quarter-hours after midnight
        st.integers(1, 2),  # revision
        st.dictionaries(st.integers(-4, 11), st.none() | st.integers(0, 9), max_size=6),
    ),
    max_size=8,
)


@given(versions=VERSIONS, by=st.integers(-1, 6))
def test_what_is_known_is_the_newest_version_issued_by_then_and_nothing_later(
    versions: list[tuple[int, int, dict[int, int | None]]], by: int
) -> None:
    store = SeriesStore()
    accepted: dict[tuple[int, int, int], int | None] = {}
    for issued, revision, values in versions:
        fresh = {(i, issued, revision): value for i, value in values.items()}
        clash = any(key in accepted and accepted[key] != fresh[key] for key in fresh)
        try:
            put(store, {**values}, issued_at=MIDNIGHT + issued * QUARTER, revision=revision)
            assert not clash
            accepted |= fresh
        except ConflictError:
            assert clash
    if not store.has(PRICE):
        return
    for i in range(-5, 13):
        start, moments = MIDNIGHT + i * QUARTER, [MIDNIGHT + at * QUARTER for at in range(-1, 7)]
        one = Horizon(start, QUARTER, 1)
        each = [store.known(PRICE, one, at).values[0] for at in moments]
        np.testing.assert_array_equal(store.known_when(PRICE, start, QUARTER, moments), each)
    expected: list[float | None] = []
    for i in range(8):
        seen = [key for key in accepted if key[0] == i and key[1] <= by]
        expected.append(accepted[max(seen)] if seen else None)
    assert known(store, MIDNIGHT + by * QUARTER) == expected
