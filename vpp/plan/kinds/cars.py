"""EV fleets: each car that is plugged in, or announced, within what its car park may draw.

    columns   draw (C,T)   unserved (C)
              feed, level (V,T)  of cars that are followed: those that may feed back, and those of which
                                 a term asks something before they leave; level counts from what they came with
    rows      wanted   Σ ηc·h·draw + unserved = wanted, or level[T-1] + unserved = wanted
              level    level[t] - level[t-1] - ηc·h·draw + h/ηd·feed = 0,  -lends <= level <= wanted
              room     Σ draw - Σ feed <= what the car park may draw, beside the cars still to come
              fed      Σ feed <= max_draw_kw

Never both ways at once: `oneway.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.measurement import EvSession
from vpp.model.resource import EvFleet
from vpp.plan.kinds import column, of_kind, stack
from vpp.plan.kinds.oneway import BothWays
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
    """Shapes (F,), (C,), (C, T)."""

    fleets: tuple[EvFleet, ...]
    cars: tuple[Car, ...]
    draw: Ints
    unserved: Ints
    followed: Ints
    """Which of the cars have a level in each step, shape (V,)."""

    level_of: Mapping[tuple[ResourceId, str], int]
    """The place of each of these by its fleet and session."""

    both_ways: BothWays
    """Their draw and feed, shape (V, T)."""

    level: Ints
    """What they have beside what they came with, shape (V, T)."""

    rows: Ints
    """Balance of that, shape (V, T)."""

    room: Ints
    """Rows of what each car park may draw, shape (F, T)."""

    def names(self) -> tuple[str, ...]:
        """`resource id/session id` of each car."""
        return tuple(
            f"{self.fleets[car.fleet].resource_id}/{car.session.session_id}" for car in self.cars
        )

    def power_kw(self, x: Floats) -> dict[str, Floats]:
        """Net injection of each car, from a solution; shape (T,)."""
        power = -x[self.draw]
        power[self.followed] += x[self.both_ways.out]
        return dict(zip(self.names(), power, strict=True))


def add(
    b: Builder,
    *,
    limit_excess_price_per_kwh: float,
    asked: Collection[tuple[ResourceId, str]] = (),
) -> Cars:
    """All cars of fleets that are heard; cars still to come are expected, in `b.base_kw`.

    `asked` are the fleets and sessions of which something is asked before they leave.
    """
    fleets = of_kind(b.view, EvFleet)
    arriving = stack([b.view.arriving_kw[f.resource_id].values for f in fleets], b.steps)
    which_fleet = b.rows([f.resource_id for f in fleets])
    b.base_kw[which_fleet] = arriving
    room_kw = np.maximum(column(f.max_draw_kw for f in fleets) + arriving, 0.0)
    cars = list(_cars(b, fleets))
    owner = np.array([car.fleet for car in cars], dtype=np.int64)
    mine = [fleets[car.fleet] for car in cars]
    share = stack([car.share for car in cars], b.steps)
    draw = b.add_columns(share.shape, upper=column(f.charger_kw for f in mine) * share)
    unserved = b.add_columns((len(cars),))
    b.price(
        unserved, np.array([_lack_per_kwh(f, limit_excess_price_per_kwh) for f in mine]), "unserved"
    )
    room = b.add_rows(room_kw.shape, -np.inf, room_kw)
    b.name([f"{f.resource_id}: max_draw_kw" for f in fleets], Side.ROW_UPPER, room)
    b.put(room[owner], draw, 1.0)
    b.inject(which_fleet[owner][:, None], draw, -1.0)
    b.may(which_fleet, draw_kw=room_kw)
    follows = np.array(
        [
            f.max_car_feed_kw > 0 or (f.resource_id, car.session.session_id) in asked
            for f, car in zip(mine, cars, strict=True)
        ],
        dtype=bool,
    )
    followed, others = np.flatnonzero(follows), np.flatnonzero(~follows)
    _charge(b, [cars[i] for i in others], fleets, draw[others], unserved[others])
    both_ways, level, rows = _follow(
        b, [cars[i] for i in followed], fleets, draw[followed], unserved[followed]
    )
    b.put(room[owner[followed]], both_ways.out, -1.0)
    return Cars(
        fleets=tuple(fleets),
        cars=tuple(cars),
        draw=draw,
        unserved=unserved,
        followed=followed,
        level_of={
            (mine[i].resource_id, cars[i].session.session_id): own
            for own, i in enumerate(followed.tolist())
        },
        both_ways=both_ways,
        level=level,
        rows=rows,
        room=room,
    )


def _lack_per_kwh(fleet: EvFleet, limit_excess_price_per_kwh: float) -> float:
    """Price of what a car leaves without: where it is guaranteed, that of a limit that is broken."""
    return limit_excess_price_per_kwh if fleet.guaranteed else fleet.unserved_cost_per_kwh


def _charge(
    b: Builder, cars: Sequence[Car], fleets: Sequence[EvFleet], draw: Ints, unserved: Ints
) -> None:
    """Cars that nobody follows: what they draw, and what lacks, is what they want."""
    wanted = np.array([car.session.wanted_kwh for car in cars])
    rows = b.add_rows((len(cars),), wanted, wanted)
    kept_into = column(fleets[car.fleet].charge_efficiency for car in cars)
    b.put(rows[:, None], draw, b.hours * kept_into)
    b.put(rows, unserved, 1.0)


def _follow(
    b: Builder, cars: Sequence[Car], fleets: Sequence[EvFleet], draw: Ints, unserved: Ints
) -> tuple[BothWays, Ints, Ints]:
    """Cars that are followed: a store each, which may be lent from where it may feed, and wants its energy back.

    Also the columns of what they have, and the rows of its balance.
    """
    mine, owner = [fleets[car.fleet] for car in cars], [car.fleet for car in cars]
    which = b.rows([f.resource_id for f in mine])
    share = stack([car.share for car in cars], b.steps)
    feed_kw = column(f.max_car_feed_kw for f in mine) * share
    feed = b.add_columns(share.shape, upper=feed_kw)
    wear = column(f.wear_cost_per_kwh for f in mine)
    b.price(feed, wear * b.hours, "wear")
    wanted = column(car.session.wanted_kwh for car in cars)
    lends = column(car.session.lends_kwh for car in cars)
    level = b.add_columns(share.shape, lower=-lends, upper=wanted)
    kept_into = column(f.charge_efficiency for f in mine)
    kept_out = column(f.discharge_efficiency for f in mine)
    rows = b.add_rows(share.shape, 0.0, 0.0)
    b.put(rows, level, 1.0)
    b.put(rows[:, 1:], level[:, :-1], -1.0)
    b.put(rows, draw, -b.hours * kept_into)
    b.put(rows, feed, b.hours / kept_out)
    end = b.add_rows((len(cars),), wanted[:, 0], wanted[:, 0])
    b.put(end, level[:, -1], 1.0)
    b.put(end, unserved, 1.0)
    b.inject(which[:, None], feed, 1.0)
    _car_parks(b, fleets, owner, feed, feed_kw)
    ways = BothWays(
        into=draw,
        out=feed,
        into_kw=column(f.charger_kw for f in mine) * share,
        out_kw=feed_kw,
        kept_into=kept_into,
        kept_out=kept_out,
        wear_into_per_kwh=np.zeros_like(wear),
        wear_out_per_kwh=wear,
        node=b.nodes(which),
    )
    return ways, level, rows


def _car_parks(
    b: Builder, fleets: Sequence[EvFleet], owner: Sequence[int], feed: Ints, feed_kw: Floats
) -> None:
    """What the cars of each car park feed together."""
    lending = sorted({i for i in owner if fleets[i].max_car_feed_kw > 0})
    fed_kw = column(fleets[i].max_draw_kw for i in lending)
    fed = b.add_rows((len(lending), b.steps), -np.inf, fed_kw)
    row_of = {fleet: row for row, fleet in enumerate(lending)}
    feeding = [i for i, fleet in enumerate(owner) if fleet in row_of]
    b.put(fed[[row_of[owner[i]] for i in feeding]], feed[feeding], 1.0)
    b.name([f"{fleets[i].resource_id}: max_draw_kw" for i in lending], Side.ROW_UPPER, fed)
    could_kw = np.zeros((len(fleets), b.steps))
    np.add.at(could_kw, np.array(owner, dtype=np.int64), feed_kw)
    b.may(
        b.rows([fleets[i].resource_id for i in lending]),
        feed_kw=np.minimum(could_kw[lending], fed_kw),
    )


def _cars(b: Builder, fleets: Sequence[EvFleet]) -> Iterator[Car]:
    known, horizon = b.view.state.readings, b.view.horizon
    steps = np.arange(horizon.steps)
    for index, fleet in enumerate(fleets):
        reading = known.get(fleet.resource_id)
        for session in (reading.sessions or ()) if reading else ():
            departs = (session.departs_at - horizon.start) / horizon.step
            share = np.clip(departs - steps, 0.0, 1.0)
            if session.arrives_at is not None:
                arrives = (session.arrives_at - horizon.start) / horizon.step
                share = np.maximum(share - np.clip(arrives - steps, 0.0, 1.0), 0.0)
            yield Car(fleet=index, session=session, share=share)
