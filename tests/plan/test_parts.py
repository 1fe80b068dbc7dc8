"""What meets nowhere is solved apart: the same optimum, the same prices, a bound that holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId, ResourceId
from vpp.model.schedule import Unsolved
from vpp.model.time import QUARTER
from vpp.plan import parts
from vpp.plan.announced import Announced
from vpp.plan.compile import build
from vpp.plan.decide import by_parts
from vpp.plan.lp import Deadline, LpSolution, begin_lp, solve_lp
from vpp.plan.parts import ALONE, Workers, parts_of
from vpp.plan.programme import LinearProgramme, Programme
from vpp.plan.search import near, relative_gap, search
from vpp.plan.terms import EnergyPrice

NEVER = Deadline(lambda: 0.0, 1e6)
OVER = Deadline(lambda: 1e6, 0.0)
"""From now on each search has 0.01 s."""

ROUNDING = 1e-9
FIRST = ResourceId("oven-0")

Answer = TypeVar("Answer")


class Threads:
    """Workers as the solver process has them."""

    count = 3

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def begin(self, task: Callable[[], Answer]) -> Callable[[], Answer]:
        return self._pool.submit(task).result


@pytest.fixture
def threads() -> Iterator[Workers]:
    with ThreadPoolExecutor(Threads.count) as pool:
        yield Threads(pool)


def programme_of(
    matrix: list[list[float]], lower: list[float], upper: list[float]
) -> LinearProgramme:
    """Every column costs 1 and lies between 0 and 10."""
    rows = csr_array(np.array(matrix))
    columns = rows.shape[1]
    return LinearProgramme(
        cost=np.ones(columns),
        lower=np.zeros(columns),
        upper=np.full(columns, 10.0),
        matrix=rows,
        row_lower=np.array(lower),
        row_upper=np.array(upper),
    )


# ---------------------------------------------------------------- cutting


def blocks(matrix: list[list[float]], **said: int) -> list[tuple[list[int], list[int]]]:
    count = len(matrix)
    programme = programme_of(matrix, [0.0] * count, [1.0] * count)
    return [(p.rows.tolist(), p.columns.tolist()) for p in parts_of(programme, **said)]


@pytest.mark.parametrize(
    ("matrix", "least", "cut"),
    [
        pytest.param([[1, 1], [0, 1]], 0, [([0, 1], [0, 1])], id="all meet"),
        pytest.param([[0, 1], [1, 0]], 0, [([0], [1]), ([1], [0])], id="by their first rows"),
        pytest.param(
            [[1, 0, 0], [0, 1, 0], [1, 0, 0]],
            0,
            [([0, 2], [0]), ([1], [1]), ([], [2])],
            id="a column without rows",
        ),
        pytest.param([[0, 0], [1, 1]], 0, [([0], []), ([1], [0, 1])], id="a row without columns"),
        pytest.param(
            [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
            2,
            [([0, 1], [0, 1]), ([2], [2])],
            id="bunched until there are two",
        ),
        pytest.param([[1, 0], [0, 0]], 1, [([0, 1], [0, 1])], id="what is empty goes with another"),
    ],
)
def test_a_programme_falls_into_its_blocks(
    matrix: list[list[float]], least: int, cut: list[tuple[list[int], list[int]]]
) -> None:
    assert blocks(matrix, least_nonzeros=least) == cut


def meeting(matrix: csr_array) -> list[int]:
    """The block of each row, then of each column, by following what meets."""
    rows, columns = matrix.shape
    at = [set(np.flatnonzero(line).tolist()) for line in matrix.toarray()]
    label = [-1] * (rows + columns)
    for start in range(rows + columns):
        if label[start] >= 0:
            continue
        number, reached = max(label) + 1, [start]
        for one in reached:
            if label[one] >= 0:
                continue
            label[one] = number
            if one < rows:
                reached += [rows + column for column in at[one]]
            else:
                reached += [row for row in range(rows) if one - rows in at[row]]
    return label


@pytest.mark.parametrize("at_once", [1, 5, parts.AT_ONCE])
def test_what_meets_has_one_number_however_few_entries_are_looked_at_together(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "AT_ONCE", at_once)
    rng = np.random.default_rng(3)
    for _ in range(100):
        shape = rng.integers(1, 10, 2)
        matrix = csr_array((rng.random(shape) < rng.uniform(0, 0.5)).astype(float))

        assert parts.blocks(matrix).tolist() == meeting(matrix)


def test_entries_that_do_not_count_join_nothing() -> None:
    matrix = csr_array(np.array([[1.0, 2.0], [0.0, 3.0]]))

    found = parts.blocks(matrix, kept=lambda first, last: matrix.data[first:last] != 2.0)

    assert found.tolist() == [0, 1, 0, 1]


def test_each_part_has_its_own_numbers() -> None:
    programme = programme_of([[0, 2, 0], [3, 0, 4], [0, 5, 0]], [1, 2, 3], [4, 5, 6])

    one, other = parts_of(programme, least_nonzeros=0)

    assert one.programme.matrix.toarray().tolist() == [[2], [5]]
    assert other.programme.matrix.toarray().tolist() == [[3, 4]]
    assert one.programme.row_lower.tolist() == [1, 3]
    assert other.programme.row_upper.tolist() == [5]


# ---------------------------------------------------------------- linear programmes


def apart(lab: Any, *, points: int) -> Programme:
    """Batteries behind connection points that nothing joins, at prices of their own: 96 steps."""
    names = [f"bat-{i}" for i in range(points)]
    where = [f"cp-{i}" for i in range(points)]
    rng = np.random.default_rng(3)
    price = rng.uniform(0.1, 0.3, (points, 96))
    view = lab.view(
        *(
            lab.battery(n, point=p, wear_cost_per_kwh=0.01)
            for n, p in zip(names, where, strict=True)
        ),
        points=where,
        price=[0.0] * 96,
        step=QUARTER,
        readings=[lab.reading(name, soc=0.5) for name in names],
    )
    terms = [
        EnergyPrice(
            connection_point_id=ConnectionPointId(point),
            import_per_kwh=row + 0.02,
            export_per_kwh=row,
        )
        for point, row in zip(where, price, strict=True)
    ]
    return build(view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)


def test_parts_are_solved_beside_one_another_with_the_same_answer(
    lab: Any, threads: Workers
) -> None:
    programme = apart(lab, points=12)

    begun = begin_lp(programme, {}, NEVER, threads)
    together, one = begun.answer(), solve_lp(programme, {}, NEVER)

    assert begun.parts > 1
    assert isinstance(together, LpSolution)
    assert isinstance(one, LpSolution)
    for name in ("x", "row_marginals", "column_marginals"):
        assert getattr(together, name).tobytes() == getattr(one, name).tobytes()


def side_of(prices: Floats, lower: Floats, upper: Floats) -> Floats:
    """The side that each price speaks of, 0 where nothing is paid."""
    side: Floats = np.where(prices > 0, lower, np.where(prices < 0, upper, 0.0))
    return side


def test_the_prices_of_the_parts_explain_the_cost_of_the_whole(lab: Any) -> None:
    """Strong duality: the cost is the sum of every side and bound, each at its price."""
    for seed in range(20):
        view, terms = lab.random(seed)
        programme = build(view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)

        found = solve_lp(programme, {}, NEVER)

        assert isinstance(found, LpSolution)
        rows = np.where(np.abs(found.row_marginals) > ROUNDING, found.row_marginals, 0.0)
        columns = np.where(np.abs(found.column_marginals) > ROUNDING, found.column_marginals, 0.0)
        given = programme.lower == programme.upper
        left = (programme.cost - programme.matrix.T @ rows) * given
        paid = (
            rows @ side_of(rows, programme.row_lower, programme.row_upper)
            + columns @ side_of(columns, programme.lower, programme.upper)
            + left @ np.where(given, programme.lower, 0.0)
        )
        assert paid == pytest.approx(found.cost, rel=1e-7, abs=1e-6), seed


@pytest.mark.parametrize(
    ("matrix", "lower"),
    [
        pytest.param([[1, 0], [0, 1]], [5, 20], id="one part of two"),
        pytest.param([[1, 0], [0, 0]], [5, 1], id="a row in which nothing stands"),
    ],
)
def test_a_part_that_cannot_be_makes_the_whole_impossible(
    matrix: list[list[float]], lower: list[float]
) -> None:
    answer = solve_lp(programme_of(matrix, lower, [np.inf, np.inf]), {}, NEVER)

    assert isinstance(answer, Unsolved)
    assert answer.infeasible
    assert answer.reason.startswith("LP: ")


@pytest.mark.parametrize(("held", "possible"), [pytest.param(5.0, True), pytest.param(4.0, False)])
def test_rows_of_what_is_held_alone_are_kept(held: float, possible: bool) -> None:
    """The first row is 5 ≤ x0; x0 is held."""
    programme = programme_of([[1, 0], [0, 1]], [5, 2], [np.inf, np.inf])

    answer = solve_lp(programme, {0: held}, NEVER)

    assert isinstance(answer, LpSolution) is possible


@pytest.mark.parametrize(
    ("cost", "side"),
    [pytest.param(1.0, 2.0, id="its lower side"), pytest.param(-1.0, 7.0, id="its upper side")],
)
def test_a_row_with_two_sides_has_the_price_of_the_one_that_holds(cost: float, side: float) -> None:
    programme = replace(programme_of([[1]], [2], [7]), cost=np.array([cost]))

    answer = solve_lp(programme, {}, NEVER)

    assert isinstance(answer, LpSolution)
    assert answer.x.tolist() == [side]
    assert answer.row_marginals.tolist() == [cost]


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e5])
def test_the_currency_changes_no_plan(lab: Any, scale: float) -> None:
    programme = apart(lab, points=2)
    dear = replace(programme, cost=programme.cost * scale)

    one, other = solve_lp(programme, {}, NEVER), solve_lp(dear, {}, NEVER)

    assert isinstance(one, LpSolution)
    assert isinstance(other, LpSolution)
    assert other.cost == pytest.approx(one.cost * scale, rel=1e-9)
    assert other.x == pytest.approx(one.x, abs=1e-6)


# ---------------------------------------------------------------- decisions


def ovens(lab: Any, price: list[list[float]], **said: Any) -> tuple[Any, Programme]:
    """An oven and a limit of 60 kW behind each connection point, each at prices of its own."""
    count = range(len(price))
    where = [f"cp-{i}" for i in count]
    view = lab.view(
        *(lab.run(f"oven-{i}", point=where[i], **said) for i in count),
        *(lab.battery(f"bat-{i}", point=where[i], capacity_kwh=20.0) for i in count),
        points=where,
        price=[0.0] * len(price[0]),
        step=QUARTER,
        readings=[
            *(lab.reading(f"oven-{i}") for i in count),
            *(lab.reading(f"bat-{i}", soc=0.5) for i in count),
        ],
        point_limits=lab.limits(import_kw=60.0),
    )
    terms = [
        EnergyPrice(
            connection_point_id=ConnectionPointId(point),
            import_per_kwh=np.array(row),
            export_per_kwh=np.zeros(len(row)),
        )
        for point, row in zip(where, price, strict=True)
    ]
    return view, build(view, terms, limit_excess_price_per_kwh=lab.excess_per_kwh)


def prices(count: int, steps: int = 8) -> list[list[float]]:
    found: list[list[float]] = np.random.default_rng(5).uniform(0.1, 0.3, (count, steps)).tolist()
    return found


def relaxed(programme: Programme) -> LpSolution:
    found = solve_lp(programme, {}, NEVER)
    assert isinstance(found, LpSolution)
    return found


def test_where_nothing_joins_the_parts_they_prove_the_whole(lab: Any, threads: Workers) -> None:
    view, programme = ovens(lab, prices(5))
    assert not len(programme.coupling)

    for workers in (ALONE, threads):
        found = search(
            programme, view.horizon, Announced(), gap=1e-6, deadline=NEVER, workers=workers
        )
        assert not isinstance(found, Unsolved)
        solution, bound = found
        assert relative_gap(solution.cost, bound) <= 1e-6

    integrality = np.zeros(len(programme.cost))
    integrality[programme.integral] = 1
    best = milp(
        programme.cost,
        integrality=integrality,
        bounds=Bounds(programme.lower, programme.upper),
        constraints=LinearConstraint(programme.matrix, programme.row_lower, programme.row_upper),
        options={"mip_rel_gap": 0.0},
    )
    assert solution.cost == pytest.approx(best.fun, rel=1e-6)


def test_a_straggler_is_cut_off_with_a_bound_that_holds(lab: Any) -> None:
    view, programme = ovens(lab, prices(4))
    found = search(programme, view.horizon, Announced(), gap=1e-6, deadline=NEVER)
    assert not isinstance(found, Unsolved)
    one = relaxed(programme)

    chosen, bound = by_parts(
        programme,
        one,
        near(programme, one.x, view.horizon, Announced()),
        gap=1e-9,
        deadline=OVER,
    )

    assert one.cost - 1e-9 <= bound <= found[0].cost + 1e-6
    kept = solve_lp(programme, chosen, NEVER)
    assert isinstance(kept, LpSolution)
    assert kept.cost >= bound - 1e-6


@pytest.mark.parametrize(
    "dearest",
    [pytest.param(0.9, id="decided by the relaxation"), pytest.param(0.25, id="searched")],
)
def test_a_part_whose_announced_start_is_good_enough_keeps_it(lab: Any, dearest: float) -> None:
    """Both ovens were announced at 12:15; for the second one that has become dear."""
    good = [0.103, 0.103, 0.103, 0.1, 0.1, 0.3, 0.3, 0.3]
    dear = [dearest] * 3 + good[3:]
    view, programme = ovens(lab, [good, dear], profile_kw=(40.0, 50.0))
    announced = Announced({ResourceId(f"oven-{i}"): [(lab.noon + QUARTER, None)] for i in range(2)})

    found = search(programme, view.horizon, announced, gap=0.05, deadline=NEVER)

    assert not isinstance(found, Unsolved)
    taken = programme.fleet.starts.taken(found[0].x)
    assert taken[FIRST][0][0] == 1
    assert taken[ResourceId("oven-1")][0][0] == 3
    assert relative_gap(*(found[0].cost, found[1])) <= 0.05


def test_mixed_programmes_in_threads_answer_as_they_do_alone(threads: Workers) -> None:
    """HiGHS lets two threads search at once; their answers are those of one."""

    def task(seed: int) -> tuple[float, bytes]:
        rng = np.random.default_rng(seed)
        matrix: Floats = rng.uniform(0, 1, (30, 20)) * (rng.random((30, 20)) < 0.4)
        found = milp(
            -rng.uniform(0.1, 1, 20),
            integrality=np.repeat([1, 0], 10),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(matrix, -np.inf, 0.4 * matrix.sum(axis=1)),
        )
        return float(found.fun), found.x.tobytes()

    waiting = [threads.begin(partial(task, seed)) for seed in range(30)]

    assert [one() for one in waiting] == [task(seed) for seed in range(30)]
