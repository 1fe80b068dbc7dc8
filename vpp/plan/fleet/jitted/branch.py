"""What a tree's Newton step does to each of its buses, compiled: the twin of `fleet/branch.py`.

    up      BEGIN    go the last step, weigh and factor; hand W, U x and U dx0 to the parents; roots
                     that meet write what they would answer, S^-1 of their right side, in the place of dw
    down    AFFINE   dmu is known: the affine direction, and how far it leads
    up      AIM      draw the targets to sm; hand U dx0 to the parents; roots that meet answer alike
    down    CORRECT  the direction to go; leaves correct themselves

Between sweeps a bus keeps its point, its direction, its rows and its factors (`Kept`); everything else is
made anew in the room of the worker, where it does not leave the cache.
"""

from __future__ import annotations

from typing import NamedTuple

from vpp.model.horizon import Floats
from vpp.plan.fleet.forest import Ints
from vpp.plan.fleet.jitted import dense
from vpp.plan.fleet.jitted.compiling import entry, jit
from vpp.plan.fleet.jitted.crossing import Cross, hand_up, weigh_crossing
from vpp.plan.fleet.jitted.dense import copy, dot
from vpp.plan.fleet.jitted.normal import form_bus, solve_bus
from vpp.plan.fleet.jitted.products import add_product, transposed
from vpp.plan.fleet.jitted.room import (
    ATY,
    DX,
    DY,
    IL,
    IU,
    LIVE,
    RD,
    RESIDUAL,
    THETA,
    WEIGHED,
    XL,
    XU,
    ZL,
    ZU,
    E,
    G,
    H,
    Numbers,
    P,
    R,
    Room,
    Sizes,
    Y,
)
from vpp.plan.fleet.jitted.steps import advance, aim, correct, dual_residual, predict, worth
from vpp.plan.fleet.jitted.tapers import bend
from vpp.plan.fleet.local import BEYOND, SHORT, SPREAD, TIMES
from vpp.plan.fleet.newton import STILL, TIED_SHORT_OF

BEGIN, AFFINE, AIM, CORRECT = range(4)
"""The phases of an iteration."""

COST, BOUND, LEFT, LACK, LACK_BUS, LACK_DUAL = range(6)
"""What is told of a point, as in `tied.Seen`."""

PRIMAL, DUAL, NOW, ALONG, ACROSS = range(5)
"""What is told of a direction, as in `newton.Reach` and `Sums`."""


class Kept(NamedTuple):
    """What the buses of a block keep; the bus is the first axis of all."""

    u: Floats
    c: Floats
    right: Floats
    up: Floats
    at: Floats
    """Shape (B, 7, C)."""

    rows: Floats
    """As `Room.rows` without `RIGHT`, shape (B, 3, rows)."""

    chains: Floats
    """1/d, g and E, shape (B, 3, fours, T)."""

    s: Floats
    draw: Floats
    beta: Floats
    near: Floats
    free: Floats
    before: Floats
    reach: Floats
    seen: Floats
    """Shape (B, 6)."""

    told: Floats
    """Shape (B, 5)."""

    place: Ints
    above: Ints
    inner: Ints
    """Which of the meeting's matrices is its own, -1 for leaves."""

    slot: Ints
    """Which it adds to, -1 for roots."""


class Asked(NamedTuple):
    """What the driver asks, by place."""

    running: Floats
    """1, or 0 for buses that are left out."""

    gone: Floats
    """How far the last direction is gone (primal, dual), shape (2, n); of BEGIN alone."""

    sm: Floats
    """What products are drawn to, shape (n,); of AIM and CORRECT."""

    correcting: Floats
    """1 where a leaf may correct itself."""

    roots_meet: bool
    """Whether something enters all roots (`fleet/shared.py`)."""


class Meeting(NamedTuple):
    """Where buses meet: by place, or by slot."""

    w: Floats
    dw: Floats
    matrix: Floats
    """Σ W, upper triangle, shape (slots, T, T)."""

    through: Floats
    asked: Floats


