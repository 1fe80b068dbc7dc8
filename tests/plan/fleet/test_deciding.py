"""Which way stores go, where burning would earn: searched all at once, window by window, and what is claimed of it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from tests.plan.fleet.test_oneway import full_stores
from vpp.model.horizon import Floats
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.abreast import abreast
from vpp.plan.fleet.deciding import by_windows, decided
from vpp.plan.fleet.forest import Forest, Solved, Tapers
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.oneway import both_ways
from vpp.plan.fleet.pick import pick
from vpp.plan.fleet.solve import solve_forest
from vpp.plan.fleet.written import by_highs, written
from vpp.plan.lp import Deadline, LpSolution, solve_lp

NEVER = Deadline(lambda: 0.0, 1e6)

STORES, STEPS = 20, 4


def alike(import_kw: float) -> Forest:
    """Full stores of 10 kWh where a kW imported earns 1 in each of four steps; full again at the end.

    10 kW in fill 5 kWh, 5 kW out empty 10. One way a store empties once and fills twice: 20 - 5 = 15.
    """
    one = full_stores(-1.0, tied=False)
    own, wide = one.stores, np.ones((STORES, STEPS))
    none = np.zeros((0, STEPS))
    given, least = np.zeros_like(wide), np.zeros_like(wide)
    given[:, 0], least[:, -1] = 10.0, 10.0
    return replace(
        one,
        steps=STEPS,
        buses=replace(one.buses, load_kw=np.full((1, STEPS), 100.0)),
        stores=replace(
            own,
            bus=np.zeros(STORES, dtype=np.int64),
            keep=np.ones(STORES),
            gain=0.5 * wide,
            loss=np.full(STORES, 2.0),
            given=given,
            into_most=10 * wide,
            into_cost=0 * wide,
            out_most=10 * wide,
            out_cost=0 * wide,
            level_least=least,
            level_most=10 * wide,
            level_cost=0 * wide,
        ),
        soft=replace(one.soft, least=none, most=none, cost=none),
        budgets=replace(one.budgets, draw_most=none, draw_cost=none),
        parts=replace(
            one.parts,
            here=np.ones((1, STEPS)),
            up=np.zeros((1, STEPS)),
            least=np.zeros((1, STEPS)),
            most=np.full((1, STEPS), import_kw),
            cost=np.full((1, STEPS), -1.0),
        ),
        peaks=replace(one.peaks, interval=none.astype(np.int64), share=none),
        tapers=Tapers.none(STEPS),
    )


LOOSE, TIGHT = (1e3, -400.0 - STORES * 15.0), (200.0, -656.875)
"""The most that is imported; what the best costs. 400 kW are drawn anyway; of the second HiGHS says it."""


@pytest.mark.parametrize(("import_kw", "best"), [LOOSE, TIGHT])
def test_stores_that_would_burn_are_decided_and_nothing_is_left_open(
    import_kw: float, best: float
) -> None:
    answer = solve_forest(alike(import_kw), kernels=NUMPY, deadline=NEVER)
    assert isinstance(answer, Solved)
    assert answer.decided == (0,)
    assert not both_ways(answer.point).any()
    assert (answer.cost, answer.bound) == pytest.approx((best, best), rel=1e-6)


@pytest.mark.parametrize(("import_kw", "best", "most"), [(*LOOSE, 0.0), (*TIGHT, 0.02)])
def test_window_by_window_every_pair_is_decided_nearly_as_well_as_all_at_once(
    import_kw: float, best: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In four windows, a step each. A window that forgot the one before would lose 5 % where little is imported."""
    monkeypatch.setattr("vpp.plan.fleet.deciding.WINDOW", STORES)
    forest = alike(import_kw)
    programme, count = written(forest).programme, STORES * STEPS
    into = np.arange(count)
    pairs = np.array([into, into + count, *np.full((2, count), 10.0)])
    chosen = by_windows(programme, pairs, into % STEPS, gap=1e-6, deadline=NEVER)
    found = solve_lp(programme, chosen, NEVER)
    assert isinstance(found, LpSolution)
    assert len(chosen) == count
    assert not both_ways(written(forest).point(found.x)).any()
    assert best - 1e-6 <= found.cost <= (1.0 - most) * best + 1e-6


