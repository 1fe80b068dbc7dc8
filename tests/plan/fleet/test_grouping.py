"""Which buses share a layout."""

from __future__ import annotations

import numpy as np

from vpp.plan.fleet.grouping import ENOUGH, PADDED, grouped, roomy


def test_counts_above_eight_are_rounded_up_by_an_eighth_at_most_two_steps_wide() -> None:
    np.testing.assert_array_equal(
        roomy(np.array([0, 1, 7, 8, 9, 16, 17, 20, 33, 100])),
        [0, 1, 7, 8, 10, 16, 20, 20, 40, 112],
    )


def test_every_bus_has_room_in_its_group_and_no_group_has_much_to_spare() -> None:
    sizes = np.random.default_rng(0).integers(0, 30, (100, 3))
    columns = np.array([3, 1, 1])
    room, group = grouped(sizes, columns)
    assert (room[group] >= sizes).all()
    for number, wide in enumerate(room):
        needed = (roomy(sizes[group == number]) @ columns).mean()
        assert wide @ columns <= PADDED * needed


def test_few_buses_that_are_nearly_alike_join() -> None:
    sizes = np.array([[20, 10], [16, 8], [17, 9], [1, 1]])
    room, group = grouped(sizes, np.array([3, 1]))
    assert group.tolist() == [0, 0, 0, 1]
    np.testing.assert_array_equal(room, [[20, 10], [1, 1]])


def test_many_buses_that_are_alike_keep_to_themselves() -> None:
    sizes = np.repeat([[20], [18]], [ENOUGH, ENOUGH], axis=0)
    room, group = grouped(sizes, np.array([3]))
    np.testing.assert_array_equal(room, [[20]])  # 18 is rounded up to 20 in any case
    sizes = np.repeat([[20], [16]], [ENOUGH, ENOUGH], axis=0)
    room, group = grouped(sizes, np.array([3]))
    assert len(room) == 2
    assert len(np.unique(group)) == 2


def test_one_bus_does_not_widen_many() -> None:
    room, group = grouped(np.repeat([[20], [16]], [1, ENOUGH], axis=0), np.array([3]))
    assert len(room) == 2
    assert group[0] != group[1]
