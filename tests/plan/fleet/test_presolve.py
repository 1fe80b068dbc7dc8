"""What needs no solver is settled before, and what cannot be is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks._forests import harsh_forest, random_forest
from vpp.errors import DataError
from vpp.model.schedule import Unsolved
from vpp.plan.fleet.blocks import blank
from vpp.plan.fleet.certify import certify
from vpp.plan.fleet.elastic import elastic, what_lacks
from vpp.plan.fleet.forest import Clash, Forest, Infeasible, Tapers
from vpp.plan.fleet.presolve import Presolved, presolve
from vpp.plan.fleet.written import by_highs, written
from vpp.plan.lp import Deadline

NEVER = Deadline(lambda: 0.0, 1e6)


def ready(forest: Forest) -> Presolved:
    found = presolve(forest)
    assert isinstance(found, Presolved), found
    return found


def proven(forest: Forest) -> tuple[float, float]:
    """Cost and bound of the whole forest from an answer to what the presolve leaves."""
    small = ready(forest)
    answer = by_highs(small.forest, NEVER)
    assert not isinstance(answer, Unsolved), answer
    found = certify(forest, *small.restore(*answer))
    assert found.holds(1e-6).all()
    return float(found.cost.sum()), float(found.bound.sum())


def true_cost(forest: Forest) -> float:
    answer = by_highs(forest, NEVER)
    assert not isinstance(answer, Unsolved), answer
    whole = written(forest)
    return float(whole.programme.cost @ whole.columns(answer[0]))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_what_is_left_of_a_harsh_forest_has_the_same_optimum(seed: int, tied: bool) -> None:
    forest = harsh_forest(seed, enterprises=1 + tied, tied=tied, steps=24)
    answer = by_highs(forest, NEVER)
    if isinstance(answer, Unsolved):
        assert isinstance(presolve(forest), Infeasible)
    else:
        assert proven(forest)[0] == pytest.approx(true_cost(forest), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_dead_units_of_every_kind_are_settled_and_their_prices_prove_as_much(seed: int) -> None:
    forest = random_forest(seed, levels=1 + seed % 3, steps=12)
    dice = np.random.default_rng(seed)
    here = dice.random((len(forest.stores.bus), 1)) < 0.6
    runs = dice.random((len(forest.budgets.bus), 1)) < 0.6
    budgets = forest.budgets
    kind = dice.integers(0, 3, len(budgets.bus))
    most = budgets.weight * budgets.draw_most.sum(axis=1)
    forest = replace(
        forest,
        stores=replace(
            forest.stores,
            into_most=forest.stores.into_most * here,
            out_most=forest.stores.out_most * here,
        ),
        budgets=replace(
            budgets,
            draw_most=np.where(kind[:, None] == 0, budgets.draw_most * runs, budgets.draw_most),
            asked=np.where(kind == 1, most, np.where(kind == 2, 0.0, budgets.asked)),
            lacking_most=np.where(kind == 0, 1.5 * budgets.asked, 0.0),
            spare_most=np.where(kind == 0, budgets.spare_most, 0.0),
        ),
        day_limits=replace(forest.day_limits, most=forest.day_limits.most * dice.integers(0, 2)),
    )
    small = ready(forest)
    assert len(small.dead_stores) + len(small.full_budgets) + len(small.empty_budgets) > 0
    assert proven(forest)[0] == pytest.approx(true_cost(forest), rel=1e-7, abs=1e-6)


def test_nothing_is_copied_of_a_forest_in_which_everything_moves() -> None:
    forest = random_forest(4, steps=6)
    forest = replace(
        forest,
        day_limits=replace(forest.day_limits, most=0.3 * forest.day_limits.most),
        stores=replace(forest.stores, into_most=np.full(forest.stores.into_most.shape, 9.0)),
    )
    small = ready(forest).forest
    assert small.stores.into_most is forest.stores.into_most
    assert small.parts.most is forest.parts.most
    point, duals = blank(small)
    assert ready(forest).restore(point, duals) == (point, duals)


def test_the_level_of_a_car_that_is_away_is_free_of_bounds_that_say_nothing() -> None:
    """It comes in the fourth step with 20 kWh; until then it is empty, at its lowest level."""
    forest = one_store(given=[0, 0, 0, 20], into_most=[0, 0, 0, 10])
    stores = ready(forest).forest.stores
    np.testing.assert_array_equal(stores.level_least, [[-50, -50, -50, 0]])
    np.testing.assert_array_equal(stores.level_most, [[50, 50, 50, 50]])


def test_a_level_that_follows_keeps_its_bounds_where_soft_ones_share_it() -> None:
    forest = one_store(given=[0, 0, 0, 20], into_most=[0, 0, 0, 10])
    ten = np.full((1, 4), 10.0)
    soft = replace(
        forest.soft, store=np.zeros(1, dtype=np.int64), least=0 * ten, most=ten, cost=ten
    )
    stores = ready(replace(forest, soft=soft)).forest.stores
    np.testing.assert_array_equal(stores.level_least, np.zeros((1, 4)))


def test_a_day_limit_of_nothing_closes_its_steps_and_one_that_cannot_bind_is_left_out() -> None:
    forest = one_store(given=[10, 0, 0, 0], into_most=[9, 9, 9, 9])
    forest = replace(
        forest,
        stores=replace(forest.stores, out_most=np.full((1, 4), 5.0)),
        day_limits=replace(
            forest.day_limits,
            store=np.zeros(3, dtype=np.int64),
            first=np.array([0, 2, 0]),
            end=np.array([2, 4, 4]),
            most=np.array([0.0, 9.0, 20.0]),
        ),
    )
    small = ready(forest).forest
    np.testing.assert_array_equal(small.stores.out_most, [[0, 0, 5, 5]])
    np.testing.assert_array_equal(small.day_limits.most, [9.0])


def one_store(
    given: list[float], into_most: list[float], least: list[float] | None = None
) -> Forest:
    """A lossless store of 50 kWh, 1 kWh per kW, on a bus that imports up to 100 kW at 1 a kW."""
    forest = random_forest(0, trees=1, steps=len(given))
    steps = np.ones((1, len(given)))
    nobody = np.zeros(0, dtype=np.int64)
    stores, budgets, parts, peaks = forest.stores, forest.budgets, forest.parts, forest.peaks
    none = np.zeros((0, len(given)))
    return replace(
        forest,
        buses=replace(forest.buses, load_kw=30 * steps),
        stores=replace(
            stores,
            bus=np.zeros(1, dtype=np.int64),
            keep=np.ones(1),
            gain=steps,
            loss=np.ones(1),
            given=np.array([given], dtype=float),
            into_most=np.array([into_most], dtype=float),
            into_cost=0 * steps,
            out_most=0 * steps,
            out_cost=0 * steps,
            level_least=0 * steps if least is None else np.array([least], dtype=float),
            level_most=50 * steps,
            level_cost=0 * steps,
        ),
        soft=replace(forest.soft, store=nobody, least=none, most=none, cost=none),
        budgets=replace(
            budgets,
            bus=np.zeros(1, dtype=np.int64),
            first=np.zeros(1, dtype=np.int64),
            end=np.full(1, len(given)),
            weight=np.ones(1),
            asked=np.array([12.0]),
            lacking_most=np.zeros(1),
            lacking_cost=np.zeros(1),
            spare_most=np.zeros(1),
            draw_most=5 * steps,
            draw_cost=0 * steps,
        ),
        parts=replace(
            parts,
            bus=np.zeros(1, dtype=np.int64),
            here=steps,
            up=0 * steps,
            least=0 * steps,
            most=100 * steps,
            cost=steps,
        ),
        peaks=replace(
            peaks,
            bus=nobody,
            cost=np.zeros(0),
            most=np.zeros(0),
            interval=none.astype(np.int64),
            share=none,
            least=np.zeros((0, len(given))),
            counts=np.zeros(1, dtype=bool),
        ),
        day_limits=replace(
            forest.day_limits, store=nobody, first=nobody, end=nobody, most=np.zeros(0)
        ),
        tapers=Tapers.none(len(given)),
    )


def clashes(forest: Forest) -> tuple[Clash, ...]:
    found = presolve(forest)
    assert isinstance(found, Infeasible)
    return found.clashes


STORE = one_store(given=[10, 0, 0], into_most=[10, 10, 10])
"""10 kWh, and 10 kW to fill it."""


def test_a_budget_that_asks_more_than_fits_is_named_with_what_lacks() -> None:
    forest = replace(STORE, budgets=replace(STORE.budgets, asked=np.array([19.0])))
    assert clashes(forest) == (Clash(bus=0, step=-1, budget=0, by=4.0),)


def test_a_budget_that_must_have_less_than_nothing_is_too_much() -> None:
    forest = replace(STORE, budgets=replace(STORE.budgets, asked=np.array([-3.0])))
    assert clashes(forest) == (Clash(bus=0, step=-1, budget=0, by=-3.0),)


def test_a_level_that_nothing_reaches_is_named_with_its_step() -> None:
    forest = one_store(given=[10, 0, 0], into_most=[10, 10, 10], least=[0, 35, 35])
    assert clashes(forest) == (Clash(bus=0, step=1, store=0, by=5.0),)


def test_what_a_store_could_not_hold_before_does_not_help_it_later() -> None:
    forest = one_store(given=[10, 0, 0], into_most=[10, 10, 10], least=[0, 0, 35])
    forest.stores.level_most[0, 1] = 22.0
    assert clashes(forest) == (Clash(bus=0, step=2, store=0, by=3.0),)


def test_a_level_is_reached_by_what_each_step_gains() -> None:
    """10 kW give 10, 5 and 15 kWh: with the first 10 there are 25 after two steps, and 40 after three."""
    forest = one_store(given=[10, 0, 0], into_most=[10, 10, 10], least=[0, 27, 40])
    weathered = replace(forest.stores, gain=np.array([[1.0, 0.5, 1.5]]))
    assert clashes(replace(forest, stores=weathered)) == (Clash(bus=0, step=1, store=0, by=2.0),)


@pytest.mark.parametrize(
    ("steep", "least", "clash"),
    [
        pytest.param(0.4, [0, 0, 40], (2, 2.0), id="20 - 0.4·30 kW bring 30 kWh to 38"),
        pytest.param(0.4, [0, 0, 38], None, id="which are there"),
        pytest.param(
            1.6, [0, 0, 41], (2, 1.0), id="32 kW would be let in at 30 kWh, and 10 are there"
        ),
    ],
)
def test_a_level_is_reached_as_fast_as_a_taper_lets_it(
    steep: float, least: list[float], clash: tuple[int, float] | None
) -> None:
    """10 kW fill a store of 50 kWh in which 10 are; full, nothing does."""
    forest = one_store(given=[10, 0, 0], into_most=[10, 10, 10], least=least)
    on = np.array([[False, True, True]])
    tapers = Tapers(
        store=np.zeros(1, dtype=np.int64),
        empties=np.zeros(1, dtype=bool),
        on=on,
        steep=steep * on,
        most=50 * steep * on,
    )
    found = presolve(replace(forest, tapers=tapers))
    if clash is None:
        assert isinstance(found, Presolved)
    else:
        assert isinstance(found, Infeasible)
        (one,) = found.clashes
        assert (one.step, one.store) == (clash[0], 0)
        assert one.by == pytest.approx(clash[1])


def test_a_level_that_must_be_above_its_most_is_too_much() -> None:
    assert clashes(one_store(given=[40, 15, 0], into_most=[0, 0, 1])) == (
        Clash(bus=0, step=1, store=0, by=-5.0),
    )


def test_a_day_on_which_less_than_nothing_may_come_out_is_named_with_its_first_step() -> None:
    limits = replace(
        STORE.day_limits,
        store=np.zeros(2, dtype=np.int64),
        first=np.array([0, 1]),
        end=np.array([1, 3]),
        most=np.array([0.0, -2.0]),
    )
    assert clashes(replace(STORE, day_limits=limits)) == (Clash(bus=0, step=1, store=0, by=-2.0),)


def test_a_bus_that_lacks_is_named_with_step_and_kw() -> None:
    STORE.parts.most[0, 1] = 28.5
    assert clashes(STORE) == (Clash(bus=0, step=1, by=1.5),)
    STORE.parts.most[0, 1] = 100.0


def test_a_bus_with_more_than_it_can_be_rid_of_is_too_much() -> None:
    forest = replace(STORE, buses=replace(STORE.buses, load_kw=np.array([[30.0, -17.0, 30.0]])))
    assert clashes(forest) == (Clash(bus=0, step=1, by=-2.0),)


def test_what_only_several_rows_make_impossible_is_located_too() -> None:
    """40 kWh have to be there at the end and 12 are asked: 42 kWh, and 10 + 10 + 11 kW are left for it."""
    forest = one_store(given=[10, 0, 0], into_most=[20, 20, 20], least=[0, 0, 40])
    forest = replace(forest, parts=replace(forest.parts, most=np.array([[40.0, 40.0, 41.0]])))
    assert isinstance(presolve(forest), Presolved)
    lacks = what_lacks(forest, NEVER)
    assert not isinstance(lacks, Unsolved)
    assert sum(one.by for one in lacks) == pytest.approx(11.0)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("parts", "cost"), ("stores", "level_most"), ("buses", "load_kw"), ("peaks", "most")],
)
def test_a_number_that_is_none_is_refused_by_its_name(kind: str, name: str) -> None:
    forest = random_forest(1, steps=4)
    group = getattr(forest, kind)
    broken = replace(group, **{name: np.full(getattr(group, name).shape, np.nan)})
    with pytest.raises(DataError, match=rf"Forest\.{kind}\.{name}"):
        presolve(replace(forest, **{kind: broken}))


@pytest.mark.parametrize(
    ("kind", "name", "sense"),
    [("peaks", "least", -1.0), ("peaks", "most", 1.0), ("budgets", "spare_most", 1.0)],
)
def test_what_may_be_endless_may_be_so_on_one_side_only(kind: str, name: str, sense: float) -> None:
    forest = next(
        f for f in map(random_forest, range(9)) if len(f.peaks.bus) and len(f.budgets.bus)
    )
    group = getattr(forest, kind)

    def endless(value: float) -> Forest:
        values = np.array(getattr(group, name))
        values.flat[0] = value
        return replace(forest, **{kind: replace(group, **{name: values})})

    assert isinstance(presolve(endless(sense * np.inf)), Presolved)
    with pytest.raises(DataError, match=rf"Forest\.{kind}\.{name}"):
        presolve(endless(-sense * np.inf))


@pytest.mark.parametrize("seed", range(3))
def test_an_elastic_forest_always_has_a_point_and_costs_no_more(seed: int) -> None:
    forest = random_forest(seed, levels=2, steps=8)
    assert true_cost(elastic(forest, 1e3)) == pytest.approx(true_cost(forest), rel=1e-7)
    short = replace(forest, buses=replace(forest.buses, load_kw=forest.buses.load_kw + 1e5))
    assert isinstance(by_highs(short, NEVER), Unsolved)
    assert true_cost(elastic(short, 1e3)) > 1e6
    full = replace(forest, buses=replace(forest.buses, load_kw=forest.buses.load_kw - 1e5))
    assert true_cost(elastic(full, 1e3)) > 1e6
