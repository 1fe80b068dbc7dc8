"""What differs is planned anew, the others keep what they had, and what is told of it is what holds of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks._families import make_case
from benchmarks._fleet_ours import forest_of
from benchmarks._forests import random_forest
from vpp.plan.fleet.certify import certify
from vpp.plan.fleet.differing import carried, differing
from vpp.plan.fleet.forest import ROOT, Answer, Failed, Forest, Solved
from vpp.plan.fleet.kept import Kept
from vpp.plan.fleet.kernels import NUMPY
from vpp.plan.fleet.pick import pick
from vpp.plan.fleet.replan import replan
from vpp.plan.fleet.solve import solve_forest
from vpp.plan.lp import Deadline

BUS = 1
ANY = 1.0
"""A gap that nobody minds."""


class Watched:
    """Solves forests, and notes how many buses each has."""

    def __init__(self) -> None:
        self.buses: list[int] = []

    def __call__(self, forest: Forest) -> Answer:
        self.buses.append(len(forest.buses.parent))
        until = Deadline(lambda: 0.0, 1e6)
        return solve_forest(forest, kernels=NUMPY, deadline=until)


def solved(forest: Forest) -> Solved:
    answer = Watched()(forest)
    assert isinstance(answer, Solved), answer
    return answer


def changed(forest: Forest, by: float, bus: int = BUS) -> Forest:
    """The fixed load of one enterprise is another one in the third hour."""
    load_kw = forest.buses.load_kw.copy()
    load_kw[bus, 8:12] *= by
    return replace(forest, buses=replace(forest.buses, load_kw=load_kw))


def without_a_store(forest: Forest) -> Forest:
    """The first battery of one enterprise is gone."""
    keep = np.ones(len(forest.stores.bus), dtype=bool)
    keep[np.flatnonzero(forest.stores.bus == BUS)[0]] = False
    return pick(forest, stores=keep).forest


def replanned(before: Forest, first: Solved, forest: Forest, most_gap: float = ANY) -> Solved:
    again = replan(before, first, forest, solve=Watched(), most_gap=most_gap)
    assert again is not None
    return again


@pytest.mark.parametrize("family", ["A", "AC"])
@pytest.mark.parametrize("change", ["load", "store"])
def test_what_is_told_of_the_whole_is_what_its_certificate_says(family: str, change: str) -> None:
    before = forest_of(make_case(family, 160, seed=1))
    forest = changed(before, 1.1) if change == "load" else without_a_store(before)
    again = replanned(before, solved(before), forest)
    whole = certify(forest, again.point, again.duals)
    assert again.cost == pytest.approx(whole.cost.sum(), rel=1e-9)
    assert again.bound == pytest.approx(whole.bound.sum(), rel=1e-7)
    assert again.bound <= whole.bound.sum() + 1e-9 * abs(again.bound)
    assert whole.residual.max() < 1e-7
    best = solved(forest)
    assert again.bound <= best.cost + 1e-9 * abs(best.cost)
    assert again.cost >= best.bound - 1e-9 * abs(best.cost)


@pytest.mark.parametrize(("family", "asked"), [("A", [1]), ("AC", [2, 1])])
def test_nobody_else_is_asked_or_moved(family: str, asked: list[int]) -> None:
    """By itself a bus is its tree; tied, it is solved with the bus above, and alone for its price."""
    before = forest_of(make_case(family, 160, seed=1))
    first, watched = solved(before), Watched()
    again = replan(before, first, changed(before, 1.1), solve=watched, most_gap=ANY)
    assert again is not None
    assert watched.buses == asked
    others = before.stores.bus != BUS
    assert (again.point.into[others] == first.point.into[others]).all()
    assert (again.point.level[others] == first.point.level[others]).all()
    assert not np.array_equal(again.point.part, first.point.part)
    assert again.held == (() if family == "A" else (int(before.buses.parent[BUS]),))


def test_a_tree_by_itself_is_as_good_as_solved_anew() -> None:
    before = forest_of(make_case("A", 60, seed=1))
    for forest in (changed(before, 1.1), without_a_store(before)):
        again = replanned(before, solved(before), forest)
        assert again.cost == pytest.approx(solved(forest).cost, rel=2e-6)


def test_what_has_not_changed_asks_nobody() -> None:
    before = forest_of(make_case("AC", 60, seed=1))
    first, watched = solved(before), Watched()
    again = replan(before, first, before, solve=watched, most_gap=1e-6)
    assert again is not None
    assert watched.buses == []
    assert (again.cost, again.bound, again.held) == (first.cost, first.bound, ())


def test_one_change_after_the_other_stays_proven() -> None:
    before = forest_of(make_case("AC", 160, seed=1))
    answer = solved(before)
    for bus, by in ((1, 1.1), (3, 0.9), (1, 1.05)):
        forest = changed(before, by, bus)
        answer, before = replanned(before, answer, forest), forest
    whole = certify(before, answer.point, answer.duals)
    assert answer.cost == pytest.approx(whole.cost.sum(), rel=1e-9)
    assert answer.bound == pytest.approx(whole.bound.sum(), rel=1e-7)
    assert answer.held == (int(before.buses.parent[BUS]),)
    assert answer.cost - answer.bound <= 2e-3 * abs(answer.cost), "by the price of the bus above"


def test_a_gap_that_is_asked_for_and_not_met_leaves_the_tree_to_be_solved_whole() -> None:
    before = forest_of(make_case("AC", 160, seed=1))
    forest, watched = changed(before, 1.5), Watched()
    assert replan(before, solved(before), forest, solve=watched, most_gap=1e-10) is None
    assert watched.buses == [2, 1]


def test_what_cannot_be_beside_the_others_is_left_to_be_solved_whole() -> None:
    """A load a hundred times as large is above what the enterprise's connection carries."""
    before = forest_of(make_case("AC", 160, seed=1))
    assert before.buses.parent[BUS] != ROOT
    first = solved(before)
    assert replan(before, first, changed(before, 100.0), solve=Watched(), most_gap=ANY) is None


