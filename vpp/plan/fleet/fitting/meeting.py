"""Which bus of its tree each column, chain, car park and peak meets first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vpp.plan.fleet.fitting.chains import Chains
from vpp.plan.fleet.fitting.ledger import NOWHERE, Bools, Ledger, RowKind, SomeInts
from vpp.plan.fleet.fitting.places import Places
from vpp.plan.fleet.fitting.reach import signs_of
from vpp.plan.fleet.fitting.sides import Sides
from vpp.plan.fleet.sums import slices
from vpp.plan.programme import Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Meets:
    """What each column meets first of the balances, shape (columns,)."""

    bus: NDArray[np.int32]
    """-1 where it meets none."""

    feeds: NDArray[np.int8]
    """1 and -1 where a unit of it feeds or draws as much, else 0."""

    several: Bools
    """Whether it meets more than one."""


def meets_of(ledger: Ledger, places: Places, balances: int) -> Meets:
    count = len(ledger.role)
    bus = np.full(count, NOWHERE, dtype=np.int32)
    feeds, several = np.zeros(count, dtype=np.int8), np.zeros(count, dtype=bool)
    sign = signs_of(places, balances)
    place = np.empty(count, dtype=np.int32)
    for row, column, value in ledger.chunks(ledger.of_kind(RowKind.BUS)):
        number = np.arange(len(column), dtype=np.int32)
        place[column] = number
        several[column[place[column] != number]] = True
        new = bus[column] == NOWHERE
        if not new.all():
            several[column[~new]] = True
            row, column, value = row[new], column[new], value[new]
        fed = sign[ledger.bus[row]] * value
        # Of two in one chunk the first stays: they are written from behind.
        bus[column[::-1]] = ledger.bus[row][::-1]
        feeds[column[::-1]] = ((fed == 1.0).view(np.int8) - (fed == -1.0).view(np.int8))[::-1]
    return Meets(bus=bus, feeds=feeds, several=several)


def one_a_bus(places: Places, bus: Ints) -> Ints:
    """The bus of each peak, where no two share one: each further peak of a point has a bus above it.

    What flows through such a bus is what the point imports and exports, for nothing.
    """
    own = bus.copy()
    order = np.argsort(bus, kind="stable")
    further = order[1:][bus[order[1:]] == bus[order[:-1]]]
    for peak in further.tolist():
        point = int(bus[peak])
        own[peak] = len(places.parent)
        places.parent.append(places.parent[point])
        places.parent[point] = len(places.parent) - 1
        places.groups[len(places.parent) - 1] = np.array([point])
    return own


def car_parks(ledger: Ledger, sides: Sides, places: Places, bus_of: SomeInts) -> Ints:
    """Give every car park that may be short of room a bus, and move its cars there."""
    park_of = np.full(len(ledger.programme.fleet.cars.fleets), NOWHERE, dtype=np.int64)
    short = np.unique(ledger.bus[sides.room])
    row, column, _ = ledger.entries(ledger.of_kind(RowKind.ROOM))
    of = ledger.bus[row]
    order = np.argsort(of, kind="stable")
    begins, ends = (np.searchsorted(of[order], short, side) for side in ("left", "right"))
    for number, park in enumerate(short.tolist()):
        mine = column[order[begins[number] : ends[number]]]
        park_of[park] = len(places.parent)
        places.parent.append(int(bus_of[mine[0]]))
        bus_of[mine] = park_of[park]
    return park_of


def store_buses(ledger: Ledger, chains: Chains, meets: Meets) -> tuple[Ints, Ints]:
    """The bus of each chain that moves, shape (n,), -1 elsewhere; and which move and have none."""
    count, steps = chains.rows.shape
    bus = np.full(count, NOWHERE, dtype=np.int64)
    wrong = np.zeros(count, dtype=bool)
    for some in slices(count, steps):
        found = []
        for columns, feeds in ((chains.into[some], -1), (chains.out[some], 1)):
            free = (columns >= 0) & ledger.free[columns]
            bad = (meets.feeds[columns] != feeds) | meets.several[columns]
            bad |= ledger.lower[columns] != 0
            wrong[some] |= (bad & free).any(axis=1)
            found.append(np.where(free, meets.bus[columns], NOWHERE))
        met = np.hstack(found)
        bus[some] = met.max(axis=1, initial=NOWHERE)
        wrong[some] |= ((met != bus[some, None]) & (met != NOWHERE)).any(axis=1)
    moves = ledger.used[chains.rows].any(axis=1)
    homeless = np.flatnonzero(moves & ((bus == NOWHERE) | wrong))
    bus[~moves] = NOWHERE
    return bus, homeless
