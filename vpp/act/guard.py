"""The last hand on every set-point: nothing leaves beyond a limit, whatever the optimiser says.

    wanted ─▶ device: a number, inside its rating, its store not empty or full ─▶ tree ─▶ allowed
                 │ no                                                              │ too much
                 ▼                                                                 ▼
              released (no command; the device goes to its own default)      less of it, storage first

What is not commanded counts as measured, or, where nobody knows, at its worst. A node that its
uncommanded part alone drives over the limit cannot be kept; then commands must not make it worse.
Every cut moves a command towards 0, so no cut can leave a device's own range.

Written so that NaN never passes: a value is used only where `low <= value <= high` holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import copysign
from typing import TypeAlias

from vpp.act.tree import Node, nodes
from vpp.model.ids import ResourceId
from vpp.model.measurement import ParkState, Reading, RunPhase
from vpp.model.park import Park
from vpp.model.resource import (
    Converter,
    CurtailableLoad,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    OnOffRules,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)

TOLERANCE_KW = 1e-6
"""Float noise that breaks no limit: a milliwatt."""

PASSES = 20
"""Cuts in one node can ask for cuts in another; what is not settled after so many goes to 0."""

Kinds: TypeAlias = tuple[type[Resource], ...]
CURTAILED_FIRST_TO_LAST: tuple[Kinds, ...] = ((Storage,), (EvFleet, Converter), (Generator,))
SHED_FIRST_TO_LAST: tuple[Kinds, ...] = (
    (Storage,),
    (ThermalZone, EvFleet, FlexibleLoad, Converter),
    (InterruptibleLoad, CurtailableLoad),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One wish that was not granted as it was."""

    resource_id: ResourceId
    wanted_kw: float
    allowed_kw: float | None
    """None: the resource is released."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What may be sent."""

    power_kw: Mapping[ResourceId, float]
    """In park order; who is missing gets no command."""

    clipped: tuple[Clip, ...]


def guard(park: Park, state: ParkState, wanted: Mapping[ResourceId, float]) -> Guarded:
    """Let through of `wanted` (net injection in kW) what breaks no limit of device or tree."""
    reading = {s.resource_id: s if isinstance(s, Reading) else None for s in state.resources}
    allowed: dict[ResourceId, float] = {}
    why: dict[ResourceId, str] = {
        name: "no such resource" for name in wanted if name not in park.resource_by_id
    }
    for resource in park.resources:
        name = resource.resource_id
        if name not in wanted:
            continue
        kw, reason = _for_device(resource, reading.get(name), wanted[name])
        if kw is not None:
            allowed[name] = kw
        if reason:
            why[name] = reason
    _Cutter(park, reading, allowed, why).cut()
    return Guarded(
        power_kw=allowed,
        clipped=tuple(
            Clip(resource_id=name, wanted_kw=wanted[name], allowed_kw=allowed.get(name), why=reason)
            for name, reason in why.items()
        ),
    )


def _for_device(
    resource: Resource, reading: Reading | None, kw: float
) -> tuple[float | None, str | None]:
    """The power that the device itself allows (None: release it), and why it is not as wanted."""
    low, high = -resource.draw_kw, resource.feed_kw
    slack = TOLERANCE_KW * max(1.0, high - low)
    if reading is None:
        return None, "its state is unknown"
    if not low - slack <= kw <= high + slack:
        return None, f"not within {low} … {high} kW"
    kw = min(max(kw, low), high)
    match resource:
        case FixedLoad():
            return None, "a fixed load is never commanded"
        case Storage() if reading.soc is None:
            return None, "its state of charge is unknown"
        case Storage(min_soc=least) if kw > 0 and not _above(reading.soc, least):
            return 0.0, "the store is empty"
        case Storage() if kw < 0 and not _above(1.0, reading.soc):
            return 0.0, "the store is full"
        case ShiftableRun() if reading.phase is not RunPhase.WAITING:
            return None, "a run is not commanded once it has started"
        case _:
            runs_kw = _runnable_kw(resource, kw, slack_kw=slack)
            little = abs(runs_kw - kw) > slack
            return runs_kw, "less than it can run at" if little else None


def _above(high: float | None, low: float | None) -> bool:
    return high is not None and low is not None and high > low


def _range_kw(resource: Resource, reading: Reading | None, kw: float | None) -> tuple[float, float]:
    """Lowest and highest power to be reckoned with under the command `kw` (None: under none)."""
    if reading is None:
        if isinstance(resource, InterruptibleLoad):
            return -resource.most_draw_kw, 0.0
        return -resource.draw_kw, resource.feed_kw
    now = reading.power_kw
    if kw is None:
        return now, now
    match resource:
        case EvFleet() | FlexibleLoad():  # they may draw, or feed, less than they are allowed
            return min(kw, max(now, 0.0)), max(kw, min(now, 0.0))
        case CurtailableLoad():  # and this one draws what cannot be turned down, whatever is said
            called = reading.phase is RunPhase.CALLED
            stays_kw = min(now, 0.0) * (1.0 if called else 1 - resource.curtailable_share)
            return min(kw, stays_kw), max(kw, min(now, 0.0))
        case Generator():  # the command is a cap; sun, ramp and start decide what is below it
            most_kw = max(now, reading.available_kw or 0.0, 0.0)
            if not resource.weather_driven:
                most_kw = resource.max_feed_kw
            runs_kw = resource.must_run_share * most_kw
            return max(min(kw, max(now, 0.0)), runs_kw), max(min(kw, most_kw), runs_kw)
        case Converter() if kw == 0:  # off, but ready
            return -resource.ready_kw, -resource.ready_kw
        case ShiftableRun():  # once started it runs through its whole profile
            return (-resource.draw_kw if kw < 0 else 0.0), 0.0
        case InterruptibleLoad():  # it may take a while to stop
            return min(kw, now), kw
        case _:
            return kw, kw


