"""The normal equations A Theta A' dy = r of one bus: what hangs on it leaves row by row, its own T rows stay.

    stores      `chains.py`; diagonal theta_into + theta_out, less E B^-1 E
    budgets     beta = weight² Σ theta_draw + theta_lacking + theta_spare, less weight² theta_draw theta_draw' / beta
    peaks       for interval r of a peak  D_r = theta_slack + Σ share² theta_c,  kap = 1 / (1/theta_peak + Σ 1/D_r)
                F = diag(1/D) - kap (1/D)(1/D)',  n_t = share_t Σ here theta_c over the parts c that it counts
                less n F n'; where a step is its whole interval, what is left on the diagonal is formed from
                positive numbers alone: (Σ here² theta_c theta_slack + share² Σ (here_c - here_d)² theta_c theta_d) / D
    day limits  z_t = loss² theta_out inside, v = B^-1 z: rows of their own in the dense matrix, behind the T,
                loss² Σ theta_out + theta_rest - z'v, beside the steps loss theta_out - E v
    tapers      leave before all: `tapers.py`

No step is counted by two peaks of one bus.
"""

from __future__ import annotations

from vpp.model.horizon import Floats
from vpp.plan.fleet.chains import DEAD, DROPPED
from vpp.plan.fleet.jitted import dense, tapers
from vpp.plan.fleet.jitted.chains import factor_chains, solve_chains, take_out
from vpp.plan.fleet.jitted.compiling import jit
from vpp.plan.fleet.jitted.room import (
    INTO,
    LEVEL,
    OUT,
    RATE,
    SIDE_BY_SIDE,
    TIE,
    A,
    E,
    Numbers,
    Room,
    Sizes,
    U,
)
from vpp.plan.fleet.normal import LIFT


@jit
def factor_bus(n: Sizes, of: Numbers, b: int, theta: Floats, room: Room) -> None:
    """Form and factor everything for these weights, shape (C,)."""
    form_bus(n, of, b, theta, room)
    dense.factor(room.s)


@jit
def form_bus(n: Sizes, of: Numbers, b: int, theta: Floats, room: Room) -> None:
    """The same with the dense matrix formed and not yet factored; tapers are `bent` already."""
    s, diagonal = room.s, room.w
    s[:] = 0.0
    diagonal[:] = 0.0
    _weigh_stores(n, of, b, theta, room, diagonal[: n.steps])
    factor_chains(room.chains, room.kept)
    coupling = room.chains[E]
    if n.tapers:
        tapers.stir(n, room, diagonal[: n.steps])
        coupling = room.bent[U]
    take_out(room.chains, coupling, room.bent[RATE], s, room.q)
    _weigh_parts(n, of, b, theta, room, diagonal[: n.steps])
    _weigh_budgets(n, of, b, theta, room, diagonal[: n.steps])
    _weigh_days(n, of, b, theta, room)
    for k in range(len(s)):
        s[k, k] = (s[k, k] + diagonal[k]) * LIFT


@jit
def _weigh_stores(
    n: Sizes, of: Numbers, b: int, theta: Floats, room: Room, diagonal: Floats
) -> None:
    t = n.steps
    if n.tapers == 0:
        tapers.weigh_levels(n, of, b, theta, room)
    for i in range(n.stores):
        into, out = theta[i * t :][:t], theta[n.out + i * t :][:t]
        if n.tapers:
            into, out = room.bent[INTO, i], room.bent[OUT, i]
        _weigh_store(into, out, of.gain[b, i], of.loss[b, i], room.chains[A, i], room.chains[E, i])
        _add_two(into, out, diagonal)


@jit
def _weigh_store(
    into: Floats, out: Floats, gain: Floats, loss: float, a: Floats, e: Floats
) -> None:
    if gain.size == 1:
        alike = gain[0]
        for t in range(a.size):
            stored, taken = alike * into[t], loss * out[t]
            a[t] = alike * stored + loss * taken
            e[t] = stored + taken
    else:
        for t in range(a.size):
            stored, taken = gain[t] * into[t], loss * out[t]
            a[t] = gain[t] * stored + loss * taken
            e[t] = stored + taken


@jit
def _add_two(one: Floats, other: Floats, total: Floats) -> None:
    for t in range(total.size):
        total[t] += one[t] + other[t]


@jit
def _weigh_parts(
    n: Sizes, of: Numbers, b: int, theta: Floats, room: Room, diagonal: Floats
) -> None:
    """Σ theta, Σ here theta, Σ here² theta, Σ (here_c - here_d)² theta_c theta_d of counted parts; peaks; the others."""
    sums, t = room.counted, n.steps
    sums[:] = 0.0
    for k in range(n.parts):
        here, part = of.here[b, k], theta[n.part + k * t :][:t]
        if of.counts[b, k] == 0.0:
            _add_square(here, part, diagonal)
            continue
        _add_counted(here, part, sums[0], sums[1], sums[2])
        for other in range(k):
            if of.counts[b, other] != 0.0:
                _add_apart(here, part, of.here[b, other], theta[n.part + other * t :][:t], sums[3])
    for q in range(n.peaks):
        _weigh_peak(n, of, b, q, theta, room, diagonal)
    dense.less(diagonal, -1.0, sums[2])  # of steps that no peak counts