@entry
def sweep(
    n: Sizes,
    of: Numbers,
    kept: Kept,
    meeting: Meeting,
    first: int,
    stop: int,
    phase: int,
    asked: Asked,
    room: Room,
    cross: Cross,
) -> None:
    """One of the four phases for the buses from `first` to `stop` of a block.

    All four are one function: what they have in common is compiled once.
    """
    for b in range(first, stop):
        place = kept.place[b]
        if asked.running[place] == 0.0:
            continue
        here = _room_of(room, kept, b)
        primal, dual = asked.gone[0, place], asked.gone[1, place]
        if phase == BEGIN:
            for i in range(n.rows):
                here.rows[Y, i] += dual * here.rows[DY, i]
            s0 = _load(n, of, kept, meeting, b, here, primal, dual)
            _look(n, of, kept, meeting, b, here, s0)
            _factor(n, of, kept, meeting, b, here, cross)
        else:
            kept.told[b, NOW] = _load(n, of, kept, meeting, b, here, 0.0, 0.0)
        if phase in (AIM, CORRECT):
            copy(kept.at[b, 4], here.at[DX, : n.columns])
            aim(here.at, n.columns, asked.sm[place])
        if phase in (AFFINE, CORRECT) or kept.slot[b] >= 0 or asked.roots_meet:
            _direct(n, of, kept, meeting, b, phase, asked, here, cross)


@jit
def _direct(
    n: Sizes,
    of: Numbers,
    kept: Kept,
    meeting: Meeting,
    b: int,
    phase: int,
    asked: Asked,
    room: Room,
    cross: Cross,
) -> None:
    """Solve for the right side of the phase, and hand up or keep what comes of it; perhaps once more."""
    size, at, place, told = n.columns, room.at, kept.place[b], kept.told[b]
    dmu = meeting.dw[kept.above[b]]
    attempts = 1
    if phase == CORRECT and kept.inner[b] < 0 and asked.correcting[place] != 0.0:
        attempts += TIMES
    own = -1.0
    for attempt in range(attempts):
        if attempt:
            if not own < SHORT:
                break
            _retarget(kept.at[b], at, size, min(1.0, own + BEYOND), asked.sm[place])
        if phase in (AFFINE, CORRECT):
            _less_up(n, kept.up[b], dmu, at)
        _right_side(n, of, kept, meeting, b, room, cross.right)
        solve_bus(n, of, b, room, cross.right, cross.dy)
        if phase in (BEGIN, AIM):
            if kept.slot[b] >= 0:
                _ask(n, of, b, kept.up[b], room, cross.dy, meeting.asked[kept.slot[b]])
            else:
                copy(cross.dy[n.bus_row : n.budget_row], meeting.dw[place])
            break
        transposed(n, of, b, cross.dy, at[ATY])
        _add_up(n, kept.up[b], dmu, at[ATY])
        if phase == AFFINE:
            told[PRIMAL], told[DUAL], told[ALONG], told[ACROSS] = predict(at, size)
        else:
            primal, dual = correct(at, size, TIED_SHORT_OF)
            if not min(primal, dual) > own:
                break
            own = min(primal, dual)
            told[PRIMAL], told[DUAL] = primal, dual
            copy(cross.dy, room.rows[DY, : n.rows])
            copy(at[P, :size], kept.at[b, 5])
            copy(at[R, :size], kept.at[b, 6])
        copy(at[DX, :size], kept.at[b, 4])
        if attempt == 0:
            # Children are told once; a leaf that corrects itself has none.
            copy(cross.dy[n.bus_row : n.budget_row], meeting.dw[place])


@jit
def _factor(
    n: Sizes,
    of: Numbers,
    kept: Kept,
    meeting: Meeting,
    b: int,
    room: Room,
    cross: Cross,
) -> None:
    """Factor with what the children hand up, and hand up W."""
    form_bus(n, of, b, room.at[THETA], room)
    if kept.inner[b] >= 0:
        below = meeting.matrix[kept.inner[b]]
        for t in range(n.steps):
            dense.less(room.s[t, t : n.steps], -1.0, below[t, t:])
    dense.factor(room.s)
    _keep_chains(room.chains, kept.chains[b])
    if kept.slot[b] >= 0:
        weigh_crossing(n, of, b, kept.up[b], room, cross)
        hand_up(n, of, b, room, cross, meeting.matrix[kept.slot[b]])


