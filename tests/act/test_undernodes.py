"""Shares under a tree of limits: no node is over, and nothing is left that another way could carry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from vpp.act.branches import Branches, Groups, Level
from vpp.act.rules import Room, Rule
from vpp.act.undernodes import hand_out_under

INF = float("inf")
NOBODY = np.zeros(0, dtype=np.intp)


def a_level(of_point: list[int], import_kw: list[float], export_kw: list[float]) -> Level:
    return Level(
        names=tuple(f"node {at}" for at in range(len(import_kw))),
        of_point=np.array([*of_point, len(import_kw)], dtype=np.intp),
        import_kw=np.array(import_kw),
        export_kw=np.array(export_kw),
    )


def a_tree(
    point_of: list[int], *levels: Level, groups: dict[tuple[int, ...], float] | None = None
) -> Branches:
    points = max(point_of) + 1
    members = [list(units) for units in groups or {}]
    return Branches(
        point_of=np.array(point_of, dtype=np.intp),
        points=points,
        groups=Groups(
            names=tuple(f"group {at}" for at in range(len(members))),
            starts=np.cumsum([0, *(len(m) for m in members)]).astype(np.intp),
            members=np.array([unit for m in members for unit in m], dtype=np.intp),
            import_kw=np.array(list((groups or {}).values()), dtype=np.float64),
        ),
        levels=levels,
    )


def a_room(base_kw: list[float], low_kw: list[float], high_kw: list[float]) -> Room:
    none = np.full(len(base_kw), np.nan)
    return Room(
        base_kw=np.array(base_kw, dtype=np.float64),
        low_kw=np.array(low_kw, dtype=np.float64),
        high_kw=np.array(high_kw, dtype=np.float64),
        cost_up_per_kwh=np.arange(len(base_kw)) / 10,
        cost_down_per_kwh=np.arange(len(base_kw)) / 10,
        stored_kwh=none,
        capacity_kwh=none,
    )


def batteries(size: int) -> Room:
    return a_room([0.0] * size, [-100.0] * size, [100.0] * size)


def powers(tree: Branches, room: Room, total_kw: float, rule: Rule = Rule.PROPORTIONAL) -> object:
    shared = hand_out_under(tree, rule, room, total_kw)
    return [round(float(kw), 6) for kw in shared.power_kw], round(shared.left_kw, 6)


def test_what_a_full_feeder_cannot_carry_others_do() -> None:
    """Two of three batteries behind 60 kW; 120 kW would be 40 each."""
    tree = a_tree([0, 1, 2], a_level([0, 0, 1], [INF, INF], [60, INF]))
    assert powers(tree, batteries(3), 120) == ([30, 30, 60], 0)
    assert powers(tree, batteries(3), -120) == ([-40, -40, -40], 0)
    assert powers(tree, batteries(3), 180) == ([30, 30, 100], 20)


def test_behind_a_full_node_the_rule_holds() -> None:
    tree = a_tree([0, 1, 2], a_level([0, 0, 1], [INF, INF], [60, INF]))
    assert powers(tree, batteries(3), 80, Rule.MERIT_ORDER) == ([60, 0, 20], 0)


def test_a_load_that_nobody_steers_leaves_the_others_what_it_does_not_draw() -> None:
    """A load of 50 kW and two batteries behind 80 kW of import: together they may draw 30."""
    tree = a_tree([0, 0, 0], a_level([0], [80], [INF]))
    room = a_room([-50, 0, 0], [-50, -100, -100], [-50, 100, 100])
    assert powers(tree, room, -130) == ([-50, -15, -15], -50)


def test_a_limit_comes_before_the_total() -> None:
    """The load alone is 20 kW over: batteries feed that much, though the total asks for less."""
    tree = a_tree([0, 0, 1], a_level([0, 1], [80, INF], [INF, INF]))
    room = a_room([-100, 0, 0], [-100, -100, 0], [-100, 100, 0])
    assert powers(tree, room, -150) == ([-100, 20, 0], -70)


def test_a_feeder_full_inside_a_park_that_is_full_too() -> None:
    tree = a_tree(
        [0, 1, 2, 3],
        a_level([0, 0, 1, 1], [INF, INF], [60, INF]),
        a_level([0, 0, 0, 0], [INF], [150]),
    )
    assert powers(tree, batteries(4), 200) == ([30, 30, 45, 45], 50)


def test_members_of_a_group_that_draw_share_what_it_may_draw() -> None:
    tree = a_tree([0, 0, 0], a_level([0], [INF], [INF]), groups={(0, 1): 60})
    assert powers(tree, batteries(3), -150) == ([-30, -30, -90], 0)


def test_what_a_member_of_a_group_feeds_makes_no_room_for_the_others() -> None:
    tree = a_tree([0, 0, 0, 0], a_level([0], [INF], [INF]), groups={(0, 1, 2): 60})
    room = a_room([50, 0, 0, 0], [50, -100, -100, -100], [50, 100, 100, 100])
    assert powers(tree, room, -100) == ([50, -30, -30, -90], 0)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Branches, Room, float]:
    """Up to 8 units behind up to 4 points, two feeders and a park; at rest every limit holds."""
    size, points = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    kw = st.integers(0, 100).map(float)
    limit = st.one_of(st.just(INF), st.integers(0, 150).map(float))

    def several(values: st.SearchStrategy[float], count: int) -> list[float]:
        return draw(st.lists(values, min_size=count, max_size=count))

    point_of = [
        min(i, points - 1) if i < points else draw(st.integers(0, points - 1)) for i in range(size)
    ]
    points = max(point_of) + 1
    tree = a_tree(
        point_of,
        a_level(list(range(points)), several(limit, points), several(limit, points)),
        a_level(
            [draw(st.integers(0, 2)) for _ in range(points)], several(limit, 2), several(limit, 2)
        ),
        a_level([0] * points, several(limit, 1), several(limit, 1)),
    )
    room = a_room([0.0] * size, [-x for x in several(kw, size)], several(kw, size))
    return tree, room, draw(st.integers(-500, 500).map(float))


def most_kw(tree: Branches, room: Room, side: int) -> float:
    """The most that all together can do on one side, by a linear programme."""
    rows, limits = [], []
    for level in tree.levels:
        node_of = level.of_point[tree.point_of]
        for node in range(len(level.names)):
            behind = (node_of == node).astype(float)
            for sign, limit in ((1, level.export_kw[node]), (-1, level.import_kw[node])):
                if np.isfinite(limit):
                    rows.append(sign * behind)
                    limits.append(limit)
    found = linprog(
        -side * np.ones(room.size),
        A_ub=np.array(rows) if rows else None,
        b_ub=limits or None,
        bounds=list(zip(room.low_kw, room.high_kw, strict=True)),
    )
    assert found.status == 0
    return float(-found.fun)


@pytest.mark.parametrize("rule", list(Rule))
@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_no_node_is_over_and_all_that_can_be_done_is_done(
    rule: Rule, case: tuple[Branches, Room, float]
) -> None:
    tree, room, total_kw = case
    shared = hand_out_under(tree, rule, room, total_kw)
    power_kw = shared.power_kw
    assert power_kw.sum() + shared.left_kw == pytest.approx(total_kw, abs=1e-6)
    assert ((room.low_kw <= power_kw) & (power_kw <= room.high_kw)).all()
    for level in tree.levels:
        net_kw = level.sums(tree.at_points(power_kw))
        assert (net_kw <= level.export_kw + 1e-6).all()
        assert (-net_kw <= level.import_kw + 1e-6).all()
    side = 1 if total_kw > 0 else -1
    can_kw = min(abs(total_kw), most_kw(tree, room, side))
    assert side * power_kw.sum() == pytest.approx(can_kw, abs=1e-6)
