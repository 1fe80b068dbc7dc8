"""What the main meters counted before the simulation began: the park by itself, nobody steering.

Full local days only: the day on which the simulation opens is known from its opening on. Read by the simulated
platform as the truth, and given to the service as the readings that a real one would have on record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from vpp.model.horizon import Horizon
from vpp.model.park import Park
from vpp.model.time import QUARTER, Interval, local_date, local_day
from vpp.simulate.fleet import Fleet
from vpp.simulate.spec import Scenario
from vpp.simulate.trajectory import Trajectory


def past_of(park: Park, scenario: Scenario, opened_at: datetime) -> Trajectory | None:
    """The course of the days before the opening's own; None where nobody looks back on them.

    Fewer days where the series of the scenario do not reach so far back.
    """
    if scenario.demand_response is None:
        return None
    zone = park.timezone
    end = local_day(local_date(opened_at, zone), zone).start
    day = local_date(opened_at, zone) - timedelta(days=scenario.demand_response.history_days)
    known_from = scenario.day_ahead_per_mwh.horizon.start
    while (start := local_day(day, zone).start) < known_from:
        day += timedelta(days=1)
    if start >= end:
        return None
    fleet = Fleet(park, scenario, opened_at=start, step=QUARTER)
    fleet.step(end)
    return fleet.trajectory(Interval(start, end))


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """What enterprises draw by the true registers: before the opening, and as the fleet lives."""

    park: Park
    fleet: Fleet
    past: Trajectory | None

    def drawn_wh(self, enterprise: str, start: datetime) -> int | None:
        """In the quarter-hour that begins at `start`, net of what is fed; None where it is not known."""
        slot = Interval(start, start + QUARTER)
        points = [
            p.connection_point_id
            for p in self.park.connection_points
            if p.enterprise_id == enterprise
        ]
        course = self._course(slot)
        if course is None:
            return None
        at = Horizon(course.horizon.start, QUARTER, course.horizon.steps).index(start)
        return sum(int(course.import_wh[p][at]) - int(course.export_wh[p][at]) for p in points)

    def _course(self, slot: Interval) -> Trajectory | None:
        if self.past is not None and self.past.horizon.span.covers(slot):
            return self.past
        lived = self.fleet.recorded
        return self.fleet.trajectory(slot) if lived is not None and lived.covers(slot) else None