@jit
def _add_square(here: Floats, part: Floats, total: Floats) -> None:
    for t in range(total.size):
        total[t] += here[t] * here[t] * part[t]


@jit
def _add_counted(here: Floats, part: Floats, sigma: Floats, first: Floats, second: Floats) -> None:
    for t in range(sigma.size):
        sigma[t] += part[t]
        first[t] += here[t] * part[t]
        second[t] += here[t] * here[t] * part[t]


@jit
def _add_apart(here: Floats, part: Floats, there: Floats, other: Floats, total: Floats) -> None:
    for t in range(total.size):
        difference = here[t] - there[t]
        total[t] += difference * difference * part[t] * other[t]


@jit
def _weigh_peak(
    n: Sizes, of: Numbers, b: int, q: int, theta: Floats, room: Room, diagonal: Floats
) -> None:
    free, fits, before, sums = room.free[q], room.fits[q], room.before[q], room.counted
    slack = theta[n.slack + q * n.intervals :][: n.intervals]
    dense.copy(slack, free)
    fits[:] = 0.0
    for t in range(n.steps):
        share, r = of.share[b, q, t], of.interval[b, q, t]
        room.near[q, t] = share * sums[1, t]
        free[r] += share * share * sums[0, t]
        if share != 0.0:
            fits[r] += 1.0
    before[0] = 1.0 / max(theta[n.peak + q], DEAD)
    for r in range(free.size):
        free[r] = 1.0 / max(free[r], DEAD)
        before[r + 1] = before[r] + free[r]
    for t in range(n.steps):
        share, r = of.share[b, q, t], of.interval[b, q, t]
        if share != 0.0:
            square = share * share
            rest = slack[r] if fits[r] == 1.0 else max(1.0 / free[r] - square * sums[0, t], 0.0)
            diagonal[t] += (sums[2, t] * rest + square * sums[3, t]) * free[r]
            sums[2, t] = 0.0
        sums[4, t] = room.near[q, t] * free[r]
    _take_out_peak(n, of, b, q, room)


@jit
def _take_out_peak(n: Sizes, of: Numbers, b: int, q: int, room: Room) -> None:
    """S += kap m m' with m = n/D, and less n n'/D between different steps of an interval."""
    m, steps, intervals = room.counted[4], n.steps, n.intervals
    kap = 1.0 / room.before[q, intervals]
    long = False
    for r in range(intervals):
        long = long or room.fits[q, r] > 1.0
    for t in range(steps):
        dense.less(room.s[t, t:steps], -kap * m[t], m[t:])
        if long:
            for later in range(t + 1, steps):
                if of.interval[b, q, later] == of.interval[b, q, t]:
                    room.s[t, later] -= m[t] * room.near[q, later]


@jit
def _weigh_budgets(
    n: Sizes, of: Numbers, b: int, theta: Floats, room: Room, diagonal: Floats
) -> None:
    for j in range(n.budgets):
        weight, total = of.weight[b, j], 0.0
        draw, kept = theta[n.draw + j * n.steps :][: n.steps], room.draw[j]
        for t in range(draw.size):
            total += draw[t]
            kept[t] = weight * draw[t]
            diagonal[t] += draw[t]
        beta = weight * weight * total + theta[n.lacking + j] + theta[n.spare + j]
        room.beta[j] = beta if beta > DEAD else DROPPED
        end = of.end[b, j]
        for t in range(of.first[b, j], end):
            dense.less(room.s[t, t:end], kept[t] / room.beta[j], kept[t:end])


@jit
def _weigh_days(n: Sizes, of: Numbers, b: int, theta: Floats, room: Room) -> None:
    """The rows of the day limits, behind the steps."""
    s, steps, u, beside = room.s, n.steps, room.u, room.beside
    for d in range(n.days):
        i, loss, z, own = of.day_of[b, d], of.loss[b, of.day_of[b, d]], room.reach[d], 0.0
        out = theta[n.out + i * steps :][:steps]
        if n.tapers:
            out = room.bent[OUT, i]
        z[:], beside[:] = 0.0, 0.0
        for t in range(of.day_first[b, d], of.day_end[b, d]):
            beside[t] = loss * out[t]
            z[t] = loss * loss * out[t]
            own += z[t]
        if n.tapers:
            own += tapers.add_followed(n, of, b, d, room, z, beside)
        own += theta[n.rest + d]
        s[steps + d, steps + d] = own if own > DEAD else DROPPED
        four = i // SIDE_BY_SIDE * SIDE_BY_SIDE
        u[four : four + SIDE_BY_SIDE] = 0.0
        dense.copy(z, u[i])
        solve_chains(room.chains, u, four, four + SIDE_BY_SIDE)
        _less_coupled(n, room, i, beside)
        for t in range(steps):
            s[t, steps + d] = beside[t]
        for other in range(d + 1):
            if of.day_of[b, other] == i:
                s[steps + other, steps + d] -= dense.dot(room.reach[other], u[i])


