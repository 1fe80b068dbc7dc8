"""Generators: what they feed, up to what they have; of any carrier.

    columns   feed (G,T)   from must_run_share of what it has (all of it where it is left alone) to all of it
              left (·,T)   what it has and does not feed, where that costs
              on, started  where it is on or off                                     onoff.py
    rows      left         feed + left = has
              has          feed <= has·on            min_power_kw   feed >= min_power·on
              ramps of those that the weather does not drive                         ramp.py

A share that must run wins over being off: such a machine is on wherever it has something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.kindred import Kindred
from vpp.model.resource import Generator, OnOffRules
from vpp.plan.kinds import column, left_alone, onoff, ramp
from vpp.plan.kinds.onoff import OnOff
from vpp.plan.programme import Builder, Ints, Side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Generators:
    """Shapes (G,) and (G, T)."""

    units: tuple[Generator, ...]
    available_kw: Floats
    """What each has."""

    least_kw: Floats
    """What each must feed."""

    feed: Ints
    machines: OnOff
    """Those that are on or off."""

    def green(self) -> Ints:
        """Which of them are green."""
        return np.flatnonzero([unit.green for unit in self.units])


def add(b: Builder) -> Generators:
    """All generators; what they have is a forecast or their size, so nobody need be heard."""
    every = b.view.park.kindred(Generator)
    units, which = every.units, every.rows
    alone = left_alone(b.view, every)
    has_kw = _has_kw(b, every, alone)
    least_kw = np.where(alone, has_kw, every.column("must_run_share") * has_kw)
    at = every.where("on_off")
    # Where being on decides, the row `has` is the limit, and bears its price alone.
    upper = has_kw.copy()
    upper[at] = np.inf
    feed = b.add_columns(has_kw.shape, lower=least_kw, upper=upper)
    b.price(feed, every.column("cost_per_kwh") * b.hours, "fuel")
    b.inject(which[:, None], feed, 1.0)
    b.may(which, feed_kw=has_kw)
    _name(b, every, feed)
    _left(b, every, has_kw, feed)
    machines = _switch(b, [units[i] for i in at], has_kw[at], least_kw[at], feed[at])
    row_on = dict(zip(machines.names, machines.on, strict=True))
    for i, unit in enumerate(units):
        if not unit.weather_driven:
            min_kw = 0.0 if unit.on_off is None else unit.on_off.min_power_kw
            # What must run is never off, so it never goes below what it feeds at least while on.
            floor_kw = np.maximum(least_kw[i], np.minimum(min_kw, has_kw[i]))
            ramp.add(
                b,
                unit,
                [(feed[i], 1.0)],
                least_kw=np.where(least_kw[i] > 0, floor_kw, 0.0),
                most_kw=has_kw[i],
                on=row_on.get(unit.resource_id),
                running_kw=(min_kw, np.inf),
            )
    return Generators(
        units=units,
        available_kw=has_kw,
        least_kw=least_kw,
        feed=feed,
        machines=machines,
    )


def _has_kw(b: Builder, every: Kindred[Generator], alone: NDArray[np.bool_]) -> Floats:
    """What each has, shape (G, T): the weather's, or its size where it is not left alone."""
    has_kw = np.where(alone, 0.0, every.column("max_feed_kw"))
    driven = every.where("weather_driven")
    if len(driven):
        weather = [b.view.available_kw[every.names[i]].values for i in driven.tolist()]
        has_kw[driven] = np.maximum(weather, 0.0)
    return has_kw


def _name(b: Builder, every: Kindred[Generator], feed: Ints) -> None:
    """The weather is no limit of the park file; the size of an engine is."""
    sized = np.setdiff1d(
        np.arange(len(every)), [*every.where("weather_driven"), *every.where("on_off")]
    )
    names = [f"{every.names[i]}: max_feed_kw" for i in sized]
    b.name(names, Side.UPPER, feed[sized])
    held = every.where("must_run_share")
    names = [f"{every.names[i]}: must_run_share" for i in held]
    b.name(names, Side.LOWER, feed[held])


def _left(b: Builder, every: Kindred[Generator], has_kw: Floats, feed: Ints) -> None:
    """A column for what is not fed where that costs, so that its cost stands by its cause."""
    at = every.where("curtailment_cost_per_kwh")
    left = b.add_columns((len(at), b.steps))
    b.price(left, every.column("curtailment_cost_per_kwh")[at] * b.hours, "curtailment")
    rows = b.add_rows(left.shape, has_kw[at], has_kw[at])
    b.put(rows, left, 1.0)
    b.put(rows, feed[at], 1.0)


def _switch(
    b: Builder, units: Sequence[Generator], has_kw: Floats, least_kw: Floats, feed: Ints
) -> OnOff:
    """Let those that are on or off feed only while on, and then no less than they must."""
    rules = [u.on_off or OnOffRules() for u in units]
    names = [u.resource_id for u in units]
    min_kw = column(rule.min_power_kw for rule in rules)
    must = least_kw > 0
    machines = onoff.add(
        b,
        names,
        rules,
        may=has_kw >= min_kw,
        must=must,
        max_hours_per_day=[u.max_hours_per_day for u in units],
    )
    has = b.add_rows(feed.shape, -np.inf, 0.0)
    b.put(has, feed, 1.0)
    b.put(has, machines.on, -has_kw)
    b.name([f"{u.resource_id}: max_feed_kw" for u in units], Side.ROW_UPPER, has)
    floor = b.add_rows(feed.shape, 0.0, np.inf)
    b.put(floor, feed, 1.0)
    # What must run while it has less than its least power feeds what it has.
    b.put(floor, machines.on, -np.where(must, np.minimum(min_kw, has_kw), min_kw))
    b.name([f"{u.resource_id}: min_power_kw" for u in units], Side.ROW_LOWER, floor)
    return machines
