"""Machines that turn one carrier into another, described by the points they can run at."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import overload

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import NodeId
from vpp.model.resource.common import Common, OnOffRules, require_size

NEGLIGIBLE = 1e-6
"""Less than this is rounding of who wrote the points down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Where a converter meets a node."""

    node_id: NodeId | None
    """None for electricity at its connection point."""

    per_degc: float = 0.0
    """Relative change of what flows here for each degree outdoors; 0.02 is 2 % a degree."""

    reference_degc: float = 7.0
    """Outdoor temperature at which the points hold."""

    def __post_init__(self) -> None:
        if not -inf < self.per_degc < inf:
            raise DataError(
                f"per_degc is {self.per_degc}", where="port", fix="Give a finite number"
            )

    @overload
    def factor_at(self, outdoor_degc: float) -> float: ...
    @overload
    def factor_at(self, outdoor_degc: Floats) -> Floats: ...
    def factor_at(self, outdoor_degc: float | Floats) -> float | Floats:
        """What flows here at an outdoor temperature, or at each, as a multiple of the points.

        Never below 0.
        """
        return np.maximum(1 + self.per_degc * (outdoor_degc - self.reference_degc), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Converter(Common):
    """A machine: CHP, boiler, heat pump, chiller, electrolyser, fuel cell, heat exchanger.

    Each operating point says what flows at each port, in kW, fed positive and drawn negative. The
    machine runs at any mixture of its points: a heat pump has one (drawn, fed), an electrolyser
    several along its efficiency curve, a CHP the corners of its power and heat region. Without
    `on_off` standing still is a point too; with it, the points are what it can do while on, and off
    it draws `standby_kw`. A machine that is not heard stands still, ready.

    Mixtures are what the machine can do only where they are no better than it: with one port that
    draws and one that feeds, a point that a mixture of others beats is refused. Where energy is worth
    less than nothing, a mixture may also burn a little of it, between a curve and its chord.

    `ramp_kw_per_min` speaks of its electric power, as its reading does; of what flows at the first
    port where it has no electricity. Starting and stopping are free of it.
    """

    ports: tuple[Port, ...]
    points_kw: tuple[tuple[float, ...], ...]
    """One row a point, one column a port."""

    outdoor_series_id: str | None = None
    """Needed where a port's flow follows the temperature outdoors."""

    running_cost_per_h: float = 0.0
    """Paid for each hour on, beside the energy; needs `on_off`."""

    standby_kw: float = 0.0
    """Draw at the first port while off but ready; needs `on_off`."""

    on_off: OnOffRules | None = None
    """`min_power_kw` is 0 here: the points say how little it can do."""

    def __post_init__(self) -> None:
        Common.__post_init__(self)
        require_size(self, "running_cost_per_h", "standby_kw")
        widths = {len(point) for point in self.points_kw}
        if not self.ports or widths != {len(self.ports)}:
            raise DataError(
                f"{len(self.ports)} ports, points of {sorted(widths)} numbers",
                where=self.resource_id,
                fix="Give at least one point, with one number for each port",
            )
        if not all(-inf < kw < inf for point in self.points_kw for kw in point):
            raise DataError(
                f"points_kw is {self.points_kw}",
                where=self.resource_id,
                fix="Give finite numbers",
            )
        if self.outdoor_series_id is None and any(port.per_degc for port in self.ports):
            raise DataError(
                "a port follows the temperature outdoors, which has no series",
                where=self.resource_id,
                fix="Name outdoor_series_id",
            )
        if self.on_off is None and (self.running_cost_per_h or self.standby_kw):
            raise DataError(
                "running_cost_per_h or standby_kw without on_off",
                where=self.resource_id,
                fix="Add on_off, so that hours on can be told",
            )
        if self.on_off is not None and self.on_off.min_power_kw:
            raise DataError(
                f"on_off.min_power_kw is {self.on_off.min_power_kw}",
                where=self.resource_id,
                fix="Say it by the points: leave out those below the least power",
            )

        if self.node_id is not None:
            raise DataError(
                f"node_id is {self.node_id}",
                where=self.resource_id,
                fix="Name the nodes at its ports",
            )
        if (beaten := self._beaten()) is not None:
            raise DataError(
                f"the point {list(self.points_kw[beaten])} is beaten by a mixture of the others"
                f"{'' if self.on_off else ' and standing still'}: the plan would promise what it"
                " cannot do",
                where=self.resource_id,
                fix="Drop that point, if a straight line is near enough to what it does, or"
                f"{' make two machines of it' if self.on_off else ' add on_off'}",
            )

    def _beaten(self) -> int | None:
        """A point below what others make of its draw; None where the mixtures are honest."""
        if len(self.ports) != 2:
            return None
        points = list(self.points_kw)
        if not all(first <= 0 <= second for first, second in points):
            points = [(second, first) for first, second in points]
            if not all(first <= 0 <= second for first, second in points):
                return None
        machine = [(-drawn, fed) for drawn, fed in points]
        corners = machine if self.on_off is not None else [*machine, (0.0, 0.0)]
        for i, (drawn, fed) in enumerate(machine):
            most = max(_mixed(a, b, drawn) for a in corners for b in corners)
            if fed < most - NEGLIGIBLE * max(abs(most), 1.0):
                return i
        return None

    @property
    def electric(self) -> bool:
        """Whether it meets its connection point; a heat exchanger does not."""
        return any(port.node_id is None for port in self.ports)

    @property
    def steered_kw(self) -> tuple[float, ...]:
        """What its reading and its set-points speak of, net injection at each operating point.

        Its electricity; what flows at the first port where it has none.
        """
        at = [i for i, port in enumerate(self.ports) if port.node_id is None] or [0]
        return tuple(sum(point[i] for i in at) for point in self.points_kw)

    @property
    def draw_kw(self) -> float:
        return max(self.ready_kw, *(-kw for kw in self.steered_kw))

    @property
    def feed_kw(self) -> float:
        return max(0.0, *self.steered_kw)

    @property
    def ready_kw(self) -> float:
        """What it draws while off but ready, as its reading tells it; a size."""
        return self.standby_kw if self.ports[0].node_id is None or not self.electric else 0.0


def _mixed(a: tuple[float, float], b: tuple[float, float], drawn: float) -> float:
    """What a mixture of two points (drawn, fed) feeds at a draw between theirs, else nothing."""
    if a[0] == b[0]:
        return max(a[1], b[1]) if a[0] == drawn else -inf
    share = (drawn - a[0]) / (b[0] - a[0])
    return a[1] + share * (b[1] - a[1]) if 0 <= share <= 1 else -inf
