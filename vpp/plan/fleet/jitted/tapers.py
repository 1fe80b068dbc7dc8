r"""Tapers taken out of the normal equations of one bus: the twin of `fleet/tapers.py`, which has the formulas.

Of each step t >= 1 of a taper, and e the level before it, the same but for two divisions that are made once:

    I = 1/W (0 where a taper is not on)      phi = th_x I      FREE = L/th_e = 1 / (1 + th_e Σ s² I)
    own   z - s e^ = FREE z + L s' I' (s' z - s z')            the other taper of the store with a dash

A day limit is one more row that sees the level before, where what empties its store tapers.

`bend` leaves th_c', th_d', r and L where `normal.py` and `chains.py` look for weights; `stir` makes U and m/r of
them once the chains are factored, p of `chains.py` found again from sums alone.
"""

from __future__ import annotations

import numpy as np

from vpp.model.horizon import Floats
from vpp.plan.fleet.chains import DEAD
from vpp.plan.fleet.jitted.compiling import jit
from vpp.plan.fleet.jitted.dense import copy, less
from vpp.plan.fleet.jitted.room import (
    FREE,
    INTO,
    LEVEL,
    OUT,
    RATE,
    RD,
    THETA,
    TIE,
    A,
    E,
    G,
    Numbers,
    Room,
    Sizes,
    U,
)
from vpp.plan.fleet.tapers import LEAST_KEPT


@jit
def weigh_levels(n: Sizes, of: Numbers, b: int, theta: Floats, room: Room) -> None:
    """th_e and what is kept, of the stores of bus `b`."""
    t = n.steps
    for i in range(n.stores):
        room.kept[i] = of.keep[b, i]
        copy(theta[n.level + i * t :][:t], room.chains[LEVEL, i])
    for p in range(n.softs):
        less(room.chains[LEVEL, of.soft_of[b, p]], -1.0, theta[n.soft + p * t :][:t])


@jit
def bend(n: Sizes, of: Numbers, b: int, room: Room) -> None:
    """The weights of the stores of bus `b` once their tapers are out, from `room.at[THETA]`."""
    t, theta = n.steps, room.at[THETA]
    if n.tapers == 0:
        return
    weigh_levels(n, of, b, theta, room)
    for i in range(n.stores):
        copy(theta[i * t :][:t], room.bent[INTO, i])
        copy(theta[n.out + i * t :][:t], room.bent[OUT, i])
        room.bent[FREE, i], room.bent[TIE, i] = 0.0, 0.0
    for k in range(n.tapers):
        i = of.taper_of[b, k]
        gain, sign, power = of.gain[b, i], -1.0, room.bent[INTO, i]
        if of.empties[b, k] != 0.0:
            gain, sign, power = of.loss[b, i : i + 1], 1.0, room.bent[OUT, i]
        short = theta[n.short + k * t :][:t]
        _bend_power(power, short, of.on[b, k], of.steep[b, k], sign, gain, k, i, room)
    for i in range(n.stores):
        _bend_level(
            room.bent[FREE, i],
            room.bent[TIE, i],
            room.chains[LEVEL, i],
            room.kept[i],
            of.keep[b, i],
        )


@jit
def _bend_power(
    power: Floats,
    short: Floats,
    on: Floats,
    steep: Floats,
    sign: float,
    gain: Floats,
    k: int,
    i: int,
    room: Room,
) -> None:
    """One taper of a store; `FREE` gathers Σ s² I a step early, `gain` is what a unit does to the level."""
    inverse, stiff, tie, kept = room.width[k], room.bent[FREE, i], room.bent[TIE, i], room.kept[i]
    inverse[0] = 0.0
    alike = gain.size == 1
    for t in range(1, power.size):
        width = power[t] + short[t]
        free = on[t] > 0.0 and width > DEAD
        one = 1.0 / width if free else 0.0
        s, follows = steep[t], power[t] * one * steep[t]
        inverse[t] = one
        stiff[t - 1] += s * s * one
        tie[t] -= sign * follows
        kept[t - 1] += sign * (gain[0] if alike else gain[t]) * follows
        if free:
            power[t] *= short[t] * one


@jit
def _bend_level(stiff: Floats, tie: Floats, level: Floats, kept: Floats, keep: float) -> None:
    """L and FREE in place of th_e and Σ s² I; no r is too near to nothing."""
    for t in range(level.size):
        free = 1.0 / (1.0 + level[t] * stiff[t])
        stiff[t] = free
        level[t] *= free
        if kept[t] != keep and abs(kept[t]) < LEAST_KEPT:
            kept[t] = np.copysign(LEAST_KEPT, kept[t])


@jit
def stir(n: Sizes, room: Room, diagonal: Floats) -> None:
    """U and m/r for `take_out`, and what m adds to the diagonal."""
    for i in range(n.stores):
        _stir_store(
            room.chains[A, i],
            room.chains[E, i],
            room.chains[LEVEL, i],
            room.chains[RD, i],
            room.chains[G, i],
            room.kept[i],
            room.bent[TIE, i],
            room.bent[U, i],
            room.bent[RATE, i],
            diagonal,
        )


@jit
def _stir_store(
    a: Floats,
    e: Floats,
    level: Floats,
    rd: Floats,
    g: Floats,
    kept: Floats,
    tie: Floats,
    u: Floats,
    rate: Floats,
    diagonal: Floats,
) -> None:
    u[0], rate[0] = e[0], 0.0
    p = a[0]
    for t in range(1, a.size):
        left, m = g[t - 1] * p, tie[t]
        u[t] = e[t] - m * left
        rate[t] = m / kept[t - 1]
        diagonal[t] += m * m * (level[t - 1] * rd[t - 1] * p)
        p = a[t] + kept[t - 1] * left