def _runnable_kw(resource: Resource, kw: float, *, slack_kw: float = 0.0) -> float:
    """The nearest power towards 0 that the device knows: a band, or off below its least power.

    What lacks no more than `slack_kw` of one is that one: the solver's rounding stops no machine.
    """
    known = _known_kw(resource, kw)
    if not known:
        return kw
    size = abs(kw)
    below = max((at for at in known if at <= size + slack_kw), default=0.0)
    bands = isinstance(resource, FlexibleLoad) and bool(resource.bands_kw)
    return copysign(below if bands or below == 0 else max(size, below), kw)


def _known_kw(resource: Resource, kw: float) -> tuple[float, ...]:
    """Bands, or the least power, on the side of `kw`; sizes. Empty where any little will do."""
    match resource:
        case FlexibleLoad(bands_kw=bands) if bands:
            return bands
        case FlexibleLoad(on_off=OnOffRules() as rules) | Generator(on_off=OnOffRules() as rules):
            return (rules.min_power_kw,) if rules.min_power_kw else ()
        case Converter(on_off=OnOffRules()) if not any(port.per_degc for port in resource.ports):
            least = min(at if kw > 0 else -at for at in resource.steered_kw)
            return (least,) if least > 0 else ()
        case _:
            return ()


class _Cutter:
    """Cuts `allowed` in place until every node holds, and says why in `why`."""

    def __init__(
        self,
        park: Park,
        reading: Mapping[ResourceId, Reading | None],
        allowed: dict[ResourceId, float],
        why: dict[ResourceId, str],
    ) -> None:
        self._resource = park.resource_by_id
        self._reading = reading
        self._allowed = allowed
        self._why = why
        self._nodes = nodes(park)
        self._range = {
            name: _range_kw(resource, reading.get(name), allowed.get(name))
            for name, resource in self._resource.items()
        }
        self._at_rest = {
            name: _range_kw(self._resource[name], reading.get(name), 0.0) for name in allowed
        }
        self._limit: list[tuple[float, float]] = []
        for node in self._nodes:
            rest = [self._at_rest.get(name, self._range[name]) for name in node.behind]
            self._limit.append(
                (
                    max(node.limits.import_kw, -node.net_kw(low for low, _ in rest)),
                    max(node.limits.export_kw, node.net_kw(high for _, high in rest)),
                )
            )

    def cut(self) -> None:
        everywhere = range(len(self._nodes))
        while any(self._excess(i) != (0.0, 0.0) for i in everywhere):
            for _ in range(PASSES):
                for i in everywhere:
                    self._cut_node(i)
            for i in everywhere:
                if self._excess(i) != (0.0, 0.0):
                    for name in self._commanded(self._nodes[i]):
                        self._set(name, 0.0, self._nodes[i].name)

    def _cut_node(self, i: int) -> None:
        node = self._nodes[i]
        too_low, too_high = self._excess(i)
        if too_high:
            for kinds in CURTAILED_FIRST_TO_LAST:
                too_high -= self._scale(node, kinds, too_high, f"export of {node.name}", side=1)
        if too_low:
            for kinds in SHED_FIRST_TO_LAST:
                too_low -= self._scale(node, kinds, too_low, f"import of {node.name}", side=-1)
            for name in reversed(self._commanded(node)):
                starts = isinstance(self._resource[name], ShiftableRun) and self._allowed[name] < 0
                if starts and too_low > TOLERANCE_KW:
                    too_low += self._range[name][0]
                    self._set(name, 0.0, f"import of {node.name}")

    def _excess(self, i: int) -> tuple[float, float]:
        """By how many kW the node is beyond its import and its export limit; 0 where it is not."""
        import_kw, export_kw = self._limit[i]
        node = self._nodes[i]
        too_low = -node.net_kw(self._range[name][0] for name in node.behind) - import_kw
        too_high = node.net_kw(self._range[name][1] for name in node.behind) - export_kw
        return (
            too_low if too_low > TOLERANCE_KW else 0.0,
            too_high if too_high > TOLERANCE_KW else 0.0,
        )

    def _scale(self, node: Node, kinds: Kinds, excess: float, why: str, *, side: int) -> float:
        """Take up to `excess` kW from the commands of these kinds, in proportion; what was taken."""
        end = 0 if side < 0 else 1
        gives = {  # down to what stays whatever is commanded
            name: kw
            for name in self._commanded(node)
            if isinstance(self._resource[name], kinds)
            and (kw := side * (self._range[name][end] - self._at_rest[name][end])) > 0
            and side * self._allowed[name] > 0
        }
        total = sum(gives.values())
        if excess <= TOLERANCE_KW or total <= 0:
            return 0.0
        part = min(excess / total, 1.0)
        for name, kw in gives.items():
            now = side * min(side * self._range[name][end], side * self._allowed[name])
            left = 0.0 if part == 1.0 else side * max(side * now - kw * part, 0.0)
            self._set(name, left, why)
        return min(excess, total)

    def _commanded(self, node: Node) -> list[ResourceId]:
        return [name for name in node.behind if name in self._allowed]

    def _set(self, name: ResourceId, kw: float, why: str) -> None:
        kw = _runnable_kw(self._resource[name], kw)
        if kw != self._allowed[name]:
            self._allowed[name] = kw
            self._why[name] = why
            self._range[name] = _range_kw(self._resource[name], self._reading.get(name), kw)
