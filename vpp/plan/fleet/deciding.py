"""Which way stores go, decided by HiGHS where burning pays: bus by bus, or a small tree at once.

    apart      a bus by itself, at the prices of the bus above. With those prices L(y) is a sum over buses, so
               what a bus costs more when it is decided is added to the bound
    at once    the whole of a tree with few such stores: prices that are right without decisions may leave a gap

With x the filling and z the emptying of a store in a step, X and Z the most of each, one of both is 0 where
x <= X w, z <= Z (1 - w) and w is 0 or 1. Left continuous, w says x/X + z/Z <= 1.

HiGHS proves much in little time where many stores burn, and finds little. So what it leaves open is decided in
windows of steps, first to last: in a window each way is 0 or 1, before it what was decided stands, after it
w is continuous. The cheaper of both is taken, the bound is that of the search over all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import csr_array, vstack

from vpp.model.horizon import Floats
from vpp.model.schedule import Unsolved
from vpp.plan.decide import Chosen, whole
from vpp.plan.fleet.bound import ROUNDING
from vpp.plan.fleet.forest import ROOT, Duals, Forest
from vpp.plan.fleet.pick import Mask, Picked, pick
from vpp.plan.fleet.written import written
from vpp.plan.lp import Deadline, LpSolution, solve_lp
from vpp.plan.parts import Part, parts_of
from vpp.plan.programme import Ints, LinearProgramme

WINDOW = 60
"""Pairs of a window; a step with more of them is one by itself."""

WINDOW_GAP = 1e-4
"""That is left in a window, relative: what one leaves, the next may mend."""

ROUNDS = 8
"""How often more steps are decided on, where what was found burns in others."""

NOTHING_KW = 1e-6
"""Less than this both ways is rounding."""

FREE = 1e-6
"""Of what is paid and earned: less than this between them is nothing."""

FOR_A_ROUND = 0.7
"""Share of the time that is left, for a round of decisions."""

LEAST_SHARE = 0.4
"""Of the time that is left, for a window: the first are the hardest, and few take all they may."""

FOR_THE_BOUND = 0.25
"""Share of the time for the search over all, where windows come after it."""

NO_DECISIONS = np.zeros(0, dtype=np.int64)


def decided(
    forest: Forest, duals: Duals, where: Mask, *, apart: bool, gap: float, deadline: Deadline
) -> tuple[Forest, Floats]:
    """The forest with one way forbidden in each of those steps; and by how much that lifts each tree's bound.

    Args:
        forest: Trees some of whose stores go both ways.
        duals: Prices of its rows, sound ones.
        where: Stores and steps to decide on, shape (n, T).
        apart: Each bus by itself, those with children left out; else each tree.
        gap: That HiGHS may leave on each, relative.
        deadline: Each has its share of what is left.
    """
    cut = _cut(forest, duals, where) if apart else pick(forest)
    programme, prices = written(cut.forest).programme, _row_prices(duals, cut)
    trees, shape = forest.trees(), where[cut.stores].shape
    lifts = np.zeros(len(trees.roots))
    into, out = np.zeros(where.shape, dtype=bool), np.zeros(where.shape, dtype=bool)
    pairs = _pairs(cut.forest, where[cut.stores])
    open_parts = list(_with_pairs(parts_of(programme, least_nonzeros=0), pairs))
    for number, (part, theirs) in enumerate(open_parts):
        until = _share(deadline, 1.0 / (len(open_parts) - number))
        step = part.columns[theirs[0].astype(np.int64)] % forest.steps
        search = _Search(part.programme, theirs, step, gap)
        search.run(until)
        side, store, at = np.unravel_index(
            part.columns[np.array(sorted(search.chosen), dtype=np.int64)], (2, *shape)
        )
        for which, mask in ((side == 0, into), (side == 1, out)):
            mask[cut.stores[store[which]], at[which]] = True
        if np.isfinite(search.bound):
            first = np.unravel_index(part.columns[int(theirs[0, 0])], (2, *shape))[1]
            lift = search.bound - _lagrangian(part.programme, prices[part.rows])
            if np.isfinite(
                lift
            ):  # else prices say nothing of columns without end, and nothing is lifted
                lifts[trees.of[forest.stores.bus[cut.stores[first]]]] += max(lift, 0.0)
    return forbidden(forest, into=into, out=out), lifts


def forbidden(forest: Forest, *, into: Mask, out: Mask) -> Forest:
    """The forest in which some stores are not filled, or not emptied, in some steps, shapes (n, T)."""
    stores = forest.stores
    return replace(
        forest,
        stores=replace(
            stores,
            into_most=np.where(into, 0.0, stores.into_most),
            out_most=np.where(out, 0.0, stores.out_most),
        ),
    )


@dataclass(slots=True, eq=False)
class _Search:
    """A bus or a tree, and its pairs of columns of which one must be 0."""

    programme: LinearProgramme
    pairs: Floats
    """Both columns, the most of each, and what each does to the store, shape (6, n)."""

    step: Ints
    """Of each pair."""

    gap: float
    bound: float = -np.inf
    """Nothing that goes one way costs less."""

    cost: float = np.inf
    """Of the best that was found."""

    chosen: Chosen = field(default_factory=dict)
    """Columns that are 0 there, one of each pair."""

    def run(self, deadline: Deadline) -> None:
        """Decide in the steps in which something burns where nothing is decided; in more, where it then does."""
        open_pairs, chosen = np.zeros(len(self.step), dtype=bool), Chosen()
        for _ in range(ROUNDS):
            found = solve_lp(self.programme, chosen, deadline)
            if isinstance(found, Unsolved):
                return
            burns = self._burns(found) & ~open_pairs
            self._keep(found, deadline, again=bool(burns.any()))
            if not burns.any() or self.good or deadline.passed:
                return
            open_pairs |= np.isin(self.step, self.step[burns])
            chosen = self._decide(open_pairs, _share(deadline, FOR_A_ROUND))
            if not chosen:  # nothing was found: what burnt burns again
                return

    @property
    def good(self) -> bool:
        """Whether the best is good enough."""
        return self._near(self.cost)

    def _near(self, cost: float) -> bool:
        """Whether a cost, inf where nothing was found, is near enough to the bound."""
        return bool(np.isfinite(cost)) and cost - self.bound <= self.gap * max(abs(cost), 1.0)

    def _burns(self, found: LpSolution) -> Mask:
        """Pairs that go both ways, or would earn by it."""
        columns = self.pairs[:2].astype(np.int64)
        loop = found.column_marginals[columns] / self.pairs[4:]
        burns: Mask = found.x[columns].min(axis=0) > NOTHING_KW
        burns |= (loop.sum(axis=0) < -FREE * np.abs(loop).sum(axis=0)) & (
            self.pairs[5] > self.pairs[4]
        )
        return burns

    def _keep(self, found: LpSolution, deadline: Deadline, *, again: bool) -> None:
        """Keep the ways that it goes, the larger of both, where they are the best; solved `again` to see it."""
        into, out = self.pairs[:2].astype(np.int64)
        fills = self.pairs[4] * found.x[into] > self.pairs[5] * found.x[out]
        ways = dict.fromkeys(np.where(fills, out, into).tolist(), 0.0)
        cost = _cost(self.programme, ways, deadline) if again else found.cost
        if cost < self.cost:
            self.cost, self.chosen = cost, ways

    def _decide(self, which: Mask, deadline: Deadline) -> Chosen:
        """Search all of some pairs, then window by window where that leaves too much; the cheaper decisions."""
        pairs, many = self.pairs[:4, which], int(which.sum()) > WINDOW
        until = _share(deadline, FOR_THE_BOUND) if many else deadline
        found = whole(self.programme, NO_DECISIONS, pairs, gap=self.gap, deadline=until)
        chosen, cost = Chosen(), np.inf
        if not isinstance(found, Unsolved):
            chosen, self.bound = found[0], max(self.bound, found[1])
            cost = _cost(self.programme, chosen, deadline)
        if not many or self._near(cost):
            return chosen
        gap = max(self.gap, WINDOW_GAP)
        other = by_windows(self.programme, pairs, self.step[which], gap=gap, deadline=deadline)
        return other if other and _cost(self.programme, other, deadline) < cost else chosen


def _cost(programme: LinearProgramme, chosen: Chosen, deadline: Deadline) -> float:
    """What the best costs that keeps to the decisions; inf where nothing was found."""
    best = solve_lp(programme, chosen, deadline)
    return np.inf if isinstance(best, Unsolved) else best.cost


def by_windows(
    programme: LinearProgramme, pairs: Floats, step: Ints, *, gap: float, deadline: Deadline
) -> Chosen:
    """The columns of pairs that are 0, decided window by window; none where one of these finds nothing.

    Args:
        programme: Of a bus or a tree.
        pairs: Both columns, and the most of each, shape (4, n).
        step: Of each pair, shape (n,).
        gap: Of each window, relative.
        deadline: No window takes all that is left for the others.
    """
    windows = list(_windows(step))
    upper, chosen = programme.upper.copy(), Chosen()
    for number, (inside, later) in enumerate(windows):
        part = _one_way_in_the_mean(replace(programme, upper=upper), pairs[:, later])
        until = _share(deadline, max(1.0 / (len(windows) - number), LEAST_SHARE))
        found = whole(part, NO_DECISIONS, pairs[:, inside], gap=gap, deadline=until)
        if isinstance(found, Unsolved):
            return {}
        chosen |= found[0]
        upper[list(found[0])] = 0.0
    return chosen


def _windows(step: Ints) -> Iterator[tuple[Mask, Mask]]:
    """Pairs inside each window, and those after it, shapes (n,)."""
    steps, counts = np.unique(step, return_counts=True)
    begin = 0
    while begin < len(steps):
        end = begin + max(int((np.cumsum(counts[begin:]) <= WINDOW).sum()), 1)
        last = steps[end - 1]
        yield (step >= steps[begin]) & (step <= last), step > last
        begin = end


def _one_way_in_the_mean(programme: LinearProgramme, pairs: Floats) -> LinearProgramme:
    """With a row x/X + z/Z <= 1 for each pair."""
    count = pairs.shape[1]
    at = np.tile(np.arange(count), 2)
    rows = csr_array(
        (1.0 / pairs[2:].ravel(), (at, pairs[:2].astype(np.int64).ravel())),
        shape=(count, len(programme.cost)),
    )
    return replace(
        programme,
        matrix=csr_array(vstack([programme.matrix, rows], format="csr")),
        row_lower=np.append(programme.row_lower, np.full(count, -np.inf)),
        row_upper=np.append(programme.row_upper, np.ones(count)),
    )


def _cut(forest: Forest, duals: Duals, where: Mask) -> Picked:
    """The buses to decide on, by themselves: what they give to the bus above has its price."""
    parent, parts = forest.buses.parent, forest.parts
    above = parent[parts.bus]
    below = np.flatnonzero(above != ROOT)
    cost = np.array(parts.cost)
    cost[below] -= parts.up[below] * duals.bus[above[below]]
    alone = replace(
        forest,
        buses=replace(forest.buses, parent=np.full(len(parent), ROOT)),
        parts=replace(parts, up=np.broadcast_to(0.0, cost.shape), cost=cost),
    )
    asked = np.zeros(len(parent), dtype=bool)
    asked[forest.stores.bus[where.any(axis=1)]] = True
    asked[parent[parent != ROOT]] = False
    return pick(alone, buses=asked)


def _row_prices(duals: Duals, cut: Picked) -> Floats:
    """A price for each row of the picked forest, as `written` has them."""
    fields = (
        *(duals.bus[cut.buses], duals.store[cut.stores], duals.budget[cut.budgets]),
        *(duals.peak[cut.peaks], duals.day_limit[cut.day_limits], duals.taper[cut.tapers]),
    )
    return np.concatenate([one.ravel() for one in fields])


def _pairs(forest: Forest, where: Mask) -> Floats:
    """What `_Search` takes, in the forest's columns as they are written."""
    stores = forest.stores
    store, step = np.nonzero(where)
    into = store * forest.steps + step
    mosts = (stores.into_most[store, step], stores.out_most[store, step])
    ways = (stores.gain[store, step], stores.loss[store])
    return np.array([into, into + where.size, *mosts, *ways], dtype=float)