def test_a_window_in_which_nothing_is_found_leaves_nothing_decided() -> None:
    forest = alike(200.0)
    dry = replace(forest, parts=replace(forest.parts, most=np.full((1, STEPS), 50.0)))
    into = np.arange(STORES * STEPS)
    pairs = np.array([into, into + len(into), *np.full((2, len(into)), 10.0)])
    programme = written(dry).programme
    assert by_windows(programme, pairs, into % STEPS, gap=1e-6, deadline=NEVER) == {}


@pytest.mark.parametrize("apart", [True, False])
def test_what_deciding_lifts_the_bound_by_is_no_more_than_it_costs(apart: bool) -> None:
    forest = alike(200.0)
    found = by_highs(forest, NEVER)
    assert not isinstance(found, Unsolved)
    where = np.ones((STORES, STEPS), dtype=bool)
    until = NEVER
    ways, lifts = decided(forest, found[1], where, apart=apart, gap=1e-6, deadline=until)
    assert ((ways.stores.into_most == 0) ^ (ways.stores.out_most == 0)).all()
    assert lifts == pytest.approx([800.0 + TIGHT[1]], rel=1e-6)  # without decisions it costs -800


def two_stores() -> Forest:
    """6 kW have to go into a store. The full one would burn them for nothing, the other takes them for 1 a kW."""
    one = full_stores(0.0, tied=False)
    two = {
        name: np.repeat(getattr(one.stores, name), 2, axis=0)
        for name in (field.name for field in fields(one.stores))
    }
    two |= {"into_cost": np.array([[0.0], [1.0]]), "level_most": np.array([[10.0], [13.0]])}
    return replace(
        one,
        buses=replace(one.buses, load_kw=np.array([[-6.0]])),
        parts=replace(one.parts, most=np.zeros((1, 1))),
        stores=replace(one.stores, **two),
    )


def test_a_first_guess_that_leaves_no_point_is_not_good_enough() -> None:
    """Nothing goes into the other store where burning is allowed, so the guess is that it is not filled."""
    forest, everywhere = two_stores(), np.ones((2, 1), dtype=bool)
    found = by_highs(forest, NEVER)
    assert not isinstance(found, Unsolved)
    ways, lifts = decided(forest, found[1], everywhere, apart=False, gap=1e-6, deadline=NEVER)
    assert ways.stores.into_most.tolist() == [[0.0], [10.0]]
    assert lifts == pytest.approx([6.0], abs=1e-6)


def test_the_gap_that_is_searched_for_is_one_of_what_all_trees_cost_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ten trees earn 700 each, one pays 6950: a hundredth of the 50 that are left is 0.05 a tree, not 7."""
    asked: list[float] = []

    def seen(*args: Any, gap: float, **more: Any) -> tuple[Forest, Floats]:
        asked.append(gap)
        return decided(*args, gap=gap, **more)

    monkeypatch.setattr("vpp.plan.fleet.oneway.decided", seen)
    one = alike(LOOSE[0])
    pays = replace(
        one,
        buses=replace(one.buses, load_kw=np.full((1, STEPS), 173.75)),
        stores=pick(one, stores=np.zeros(STORES, dtype=bool)).forest.stores,
        parts=replace(one.parts, cost=np.full((1, STEPS), 10.0)),
    )
    for forest, cost in ((one, -700.0), (abreast([*[one] * 10, pays]).forest, -50.0)):
        until = NEVER
        answer = solve_forest(forest, kernels=NUMPY, deadline=until, decided_to=0.01)
        assert isinstance(answer, Solved)
        assert answer.cost == pytest.approx(cost, abs=0.1)
        assert answer.cost - answer.bound <= 0.01 * abs(answer.cost)
    assert asked[0] == pytest.approx(0.01, rel=0.5)
    assert max(asked[1:]) < 0.01 / 4
