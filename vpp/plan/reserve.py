"""Reserve: power kept free for a call, by whom, and what is sold of it.

    columns   relief, extra (S,T) of storages     kept (K,T) of others     sold (a column a block)
              lacking (T,)                        largest (T,) where the rest must suffice
    rows      owed      Σ kept - largest + lacking - sold = firm       (>= where the rest must suffice)
              largest   largest >= kept, of each                       twice   Σ kept <= 2·(firm + sold)
              relief    Σ relief <= charge                             (down: discharge)
              extra     Σ extra + discharge <= most, by level where it tapers       (down: charge)
              call      Σ hours·(ηc·relief + extra/ηd) <= stored - floor, before the step and after it
                        (down: Σ hours·(relief/ηd + ηc·extra) <= capacity - stored)
              others    Σ kept + feed <= has                           (down: kept - feed <= -least)
              under     Σ (export - import) + Σ kept - excess - used <= export limit - margin, of each
                        node of the tree (down: -Σ (export - import) + Σ kept … <= import limit - margin)

The sums in the last five run over all products of one direction: what one keeps, no other has. A call
may come at any moment of a step, so a store has the energy (or the room) for it at both ends, unless
the product looks at the beginning alone. What is expected to be called moves the store (`storage.py`);
it does not enter the balance of the connection point, for the product itself settles it. Nobody keeps
more than is owed, else calls that nobody makes would earn: where one may fail, no more than twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import CurtailableLoad, FlexibleLoad, Generator, Storage
from vpp.model.schedule import Reserve
from vpp.plan.compiled import Fleet, Headroom
from vpp.plan.kinds import column
from vpp.plan.kinds.storage import Storages
from vpp.plan.programme import Builder, Counted, Ints, Side
from vpp.plan.terms import ReserveHeadroom, Term
from vpp.plan.tree import Limited, Points, name_side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Others:
    """Who keeps reserve beside storages, shapes (K,) and (K, T)."""

    names: tuple[ResourceId, ...]
    columns: Ints
    sign: Floats
    """1 where more of the column leaves less to keep upwards, -1 where it is what is kept."""

    up_kw: Floats
    """kept + sign·column <= up_kw."""

    down_kw: Floats
    """kept - sign·column <= down_kw."""


def add(
    b: Builder, fleet: Fleet, limits: Sequence[Limited], terms: Sequence[Term]
) -> tuple[Headroom, ...]:
    """All products, their keepers, and the rows that these share.

    Raises:
        DataError: A product names somebody who keeps no reserve, has profiles of another length, or
            stands there twice.
    """
    products = [term for term in terms if isinstance(term, ReserveHeadroom)]
    if not products:
        return ()
    _check(b, products)
    others = _others(fleet)
    found = tuple(_keepers(b, fleet.storages, others, term) for term in products)
    for one in found:
        _owe(b, one)
    for up in (True, False):
        some = [one for one in found if one.term.up == up]
        _hold_back(b, fleet.storages, some, up=up)
        _leave_room(b, others, some, up=up)
        for limited in limits:
            _under(b, fleet.points, limited, some, up=up)
    return found


def reserve_of(one: Headroom, x: Floats) -> Reserve:
    """What a solution keeps of one product."""
    relief, extra = x[one.relief], x[one.extra]
    kept = dict(zip(one.storage_names, relief + extra, strict=True))
    return Reserve(
        kept_kw=kept | dict(zip(one.other_names, x[one.kept], strict=True)),
        sold_kw=x[one.sold],
        lacking_kw=x[one.lacking],
        relief_kw=dict(zip(one.storage_names, relief, strict=True)),
        call_hours=one.term.activation_hours,
    )


def _check(b: Builder, products: Sequence[ReserveHeadroom]) -> None:
    seen: set[str] = set()
    for term in products:
        where = f"ReserveHeadroom {term.key}"
        if term.key in seen:
            raise DataError("stands there twice", where=where, fix="Put both into one term")
        seen.add(term.key)
        profiles = [term.firm_kw, term.open_kw, term.price_per_kw_h]
        profiles += [] if term.called_per_kwh is None else [term.called_per_kwh]
        if any(profile.shape != (b.steps,) for profile in profiles):
            raise DataError(
                f"profiles of shapes {[profile.shape for profile in profiles]}",
                where=where,
                fix=f"Give one value for each of the {b.steps} steps",
            )
        for name in sorted(term.resource_ids):
            resource = b.view.park.resource_by_id.get(name)
            if (
                not isinstance(resource, Storage | Generator | CurtailableLoad | FlexibleLoad)
                or resource.node_id is not None
            ):
                raise DataError(
                    f"{name} keeps no reserve",
                    where=where,
                    fix="Name storages, generators, curtailable and flexible loads of electricity",
                )


def _others(fleet: Fleet) -> _Others:
    engines, loads, flexibles = fleet.generators, fleet.curtailables, fleet.flexibles
    most_kw = column(unit.max_draw_kw for unit in flexibles.units) * flexibles.open
    units = (*engines.units, *loads.units, *flexibles.units)
    kinds = [len(engines.units), len(loads.units), len(flexibles.units)]
    return _Others(
        names=tuple(unit.resource_id for unit in units),
        columns=np.concatenate([engines.feed, loads.less, flexibles.draw]),
        sign=np.repeat([1.0, 1.0, -1.0], kinds)[:, None],
        up_kw=np.concatenate([engines.available_kw, loads.most_kw, 0 * most_kw]),
        down_kw=np.concatenate([-engines.least_kw, 0 * loads.most_kw, most_kw]),
    )


def _keepers(b: Builder, storages: Storages, others: _Others, term: ReserveHeadroom) -> Headroom:
    """What each who may keep this product keeps of it."""
    who = term.resource_ids
    stores = np.array([i for i, u in enumerate(storages.units) if u.resource_id in who], np.int64)
    rest = np.array([i for i, name in enumerate(others.names) if name in who], np.int64)
    block = (np.arange(b.steps) + term.elapsed_steps) // term.block_steps
    most_kw = _most_kept_kw(b, [storages.units[i].resource_id for i in stores])
    open_kw = np.full(block[-1] + 1, np.inf)
    np.minimum.at(open_kw, block, term.open_kw)
    return Headroom(
        term=term,
        storages=stores,
        storage_names=tuple(storages.units[i].resource_id for i in stores),
        relief=b.add_columns((len(stores), b.steps), upper=most_kw),
        extra=b.add_columns((len(stores), b.steps), upper=most_kw),
        others=rest,
        other_names=tuple(others.names[i] for i in rest),
        kept=b.add_columns((len(rest), b.steps)),
        sold=b.add_columns(open_kw.shape, upper=open_kw)[block],
        lacking=b.add_columns((b.steps,)),
    )


def _most_kept_kw(b: Builder, names: Sequence[ResourceId]) -> float | Floats:
    """Nothing of a store in an operator's hand; shape (S, T) where one is."""
    if not any(name in b.view.held_kw for name in names):
        return np.inf
    return np.where([b.view.in_hand(name) for name in names], 0.0, np.inf)