@jit
def add_followed(
    n: Sizes, of: Numbers, b: int, d: int, room: Room, z: Floats, beside: Floats
) -> float:
    """What a day limit counts of the powers that follow the level before: z, F and the limit's own."""
    t, i, own = n.steps, of.day_of[b, d], 0.0
    out, level, tie = room.at[THETA, n.out + i * t :], room.chains[LEVEL, i], room.bent[TIE, i]
    for k in range(n.tapers):
        if of.taper_of[b, k] == i and of.empties[b, k] != 0.0:
            for step in range(max(of.day_first[b, d], 1), of.day_end[b, d]):
                follows = -of.loss[b, i] * out[step] * room.width[k, step] * of.steep[b, k, step]
                moved = level[step - 1] * follows
                z[step - 1] += moved
                z[step] -= room.kept[i, step - 1] * moved
                beside[step] += tie[step] * moved
                own += follows * moved
    return own


@jit
def less_coupled(
    bus: Floats, e: Floats, x: Floats, tie: Floats, level: Floats, kept: Floats
) -> None:
    """The bus's right side less F'x."""
    bus[0] -= e[0] * x[0]
    for t in range(1, bus.size):
        moved = tie[t] * level[t - 1]
        bus[t] -= e[t] * x[t] + moved * (x[t - 1] - kept[t - 1] * x[t])


@jit
def less_spread(x: Floats, e: Floats, w: Floats, tie: Floats, level: Floats, kept: Floats) -> None:
    """A store's right side less F w."""
    x[0] -= e[0] * w[0]
    for t in range(1, x.size):
        moved = tie[t] * level[t - 1] * w[t]
        x[t] -= e[t] * w[t] - kept[t - 1] * moved
        x[t - 1] -= moved


@jit
def lead(n: Sizes, of: Numbers, b: int, room: Room, right: Floats) -> None:
    """Carry what is asked of the tapers into the rows of stores and bus."""
    t, bus = n.steps, right[n.bus_row : n.bus_row + n.steps]
    for k in range(n.tapers):
        i = of.taper_of[b, k]
        empties = of.empties[b, k] != 0.0
        th = room.at[THETA, (n.out if empties else 0) + i * t :][:t]
        gain = of.loss[b, i : i + 1] if empties else of.gain[b, i]
        sign, alike = -1.0 if empties else 1.0, gain.size == 1
        level, keep, store = room.chains[LEVEL, i], of.keep[b, i], right[i * t :][:t]
        asked, own = right[n.taper_row + k * t :][:t], room.asked
        _own(n, of, b, k, room, right, own)
        for step in range(1, t):
            one = room.width[k, step]
            hat = level[step - 1] * of.steep[b, k, step] * one * asked[step]
            x = sign * th[step] * one * own[step]
            store[step] += keep * hat + (gain[0] if alike else gain[step]) * x
            store[step - 1] -= hat
            bus[step] += x
            own[step] = x
        for d in range(n.days):
            if empties and of.day_of[b, d] == i:
                for step in range(max(of.day_first[b, d], 1), of.day_end[b, d]):
                    right[n.day_row + d] += of.loss[b, i] * own[step]


@jit
def back(n: Sizes, of: Numbers, b: int, room: Room, right: Floats, y: Floats) -> None:
    """The duals of the tapers from those of stores and bus; what is asked of them in `right` is used up."""
    t, bus = n.steps, y[n.bus_row : n.bus_row + n.steps]
    for k in range(n.tapers):
        i = of.taper_of[b, k]
        empties = of.empties[b, k] != 0.0
        th = room.at[THETA, (n.out if empties else 0) + i * t :][:t]
        gain = of.loss[b, i : i + 1] if empties else of.gain[b, i]
        sign, alike, store = 1.0 if empties else -1.0, gain.size == 1, y[i * t :][:t]
        asked = right[n.taper_row + k * t :][:t]
        for step in range(t):
            price = sign * ((gain[0] if alike else gain[step]) * store[step] + bus[step])
            asked[step] -= th[step] * price
        for d in range(n.days):
            if empties and of.day_of[b, d] == i:
                paid = of.loss[b, i] * y[n.day_row + d]
                for step in range(of.day_first[b, d], of.day_end[b, d]):
                    asked[step] -= th[step] * paid
    for k in range(n.tapers):
        i = of.taper_of[b, k]
        level, keep, store = room.chains[LEVEL, i], of.keep[b, i], y[i * t :][:t]
        taper, steep = y[n.taper_row + k * t :][:t], of.steep[b, k]
        _own(n, of, b, k, room, right, room.asked)
        taper[0] = 0.0
        for step in range(1, t):
            moved = level[step - 1] * (store[step - 1] - keep * store[step])
            taper[step] = room.width[k, step] * (room.asked[step] - steep[step] * moved)


@jit
def _own(n: Sizes, of: Numbers, b: int, k: int, room: Room, right: Floats, own: Floats) -> None:
    """What of all that is asked is left to the power of taper `k`; the first step has none."""
    t, i = n.steps, of.taper_of[b, k]
    asked, free, level = right[n.taper_row + k * t :][:t], room.bent[FREE, i], room.chains[LEVEL, i]
    for step in range(1, t):
        own[step] = free[step - 1] * asked[step]
    for other in range(n.tapers):
        if of.taper_of[b, other] == i and of.empties[b, other] != of.empties[b, k]:
            steep, theirs, their = of.steep[b, k], of.steep[b, other], room.width[other]
            also = right[n.taper_row + other * t :][:t]
            for step in range(1, t):
                crossed = theirs[step] * asked[step] - steep[step] * also[step]
                own[step] += level[step - 1] * theirs[step] * their[step] * crossed