def test_what_was_decided_is_proven_by_no_price_and_is_solved_anew() -> None:
    before = forest_of(make_case("A", 60, seed=1))
    first, forest = solved(before), changed(before, 1.1)
    here = replace(first, decided=(BUS,))
    assert replan(before, here, forest, solve=Watched(), most_gap=ANY) is None
    elsewhere = replanned(before, replace(first, decided=(BUS + 1,)), forest)
    assert elsewhere.decided == (BUS + 1,)


def test_every_number_of_a_forest_counts() -> None:
    """One number after another is another one, and the bus that it hangs on is found, and no other."""
    before = random_forest(7, trees=6, levels=2, steps=8)
    assert len(before.soft.store) > 1
    assert len(before.day_limits.store) > 1
    tried = 0
    for kind in ("stores", "soft", "budgets", "parts", "peaks", "day_limits"):
        part, owners = getattr(before, kind), before.stores.bus
        for name in set(part.__dataclass_fields__) - {"bus", "store"}:
            values = np.array(getattr(part, name))
            bus = part.bus if hasattr(part, "bus") else owners[part.store]
            at = len(values) // 2
            values[at] = ~values[at] if values.dtype == bool else values[at] + 1
            if np.array_equal(values, getattr(part, name)):
                continue  # without a limit, and one more is without a limit too
            other = replace(before, **{kind: replace(part, **{name: values})})
            found = differing(before, other)
            assert found is not None
            where = before.parts.bus[at] if name == "counts" else bus[at]
            assert np.flatnonzero(found.buses).tolist() == [where], (kind, name)
            tried += 1
    assert tried > 25


@pytest.mark.parametrize("seed", range(4))
def test_random_trees_keep_their_answers_or_are_proven_anew(seed: int) -> None:
    """Of forests of all kinds, where a bus of the lowest storey draws more."""
    before = random_forest(seed, trees=4, levels=3, steps=12)
    above, first = before.buses.parent, solved(before)
    decided = before.trees().of[list(first.decided)]
    lowest = np.setdiff1d(np.arange(len(above)), np.append(above, ROOT))
    bus = int(next(b for b in lowest if before.trees().of[b] not in decided))
    load_kw = before.buses.load_kw.copy()
    load_kw[bus] += 5.0
    forest = replace(before, buses=replace(before.buses, load_kw=load_kw))
    again = replanned(before, first, forest)
    whole = certify(forest, again.point, again.duals)
    assert whole.residual.max() < 1e-7
    assert again.cost == pytest.approx(whole.cost.sum(), rel=1e-9)
    assert again.bound <= solved(forest).cost * (1 + 1e-9) + 1e-9
    others = forest.trees().of != forest.trees().of[bus]
    assert (again.duals.bus[others] == first.duals.bus[others]).all()


def test_one_forest_is_kept_and_none_that_is_too_large() -> None:
    before = forest_of(make_case("A", 60, seed=1))
    watched = Watched()
    small, large = Kept(), Kept(most_bytes=1000)
    for kept, asked in ((small, [3, 1]), (large, [3, 3])):
        watched.buses.clear()
        _, old = kept.answer(before, solve=watched, most_gap=ANY)
        answer, again = kept.answer(changed(before, 1.1), solve=watched, most_gap=ANY)
        assert isinstance(answer, Solved)
        assert (old, again) == (False, kept is small)
        assert watched.buses == asked


def test_what_has_no_answer_is_not_kept() -> None:
    before = forest_of(make_case("A", 60, seed=1))
    kept = Kept()

    def fails(forest: Forest) -> Answer:
        return Failed(reason="no")

    assert kept.answer(before, solve=fails, most_gap=ANY) == (Failed(reason="no"), False)
    answer, again = kept.answer(before, solve=Watched(), most_gap=ANY)
    assert isinstance(answer, Solved)
    assert not again


def test_answers_find_their_places_where_others_are_gone() -> None:
    before = forest_of(make_case("A", 60, seed=1))
    first, forest = solved(before), without_a_store(before)
    found = differing(before, forest)
    assert found is not None
    assert np.flatnonzero(found.buses).tolist() == [BUS]
    point, duals = carried(before, first.point, first.duals, forest, found)
    others, there = before.stores.bus != BUS, forest.stores.bus != BUS
    assert (point.level[there] == first.point.level[others]).all()
    assert (duals.store[there] == first.duals.store[others]).all()
    assert (point.draw == first.point.draw).all()


def test_buses_that_stand_otherwise_are_not_compared() -> None:
    tied, apart = (forest_of(make_case(f, 60, seed=1)) for f in ("AC", "A"))
    assert differing(tied, apart) is None
    assert replan(tied, solved(tied), apart, solve=Watched(), most_gap=ANY) is None
