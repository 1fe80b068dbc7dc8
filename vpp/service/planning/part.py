"""The part of a plan that is of some resources: what one answer of `GET /v1/plan` holds of a fleet's.

    rows of these resources         with their storages, cars, windows and calls
    places                          a connection point or an enterprise goes with the first of its resources
    limits that bind or are broken  by the name they begin with, or end with, in the words of the park file
    the rest                        of the park, its feeders, nodes and products: in every part

The parts of all resources hold each row, each place and each limit once, and what is of the whole in every one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from vpp.model.park import Park
from vpp.model.schedule import Schedule
from vpp.plan.changes import Changes
from vpp.service.quotas.peaks import PeakState
from vpp.service.quotas.prices import QuotaState

Name = TypeVar("Name", bound=str)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Which resources a part is of, and where every name of the park stands."""

    places: range
    row_of: Mapping[str, int]
    """Place of a resource in the park file; of a connection point or an enterprise, that of its first resource."""

    @classmethod
    def of(cls, park: Park, places: range) -> Shelf:
        """The part that holds the resources at `places`."""
        return cls(places, park.first_row_of)

    def holds(self, name: str) -> bool:
        """Whether what bears this name stands in the part: what is of no resource stands in every one."""
        row = self.row_of.get(name)
        return row is None or row in self.places

    def holds_limit(self, words: str) -> bool:
        """The same of a limit: `bess-1: max_charge_kw`, `cars/7: deadline`, `connection point gate-1: import_kw`."""
        head = words.partition(": ")[0].partition("/")[0]
        return self.holds(head if head in self.row_of else head.rpartition(" ")[2])

    def named(self, of: Mapping[Name, Value]) -> dict[Name, Value]:
        """What is kept by name; `resource id/…` goes with the resource."""
        return {name: value for name, value in of.items() if self.holds(name.partition("/")[0])}


def schedule_part(of: Schedule, shelf: Shelf) -> Schedule:
    """The schedule with the rows, places and limits of a part alone."""
    rows = [of.row_of[name] for name in of.resource_ids if shelf.holds(name)]
    return replace(
        of,
        resource_ids=tuple(of.resource_ids[row] for row in rows),
        power_kw=of.power_kw[rows],
        connection_point_kw=shelf.named(of.connection_point_kw),
        unserved_kwh=shelf.named(of.unserved_kwh),
        undone_units=shelf.named(of.undone_units),
        reserve={
            name: replace(one, kept_kw=shelf.named(one.kept_kw)) for name, one in of.reserve.items()
        },
        broken=tuple(one for one in of.broken if shelf.holds_limit(one.limit)),
        limit_prices=tuple(one for one in of.limit_prices if shelf.holds_limit(one.limit)),
    )


def changes_part(of: Changes, shelf: Shelf) -> Changes:
    """What changed at the resources of a part, and for the whole park."""
    return replace(
        of,
        powers=tuple(one for one in of.powers if shelf.holds(one.resource_id)),
        starts=tuple(one for one in of.starts if shelf.holds(one.resource_id)),
    )


def quotas_part(of: Iterable[QuotaState], shelf: Shelf) -> list[QuotaState]:
    """The budgets of a part's resources, and those of nobody."""
    return [one for one in of if one.resource_id is None or shelf.holds(one.resource_id)]


def peaks_part(of: Iterable[PeakState], shelf: Shelf) -> list[PeakState]:
    """The coming peaks of a part's connection points."""
    return [one for one in of if shelf.holds(one.connection_point_id)]