@jit
def _less_coupled(n: Sizes, room: Room, i: int, bus: Floats) -> None:
    """`bus` less what couples it with a store, times `room.u`."""
    if n.tapers:
        tie, level, kept = room.bent[TIE, i], room.chains[LEVEL, i], room.kept[i]
        tapers.less_coupled(bus, room.chains[E, i], room.u[i], tie, level, kept)
    else:
        _less_product(bus, room.chains[E, i], room.u[i])


@jit
def solve_bus(n: Sizes, of: Numbers, b: int, room: Room, right: Floats, y: Floats) -> None:
    """Find y of the factored equations, shape (rows,); `right` is used up."""
    t, u, w = n.steps, room.u, room.w
    bus = right[n.bus_row : n.bus_row + t]
    tapers.lead(n, of, b, room, right)
    for backward in range(2):
        # The chains are solved twice: for what they tell the bus, and once its prices are known.
        for i in range(n.stores):
            dense.copy(right[i * t :][:t], u[i])
            if backward and n.tapers:
                tie, level, kept = room.bent[TIE, i], room.chains[LEVEL, i], room.kept[i]
                tapers.less_spread(u[i], room.chains[E, i], w[:t], tie, level, kept)
            elif backward:
                _less_product(u[i], room.chains[E, i], w[:t])
        if backward:
            for d in range(n.days):
                dense.less(u[of.day_of[b, d]], w[t + d], room.reach[d])
        solve_chains(room.chains, u, 0, len(u))
        if backward:
            break
        for i in range(n.stores):
            _less_coupled(n, room, i, bus)
        for d in range(n.days):
            w[t + d] = right[n.day_row + d] - dense.dot(room.reach[d], u[of.day_of[b, d]])
        _lead(n, of, b, room, right, y, bus)
        dense.copy(bus, w[:t])
        dense.solve(room.s, w)
    _back(n, of, b, room, right, y)


@jit
def _lead(n: Sizes, of: Numbers, b: int, room: Room, right: Floats, y: Floats, bus: Floats) -> None:
    """What budgets and peaks tell the bus."""
    for j in range(n.budgets):
        dense.less(bus, -right[n.budget_row + j] / room.beta[j], room.draw[j])
    for q in range(n.peaks):
        at = n.peak_row + q * n.intervals
        found = y[at : at + n.intervals]
        _apply_peak(room.free[q], room.before[q], right[at : at + n.intervals], found)
        for t in range(n.steps):
            bus[t] += room.near[q, t] * found[of.interval[b, q, t]]


@jit
def _back(n: Sizes, of: Numbers, b: int, room: Room, right: Floats, y: Floats) -> None:
    """All other rows, from the dense ones in `room.w` and the chains' in `room.u`."""
    t, w = n.steps, room.w
    for i in range(n.stores):
        dense.copy(room.u[i], y[i * t :][:t])
    dense.copy(w[:t], y[n.bus_row : n.bus_row + t])
    for j in range(n.budgets):
        drawn = dense.dot(room.draw[j], w[:t])
        y[n.budget_row + j] = (right[n.budget_row + j] + drawn) / room.beta[j]
    for q in range(n.peaks):
        at = n.peak_row + q * n.intervals
        rows = right[at : at + n.intervals]
        for step in range(t):
            rows[of.interval[b, q, step]] += room.near[q, step] * w[step]
        _apply_peak(room.free[q], room.before[q], rows, y[at : at + n.intervals])
    for d in range(n.days):
        y[n.day_row + d] = w[t + d]
    tapers.back(n, of, b, room, right, y)


@jit
def _apply_peak(free: Floats, before: Floats, right: Floats, y: Floats) -> None:
    """Find y = F right, by substitution: gd r - kap gd (gd'r) would cancel where theta_peak is huge."""
    earlier = 0.0
    for r in range(free.size):
        y[r] = right[r] - earlier / before[r]
        earlier += free[r] * right[r]
    later = 0.0
    for back in range(free.size):
        r = free.size - 1 - back
        x, then = y[r], before[r + 1]
        y[r] = free[r] * (x * (before[r] / then) - later)
        later += x * free[r] / then


@jit
def _less_product(row: Floats, a: Floats, b: Floats) -> None:
    for t in range(row.size):
        row[t] -= a[t] * b[t]
