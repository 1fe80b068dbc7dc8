"""A of one bus times columns, and its transpose times rows. `forest.py` has the rows written out."""

from __future__ import annotations

from vpp.model.horizon import Floats
from vpp.plan.fleet.jitted.compiling import jit
from vpp.plan.fleet.jitted.dense import copy
from vpp.plan.fleet.jitted.room import Numbers, Sizes


@jit
def add_product(n: Sizes, of: Numbers, b: int, v: Floats, rows: Floats) -> None:
    """Add A v to `rows`, for bus `b` of its block; shapes (C,) and (rows,)."""
    t = n.steps
    bus = rows[n.bus_row : n.bus_row + t]
    for i in range(n.stores):
        at = i * t
        store, out, level = rows[at : at + t], v[n.out + at :][:t], v[n.level + at :][:t]
        _add_store(v[at : at + t], out, of.gain[b, i], of.loss[b, i], store, bus)
        _add_level(level, of.keep[b, i], store)
    for p in range(n.softs):
        i = of.soft_of[b, p]
        _add_level(v[n.soft + p * t :][:t], of.keep[b, i], rows[i * t : i * t + t])
    for j in range(n.budgets):
        drawn = _add_draw(v[n.draw + j * t :][:t], bus)
        rows[n.budget_row + j] += of.weight[b, j] * drawn + v[n.lacking + j] - v[n.spare + j]
    for k in range(n.parts):
        _add_times(of.here[b, k], v[n.part + k * t :][:t], bus)
    for q in range(n.peaks):
        _add_peak(n, of, b, q, v, rows[n.peak_row + q * n.intervals :][: n.intervals])
    for d in range(n.days):
        out = v[n.out + of.day_of[b, d] * t :][:t]
        taken = 0.0
        for step in range(of.day_first[b, d], of.day_end[b, d]):
            taken += out[step]
        rows[n.day_row + d] += v[n.rest + d] + of.loss[b, of.day_of[b, d]] * taken
    for k in range(n.tapers):
        _add_taper(n, of, b, k, v, rows[n.taper_row + k * t :][:t])


@jit
def _add_taper(n: Sizes, of: Numbers, b: int, k: int, v: Floats, row: Floats) -> None:
    t, i, on, steep = n.steps, of.taper_of[b, k], of.on[b, k], of.steep[b, k]
    power = v[(n.out if of.empties[b, k] != 0.0 else 0) + i * t :][:t]
    short = v[n.short + k * t :][:t]
    for step in range(t):
        row[step] += short[step] + on[step] * power[step]
    _add_falling(v[n.level + i * t :][:t], steep, row)
    for p in range(n.softs):
        if of.soft_of[b, p] == i:
            _add_falling(v[n.soft + p * t :][:t], steep, row)


@jit
def _add_falling(level: Floats, steep: Floats, row: Floats) -> None:
    before, now, after = level[:-1], steep[1:], row[1:]
    for step in range(after.size):
        after[step] += now[step] * before[step]


@jit
def _add_peak(n: Sizes, of: Numbers, b: int, q: int, v: Floats, rows: Floats) -> None:
    for k in range(n.parts):
        if of.counts[b, k] != 0.0:
            part = v[n.part + k * n.steps :][: n.steps]
            for t in range(part.size):
                rows[of.interval[b, q, t]] -= of.share[b, q, t] * part[t]
    slack = v[n.slack + q * n.intervals :][: n.intervals]
    for r in range(rows.size):
        rows[r] += v[n.peak + q] - slack[r]


