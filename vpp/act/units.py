"""The park as arrays: what a hundred thousand devices are, and what was seen of them.

    Park      ─▶ Units    compiled once; limit orders change its tree alone (`under`)
    ParkState ─▶ Seen     once a cycle

All arrays have a place for each resource, in park order, shape (N,). What a kind has not is NaN, or a number
that limits nothing, so that one formula holds for all; the few that need their own are listed by number
(`of`, `stepped`, `switched`, `ramped`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from math import inf, nan
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.act.branches import Branches, Places, branches
from vpp.errors import DataError
from vpp.model.horizon import Floats
from vpp.model.ids import EnterpriseId, ResourceId
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

Bools: TypeAlias = NDArray[np.bool_]
Codes: TypeAlias = NDArray[np.int8]


class Kind(IntEnum):
    """The kinds of `vpp/model/resource/`, as numbers."""

    FIXED_LOAD = 0
    STORAGE = 1
    GENERATOR = 2
    CURTAILABLE_LOAD = 3
    INTERRUPTIBLE_LOAD = 4
    SHIFTABLE_RUN = 5
    FLEXIBLE_LOAD = 6
    THERMAL_ZONE = 7
    EV_FLEET = 8
    CONVERTER = 9


class Phase(IntEnum):
    """The phases of `RunPhase`, as numbers."""

    NONE = 0
    WAITING = 1
    RUNNING = 2
    CALLED = 3
    DONE = 4


KINDS: Mapping[type[Resource], Kind] = {
    FixedLoad: Kind.FIXED_LOAD,
    Storage: Kind.STORAGE,
    Generator: Kind.GENERATOR,
    CurtailableLoad: Kind.CURTAILABLE_LOAD,
    InterruptibleLoad: Kind.INTERRUPTIBLE_LOAD,
    ShiftableRun: Kind.SHIFTABLE_RUN,
    FlexibleLoad: Kind.FLEXIBLE_LOAD,
    ThermalZone: Kind.THERMAL_ZONE,
    EvFleet: Kind.EV_FLEET,
    Converter: Kind.CONVERTER,
}
PHASES: Mapping[RunPhase | None, Phase] = {
    None: Phase.NONE,
    RunPhase.WAITING: Phase.WAITING,
    RunPhase.RUNNING: Phase.RUNNING,
    RunPhase.CALLED: Phase.CALLED,
    RunPhase.DONE: Phase.DONE,
}

TOLERANCE_KW = 1e-6
"""Float noise that breaks no limit: a milliwatt, and more where many powers are added up."""

RUNS_AT_ITS_COMMAND = (
    *(Kind.STORAGE, Kind.FLEXIBLE_LOAD, Kind.THERMAL_ZONE, Kind.EV_FLEET, Kind.CONVERTER),
    Kind.GENERATOR,
)
"""Kinds whose command is a power to run at, not a word or a cap; of generators, only what no weather drives."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """What the N resources of a park are. Sizes and limits are not negative, as in the model."""

    names: tuple[ResourceId, ...]
    enterprises: tuple[EnterpriseId, ...]
    enterprise: Places
    """The owner of each, as its place in `enterprises`."""

    kind: Codes
    """`Kind` of each."""

    weather_driven: Bools
    draw_kw: Floats
    feed_kw: Floats
    worst_low_kw: Floats
    """The least net injection of each, whatever it is told: what counts where nobody knows."""

    ramp_kw_per_s: Floats
    """inf where it is quicker than anyone looks."""

    delay_s: Floats
    max_age_s: Floats
    slack_kw: Floats
    """What a power may lie beside its limit by rounding: a millionth of its range, a milliwatt at least."""

    capacity_kwh: Floats
    """Of stores; NaN for others, as the three that follow."""

    min_soc: Floats
    charge_efficiency: Floats
    discharge_efficiency: Floats

    curtailable_share: Floats
    """0 for all but curtailable loads."""

    must_run_share: Floats
    """0 for all but generators."""

    ready_kw: Floats
    """What a converter draws while it is off; 0 for others."""

    least_draw_kw: Floats
    """Least draw beside 0 of machines that are on or off; 0 where any little will do."""

    least_feed_kw: Floats
    bands_kw: Floats
    """0 and the draws beside it that a load knows, rising, inf behind the last; one row a load."""

    band_row: Places
    """The row of each in `bands_kw`; -1 for who has no bands."""

    min_up_s: Floats
    """0 where it may be stopped at once."""

    min_down_s: Floats

    index: Mapping[ResourceId, int]
    """The number of each resource."""

    by_kind: Mapping[Kind, Places]
    """Who is of each kind."""

    stepped: Places
    """Machines that cannot run at any little power: least powers, or bands."""

    switched: Places
    """Machines that must stay on, or off, for a while."""

    ramped: Places
    """Whose power follows its command on a ramp; bands are jumped between."""

    late: Places
    """Who is not at once where its command wants it: on a ramp, or after a delay."""

    tree: Branches

    @classmethod
    def of(cls, park: Park) -> Units:
        """Compile a park."""
        return _compiled(park)

    def under(self, park: Park) -> Units:
        """The same units under the limits of `park`, which may be narrowed by orders."""
        return replace(self, tree=self.tree.under(park))

    def __len__(self) -> int:
        return len(self.names)

    def powers_kw(self, power_kw: Mapping[ResourceId, float | None]) -> Floats:
        """Powers by name as an array; NaN for who is not named.

        Raises:
            DataError: A name that the park does not know.
        """
        powers = np.full(len(self), nan)
        for name, kw in power_kw.items():
            if name not in self.index:
                raise DataError(f"no resource {name}", where="powers", fix="Name one of the park")
            powers[self.index[name]] = nan if kw is None else kw
        return powers

    def by_name(self, power_kw: Floats) -> dict[ResourceId, float]:
        """An array of powers by name, in park order; without those that are NaN."""
        return {self.names[at]: float(power_kw[at]) for at in np.flatnonzero(power_kw == power_kw)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What was measured of each unit, frozen at `taken_at`; NaN where it is unknown, or says nothing of it."""

    taken_at: datetime
    power_kw: Floats
    """Net injection."""

    measured_age_s: Floats
    """Age of the reading at `taken_at`, by its own stamp."""

    soc: Floats
    available_kw: Floats
    phase: Codes
    """`Phase` of each."""

    phase_age_s: Floats
    """Since when it is in its phase, counted at `taken_at`."""

    calls_today: Floats
    acknowledged_seq: NDArray[np.int64]
    """The newest command that each says it has taken; -1 where it says nothing."""

    @classmethod
    def of(cls, units: Units, state: ParkState) -> Seen:
        """The picture of a cycle as arrays.

        Raises:
            DataError: The state is not of this park.
        """
        if len(state.resources) != len(units):
            raise DataError(
                f"{len(state.resources)} states of {len(units)} resources",
                where="Seen",
                fix="Freeze the park that the units were made of",
            )
        at = [i for i, s in enumerate(state.resources) if isinstance(s, Reading)]
        heard = [s for s in state.resources if isinstance(s, Reading)]
        now = state.taken_at

        def told(values: Iterable[float | None]) -> Floats:
            every = np.full(len(units), nan)
            every[at] = np.array([nan if value is None else value for value in values], dtype=float)
            return every

        def age_s(moment: datetime | None) -> float | None:
            return None if moment is None else (now - moment).total_seconds()

        phase = np.zeros(len(units), dtype=np.int8)
        phase[at] = [PHASES[s.phase] for s in heard]
        acknowledged = np.full(len(units), -1, dtype=np.int64)
        acknowledged[at] = [-1 if s.setpoint_seq is None else s.setpoint_seq for s in heard]
        return cls(
            taken_at=now,
            power_kw=told(s.power_kw for s in heard),
            measured_age_s=told(age_s(s.measured_at) for s in heard),
            soc=told(s.soc for s in heard),
            available_kw=told(s.available_kw for s in heard),
            phase=phase,
            phase_age_s=told(age_s(s.phase_since) for s in heard),
            calls_today=told(s.calls_today for s in heard),
            acknowledged_seq=acknowledged,
        )