def _owe(b: Builder, one: Headroom) -> None:
    """What is owed and sold is kept, or lacks; and what that costs and earns."""
    term, parts = one.term, np.concatenate([one.relief, one.extra, one.kept])
    b.price(one.sold, -term.price_per_kw_h * b.hours, "reserve")
    b.price(one.lacking, term.shortfall_per_kw_h * b.hours, "reserve")
    if term.called_per_kwh is not None:
        earns = term.called_per_kwh * (term.called_share * b.hours)
        b.price(parts, -earns if term.up else earns, "reserve energy")
    most = np.inf if term.survives_largest else term.firm_kw
    owed = b.add_rows((b.steps,), term.firm_kw, most, couples=True)
    b.put(owed, parts, 1.0)
    b.put(owed, one.lacking, 1.0)
    b.put(owed, one.sold, -1.0)
    b.name((f"reserve {term.key}: firm_kw",), Side.ROW_LOWER, owed)
    if not term.survives_largest:
        return
    largest = b.add_columns((b.steps,))
    b.put(owed, largest, -1.0)
    for some in ((one.relief, one.extra), (one.kept,)):
        rows = b.add_rows(some[0].shape, 0.0, np.inf, couples=True)
        b.put(rows, largest, 1.0)
        for columns in some:
            b.put(rows, columns, -1.0)
    twice = b.add_rows((b.steps,), -np.inf, 2 * term.firm_kw, couples=True)
    b.put(twice, parts, 1.0)
    b.put(twice, one.sold, -2.0)