@jit
def _room_of(room: Room, kept: Kept, b: int) -> Room:
    """The worker's room with what this bus keeps in it."""
    return Room(
        room.at,
        kept.rows[b],
        room.chains,
        room.u,
        room.kept,
        room.bent,
        room.width,
        room.asked,
        kept.s[b],
        room.w,
        room.q,
        kept.draw[b],
        kept.beta[b],
        kept.near[b],
        kept.free[b],
        kept.before[b],
        room.fits,
        room.counted,
        kept.reach[b],
        room.beside,
    )


@jit
def _load(
    n: Sizes,
    of: Numbers,
    kept: Kept,
    meeting: Meeting,
    b: int,
    room: Room,
    primal: float,
    dual: float,
) -> float:
    """Columns, weights, h and factors of a bus, as far as its step is gone; the sum of products."""
    size, at = n.columns, room.at
    held, u, c = kept.at[b], kept.u[b], kept.c[b]
    copy(held[0], at[XL, :size])
    copy(held[1], at[XU, :size])
    copy(held[2], at[ZL, :size])
    copy(held[3], at[ZU, :size])
    copy(held[4], at[DX, :size])
    copy(held[5], at[P, :size])
    copy(held[6], at[R, :size])
    transposed(n, of, b, room.rows[Y], at[ATY])
    _add_up(n, kept.up[b], meeting.w[kept.above[b]], at[ATY])
    for j in range(size):
        at[H, j] = c[j] - at[ATY, j]
        at[ATY, j] = 0.0  # h is where the step leads already
        at[LIVE, j] = STILL if u[j] <= 0.0 else 1.0
    _get_chains(kept.chains[b], room.chains)
    s0: float = advance(at, size, primal, dual)
    bend(n, of, b, room)
    return s0


@jit
def _keep_chains(chains: Floats, kept: Floats) -> None:
    for i in range(chains.shape[1]):
        copy(chains[RD, i], kept[0, i])
        copy(chains[G, i], kept[1, i])
        copy(chains[E, i], kept[2, i])


@jit
def _get_chains(kept: Floats, chains: Floats) -> None:
    for i in range(chains.shape[1]):
        copy(kept[0, i], chains[RD, i])
        copy(kept[1, i], chains[G, i])
        copy(kept[2, i], chains[E, i])


@jit
def _look(
    n: Sizes, of: Numbers, kept: Kept, meeting: Meeting, b: int, room: Room, s0: float
) -> None:
    """Keep the point, compute r, tell the parent what comes through, and what the point is worth."""
    at, size, seen, right = room.at, n.columns, kept.seen[b], kept.right[b]
    copy(at[XL, :size], kept.at[b, 0])
    copy(at[XU, :size], kept.at[b, 1])
    copy(at[ZL, :size], kept.at[b, 2])
    copy(at[ZU, :size], kept.at[b, 3])
    for j in range(size):
        at[WEIGHED, j] = -at[XL, j] if at[LIVE, j] == 1.0 else 0.0
    lack = room.rows[RESIDUAL]
    copy(right, lack[: n.rows])
    add_product(n, of, b, at[WEIGHED], lack)
    if kept.inner[b] >= 0:
        dense.less(lack[n.bus_row : n.budget_row], 1.0, meeting.through[kept.inner[b]])
    if kept.slot[b] >= 0:
        through = meeting.through[kept.slot[b]]
        for k in range(n.parts):
            _less_times(kept.up[b, k], at[WEIGHED, n.part + k * n.steps :], through, 1.0)
    seen[COST], least = worth(kept.u[b], kept.c[b], at)
    seen[BOUND] = least + dot(right, room.rows[Y, : n.rows])
    seen[LEFT] = s0
    seen[LACK_DUAL] = dual_residual(at, size)
    seen[LACK_BUS] = _lack(lack, right, n.bus_row, n.budget_row)
    seen[LACK] = max(seen[LACK_BUS], _lack(lack, right, 0, n.bus_row))
    seen[LACK] = max(seen[LACK], _lack(lack, right, n.budget_row, n.peak_row))
    seen[LACK] = max(seen[LACK], _lack(lack, right, n.peak_row, n.day_row))
    seen[LACK] = max(seen[LACK], _lack(lack, right, n.day_row, n.taper_row))
    seen[LACK] = max(seen[LACK], _lack(lack, right, n.taper_row, n.rows))
    for j in range(size):
        at[WEIGHED, j] = at[THETA, j] * at[H, j]


