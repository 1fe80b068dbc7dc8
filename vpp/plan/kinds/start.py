"""One possible start of a run or a call, within the horizon."""

from __future__ import annotations

from typing import NamedTuple

from vpp.model.ids import ResourceId


class Start(NamedTuple):
    """One possible start of a run or a call; there are thousands, so it is a light one."""

    resource_id: ResourceId
    group: int
    """The starts of one resource on one day; a call under way has a group of its own."""

    least: int
    """How many of the group have to be taken: the runs that are left on the day, 0 for calls."""

    most: int
    """Calls, or runs, that are left on that day."""

    step: int
    length: int
    """Steps that it lasts, the rebound not counted."""

    rest: int
    """Steps after its end in which no other start of the resource may be taken."""

    draw_kw: tuple[float, ...]
    """Added draw in the steps from `step` on; below 0 during a call, which takes draw away, and above
    0 in its rebound."""

    words: str
    """The field of the park file that says how many of the group may be taken."""

    cost: float = 0.0
    shed_kwh: float = 0.0
    """What a call takes away."""

    extends: bool = False
    """Whether it makes a call under way longer: that is no start of its own."""

    def touches(self, other: Start) -> bool:
        """Whether this start and another of the same resource cannot both be taken."""
        return (
            self.step < other.step + other.length + other.rest
            and other.step < self.step + self.length + self.rest
        )
