"""The answer of a forest in the columns and rows of the programme it was fitted to, and whether it is one.

Values: what stores, budgets and parts do is copied; what follows from it is worked out anew, so that every
row is kept to rounding: levels follow from what goes in and out, import or export from the balance, short or
long from the market's, slacks fill their rows, cheapest first.

Prices: balances, chains, budgets and peaks have those of the forest's rows; a limit or a wish that became
stairs is worth what the stairs say. They are kept within what their slacks allow.

Neither is believed. Each tree's rows are looked at one by one, and the programme's own Lagrangian bound is
worked out: an error in any of this shows as a row that is broken, or as a gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.fit import Fitted
from vpp.plan.fleet.fitting.ledger import Bools, Ledger, Role, summed
from vpp.plan.fleet.forest import Solved
from vpp.plan.fleet.sums import slices
from vpp.plan.parts import Narrow
from vpp.plan.programme import Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Back:
    """Values and prices of what was solved; everything else stands at 0, or at what holds it."""

    x: Floats
    row_marginals: Floats
    column_marginals: Floats

    residual: Floats
    """Of each tree: how far its worst row is off, relative to 1 and the sizes in it; shape (trees,)."""

    cost: Floats
    """Of what may move of each tree."""

    bound: Floats
    """No values of a tree cost less."""


def back(fitted: Fitted, solved: Solved) -> Back:
    """The answer in the programme's columns and rows, checked."""
    x = _values(fitted, solved)
    prices = _prices(fitted, solved)
    return checked(fitted.ledger, fitted.tree, x, prices)


# ------------------------------------------------------------ values


def _values(fitted: Fitted, solved: Solved) -> Floats:
    ledger, hanging, chains = fitted.ledger, fitted.hanging, fitted.chains
    point, stores = solved.point, hanging.stores
    x = np.zeros(len(ledger.lower))

    def put(columns: Ints, what: Floats) -> None:
        shown = (columns >= 0) & ledger.free[columns]
        x[columns[shown]] = what[shown]

    into, out = point.into, point.out
    put(chains.into[stores], into)
    put(chains.out[stores], out)
    level = fitted.signs[stores, None] * _levels(fitted, into, out)
    main = chains.level[stores]
    least, most = ledger.lower[main], ledger.upper[main]
    zones: Bools = np.any(chains.hot[stores] >= 0, axis=1, keepdims=True)
    put(main, np.where(zones, np.clip(level, least, most), level))
    put(chains.hot[stores], np.maximum(level - most, 0.0))
    put(chains.cold[stores], np.maximum(least - level, 0.0))
    put(hanging.windows.columns[hanging.window_order], point.draw)
    put(hanging.parts.columns, point.part)
    _alone(fitted, x)
    np.clip(x, ledger.lower, ledger.upper, out=x, where=ledger.free & (ledger.role != Role.LEVEL))
    _balance(fitted, x)
    _fill(fitted, x)
    _peaks(fitted, x)
    way, fills, empties = ledger.programme.ways
    x[way] = np.where(x[fills] > x[empties], 1.0, 0.0)
    return x


def _levels(fitted: Fitted, into: Floats, out: Floats) -> Floats:
    """What is stored after each step, by what went in and out, shape (n, T)."""
    stores = fitted.hanging.forest.stores
    moved = stores.given + stores.gain * into - stores.loss[:, None] * out
    level = np.empty_like(moved)
    now = np.zeros(len(moved))
    for t in range(moved.shape[1]):
        now = stores.keep * now + moved[:, t]
        level[:, t] = now
    return level


def _alone(fitted: Fitted, x: Floats) -> None:
    """Columns that stand in no row are as cheap as they can be."""
    ledger = fitted.ledger
    alone = np.flatnonzero(ledger.free & ~ledger.standing())
    x[alone] = np.where(ledger.cost[alone] >= 0, ledger.lower[alone], ledger.upper[alone])


def _balance(fitted: Fitted, x: Floats) -> None:
    """Import or export from what the points' balances ask, then short or long from the market's."""
    ledger, programme = fitted.ledger, fitted.ledger.programme
    points, market = programme.fleet.points, programme.fleet.market
    x[points.imports], x[points.exports] = 0.0, 0.0
    balance = programme.balance[: len(points.imports)]
    net = ledger.row_lower[balance] - ledger.of_rows(x)[balance]
    x[points.imports] = np.where(ledger.free[points.imports], np.maximum(-net, 0.0), 0.0)
    x[points.exports] = np.where(ledger.free[points.exports], np.maximum(net, 0.0), 0.0)
    if len(market.rows) and ledger.free[market.short].any():
        x[market.short], x[market.long] = 0.0, 0.0
        lacks = ledger.row_lower[market.rows] - ledger.of_rows(x)[market.rows]
        x[market.short], x[market.long] = np.maximum(lacks, 0.0), np.maximum(-lacks, 0.0)
    nodes, networks = programme.balance[len(points.imports) :], programme.fleet.networks
    if nodes.size:
        x[networks.spilled], x[networks.lacking] = 0.0, 0.0
        over = ledger.row_lower[nodes] - ledger.of_rows(x)[nodes]
        moves = ledger.free[networks.spilled]
        x[networks.spilled] = np.where(moves, np.maximum(over, 0.0), 0.0)
        x[networks.lacking] = np.where(moves, np.maximum(-over, 0.0), 0.0)


