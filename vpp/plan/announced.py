"""What the last plan announced: starts that are not moved for nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from vpp.model.horizon import Horizon
from vpp.model.ids import ResourceId
from vpp.plan.kinds.start import Start
from vpp.plan.problem import Problem


@dataclass(frozen=True, slots=True)
class Announced:
    """Spans by resource; the end is None where nobody said how long it lasts."""

    spans: dict[ResourceId, list[tuple[datetime, datetime | None]]] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem) -> Announced:
        """The starts of a problem, with their ends."""
        spans: dict[ResourceId, list[tuple[datetime, datetime | None]]] = {}
        for name, moments in problem.preferred_starts.items():
            lengths: tuple[timedelta | None, ...] = problem.preferred_lengths.get(
                name, (None,) * len(moments)
            )
            spans[name] = [
                (moment, None if length is None else moment + length)
                for moment, length in zip(moments, lengths, strict=True)
            ]
        return cls(spans)

    def fit(self, start: Start, horizon: Horizon) -> int:
        """How well a possible start keeps to them: 2 as it was said, 1 in its start, 0 not at all.

        What makes a call under way longer is known by its end.
        """
        ends = horizon.start + (start.step + start.length) * horizon.step
        best = 0
        for told_begin, told_end in self.spans.get(start.resource_id, ()):
            here = told_end == ends if start.extends else horizon.index(told_begin) == start.step
            whole = told_end is None or told_end == ends
            best = max(best, int(here) + int(here and whole))
        return best
