"""EV fleets: each car that is plugged in, or announced, within what its car park may draw.

columns   car (C,T)  unserved (C)
rows      wanted   Σ η·h·car + unserved = wanted
room     Σ car <= what the car park may draw, beside the cars still to come
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.measurement import EvSession
from vpp.model.resource import EvFleet
from vpp.plan.kinds import column, of_kind, readings, stack
from vpp.plan.programme import Builder, Ints, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Car:
    """One session, and which steps it can use."""

    fleet: int
    session: EvSession
    share: Floats
    """Share of each step the car is here, shape (T,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cars:
    """Shapes (F,), (F, T), (C,), (C, T)."""

    fleets: tuple[EvFleet, ...]
    room_kw: Floats
    """What each fleet may draw beside the cars that are still to come, shape (F, T)."""

    cars: tuple[Car, ...]
    draw: Ints
    unserved: Ints

    def names(self) -> tuple[str, ...]:
        """`resource id/session id` of each car."""
        return tuple(
            f"{self.fleets[car.fleet].resource_id}/{car.session.session_id}" for car in self.cars
        )


def add(b: Builder) -> Cars:
    """All cars of fleets that are heard; cars still to come are expected, in `b.base_kw`."""
    fleets = of_kind(b.view, EvFleet)
    arriving = stack([b.view.arriving_kw[f.resource_id].values for f in fleets], b.steps)
    which_fleet = b.rows([f.resource_id for f in fleets])
    b.base_kw[which_fleet] = arriving
    room_kw = np.maximum(column(f.max_draw_kw for f in fleets) + arriving, 0.0)
    cars = list(_cars(b, fleets))
    owner = np.array([car.fleet for car in cars], dtype=np.int64)
    mine = [fleets[car.fleet] for car in cars]
    share = stack([car.share for car in cars], b.steps)
    wanted = np.array([car.session.wanted_kwh for car in cars])
    draw = b.add_columns(share.shape, upper=column(f.charger_kw for f in mine) * share)
    unserved = b.add_columns((len(cars),))
    b.price(unserved, np.array([f.unserved_cost_per_kwh for f in mine]), "unserved")
    rows = b.add_rows((len(cars),), wanted, wanted)
    b.put(rows[:, None], draw, b.hours * column(f.charge_efficiency for f in mine))
    b.put(rows, unserved, 1.0)
    room = b.add_rows(room_kw.shape, -np.inf, room_kw)
    b.put(room[owner], draw, 1.0)
    b.inject(which_fleet[owner][:, None], draw, -1.0)
    b.may(which_fleet, draw_kw=room_kw)
    b.name([f"{f.resource_id}: max_draw_kw" for f in fleets], Side.ROW_UPPER, room)
    return Cars(
        fleets=tuple(fleets), room_kw=room_kw, cars=tuple(cars), draw=draw, unserved=unserved
    )


def _cars(b: Builder, fleets: list[EvFleet]) -> Iterator[Car]:
    known, horizon = readings(b.view), b.view.horizon
    starts = horizon.starts()
    for index, fleet in enumerate(fleets):
        reading = known.get(fleet.resource_id)
        for session in (reading.sessions or ()) if reading else ():
            here = [(session.departs_at - start) / horizon.step for start in starts]
            share = np.clip(here, 0.0, 1.0)
            if session.arrives_at is not None:
                away = [(session.arrives_at - start) / horizon.step for start in starts]
                share = np.maximum(share - np.clip(away, 0.0, 1.0), 0.0)
            yield Car(fleet=index, session=session, share=share)