def _fill(fitted: Fitted, x: Floats) -> None:
    """Let the slacks of each row make good what it lacks or has too much, cheapest first."""
    ledger, slacks = fitted.ledger, fitted.sides.slacks
    if not len(slacks.row):
        return
    x[slacks.column] = 0.0
    stands = ledger.of_rows(x)[slacks.row]
    low = slacks.value > 0
    beyond = np.where(
        low, ledger.row_lower[slacks.row] - stands, stands - ledger.row_upper[slacks.row]
    )
    filled = np.clip(
        (beyond - slacks.before) / np.abs(slacks.value), 0.0, ledger.upper[slacks.column]
    )
    x[slacks.column] = np.where(np.isfinite(beyond), filled, 0.0)


def _peaks(fitted: Fitted, x: Floats) -> None:
    """Every peak as low as its intervals allow; what is used of a margin is what lacks beside it."""
    ledger, sides = fitted.ledger, fitted.sides
    if not sides.peak.any():
        return
    aside = ledger.aside
    row, column, _ = aside.only(sides.peak[aside.row] & sides.peaks[aside.column])
    x[sides.peaks & ledger.free] = 0.0
    many = np.bincount(row, minlength=len(ledger.kind))
    for few in (1, 2):  # first those that are alone in their rows
        at = many[row] == few
        if not at.any():
            continue
        asked = ledger.row_lower - ledger.of_rows(x)
        if few == 2:
            at &= ~ledger.among(column[many[row] == 1])[column]
        np.maximum.at(x, column[at], asked[row[at]])


# ------------------------------------------------------------ prices


def _prices(fitted: Fitted, solved: Solved) -> Floats:
    ledger, hanging, chains = fitted.ledger, fitted.hanging, fitted.chains
    duals, programme, sides = solved.duals, fitted.ledger.programme, fitted.sides
    price = np.zeros(len(ledger.kind))
    bus = np.zeros((len(hanging.bus), hanging.forest.steps))
    shown = hanging.bus >= 0
    bus[shown] = duals.bus[hanging.bus[shown]]
    balances = len(programme.balance)
    price[programme.balance] = -bus[:balances]
    if len(programme.fleet.market.rows):
        price[programme.fleet.market.rows] = bus[balances]
    price[chains.rows[hanging.stores]] = fitted.signs[hanging.stores, None] * duals.store
    price[hanging.windows.row[hanging.window_order]] = duals.budget
    rows = hanging.peaks.rows[hanging.peak_order]
    real = rows >= 0
    price[rows[real]] = np.maximum(duals.peak[real], 0.0)
    price[hanging.days.row[hanging.day_order]] = np.minimum(duals.day_limit, 0.0)
    rows = hanging.tapering.rows[hanging.taper_order]
    price[rows[rows >= 0]] = np.minimum(duals.taper[rows >= 0], 0.0)
    _rooms(fitted, bus, price)
    slacks = sides.slacks
    folds = sides.fold[slacks.row]
    price[slacks.row[folds]] = slacks.price[folds]
    price[~ledger.used] = 0.0
    _stairs(fitted, bus, price)
    price = _within_slacks(fitted, price)
    _caps(fitted, price)
    return price


def _rooms(fitted: Fitted, bus: Floats, price: Floats) -> None:
    """A car park's room is worth what its cars pay more than its connection point."""
    park_of, rows = fitted.hanging.park_of, fitted.ledger.programme.fleet.cars.room
    for park in np.flatnonzero(park_of >= 0).tolist():
        own = park_of[park]
        above = fitted.places.parent[own]
        price[rows[park]] = np.minimum(bus[above] - bus[own], 0.0)


def _caps(fitted: Fitted, price: Floats) -> None:
    """What limits one power alone is worth all that a unit more of it would save."""
    ledger, sides = fitted.ledger, fitted.sides
    row, column, _ = ledger.aside.only(sides.cap[ledger.aside.row])
    if len(row):
        price[row] = np.minimum(ledger.left(price)[column], 0.0)


