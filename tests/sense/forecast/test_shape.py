"""From three quantiles to nine, and how members are mixed, with numbers that can be counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from vpp.model.forecast import LEVELS
from vpp.model.horizon import Floats
from vpp.sense.forecast.ensemble import Ensemble
from vpp.sense.forecast.rows import Learnt, Rows
from vpp.sense.forecast.shape import Shape

MEDIAN = LEVELS.index(0.5)


def anchors(low: float, median: float, high: float, rows: int) -> Floats:
    return np.repeat([[low], [median], [high]], rows, axis=1).astype(float)


def test_the_levels_follow_the_errors_that_came() -> None:
    # 0, 1, ... 100 came, evenly: the quantile at each level is a hundred times the level.
    came = np.arange(101.0)

    shape = Shape.of(anchors(40, 50, 60, 101), came)
    fan = shape.quantiles(anchors(40, 50, 60, 1))

    assert fan[:, 0] == pytest.approx([100 * level for level in LEVELS])


def test_each_side_has_its_own_width() -> None:
    shape = Shape.of(anchors(40, 50, 60, 101), np.arange(101.0))

    fan = shape.quantiles(anchors(45, 50, 70, 1))[:, 0]

    assert fan[LEVELS.index(0.1)] == pytest.approx(50 - 40 / 2)
    assert fan[LEVELS.index(0.9)] == pytest.approx(50 + 40 * 2)


def test_levels_do_not_fall_even_where_the_anchors_cross() -> None:
    shape = Shape.of(anchors(40, 50, 60, 101), np.arange(101.0))

    fan = shape.quantiles(anchors(55, 50, 45, 1))[:, 0]

    assert fan.tolist() == [50.0] * 9


def test_without_a_width_there_is_no_spread() -> None:
    shape = Shape.of(anchors(50, 50, 50, 10), np.full(10, 50.0))

    assert shape.quantiles(anchors(40, 50, 60, 1))[:, 0].tolist() == [50.0] * 9


@dataclass(frozen=True)
class Off:
    """A member that knows what comes, but for a constant; it says how many rows it learnt from."""

    by: float

    def learn(self, rows: Rows, values: Floats) -> Learnt:
        return OffBy(self.by, len(rows))


@dataclass(frozen=True)
class OffBy:
    by: float
    learnt_rows: int

    def quantiles(self, rows: Rows) -> Floats:
        fan: Floats = rows["truth"] + self.by + np.array(LEVELS)[:, None] - 0.5
        return fan


def some_rows(count: int) -> tuple[Rows, Floats]:
    truth = np.arange(float(count)) % 24
    rows = Rows(
        names=("truth",),
        matrix=truth[:, None],
        base=np.zeros(count),
        targets=np.arange(count),
        slots=np.arange(count) % 24,
        slots_a_day=24,
    )
    return rows, truth


@pytest.mark.parametrize(
    ("offs", "expected"),
    [
        pytest.param((0, 8), (0.75, 0.25), id="the one that was right gets half of the rest"),
        pytest.param((2, -2), (0.5, 0.5), id="opposite errors cancel"),
        pytest.param((1, -4), (0.65, 0.35), id="as much of each as cancels, half way"),
    ],
)
def test_members_are_weighed_by_the_newest_rows(
    offs: tuple[float, float], expected: tuple[float, float]
) -> None:
    rows, truth = some_rows(400)
    members = (Off(offs[0]), Off(offs[1]))

    mix = Ensemble(members=members, usual=(0.5, 0.5)).learn(rows, truth)

    over = mix.quantiles(rows)[MEDIAN] - truth
    assert over == pytest.approx(np.full(400, np.dot(offs, expected)))


def test_the_mix_is_as_wide_as_what_came_in_rows_that_no_member_had_learnt_from() -> None:
    rows, truth = some_rows(1000)
    # The newest quarter lies up to 10 off, evenly; before, nothing did.
    came = truth + np.where(np.arange(1000) >= 750, (np.arange(1000) % 21) - 10.0, 0.0)

    mix = Ensemble(members=(Off(0.0),), usual=(1.0,)).learn(rows, came)

    fan = mix.quantiles(rows) - truth
    assert fan[LEVELS.index(0.9), 0] == pytest.approx(8, abs=0.5)
    assert fan[LEVELS.index(0.1), 0] == pytest.approx(-8, abs=0.5)
