"""A signal stays in its band, and its way is what is paid."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from vpp.simulate.regulation import Signal, held, mileage_mw, signal


def test_mileage_is_the_way_from_step_to_step() -> None:
    setpoints = tuple(Decimal(mw) for mw in ("1", "3", "-1", "-1", "0"))
    assert mileage_mw(setpoints) == 1 + 2 + 4 + 0 + 1


@pytest.mark.parametrize(
    ("direction", "low", "high"), [("up", 0, 2), ("down", -2, 0), ("both", -2, 2)]
)
def test_no_setpoint_leaves_the_awarded_band(direction: Any, low: int, high: int) -> None:
    found = [
        signal(Random(seed), Decimal(2), direction, seconds=900, period_s=4) for seed in range(30)
    ]
    assert all(len(one.setpoints_mw) == 225 for one in found)
    every = [mw for one in found for mw in one.setpoints_mw]
    assert min(every) >= low
    assert max(every) <= high
    assert max(every) - min(every) > (high - low) * Decimal("0.9")
    assert all(one.mileage_mw > 0 for one in found)


def test_only_moves_are_told() -> None:
    setpoints = tuple(Decimal(mw) for mw in ("1", "1", "-1", "-1", "0"))
    assert Signal(4, setpoints).moves == [
        (0, Decimal(1)), (8, Decimal(-1)), (16, Decimal(0)),
    ]  # fmt: skip


def test_the_same_dice_give_the_same_signal() -> None:
    one, other = (signal(Random(7), Decimal(2), "both", seconds=900, period_s=4) for _ in range(2))
    assert one == other


def test_an_award_is_held_by_quarter_hours() -> None:
    def line(start: str, end: str, mw: str, price: str) -> dict[str, str]:
        return {
            "start": f"2025-12-01T{start}:00Z", "end": f"2025-12-01T{end}:00Z",
            "quantity_mw": mw, "price_per_mwh": price,
        }  # fmt: skip

    five = held({"cleared": [line("10:00", "10:05", "3", "6"), line("10:05", "10:15", "3", "9")]})
    assert [(part.awarded_mw, part.price) for part in five] == [(Decimal(3), Decimal(8))]
    hour = held({"cleared": [line("10:00", "11:00", "2", "5")]})
    assert [part.awarded_mw for part in hour] == [2, 2, 2, 2]