@jit
def _lack(residual: Floats, right: Floats, begin: int, end: int) -> float:
    """The largest residual relative to 1 + the largest right side or A x there."""
    most = size = 0.0
    for i in range(begin, end):
        if not abs(residual[i]) <= most:  # NaN is the largest
            most = abs(residual[i])
        size = max(size, abs(right[i]), abs(right[i] - residual[i]))
    return most / (1.0 + size)


@jit
def _right_side(
    n: Sizes, of: Numbers, kept: Kept, meeting: Meeting, b: int, room: Room, right: Floats
) -> None:
    """Put R + A theta h', and what the children ask, into `right`."""
    copy(room.rows[RESIDUAL], right)
    add_product(n, of, b, room.at[WEIGHED], right)
    if kept.inner[b] >= 0:
        dense.less(right[n.bus_row : n.budget_row], -1.0, meeting.asked[kept.inner[b]])


@jit
def _ask(n: Sizes, of: Numbers, b: int, up: Floats, room: Room, dy: Floats, asked: Floats) -> None:
    """The parent's right side less U dx0."""
    t, at = n.steps, room.at
    for k in range(n.parts):
        theta, weighed = at[THETA, n.part + k * t :], at[WEIGHED, n.part + k * t :]
        for step in range(t):
            price = of.here[b, k, step] * dy[n.bus_row + step]
            if of.counts[b, k] != 0.0:
                for q in range(n.peaks):
                    at_peak = n.peak_row + q * n.intervals + of.interval[b, q, step]
                    price -= of.share[b, q, step] * dy[at_peak]
            asked[step] -= up[k, step] * (theta[step] * price - weighed[step])


@jit
def _less_up(n: Sizes, up: Floats, dmu: Floats, at: Floats) -> None:
    """Theta h' less theta U'dmu."""
    t = n.steps
    for k in range(n.parts):
        theta, weighed = at[THETA, n.part + k * t :], at[WEIGHED, n.part + k * t :]
        for step in range(t):
            weighed[step] -= theta[step] * up[k, step] * dmu[step]


@jit
def _add_up(n: Sizes, up: Floats, mu: Floats, aty: Floats) -> None:
    """A'y and U'mu."""
    for k in range(n.parts):
        _less_times(up[k], mu, aty[n.part + k * n.steps :], -1.0)


@jit
def _less_times(a: Floats, b: Floats, row: Floats, factor: float) -> None:
    for t in range(a.size):
        row[t] -= factor * a[t] * b[t]


@jit
def _retarget(held: Floats, at: Floats, size: int, ahead: float, sm: float) -> None:
    """Targets of another corrector (`fleet/local.py`), from the direction that is kept."""
    low, high = sm / SPREAD, sm * SPREAD
    for j in range(size):
        dx, lower, upper = held[4, j], held[5, j], held[6, j]
        xl, xu, zl, zu = at[XL, j], at[XU, j], at[ZL, j], at[ZU, j]
        il, iu = at[IL, j], at[IU, j]
        below = (xl + ahead * dx) * (zl + ahead * lower)
        above = (xu - ahead * dx) * (zu + ahead * upper)
        below = max(min(max(below, low), high) - below, -high)
        above = max(min(max(above, low), high) - above, -high)
        p = lower + zl + zl * il * dx + below * il
        r = upper + zu - zu * iu * dx + above * iu
        at[P, j], at[R, j] = p, r
        at[WEIGHED, j] = at[THETA, j] * (at[H, j] - p + r)