def _compiled(park: Park) -> Units:
    resources = park.resources
    names = tuple(r.resource_id for r in resources)
    enterprises = tuple(e.enterprise_id for e in park.enterprises)
    owner = {name: at for at, name in enumerate(enterprises)}
    rules = [_on_off(r) for r in resources]
    least = [_least_kw(r) for r in resources]
    banded = [
        (at, r.bands_kw)
        for at, r in enumerate(resources)
        if isinstance(r, FlexibleLoad) and r.bands_kw
    ]

    def column(value: Callable[[Resource], float]) -> Floats:
        return np.array([value(r) for r in resources], dtype=np.float64)

    kind = np.array([KINDS[type(r)] for r in resources], dtype=np.int8)
    weather_driven = np.array(
        [isinstance(r, Generator) and r.weather_driven for r in resources], dtype=np.bool_
    )
    ramp_kw_per_s = column(lambda r: r.ramp_kw_per_min / 60)
    delay_s = column(lambda r: r.response_delay_s)
    least_draw_kw = np.array([draw for draw, _ in least], dtype=np.float64)
    least_feed_kw = np.array([feed for _, feed in least], dtype=np.float64)
    min_up_s = np.array([r.min_up.total_seconds() for r in rules], dtype=np.float64)
    min_down_s = np.array([r.min_down.total_seconds() for r in rules], dtype=np.float64)
    band_row = np.full(len(resources), -1, dtype=np.intp)
    band_row[[at for at, _ in banded]] = np.arange(len(banded))
    has_bands = band_row >= 0
    steered = np.isin(kind, RUNS_AT_ITS_COMMAND) & ~weather_driven
    ramped = steered & (ramp_kw_per_s < inf) & ~has_bands
    index = {name: at for at, name in enumerate(names)}
    return Units(
        names=names,
        enterprises=enterprises,
        enterprise=np.array([owner[r.enterprise_id] for r in resources], dtype=np.intp),
        kind=kind,
        weather_driven=weather_driven,
        draw_kw=column(lambda r: r.draw_kw),
        feed_kw=column(lambda r: r.feed_kw),
        worst_low_kw=column(
            lambda r: -(r.most_draw_kw if isinstance(r, InterruptibleLoad) else r.draw_kw)
        ),
        ramp_kw_per_s=ramp_kw_per_s,
        delay_s=delay_s,
        max_age_s=column(lambda r: r.max_age_s),
        slack_kw=TOLERANCE_KW * np.maximum(1.0, column(lambda r: r.draw_kw + r.feed_kw)),
        capacity_kwh=column(lambda r: r.capacity_kwh if isinstance(r, Storage) else nan),
        min_soc=column(lambda r: r.min_soc if isinstance(r, Storage) else nan),
        charge_efficiency=column(lambda r: r.charge_efficiency if isinstance(r, Storage) else nan),
        discharge_efficiency=column(
            lambda r: r.discharge_efficiency if isinstance(r, Storage) else nan
        ),
        curtailable_share=column(
            lambda r: r.curtailable_share if isinstance(r, CurtailableLoad) else 0.0
        ),
        must_run_share=column(lambda r: r.must_run_share if isinstance(r, Generator) else 0.0),
        ready_kw=column(lambda r: r.ready_kw if isinstance(r, Converter) else 0.0),
        least_draw_kw=least_draw_kw,
        least_feed_kw=least_feed_kw,
        bands_kw=_table([(0.0, *bands) for _, bands in banded]),
        band_row=band_row,
        min_up_s=min_up_s,
        min_down_s=min_down_s,
        index=index,
        by_kind={each: np.flatnonzero(kind == each) for each in Kind},
        stepped=np.flatnonzero((least_draw_kw > 0) | (least_feed_kw > 0) | has_bands),
        switched=np.flatnonzero((min_up_s > 0) | (min_down_s > 0)),
        ramped=np.flatnonzero(ramped),
        late=np.flatnonzero(ramped | (steered & (delay_s > 0))),
        tree=branches(park, index),
    )


def _on_off(resource: Resource) -> OnOffRules:
    match resource:
        case FlexibleLoad(on_off=OnOffRules() as rules) | Generator(on_off=OnOffRules() as rules):
            return rules
        case Converter(on_off=OnOffRules() as rules):
            return rules
        case _:
            return OnOffRules()


def _least_kw(resource: Resource) -> tuple[float, float]:
    """Least draw and least feed beside 0; sizes, 0 where any little will do."""
    match resource:
        case FlexibleLoad():
            return resource.bands_kw[0] if resource.bands_kw else _on_off(
                resource
            ).min_power_kw, 0.0
        case Generator():
            return 0.0, _on_off(resource).min_power_kw
        case Converter(on_off=OnOffRules()) if not any(port.per_degc for port in resource.ports):
            return (
                max(min(-kw for kw in resource.steered_kw), 0.0),
                max(min(resource.steered_kw), 0.0),
            )
        case _:
            return 0.0, 0.0


def _table(rows: list[tuple[float, ...]]) -> Floats:
    table = np.full((len(rows), max(map(len, rows), default=1)), inf)
    for at, row in enumerate(rows):
        table[at, : len(row)] = row
    return table
