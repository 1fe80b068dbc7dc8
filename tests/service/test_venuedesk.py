"""Bids reach a venue once, whatever is lost on the way; what nobody knows is asked, and a person hears in time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service.rebuilt import PRODUCT, Bench, bench_of
from tests.service.venuebench import FIRST_GATE, SECOND, Floor, floor_of
from vpp.service.plant import Plant
from vpp.trade.lifecycle import BidState

NAME = f"{PRODUCT}.park-se3.20251202T2300Z.1"


@pytest.fixture
def make(plant: Plant, tmp_path: Path) -> Callable[..., Bench]:
    return bench_of(plant, tmp_path)


@pytest.fixture
def floor(make: Callable[..., Bench]) -> Floor:
    return floor_of(make, ask_before_minutes=15)


def test_bids_are_made_before_the_gate_and_sent_once(floor: Floor) -> None:
    floor.ticks(FIRST_GATE - SECOND)

    assert [name for name, _ in floor.venue.received] == [NAME]
    assert floor.venue.received[0][1] == floor.plant.book.answer(NAME).response
    assert floor.plant.book.states(NAME) == {BidState.ACKNOWLEDGED: 2}
