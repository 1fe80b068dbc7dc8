"""A forest with nothing on its buses but parts: the smallest that there are."""

from __future__ import annotations

import numpy as np

from vpp.plan.fleet.forest import (
    Budgets,
    Buses,
    DayLimits,
    Forest,
    Parts,
    Peaks,
    SoftLevels,
    Stores,
    Tapers,
)


def bare(buses: Buses, parts: Parts) -> Forest:
    """Buses and parts as given, in as many steps as a bus has loads.

    Raises:
        DataError: As `Forest` has it.
    """
    steps = buses.load_kw.shape[1]
    nobody, none = np.zeros(0, dtype=np.int64), np.zeros(0)
    nothing = np.zeros((0, steps))
    return Forest(
        steps=steps,
        buses=buses,
        stores=Stores(
            bus=nobody,
            keep=none,
            gain=nothing,
            loss=none,
            given=nothing,
            into_most=nothing,
            into_cost=nothing,
            out_most=nothing,
            out_cost=nothing,
            level_least=nothing,
            level_most=nothing,
            level_cost=nothing,
        ),
        soft=SoftLevels(store=nobody, least=nothing, most=nothing, cost=nothing),
        budgets=Budgets(
            bus=nobody,
            first=nobody,
            end=nobody,
            weight=none,
            asked=none,
            lacking_most=none,
            lacking_cost=none,
            spare_most=none,
            draw_most=nothing,
            draw_cost=nothing,
        ),
        parts=parts,
        peaks=Peaks(
            bus=nobody,
            cost=none,
            most=none,
            interval=np.zeros((0, steps), dtype=np.int64),
            share=nothing,
            least=nothing,
            counts=np.zeros(len(parts.bus), dtype=bool),
        ),
        day_limits=DayLimits(store=nobody, first=nobody, end=nobody, most=none),
        tapers=Tapers.none(steps),
    )