def _with_pairs(parts: Sequence[Part], pairs: Floats) -> Iterator[tuple[Part, Floats]]:
    """The parts that have pairs, with those in the part's own columns."""
    columns = sum(len(part.columns) for part in parts)
    owner, place = np.empty((2, columns), dtype=np.int64)
    for number, part in enumerate(parts):
        owner[part.columns], place[part.columns] = number, np.arange(len(part.columns))
    into = pairs[0].astype(np.int64)
    for number in np.unique(owner[into]).tolist():
        mine = owner[into] == number
        theirs = pairs[:, mine]
        theirs[:2] = place[theirs[:2].astype(np.int64)]
        yield parts[number], theirs


def _share(deadline: Deadline, share: float) -> Deadline:
    """So much of the time that is left."""
    now = deadline.stopwatch()
    return Deadline(deadline.stopwatch, now + (deadline.moment - now) * share)


def _lagrangian(programme: LinearProgramme, y: Floats) -> float:
    """What no point costs less than, by prices of the rows."""
    r = programme.cost - programme.matrix.T @ y
    sides = np.where(y > 0, programme.row_lower, programme.row_upper)
    bounds = np.where(r > 0, programme.lower, programme.upper)
    terms = np.concatenate([y[y != 0] * sides[y != 0], r[r != 0] * bounds[r != 0]])
    return float(terms.sum() + ROUNDING * np.abs(terms).sum())
