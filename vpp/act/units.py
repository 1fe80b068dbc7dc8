"""The park as arrays: what a hundred thousand devices are, and what was seen of them.

    Park      ─▶ Units    compiled once; limit orders change its tree alone (`under`)
    ParkState ─▶ Seen     once a cycle

All arrays have a place for each resource, in park order, shape (N,). What a kind has not is NaN, or a number
that limits nothing, so that one formula holds for all; the few that need their own are listed by number
(`by_kind`, `stepped`, `switched`, `stores`, `ramps`, `beside`, `late`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property
from math import inf, nan
from operator import attrgetter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vpp.act.branches import Branches, Places, branches
from vpp.act.parts import Part, Ramps, Stores
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


SEEN = (
    *("power_kw", "measured_at", "soc", "available_kw"),
    *("phase", "phase_since", "calls_today", "setpoint_seq"),
)
"""Of a reading, what `Seen` is made of."""


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

BESIDE = (
    *(Kind.EV_FLEET, Kind.FLEXIBLE_LOAD, Kind.CURTAILABLE_LOAD, Kind.GENERATOR),
    *(Kind.INTERRUPTIBLE_LOAD, Kind.SHIFTABLE_RUN),
)
"""Kinds that may do other than they are told."""


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
    """Of stores; NaN for others, as the six that follow."""

    min_soc: Floats
    charge_efficiency: Floats
    discharge_efficiency: Floats
    charge_taper_soc: Floats
    discharge_taper_soc: Floats
    wear_cost_per_kwh: Floats

    cost_per_kwh: Floats
    """Of what is fed; 0 for all but generators, as the next."""

    curtailment_cost_per_kwh: Floats
    """Of what could be fed and is not."""

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

    tree: Branches

    @classmethod
    def of(cls, park: Park) -> Units:
        """Compile a park."""
        return _compiled(park)

    def under(self, park: Park) -> Units:
        """The same units under the limits of `park`, which may be narrowed by orders."""
        same = copy(self)  # with all that was derived from it before
        object.__setattr__(same, "tree", self.tree.under(park))
        return same

    def __len__(self) -> int:
        return len(self.names)

    # ------------------------------------------------------------ derived, once

    @cached_property
    def index(self) -> Mapping[ResourceId, int]:
        """The number of each resource."""
        return {name: at for at, name in enumerate(self.names)}

    @cached_property
    def by_kind(self) -> Mapping[Kind, Places]:
        """Who is of each kind."""
        return {kind: np.flatnonzero(self.kind == kind) for kind in Kind}

    @cached_property
    def low_kw(self) -> Floats:
        """The lowest net injection of each."""
        return -self.draw_kw

    @cached_property
    def least_told_kw(self) -> Floats:
        """The lowest power that each may be told, but for rounding."""
        return -self.draw_kw - self.slack_kw

    @cached_property
    def most_told_kw(self) -> Floats:
        """The highest."""
        return self.feed_kw + self.slack_kw

    @cached_property
    def stepped(self) -> Places:
        """Machines that cannot run at any little power: least powers, or bands."""
        machines = (self.least_draw_kw > 0) | (self.least_feed_kw > 0) | (self.band_row >= 0)
        return np.flatnonzero(machines)

    @cached_property
    def switched(self) -> Places:
        """Machines that must stay on, or off, for a while."""
        return np.flatnonzero((self.min_up_s > 0) | (self.min_down_s > 0))

    @cached_property
    def longest_dwell_s(self) -> Floats:
        """How long `switched` stay on or off at most."""
        return np.maximum(self.min_up_s, self.min_down_s)[self.switched]

    @cached_property
    def late(self) -> Part:
        """Who is not at once where its command wants it: on a ramp, or after a delay."""
        late = self._on_a_ramp | (self.steered & (self.delay_s > 0))
        return Part.of((), np.flatnonzero(late), len(self))

    @cached_property
    def beside(self) -> Part:
        """Who does something beside its command, kind after kind."""
        ready = self.by_kind[Kind.CONVERTER][self.ready_kw[self.by_kind[Kind.CONVERTER]] > 0]
        kinds = [(kind, self.by_kind[kind]) for kind in BESIDE]
        return Part.of(kinds, ready, len(self))

    @cached_property
    def beside_ready_kw(self) -> Floats:
        """`ready_kw` of `beside`."""
        return self.ready_kw[self.beside.at]

    @cached_property
    def starts_kw(self) -> Floats:
        """What a run of `beside` does at most once it is started; NaN for others."""
        at = self.beside.at
        return np.where(self.kind[at] == Kind.SHIFTABLE_RUN, -self.draw_kw[at], nan)

    @cached_property
    def worst_high_kw(self) -> Floats:
        """The highest net injection of each, whatever it is told."""
        return np.where(self.kind == Kind.INTERRUPTIBLE_LOAD, 0.0, self.feed_kw)

    @cached_property
    def stores(self) -> Stores:
        """What holds energy."""
        at = self.by_kind[Kind.STORAGE]
        return Stores(
            at=at,
            min_soc=self.min_soc[at],
            out_kwh=self.capacity_kwh[at] * self.discharge_efficiency[at],
            in_kwh=self.capacity_kwh[at] / self.charge_efficiency[at],
        )

    @cached_property
    def ramps(self) -> Ramps:
        """Whose power follows its command on a ramp; bands are jumped between."""
        at = np.flatnonzero(self._on_a_ramp)
        return Ramps(
            at=at,
            kw_per_s=self.ramp_kw_per_s[at],
            least_draw_kw=self.least_draw_kw[at],
            least_feed_kw=self.least_feed_kw[at],
            low_kw=-self.draw_kw[at],
            high_kw=self.feed_kw[at],
        )

    @cached_property
    def steered(self) -> Bools:
        """Whose command is a power to run at, not a cap or a word."""
        return np.isin(self.kind, RUNS_AT_ITS_COMMAND) & ~self.weather_driven

    @cached_property
    def _on_a_ramp(self) -> Bools:
        on_a_ramp: Bools = self.steered & (self.ramp_kw_per_s < inf) & (self.band_row < 0)
        return on_a_ramp

    # ------------------------------------------------------------ names

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

    @property
    def heard(self) -> Bools:
        """Who is known, shape (N,)."""
        return ~np.isnan(self.measured_age_s)

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

        def told(values: Sequence[float | None]) -> Floats:
            every = np.full(len(units), nan)
            every[at] = np.array(values, dtype=float)  # which makes NaN of None
            return every

        def ages_s(moments: Sequence[datetime | None]) -> Floats:
            return told([None if one is None else (now - one).total_seconds() for one in moments])

        columns = [list(map(attrgetter(name), heard)) for name in SEEN]
        power_kw, measured_at, soc, available_kw, phases, since, calls_today, seq = columns
        phase = np.zeros(len(units), dtype=np.int8)
        phase[at] = [PHASES[one] for one in phases]
        acknowledged = np.full(len(units), -1, dtype=np.int64)
        acknowledged[at] = [-1 if one is None else one for one in seq]
        return cls(
            taken_at=now,
            power_kw=told(power_kw),
            measured_age_s=ages_s(measured_at),
            soc=told(soc),
            available_kw=told(available_kw),
            phase=phase,
            phase_age_s=ages_s(since),
            calls_today=told(calls_today),
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

    def of_stores(value: Callable[[Storage], float]) -> Floats:
        return column(lambda r: value(r) if isinstance(r, Storage) else nan)

    def of_sources(value: Callable[[Generator], float]) -> Floats:
        return column(lambda r: value(r) if isinstance(r, Generator) else 0.0)

    band_row = np.full(len(resources), -1, dtype=np.intp)
    band_row[[at for at, _ in banded]] = np.arange(len(banded))
    return Units(
        names=names,
        enterprises=enterprises,
        enterprise=np.array([owner[r.enterprise_id] for r in resources], dtype=np.intp),
        kind=np.array([KINDS[type(r)] for r in resources], dtype=np.int8),
        weather_driven=np.array(
            [isinstance(r, Generator) and r.weather_driven for r in resources], dtype=np.bool_
        ),
        draw_kw=column(lambda r: r.draw_kw),
        feed_kw=column(lambda r: r.feed_kw),
        worst_low_kw=column(
            lambda r: -(r.most_draw_kw if isinstance(r, InterruptibleLoad) else r.draw_kw)
        ),
        ramp_kw_per_s=column(lambda r: r.ramp_kw_per_min / 60),
        delay_s=column(lambda r: r.response_delay_s),
        max_age_s=column(lambda r: r.max_age_s),
        slack_kw=TOLERANCE_KW * np.maximum(1.0, column(lambda r: r.draw_kw + r.feed_kw)),
        capacity_kwh=of_stores(lambda r: r.capacity_kwh),
        min_soc=of_stores(lambda r: r.min_soc),
        charge_efficiency=of_stores(lambda r: r.charge_efficiency),
        discharge_efficiency=of_stores(lambda r: r.discharge_efficiency),
        charge_taper_soc=of_stores(lambda r: r.charge_taper_soc),
        discharge_taper_soc=of_stores(lambda r: r.discharge_taper_soc),
        wear_cost_per_kwh=of_stores(lambda r: r.wear_cost_per_kwh),
        cost_per_kwh=of_sources(lambda r: r.cost_per_kwh),
        curtailment_cost_per_kwh=of_sources(lambda r: r.curtailment_cost_per_kwh),
        curtailable_share=column(
            lambda r: r.curtailable_share if isinstance(r, CurtailableLoad) else 0.0
        ),
        must_run_share=of_sources(lambda r: r.must_run_share),
        ready_kw=column(lambda r: r.ready_kw if isinstance(r, Converter) else 0.0),
        least_draw_kw=np.array([draw for draw, _ in least], dtype=np.float64),
        least_feed_kw=np.array([feed for _, feed in least], dtype=np.float64),
        bands_kw=_table([(0.0, *bands) for _, bands in banded]),
        band_row=band_row,
        min_up_s=np.array([r.min_up.total_seconds() for r in rules], dtype=np.float64),
        min_down_s=np.array([r.min_down.total_seconds() for r in rules], dtype=np.float64),
        tree=branches(park, {name: at for at, name in enumerate(names)}),
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