def _hold_back(b: Builder, storages: Storages, some: Sequence[Headroom], *, up: bool) -> None:
    """Power and energy of each store, for all products of one direction together."""
    at = np.unique(np.concatenate([np.zeros(0, np.int64), *(one.storages for one in some)]))
    units, ways, shape = [storages.units[i] for i in at], storages.both_ways, (len(at), b.steps)
    relieved, added = (ways.into, ways.out) if up else (ways.out, ways.into)
    most_kw = ways.out_kw if up else ways.into_kw
    relief = b.add_rows(shape, -np.inf, 0.0)
    b.put(relief, relieved[at], -1.0)
    extra = b.add_rows(shape, -np.inf, most_kw[at])
    b.put(extra, added[at], 1.0)
    # up: Σ energy - stored <= -floor        down: Σ energy + stored <= capacity
    sign = -1.0 if up else 1.0
    limit_kwh = -storages.floor_kwh[at] if up else column(u.capacity_kwh for u in units)
    limit_kwh = np.broadcast_to(limit_kwh, shape)
    before_kwh = limit_kwh.copy()
    before_kwh[:, 0] = np.maximum(before_kwh[:, 0] - sign * storages.stored_kwh[at], 0.0)
    before, after = (b.add_rows(shape, -np.inf, limit) for limit in (before_kwh, limit_kwh))
    b.put(before[:, 1:], storages.stored[at, :-1], sign)
    b.put(after, storages.stored[at], sign)
    for one in some:
        here, into, out = (
            np.searchsorted(at, one.storages),
            ways.kept_into[one.storages],
            1 / ways.kept_out[one.storages],
        )
        b.put(relief[here], one.relief, 1.0)
        b.put(extra[here], one.extra, 1.0)
        tapered = storages.emptier if up else storages.fuller
        mine, theirs = _shared(one.storages, tapered.units)
        b.put(tapered.rows[theirs], one.extra[mine], 1.0)
        per_kw = ((one.relief, into if up else out), (one.extra, out if up else into))
        ends = (before, after) if one.term.held_at_end else (before,)
        for columns, kwh in per_kw:
            for rows in ends:
                b.put(rows[here], columns, one.term.activation_hours * kwh)
            # What is expected to be called leaves the store (up) or fills it (down).
            called_kwh = one.term.called_share * b.hours * kwh
            b.put(storages.rows[one.storages], columns, called_kwh if up else -called_kwh)
        taken, sense = (one.extra, 1.0) if up else (one.relief, -1.0)
        which = storages.which[one.storages][:, None]
        b.count(Counted.TAKEN_OUT_KWH, which, taken, sense * one.term.called_share * b.hours * out)


def _shared(these: Ints, those: Ints) -> tuple[Ints, Ints]:
    """Where the same storages stand in two lists of them."""
    _, first, second = np.intersect1d(these, those, return_indices=True)
    return first, second


def _leave_room(b: Builder, others: _Others, some: Sequence[Headroom], *, up: bool) -> None:
    """What all but storages keep lies within what they feed, draw, or are turned down."""
    at = np.unique(np.concatenate([np.zeros(0, np.int64), *(one.others for one in some)]))
    rows = b.add_rows((len(at), b.steps), -np.inf, (others.up_kw if up else others.down_kw)[at])
    b.put(rows, others.columns[at], (1.0 if up else -1.0) * others.sign[at])
    for one in some:
        b.put(rows[np.searchsorted(at, one.others)], one.kept, 1.0)


def _under(
    b: Builder, points: Points, limited: Limited, some: Sequence[Headroom], *, up: bool
) -> None:
    """A limit of the tree holds with everything called that is kept below it, or is exceeded."""
    kept = [columns for one in some for columns in _kept_below(b, one, limited.node.below)]
    if not kept:
        return
    at, node, sign = limited.steps, limited.node, 1.0 if up else -1.0
    most_kw, spare_kw = (
        (node.export_kw, limited.spare_out_kw) if up else (node.import_kw, limited.spare_in_kw)
    )
    rows = b.add_rows((len(at),), -np.inf, most_kw[at] - spare_kw, couples=len(node.below) > 1)
    for point in node.below:
        b.put(rows, points.exports[point, at], sign)
        b.put(rows, points.imports[point, at], -sign)
    b.put(rows, limited.excess_out if up else limited.excess_in, -1.0)
    if node.margin is not None:
        b.put(rows, limited.used_out if up else limited.used_in, -1.0)
    for columns in kept:
        b.put(rows, columns[at], 1.0)
    way = "export_kw" if up else "import_kw"
    name_side(b, node, way, Side.ROW_UPPER, rows, at, spare_kw)


def _kept_below(b: Builder, one: Headroom, below: Sequence[int]) -> list[Ints]:
    """Columns, shape (T,) each, of what resources behind some connection points keep."""
    resources, found = b.view.park.resource_by_id, []
    for names, blocks in (
        (one.storage_names, (one.relief, one.extra)),
        (one.other_names, (one.kept,)),
    ):
        for i, name in enumerate(names):
            if b.point_of[resources[name].connection_point_id] in below:
                found += [block[i] for block in blocks]
    return found
