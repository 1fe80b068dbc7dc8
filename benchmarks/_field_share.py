"""Sharing among very many units: how long each rule takes, and with steps, dwell and notice.

The units are made, by a fixed seed: half are stores, sizes over two decades, 200 different costs. One
call is the room made and checked, and shared; the total changes from call to call as a signal does.
The median of the calls counts, the first (which sorts, where a rule sorts) left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sin
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks.harness import BrokenBenchmarkError, Figure
from vpp.act.rules import Order, Room, Rule, hand_out
from vpp.act.steps import Standing, Steps, hand_out_steps
from vpp.model.horizon import Floats

CALLS = 15
SIGNAL = 0.1
"""The total swings by this part of all headroom."""

Columns = dict[str, Floats]
Share = Callable[[Rule, float, Order | None], tuple[Floats, float, Order]]


def figures(*, small: bool) -> Sequence[Figure]:
    """Each rule at 100 000 and 1 000 000 units, and stepped units at 100 000.

    Raises:
        BrokenBenchmarkError: A share did not add up.
    """
    size = 2_000 if small else 100_000
    found = []
    few, many = _columns(size), _columns(size if small else 10 * size)
    for rule in Rule:
        few_ms, many_ms = (_ms(columns, rule, _plain(columns)) for columns in (few, many))
        found += [
            Figure(name=f"share_ms_100k.{rule}", measured=few_ms, unit="ms", at_most=5),
            Figure(name=f"share_ms_1m.{rule}", measured=many_ms, unit="ms", at_most=50),
        ]
    steps, standing, stepped = _stepped(few)
    times = {rule: _ms(stepped, rule, _with_steps(stepped, steps, standing)) for rule in Rule}
    worst_ms = max(times.values())
    return [
        *found,
        Figure(name="share_discrete_ms_100k", measured=worst_ms, unit="ms", at_most=25),
        *(
            Figure(name=f"share_discrete_ms_100k.{rule}", measured=ms, unit="ms")
            for rule, ms in times.items()
        ),
    ]


def _ms(columns: Columns, rule: Rule, share: Share) -> float:
    """The median time of a call, each checked to add up."""
    start_kw = float(columns["base_kw"].sum())
    reach_kw = SIGNAL * float((columns["high_kw"] - columns["low_kw"]).sum())
    seconds: list[float] = []
    order: Order | None = None
    for call in range(CALLS + 2):
        total_kw = start_kw + reach_kw * sin(call * 2.0)
        began = perf_counter()
        power_kw, left_kw, order = share(rule, total_kw, order)
        seconds.append(perf_counter() - began)
        scale_kw = max(abs(total_kw), float(np.abs(power_kw).sum()))
        if abs(float(power_kw.sum()) + left_kw - total_kw) > 1e-6 * scale_kw:
            raise BrokenBenchmarkError(f"{power_kw.sum()} kW and {left_kw} left of {total_kw}")
    return 1000 * median(seconds[2:])  # both ways are sorted by then


def _plain(columns: Columns) -> Share:
    def share(rule: Rule, total_kw: float, order: Order | None) -> tuple[Floats, float, Order]:
        shared = hand_out(rule, Room(**columns), total_kw, order)
        return shared.power_kw, shared.left_kw, shared.order

    return share


def _with_steps(columns: Columns, steps: Steps, standing: Standing) -> Share:
    def share(rule: Rule, total_kw: float, order: Order | None) -> tuple[Floats, float, Order]:
        shared = hand_out_steps(
            rule, Room(**columns), total_kw, order, steps=steps, standing=standing, period_s=5.0
        )
        return shared.power_kw, shared.left_kw, shared.order

    return share


def _columns(size: int) -> Columns:
    rng = np.random.default_rng(7)
    rated_kw = 10 ** rng.uniform(0, 2, size)
    low, high = -rated_kw * rng.random(size), rated_kw * rng.random(size)
    capacity = np.where(rng.random(size) < 0.5, rated_kw * rng.uniform(1, 4, size), np.nan)
    return {
        "base_kw": low + (high - low) * rng.uniform(0.3, 0.7, size),
        "low_kw": low,
        "high_kw": high,
        "cost_up_per_kwh": rng.integers(0, 200, size) / 1000,
        "cost_down_per_kwh": rng.integers(0, 200, size) / 1000,
        "stored_kwh": capacity * rng.random(size),
        "capacity_kwh": capacity,
    }


def _stepped(columns: Columns) -> tuple[Steps, Standing, Columns]:
    """A quarter each: four levels, a least power with dwell, a dead band, any power on a ramp; 5 % want notice."""
    size = len(columns["base_kw"])
    rng = np.random.default_rng(8)
    sort = rng.integers(0, 4, size)
    graded, machine, banded, ramped = (sort == k for k in range(4))
    rated_kw = columns["high_kw"] - columns["low_kw"]
    draws = graded | machine
    room = columns | {
        "low_kw": np.where(draws, -rated_kw, columns["low_kw"]),
        "high_kw": np.where(draws, 0.0, columns["high_kw"]),
    }
    room["base_kw"] = np.where(draws, -rated_kw / 2, columns["base_kw"])
    rows = np.flatnonzero(graded)
    steps = replace(
        Steps.none(size),
        level_rows=rows,
        level_kw=np.array([[-1.0], [-0.7], [-0.3], [0.0]]) * rated_kw[rows],
        least_kw=np.where(machine, 0.4 * rated_kw, np.where(graded, 0.3 * rated_kw, 0.0)),
        dead_kw=np.where(banded, 0.02 * rated_kw, 0.0),
        least_on_s=np.where(machine, 600.0, 0.0),
        least_off_s=np.where(machine, 300.0, 0.0),
        notice_s=np.where(rng.random(size) < 0.05, 900.0, 0.0),
        ramp_kw_per_s=np.where(ramped, 0.05 * rated_kw, np.inf),
    )
    part = rng.choice([0.0, 0.3, 0.7, 1.0], size)
    at_kw = np.where(graded, -part * rated_kw, room["base_kw"])
    standing = Standing(
        power_kw=np.where(machine & (part == 0), 0.0, at_kw),
        since_s=rng.uniform(0, 2000, size),
        told_kw=np.full(size, np.nan),
        told_s=np.zeros(size),
        closes_s=np.full(size, np.inf),
    )
    return steps, standing, room