def _stairs(fitted: Fitted, bus: Floats, price: Floats) -> None:
    """What limits of groups are worth, then those of single points, and wishes about levels."""
    ledger, hanging, places = fitted.ledger, fitted.hanging, fitted.places
    steps, count = hanging.forest.steps, len(places.parent)
    parent = np.array(places.parent)
    above = np.where(parent[:, None] >= 0, bus[parent], 0.0)
    slope = np.zeros((count, steps))
    groups = np.array(list(places.groups), dtype=np.int64)
    slope[groups] = (above - bus)[groups]
    rows = len(price)
    worth = hanging.nets.worth(slope.ravel(), rows)
    points = ledger.programme.fleet.points
    joined = fitted.sides.limit & (fitted.places.limit_bus >= len(points.imports))
    price[joined] = worth[joined]
    left = ledger.left(price)
    slope[: len(points.imports)] = _nearest_0(-left[points.imports], left[points.exports])
    worth = hanging.nets.worth(-slope.ravel(), rows)
    single = fitted.sides.limit & ~joined
    price[single] = worth[single]
    owners = np.zeros(fitted.chains.rows.shape)
    owners[:] = np.where(ledger.free[fitted.chains.level], -left[fitted.chains.level], 0.0)
    level = fitted.sides.level
    price[level] = hanging.levels.worth(owners.ravel(), rows)[level]


def _nearest_0(least: Floats, most: Floats) -> Floats:
    nearest: Floats = np.clip(0.0, least, np.maximum(least, most))
    return nearest


def _within_slacks(fitted: Fitted, price: Floats) -> Floats:
    """No row is worth more than the slack without a bound that would break it."""
    ledger, slacks = fitted.ledger, fitted.sides.slacks
    endless = np.isinf(ledger.upper[slacks.column])
    for sign in (1.0, -1.0):
        at = endless & (np.sign(slacks.value) == sign)
        row, most = slacks.row[at], slacks.price[at]
        price[row] = sign * np.minimum(sign * price[row], most)
    # A side that is not there is worth nothing.
    price = np.where(np.isneginf(ledger.row_lower), np.minimum(price, 0.0), price)
    kept: Floats = np.where(np.isposinf(ledger.row_upper), np.maximum(price, 0.0), price)
    return kept


# ------------------------------------------------------------ checks


def checked(ledger: Ledger, tree: Narrow, x: Floats, price: Floats) -> Back:
    """Look at every row, and work out the programme's own bound.

    Args:
        ledger: What may move.
        tree: Of each row, then of each column.
        x: A value for each column of the programme.
        price: One for each row, 0 or of the sign of a side that is there.
    """
    rows, trees = len(ledger.kind), int(tree.max(initial=0)) + 1
    of_row, of_column = tree[:rows], tree[rows:]
    stands = ledger.of_rows(x)
    size = 1 + ledger.sizes(x)
    off = np.maximum(np.maximum(ledger.row_lower - stands, stands - ledger.row_upper), 0.0) / size
    residual = np.zeros(trees)
    np.maximum.at(residual, of_row[ledger.used], off[ledger.used])
    left = ledger.left(price)
    side = np.where(price > 0, ledger.row_lower, ledger.row_upper)
    from_rows = np.where(price != 0, price * np.where(price != 0, side, 0.0), 0.0)
    bound, cost = np.zeros((2, trees))
    np.add.at(bound, of_row[ledger.used], from_rows[ledger.used])
    for some in slices(len(x), 1):
        _add_columns(ledger, some, of_column[some], x[some], left[some], (residual, bound, cost))
    # Nothing holds a column from above that has no bound there: below 0 is rounding.
    held_above = np.isfinite(ledger.programme.upper)
    left[~(ledger.free & (held_above | (left > 0)))] = 0.0
    return Back(
        x=x,
        row_marginals=price,
        column_marginals=left,
        residual=residual,
        cost=cost,
        bound=bound,
    )


def _add_columns(
    ledger: Ledger,
    some: slice,
    tree: Narrow,
    x: Floats,
    left: Floats,
    told: tuple[Floats, Floats, Floats],
) -> None:
    """Add what a slice of the columns says to residual, bound and cost of the trees."""
    residual, bound, cost = told
    free, lower, upper = ledger.free[some], ledger.lower[some], ledger.upper[some]
    endless = np.isinf(upper)
    beyond = np.maximum(np.maximum(lower - x, x - upper), 0.0)
    beyond /= 1 + np.abs(np.where(endless, 0.0, upper))
    np.maximum.at(residual, tree[free], beyond[free])
    # Slacks without a bound: their rows' prices were held within what they cost, to rounding.
    end = np.where(left >= 0, lower, np.where(endless, 0.0, upper))
    bound += summed(tree, np.where(free, left * np.where(free, end, 0.0), 0.0), len(bound))
    wrong = free & endless & (left < -1e-9 * (1 + np.abs(ledger.cost[some])))
    bound[tree[wrong]] = -np.inf
    cost += summed(tree, np.where(free, ledger.cost[some] * x, 0.0), len(cost))
