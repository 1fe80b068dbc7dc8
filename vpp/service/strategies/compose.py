"""From the strategies of a park to the terms of one view: schedule, scope, priority, overrides.

    each kind by itself, highest priority first:
        schedule (T,) × scope (N,) − what a higher one took ─▶ a part for its own settings,
                                                              and one for each enterprise that overrides them
    what nobody trades is settled at the expected price; tariffs and the worth of stored energy hold always

Places are connection points and resources: whoever holds at both asks for its terms there, and the next one
of the same kind gets what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vpp.errors import DataError, VppError
from vpp.model.calendar import Calendar
from vpp.model.horizon import Horizon
from vpp.model.hours import Hours
from vpp.model.ids import EnterpriseId, ProductId
from vpp.plan.part import Bools, Part, Reach
from vpp.plan.terms import Commitment, OpenTrade, Term
from vpp.plan.view import PlanningView
from vpp.service.strategies.wiring import Settings, base_terms

if TYPE_CHECKING:
    from vpp.service.strategies.strategies import Entry

TRADES = "price_arbitrage"
"""The strategy that trades: where it does not hold, energy is settled at the expected price."""


def terms(entries: Sequence[Entry], view: PlanningView, calendar: Calendar) -> tuple[Term, ...]:
    """What the strategies of one park ask together of a view."""
    hours = _Hours(view.horizon, calendar)
    asked: list[Term] = []
    traded = np.zeros(view.horizon.steps, dtype=bool)
    for entry, settings, part in parts(entries, view, hours):
        asked += _asked(settings, view, part)
        if entry.use == TRADES:
            traded |= part.steps
    untraded = Part(name="untraded", steps=~traded, points={}, resources={})
    return tuple(_merged([*asked, *base_terms(view, untraded)]))


def _asked(settings: Settings, view: PlanningView, part: Part) -> Sequence[Term]:
    """The terms of one strategy.

    Raises:
        VppError: As it says; a DataError for whatever else it raises: its author's slip costs one plan, not the cycle.
    """
    try:
        return settings.terms(view, part)
    except VppError:
        raise
    except Exception as error:
        raise DataError(
            f"raises {type(error).__name__}: {error}",
            where=f"strategy {part.name}",
            fix="Mend its terms, or leave it out",
        ) from error


def in_force(entries: Sequence[Entry], view: PlanningView, calendar: Calendar) -> dict[str, Bools]:
    """Steps in which each strategy holds anywhere, by its name, shape (T,)."""
    found = {entry.name: np.zeros(view.horizon.steps, dtype=bool) for entry in entries}
    for entry, _, part in parts(entries, view, _Hours(view.horizon, calendar)):
        found[entry.name] |= part.steps
    return found


def parts(
    entries: Sequence[Entry], view: PlanningView, hours: _Hours
) -> Iterator[tuple[Entry, Settings, Part]]:
    """Each strategy with the settings that hold somewhere, and where; highest priority first."""
    places = _Places(view)
    taken: dict[str, NDArray[np.bool_]] = {}
    for entry in entries:
        when = hours.hold(entry.hours)
        held = places.within(entry)[:, None] & when
        before = taken.setdefault(entry.use, np.zeros_like(held))
        held &= ~before
        before |= held
        if entry.settings.REACH is Reach.PARK:
            if held.any():
                yield entry, entry.settings, places.part(entry.name, held)
            continue
        own = ~places.owned_by(entry.overrides)
        variants = [(entry.name, entry.settings, own)]
        variants += [
            (f"{entry.name}/{name}", other, places.owned_by([name]))
            for name, other in entry.overrides.items()
        ]
        for name, settings, rows in variants:
            if (mine := held & rows[:, None]).any():
                yield entry, settings, places.part(name, mine)


class _Places:
    """Connection points and resources of a park, in one row each, shape (N,)."""

    def __init__(self, view: PlanningView) -> None:
        self.points = [p.connection_point_id for p in view.park.connection_points]
        self.resources = [r.resource_id for r in view.park.resources]
        owners: Iterable[EnterpriseId] = chain(
            (p.enterprise_id for p in view.park.connection_points),
            (r.enterprise_id for r in view.park.resources),
        )
        self.owners = np.array(list(owners), dtype=object)

    def within(self, entry: Entry) -> Bools:
        """Places in the scope of a strategy."""
        rows = [name in entry.points for name in self.points]
        rows += [name in entry.resources for name in self.resources]
        return np.array(rows, dtype=bool)

    def owned_by(self, names: Iterable[EnterpriseId]) -> Bools:
        """Places of some enterprises."""
        return np.isin(self.owners, list(names))

    def part(self, name: str, held: NDArray[np.bool_]) -> Part:
        """The part that `held`, shape (N, T), stands for."""
        count, points, resources = len(self.points), self.points, self.resources
        rows = np.flatnonzero(held.any(axis=1)).tolist()
        return Part(
            name=name,
            steps=np.logical_or.reduce(held),
            points={points[row]: held[row] for row in rows if row < count},
            resources={resources[row - count]: held[row] for row in rows if row >= count},
        )


class _Hours:
    """The steps of a horizon on the park's clock."""

    def __init__(self, horizon: Horizon, calendar: Calendar) -> None:
        local = [start.astimezone(calendar.zone) for start in horizon.starts()]
        self._local = [(moment, moment.date() in calendar.rest_days) for moment in local]

    def hold(self, hours: Sequence[Hours]) -> Bools:
        """Steps that begin while any of `hours` holds, shape (T,); all where there are none."""
        return np.array(
            [
                not hours or any(one.hold(moment, holiday=rest) for one in hours)
                for moment, rest in self._local
            ],
            dtype=bool,
        )


def _merged(asked: Sequence[Term]) -> Iterator[Term]:
    """Positions and trades of several strategies as one each: they hold in different steps."""
    positions = [term for term in asked if isinstance(term, Commitment)]
    if positions:
        yield Commitment(
            base_kw=np.sum([p.base_kw for p in positions], axis=0),
            short_per_kwh=np.sum([p.short_per_kwh for p in positions], axis=0),
            long_per_kwh=np.sum([p.long_per_kwh for p in positions], axis=0),
        )
    trades: dict[ProductId, OpenTrade] = {}
    for term in asked:
        if isinstance(term, OpenTrade):
            before = trades.get(term.product_id)
            trades[term.product_id] = term if before is None else _either(before, term)
    yield from trades.values()
    yield from (term for term in asked if not isinstance(term, Commitment | OpenTrade))


def _either(one: OpenTrade, other: OpenTrade) -> OpenTrade:
    """A trade that is open where either is, at the prices of that one."""
    others = other.max_kw > 0
    return OpenTrade(
        product_id=one.product_id,
        sell_per_kwh=np.where(others, other.sell_per_kwh, one.sell_per_kwh),
        buy_per_kwh=np.where(others, other.buy_per_kwh, one.buy_per_kwh),
        max_kw=one.max_kw + other.max_kw,
        due=one.due,
    )