@jit
def transposed(n: Sizes, of: Numbers, b: int, y: Floats, g: Floats) -> None:
    """Find g = A' y, for bus `b` of its block; shapes (rows,) and (C,)."""
    t = n.steps
    w = y[n.bus_row : n.bus_row + t]
    for i in range(n.stores):
        at = i * t
        store, out, level = y[at : at + t], g[n.out + at :][:t], g[n.level + at :][:t]
        _store_prices(store, w, of.gain[b, i], of.loss[b, i], g[at : at + t], out)
        _level_prices(store, of.keep[b, i], level)
    for k in range(n.tapers):
        _taper_prices(n, of, b, k, y[n.taper_row + k * t :][:t], g)
    for p in range(n.softs):
        copy(g[n.level + of.soft_of[b, p] * t :][:t], g[n.soft + p * t :][:t])
    for j in range(n.budgets):
        price = y[n.budget_row + j]
        _draw_prices(of.weight[b, j] * price, w, g[n.draw + j * t :][:t])
        g[n.lacking + j] = price
        g[n.spare + j] = -price
    for k in range(n.parts):
        _times(of.here[b, k], w, g[n.part + k * t :][:t])
    for q in range(n.peaks):
        _peak_prices(n, of, b, q, y[n.peak_row + q * n.intervals :][: n.intervals], g)
    for d in range(n.days):
        i, price = of.day_of[b, d], y[n.day_row + d]
        g[n.rest + d] = price
        for step in range(of.day_first[b, d], of.day_end[b, d]):
            g[n.out + i * t + step] += of.loss[b, i] * price


@jit
def _taper_prices(n: Sizes, of: Numbers, b: int, k: int, y: Floats, g: Floats) -> None:
    t, i, on, steep = n.steps, of.taper_of[b, k], of.on[b, k], of.steep[b, k]
    power = g[(n.out if of.empties[b, k] != 0.0 else 0) + i * t :][:t]
    before = g[n.level + i * t :][: t - 1]
    copy(y, g[n.short + k * t :][:t])
    for step in range(t):
        power[step] += on[step] * y[step]
    now, after = steep[1:], y[1:]
    for step in range(before.size):
        before[step] += now[step] * after[step]


@jit
def _peak_prices(n: Sizes, of: Numbers, b: int, q: int, y: Floats, g: Floats) -> None:
    for k in range(n.parts):
        if of.counts[b, k] != 0.0:
            part = g[n.part + k * n.steps :][: n.steps]
            for t in range(part.size):
                part[t] -= of.share[b, q, t] * y[of.interval[b, q, t]]
    slack = g[n.slack + q * n.intervals :][: n.intervals]
    total = 0.0
    for r in range(y.size):
        total += y[r]
        slack[r] = -y[r]
    g[n.peak + q] = total


@jit
def _add_store(
    into: Floats, out: Floats, gain: Floats, loss: float, store: Floats, bus: Floats
) -> None:
    if gain.size == 1:
        alike = gain[0]
        for t in range(bus.size):
            store[t] += loss * out[t] - alike * into[t]
            bus[t] += out[t] - into[t]
    else:
        for t in range(bus.size):
            store[t] += loss * out[t] - gain[t] * into[t]
            bus[t] += out[t] - into[t]


@jit
def _add_level(level: Floats, keep: float, store: Floats) -> None:
    for t in range(store.size):
        store[t] += level[t]
    before, after = level[:-1], store[1:]
    for t in range(after.size):
        after[t] -= keep * before[t]


@jit
def _add_draw(draw: Floats, bus: Floats) -> float:
    total = 0.0
    for t in range(bus.size):
        bus[t] -= draw[t]
        total += draw[t]
    return total


@jit
def _add_times(factor: Floats, values: Floats, bus: Floats) -> None:
    for t in range(bus.size):
        bus[t] += factor[t] * values[t]


@jit
def _store_prices(
    y: Floats, w: Floats, gain: Floats, loss: float, into: Floats, out: Floats
) -> None:
    if gain.size == 1:
        alike = gain[0]
        for t in range(y.size):
            into[t] = -alike * y[t] - w[t]
            out[t] = loss * y[t] + w[t]
    else:
        for t in range(y.size):
            into[t] = -gain[t] * y[t] - w[t]
            out[t] = loss * y[t] + w[t]


@jit
def _level_prices(y: Floats, keep: float, level: Floats) -> None:
    for t in range(y.size):
        level[t] = y[t]
    before, after = level[:-1], y[1:]
    for t in range(after.size):
        before[t] -= keep * after[t]


@jit
def _draw_prices(price: float, w: Floats, draw: Floats) -> None:
    for t in range(w.size):
        draw[t] = price - w[t]


@jit
def _times(factor: Floats, w: Floats, part: Floats) -> None:
    for t in range(w.size):
        part[t] = factor[t] * w[t]
