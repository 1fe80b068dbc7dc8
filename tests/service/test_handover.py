"""Objects pass between processes as pickles, their arrays in memory that both see, which nobody has to unlink."""

from __future__ import annotations

import errno
import os
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pytest

from tests.service.test_fleetfile import PARK, POINTS, RESOURCES
from vpp.errors import DataError
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.measurement import ParkState, Quality, Reading, ResourceState, Unknown
from vpp.model.park import Park
from vpp.service.park.parkfile import load_park
from vpp.service.solving import handover
from vpp.service.solving.handover import Parks, dumped, loaded, put, sheet, take

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def page() -> Iterator[int]:
    with sheet() as descriptor:
        yield descriptor


@pytest.fixture
def park(tmp_path: Path) -> Park:
    for name, text in (
        ("park.yaml", PARK),
        ("points.csv", POINTS),
        ("resources.csv", RESOURCES),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return load_park(tmp_path / "park.yaml").park


def test_large_arrays_stand_on_the_sheet_and_small_ones_in_the_frame(page: int) -> None:
    large, small = np.arange(10_000.0).reshape(100, 100), np.arange(3.0)

    frame = dumped({"large": large, "small": small}, page)
    again = loaded(frame, page)

    assert len(frame) < 1000
    assert os.fstat(page).st_size >= large.nbytes
    assert np.array_equal(again["large"], large)
    assert np.array_equal(again["small"], small)


def test_what_was_read_stays_though_the_sheet_is_written_again(page: int) -> None:
    first = loaded(dumped(np.zeros(1000), page), page)
    dumped(np.ones(1000), page)

    assert not first.any()


def test_many_arrays_of_any_length_come_back_each_at_its_place(page: int) -> None:
    arrays = [np.full(513 + n % 7, float(n)) for n in range(1500)]  # more than one call writes

    for one, n in zip(loaded(dumped(arrays, page), page), range(1500), strict=True):
        assert one.tolist() == [n] * (513 + n % 7)


def test_a_write_that_stops_early_goes_on_where_it_stopped(
    page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = os.pwritev
    monkeypatch.setattr(os, "pwritev", lambda fd, some, at: whole(fd, [some[0][:1000]], at))

    again = loaded(dumped([np.arange(1000.0), np.arange(600.0)], page), page)

    assert [one.sum() for one in again] == [499_500, 179_700]


def test_an_empty_sheet_holds_no_arrays_and_half_a_sheet_is_refused(page: int) -> None:
    put(page, [pickle.PickleBuffer(np.zeros(1000).data)])
    os.ftruncate(page, 4096)
    with pytest.raises(ValueError, match="4096 bytes"):
        take(page)
    put(page, [])
    assert take(page) == []


def test_a_sheet_has_no_name_that_could_be_left_behind() -> None:
    folders = [path for path in (Path("/dev/shm"), Path(gettempdir())) if path.is_dir()]
    before = {path for folder in folders for path in folder.iterdir()}
    with sheet() as descriptor:
        put(descriptor, [pickle.PickleBuffer(np.zeros(1000).data)])
        assert os.fstat(descriptor).st_nlink == 0
        now = {path for folder in folders for path in folder.iterdir()}
        assert not {path for path in now - before if path.name.startswith(("tmp", "vpp"))}


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="a kernel without memory of this kind")
def test_a_sheet_takes_nothing_of_what_a_container_has_for_dev_shm(page: int) -> None:
    assert "memfd:" in str(Path(f"/proc/self/fd/{page}").readlink())


def test_a_park_that_could_not_be_sent_is_sent_whole_the_next_time(
    page: int, park: Park, monkeypatch: pytest.MonkeyPatch
) -> None:
    parks, large = Parks(), np.zeros(1000)
    with monkeypatch.context() as full:
        full.setattr(os, "pwritev", no_room)
        with pytest.raises(OSError, match="No space left"):
            parks.dumped([park, large], page)

    assert loaded(parks.dumped([park, large], page), page)[0] == park


def no_room(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_park_is_told_once_to_a_child_and_to_the_next_child_again(page: int, park: Park) -> None:
    parks = Parks()

    first = parks.dumped([park, 1], page)
    told = loaded(first, page)[0]
    second = parks.dumped([park, 2], page)
    parks.forget()

    assert told == park
    assert loaded(second, page)[0] is told
    assert len(second) < 200 < len(first)
    assert len(parks.dumped([park, 3], page)) > 200


def test_another_park_takes_the_place_of_the_one_before(page: int, park: Park) -> None:
    parks, other = Parks(), park.narrowed(())

    frames = [parks.dumped(one, page) for one in (park, other)]
    loaded(frames[0], page)

    assert loaded(frames[1], page) == other
    with pytest.raises(DataError, match="was not told"):
        handover.recall(1)


def reading(name: str, soc: float | None) -> Reading:
    return Reading(
        resource_id=ResourceId(name), enterprise_id=EnterpriseId("a"), measured_at=NOON,
        received_at=NOON + timedelta(seconds=1), seq=7, quality=Quality.GOOD, power_kw=-2.5, soc=soc,
    )  # fmt: skip


@pytest.mark.parametrize(
    "resources",
    [
        (),
        (reading("a", 0.5),),
        (Unknown(resource_id=ResourceId("x"), reason="silent"), reading("a", None)),
        (reading("a", 0.5), Unknown(resource_id=ResourceId("x"), reason="silent"), reading("b", None)),
    ],
)  # fmt: skip
def test_a_state_goes_column_by_column_and_is_the_same_again(
    resources: tuple[ResourceState, ...],
) -> None:
    state = ParkState(taken_at=NOON, resources=resources)

    assert pickle.loads(pickle.dumps(state)) == state


def test_a_profile_is_the_same_again() -> None:
    profile = Profile(Horizon(NOON, timedelta(minutes=15), 3), np.array([1.0, np.nan, 3.0]))

    again = pickle.loads(pickle.dumps(profile))

    assert again.horizon == profile.horizon
    assert np.array_equal(again.values, profile.values, equal_nan=True)
