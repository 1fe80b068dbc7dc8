"""The guard over very many units: how long it takes, and whether anything leaves beyond a limit.

The field is that of `_fieldunits.py`. Timed are wishes that mostly pass, on a day on which one connection
point in a thousand is too small for its own: a few cuts. What is checked by a million random wishes
(NaN, ±inf, 1e308, None and subnormal numbers among them) is worked out here, without the guard's code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks._fieldunits import NOW, TILE, Field, a_field, wishes_kw
from benchmarks.harness import BrokenBenchmarkError, Figure
from vpp.act.branches import Branches
from vpp.act.guard import Guarded, guard
from vpp.act.units import Bools, Kind, Phase
from vpp.model.horizon import Floats

CALLS = 15
FEW, MANY = 100_000, 1_000_000
TIGHT = 0.001
"""Share of connection points that must be cut, where the guard is timed."""

ODD = (np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, None)


def figures(*, small: bool) -> Sequence[Figure]:
    """The guard at 100 000 and 1 000 000 units, and random wishes that got beyond a limit.

    Raises:
        BrokenBenchmarkError: Nothing was cut, so nothing was shown.
    """
    chance = np.random.default_rng(11)
    few, many = (TILE, 5 * TILE) if small else (FEW, MANY)
    few_ms, many_ms = (_ms(size, chance) for size in (few, many))
    return [
        Figure(name="guard_ms_100k", measured=few_ms, unit="ms", at_most=5),
        Figure(name="guard_ms_1m", measured=many_ms, unit="ms", at_most=50),
        Figure(
            name="guard_outside_of_1m",
            measured=sum(outside(many // 5, chance, tight) for tight in (0, 0.01, 0.1, 0.5, 1)),
            at_most=0,
        ),
    ]


def _ms(size: int, chance: np.random.Generator) -> float:
    """The median time of a call in which most wishes pass."""
    field = _calm(a_field(size, chance, tight=TIGHT))
    # What every device can do: what passed once where no connection point is too small.
    roomy = replace(field, units=replace(field.units, tree=_without_limits(field.units.tree)))
    seconds = []
    for _ in range(CALLS):
        wanted_kw = _guarded(roomy, 0.3 * wishes_kw(field.units, chance)).power_kw
        began = perf_counter()
        guarded = _guarded(field, wanted_kw)
        seconds.append(perf_counter() - began)
    if size >= FEW and not (guarded.node >= 0).any():  # few are tight: among so few perhaps none
        raise BrokenBenchmarkError("no node was over its limit")
    return 1000 * median(seconds)


def _without_limits(tree: Branches) -> Branches:
    return replace(
        tree,
        levels=tuple(
            replace(
                level,
                import_kw=np.full_like(level.import_kw, np.inf),
                export_kw=np.full_like(level.export_kw, np.inf),
            )
            for level in tree.levels
        ),
    )


def _calm(field: Field) -> Field:
    """Everybody is heard, in the middle of his store, and where he may be told anything."""
    seen, n = field.seen, len(field.units)
    return replace(
        field,
        seen=replace(
            seen,
            power_kw=np.nan_to_num(seen.power_kw),
            measured_age_s=np.full(n, 1.0),
            soc=np.where(seen.soc == seen.soc, 0.5, np.nan),
            phase=np.full(n, Phase.WAITING, dtype=np.int8),
            phase_age_s=np.full(n, 7200.0),
        ),
        stopped=np.zeros(n, dtype=np.bool_),
    )


def outside(size: int, chance: np.random.Generator, tight: float) -> int:
    """How many of `size` random wishes got beyond a limit, and nodes with them."""
    field = a_field(size, chance, tight=tight)
    wishes: list[float | None] = (2.0 * wishes_kw(field.units, chance)).tolist()
    for at in np.flatnonzero(chance.random(size) < 0.2).tolist():
        wishes[at] = ODD[int(chance.integers(len(ODD)))]
    guarded = _guarded(field, np.array(wishes, dtype=np.float64))
    if size >= FEW and tight and not (guarded.node >= 0).any():
        raise BrokenBenchmarkError("no node was over its limit")
    return int((~_holds(field, guarded)).sum()) + _nodes_made_worse(field, guarded)


def _guarded(field: Field, wanted_kw: Floats) -> Guarded:
    return guard(
        field.units, field.seen, wanted_kw, now=NOW, stopped=field.stopped, before=field.before
    )


def _holds(field: Field, guarded: Guarded) -> Bools:
    """Whether each command is one that its device may be given, or none."""
    units, seen, before, kw = field.units, field.seen, field.before, guarded.power_kw
    within = (-units.draw_kw <= kw) & (kw <= units.feed_kw)
    heard = (seen.measured_age_s >= -5) & (seen.measured_age_s <= units.max_age_s)
    movable = (units.kind != Kind.FIXED_LOAD) & ~field.stopped
    hours = before.period_s / 3600
    left = seen.soc - kw * hours / units.discharge_efficiency / units.capacity_kwh
    filled = seen.soc - kw * hours * units.charge_efficiency / units.capacity_kwh
    stored = (kw == 0) | np.where(kw > 0, left >= units.min_soc - 1e-9, filled <= 1 + 1e-9)
    stored |= units.kind != Kind.STORAGE
    # Towards 0 it may be cut faster than its ramp; away from 0 it may not be told.
    from_kw = np.where(np.isnan(before.power_kw), seen.power_kw, before.power_kw)
    step_kw = units.ramp_kw_per_s * before.period_s + 1e-6
    away = np.maximum(kw - np.maximum(from_kw, 0), np.minimum(from_kw, 0) - kw)
    starts = np.maximum(units.least_draw_kw, units.least_feed_kw)
    # A cap of the sun is no power to run at, and starting is free of the ramp.
    ramped = (away <= step_kw) | (np.abs(kw) <= starts + 1e-6) | units.weather_driven
    off = (seen.phase != Phase.RUNNING) & (seen.phase != Phase.NONE)
    rests = off & (seen.phase_age_s < units.min_down_s)
    runs = (seen.phase == Phase.RUNNING) & (seen.phase_age_s < units.min_up_s)
    dwells = ~(rests & (kw != 0)) & ~(runs & (np.abs(kw) < starts))
    run_waits = (units.kind != Kind.SHIFTABLE_RUN) | (seen.phase == Phase.WAITING)
    good: Bools = within & heard & movable & stored & ramped & dwells & run_waits
    return np.asarray(np.isnan(kw) | good, dtype=np.bool_)


def _nodes_made_worse(field: Field, guarded: Guarded) -> int:
    """How many nodes are beyond a limit, and further than with every command at its least."""
    units, tree = field.units, field.units.tree
    least_kw = np.where(_must_run(field), np.sign(guarded.power_kw), 0.0) * np.maximum(
        units.least_draw_kw, units.least_feed_kw
    )
    told_low, told_high = _does(field, guarded.power_kw, guarded.power_kw)
    rest_low, rest_high = _does(field, least_kw, guarded.power_kw)
    worse = 0
    for level in tree.levels:
        node, m = level.of_point[tree.point_of], len(level.names)

        def sums(kw: Floats, node: np.ndarray = node, m: int = m) -> Floats:
            return np.asarray(np.bincount(node, kw, m + 1)[:m])

        over = sums(told_high) - np.maximum(level.export_kw, sums(rest_high))
        under = -sums(told_low) - np.maximum(level.import_kw, -sums(rest_low))
        worse += int(((over > 1e-3) | (under > 1e-3)).sum())
    return worse


def _must_run(field: Field) -> Bools:
    """Machines that were started too short a time ago to stop."""
    young = field.seen.phase_age_s < field.units.min_up_s
    return np.asarray(young & (field.seen.phase == Phase.RUNNING), dtype=np.bool_)


def _does(field: Field, kw: Floats, told: Floats) -> tuple[Floats, Floats]:
    """Lowest and highest power of each under `kw`, where it is `told` something at all."""
    units, seen, kind = field.units, field.seen, field.units.kind
    now = seen.power_kw
    fed, drawn = np.maximum(now, 0), np.minimum(now, 0)
    has = np.where(units.weather_driven, fed, units.feed_kw)
    stays = drawn * np.where(seen.phase == Phase.CALLED, 1, 1 - units.curtailable_share)
    generator, curtailed = kind == Kind.GENERATOR, kind == Kind.CURTAILABLE_LOAD
    may_idle = (kind == Kind.EV_FLEET) | (kind == Kind.FLEXIBLE_LOAD)
    run, called = kind == Kind.SHIFTABLE_RUN, kind == Kind.INTERRUPTIBLE_LOAD
    choices = [generator | may_idle, curtailed, called, run]
    low = np.select(
        choices,
        [np.minimum(kw, fed), np.minimum(kw, stays), np.minimum(kw, now),
         np.where(kw < 0, -units.draw_kw, 0)],
        kw,
    )  # fmt: skip
    high = np.select(
        [generator, may_idle | curtailed, run],
        [np.minimum(kw, has), np.maximum(kw, drawn), 0.0],
        kw,
    )
    slow = np.zeros(len(units), dtype=np.bool_)
    slow[units.late.at] = True
    step_kw = np.where(slow, units.ramp_kw_per_s * field.before.period_s, 0.0)
    by_then = np.clip(kw, now - step_kw, now + step_kw)  # not yet where it is told to be
    low = np.where(slow, np.minimum(low, by_then), low)
    high = np.where(slow, np.maximum(high, by_then), high)
    heard = (seen.measured_age_s >= -5) & (seen.measured_age_s <= units.max_age_s)
    free = np.isnan(told)
    last = field.before.lingers_kw
    worst_high = np.where(called, 0.0, units.feed_kw)
    return (
        np.where(free, np.where(heard, np.fmin(now, last), -units.draw_kw), low),
        np.where(free, np.where(heard, np.fmax(now, last), worst_high), high),
    )
