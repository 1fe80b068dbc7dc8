"""Who may say what a resource does now: what each source asks, for `vpp/act/arbitration.py` to settle.

    device protection > grid orders > operator override > awards > plan

An order of the grid is on a place of the tree, not on a device: the guard keeps it for all together. Of a
single device it asks what would break the order whatever the others do.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from vpp.act.arbitration import Claim, Settled, Source
from vpp.act.branches import Places
from vpp.act.share import Bounds, Sharing
from vpp.act.units import Kind, Seen, Units
from vpp.model.horizon import Floats
from vpp.plan.tree import points_below
from vpp.service.calls.limits import not_over
from vpp.service.instructions import plan as instructionplan
from vpp.service.plant import Plant

SOON = timedelta(days=1)
"""Claims are made anew each cycle: none of them lapses before."""


def standing(plant: Plant, units: Units, seen: Seen, now: datetime) -> list[Claim]:
    """What device protection, the grid and operators ask, whatever is planned or sold."""
    hands = [*_overrides(plant, now), *_simulated_hands(plant, units, now)]
    return [_protection(units, seen, now), *_orders(plant, units, now), *hands]


def of_sharing(plant: Plant, sharing: Sharing, award: str, now: datetime) -> list[Claim]:
    """What the plan asks, and what it takes to meet what is owed; `award` names that."""
    plan = plant.schedule.plan_id if plant.schedule is not None else ""
    claims = []
    for source, name, wish_kw in (
        (Source.AWARD, award, sharing.moved_kw),
        (Source.STRATEGY, plan, sharing.asked_kw),
    ):
        if not np.isnan(wish_kw).all():
            claims.append(Claim(source=source, name=name, wish_kw=wish_kw, expires_at=now + SOON))
    return claims


def bounds_of(settled: Settled) -> Bounds:
    """What the sources above awards and plan left to them."""
    return Bounds(low_kw=settled.low_kw, high_kw=settled.high_kw, held_kw=settled.wish_kw)


def _protection(units: Units, seen: Seen, now: datetime) -> Claim:
    """What the device is built for; an empty store feeds nothing, a full one draws nothing."""
    empty, full = seen.soc <= units.min_soc, seen.soc >= 1  # both False where there is no charge
    return Claim(
        source=Source.PROTECTION,
        name="device",
        low_kw=np.where(full, 0.0, -units.draw_kw),
        high_kw=np.where(empty, 0.0, units.feed_kw),
        expires_at=now + SOON,
    )


def _orders(plant: Plant, units: Units, now: datetime) -> list[Claim]:
    """Beyond these bounds a device breaks an order even with the help of all others behind its place."""
    claims = []
    for order in not_over(plant, now):
        if now not in order.span:
            continue
        rows = _behind(units, points_below(plant.file.park, order.place))
        feed_kw, draw_kw = units.feed_kw[rows], units.draw_kw[rows]
        low_kw = -order.limits.import_kw - (feed_kw.sum() - feed_kw)
        high_kw = order.limits.export_kw + (draw_kw.sum() - draw_kw)
        claims.append(
            Claim(
                source=Source.GRID,
                name=order.order_id,
                rows=rows,
                low_kw=low_kw,
                high_kw=high_kw,
                expires_at=order.span.end,
            )
        )
    return claims


def _behind(units: Units, points: tuple[int, ...]) -> Places:
    return np.flatnonzero(np.isin(units.tree.point_of, points))


def _overrides(plant: Plant, now: datetime) -> list[Claim]:
    """One claim for each resource in hand: a power, or bounds alone."""
    claims = []
    for name, held in plant.acting.overrides.items():
        if not held.holds(now):
            continue
        same = held.low_kw == held.high_kw
        claims.append(
            Claim(
                source=Source.OPERATOR,
                name=f"{held.by}: {held.reason}",
                rows=np.array([plant.units.index[name]]),
                low_kw=held.low_kw,
                high_kw=held.high_kw,
                wish_kw=held.low_kw if same else np.nan,
                expires_at=held.until,
            )
        )
    return claims


def _simulated_hands(plant: Plant, units: Units, now: datetime) -> list[Claim]:
    """What people do in a simulation, where machines have no other hands."""
    turned = instructionplan.simulated_kw(plant, now)
    return [
        Claim(
            source=Source.OPERATOR,
            name="simulated person",
            rows=np.array([units.index[name]]),
            low_kw=kw,
            high_kw=kw,
            wish_kw=kw,
            expires_at=now + SOON,
        )
        for name, kw in turned.items()
    ]


def kept_within(units: Units, seen: Seen, settled: Settled, rows: Places) -> Floats:
    """What those in hand are told whom neither award nor plan asks: their bounds must hold all the same.

    Caps are caps; everything else stays where it is, or goes to the nearest bound. Shape (rows,).
    """
    low, high = settled.low_kw[rows], settled.high_kw[rows]
    kind = units.kind[rows]
    at_most_feeds = kind == Kind.GENERATOR
    at_most_draws = np.isin(kind, (Kind.EV_FLEET, Kind.FLEXIBLE_LOAD, Kind.CURTAILABLE_LOAD))
    stays = np.clip(seen.power_kw[rows], low, high)
    return np.where(at_most_feeds, high, np.where(at_most_draws, low, stays))
