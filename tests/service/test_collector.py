"""Garbage is collected when it pays: not while a park is read, and seldom where much stands."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from vpp.errors import ConfigError
from vpp.service.park.parkfile import load_park, shipped_park
from vpp.service.run import keep_start


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)
    gc.enable()


def test_no_garbage_is_collected_while_a_park_is_read() -> None:
    began: list[str] = []

    def collected(phase: str, _: dict[str, int]) -> None:
        began.extend([phase] if phase == "start" else [])

    gc.collect()
    gc.callbacks.append(collected)
    try:
        load_park(shipped_park("demo"))
    finally:
        gc.callbacks.remove(collected)

    assert len(began) <= 1  # as the collector is let go on; it would have been some fifty
    assert gc.isenabled()


def test_the_collector_works_again_after_a_park_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        load_park(tmp_path / "nothing.yaml")

    assert gc.isenabled()


def test_a_collector_that_was_at_rest_stays_so() -> None:
    gc.disable()

    load_park(shipped_park("demo"))

    assert not gc.isenabled()


def test_all_is_walked_again_when_as_many_objects_came_as_stood() -> None:
    gc.set_threshold(700, 10, 10)
    standing = [[number] for number in range(200_000)]  # objects that the collector knows of

    keep_start()

    assert gc.get_threshold() == (700, 10, gc.get_freeze_count() // 7000)
    assert gc.get_freeze_count() >= len(standing)
