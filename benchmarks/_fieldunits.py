"""Very many units for the guard: every kind, compiled once as a small park and then laid side by side.

    2 000 resources behind 100 connection points ─▶ Units ─▶ the same again and again, behind points of their own

A million resources as objects would be a minute of building them and say nothing about the guard.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from vpp.act.branches import Branches
from vpp.act.guard import Before
from vpp.act.units import Bools, Kind, Phase, Seen, Units
from vpp.model.demand import ActualDemand
from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId, EnterpriseId, FeederId, ParkId, ResourceId
from vpp.model.park import ConnectionPoint, Enterprise, Feeder, Limits, Park
from vpp.model.resource import (
    EVERY_DAY,
    Converter,
    CurtailableLoad,
    EvFleet,
    FixedLoad,
    FlexibleLoad,
    Generator,
    InterruptibleLoad,
    OnOffRules,
    Port,
    Resource,
    ShiftableRun,
    Storage,
    ThermalZone,
)
from vpp.model.tariff import TouBand, TwoPartTariff

NOW = datetime(2026, 1, 7, 12, tzinfo=UTC)
TILE = 2_000
POINTS, FEEDERS, ENTERPRISES = 100, 10, 20
SIZE_KW = 100.0
"""Of every resource: sums can be checked by hand."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """N units, what was seen of them, and what is in force."""

    units: Units
    seen: Seen
    before: Before
    stopped: Bools


def a_field(size: int, chance: np.random.Generator, *, tight: float) -> Field:
    """`size` units, a multiple of `TILE`; `tight` is the share of connection points with small limits."""
    units = _tiled(Units.of(_park()), size // TILE, chance, tight)
    return Field(
        units=units,
        seen=_seen(units, chance),
        before=Before(
            period_s=60.0,
            power_kw=np.where(chance.random(size) < 0.5, 0.0, np.nan),
            age_s=np.full(size, 60.0),
            switched_s=np.full(size, np.nan),
            lingers_kw=np.where(chance.random(size) < 0.1, 50.0, np.nan),
        ),
        stopped=chance.random(size) < 0.01,
    )


def _tiled(units: Units, times: int, chance: np.random.Generator, tight: float) -> Units:
    """The same units `times` over, each time behind connection points of their own."""
    tree, points = units.tree, units.tree.points * times
    spread: dict[str, Any] = {
        f.name: np.tile(value, times)
        for f in fields(units)
        if isinstance(value := getattr(units, f.name), np.ndarray) and value.shape == (len(units),)
    }
    # The table of bands stays as it is: rows are shared.
    level_points, enterprises, feeders, park = tree.levels
    again = np.arange(times).repeat(tree.points)
    small = np.where(chance.random(points) < tight, SIZE_KW, np.inf)
    levels = [
        replace(
            level_points,
            names=tuple(f"connection point {at}" for at in range(points)),
            of_point=np.arange(points + 1, dtype=np.intp),
            import_kw=small,
            export_kw=small.copy(),
        )
    ]
    for level in (enterprises, feeders):
        m = len(level.names)
        levels.append(
            replace(
                level,
                names=tuple(f"{name} {at}" for at in range(times) for name in level.names),
                of_point=np.append(np.tile(level.of_point[:-1], times) + m * again, m * times),
                import_kw=np.tile(level.import_kw, times),
                export_kw=np.tile(level.export_kw, times),
            )
        )
    levels.append(replace(park, of_point=np.append(np.zeros(points, dtype=np.intp), 1)))
    point_of = np.tile(tree.point_of, times) + tree.points * np.arange(times).repeat(len(units))
    names = tuple(ResourceId(f"r{at}") for at in range(len(units) * times))
    return replace(
        units,
        **spread,
        names=names,
        tree=Branches(point_of=point_of, points=points, groups=tree.groups, levels=tuple(levels)),
    )


def _seen(units: Units, chance: np.random.Generator) -> Seen:
    """All sorts of powers; one in a hundred is not heard, one in a hundred too old."""
    n = len(units)
    power_kw = chance.uniform(-units.draw_kw, units.feed_kw)
    age_s = chance.uniform(0, 60, n)
    age_s[chance.random(n) < 0.01] = 1000.0
    unheard = chance.random(n) < 0.01
    power_kw[unheard] = age_s[unheard] = np.nan
    stores = units.kind == Kind.STORAGE
    return Seen(
        taken_at=NOW,
        power_kw=power_kw,
        measured_age_s=age_s,
        soc=np.where(stores, chance.choice([0.0, 0.1, 0.5, 0.9, 1.0], n), np.nan),
        available_kw=np.where(units.weather_driven, np.maximum(power_kw, 0.0), np.nan),
        phase=chance.integers(0, len(Phase), n).astype(np.int8),
        phase_age_s=chance.uniform(0, 7200, n),
        calls_today=np.zeros(n),
        acknowledged_seq=np.full(n, -1),
    )


def _park() -> Park:
    enterprises = [EnterpriseId(f"e{at}") for at in range(ENTERPRISES)]
    points = [ConnectionPointId(f"p{at}") for at in range(POINTS)]
    resources = tuple(
        _resource(at, enterprises[at % POINTS % ENTERPRISES], points[at % POINTS])
        for at in range(TILE)
    )
    whole = Limits(import_kw=5e4, export_kw=5e4)
    return Park(
        park_id=ParkId("field"),
        name="Field",
        timezone=ZoneInfo("UTC"),
        currency="EUR",
        minor_unit=Decimal("0.01"),
        limits=Limits(),
        feeders=tuple(
            Feeder(feeder_id=FeederId(f"f{at}"), limits=whole) for at in range(FEEDERS)
        ),
        enterprises=tuple(
            Enterprise(enterprise_id=name, name=name, limits=whole) for name in enterprises
        ),
        connection_points=tuple(
            ConnectionPoint(
                connection_point_id=name,
                enterprise_id=enterprises[at % ENTERPRISES],
                feeder_id=FeederId(f"f{at % FEEDERS}"),
                limits=Limits(),
                meter_id=ResourceId(f"m{at}"),
                tariff_id="t",
            )
            for at, name in enumerate(points)
        ),
        resources=resources,
        bidding_units=(),
        tariffs=(
            TwoPartTariff(
                tariff_id="t",
                bands=(
                    TouBand(
                        name="all", start=time(), end=time(), days=EVERY_DAY,
                        price_per_kwh=Decimal(0),
                    ),
                ),
                demand=ActualDemand(price_per_kw_month=Decimal(0)),
            ),
        ),
        grid_kgco2_per_kwh=0.0,
    )  # fmt: skip


def _resource(at: int, enterprise: EnterpriseId, point: ConnectionPointId) -> Resource:
    """Half are batteries; the others are of every kind, machines with steps, ramps and dwell among them."""
    who: dict[str, Any] = {
        "resource_id": ResourceId(f"r{at}"),
        "enterprise_id": enterprise,
        "connection_point_id": point,
    }
    ramp_kw_per_min = 50.0 if at % 3 == 0 else np.inf
    rules = OnOffRules(min_up=timedelta(minutes=30), min_down=timedelta(minutes=30))
    sizes: dict[str, Any] = {"max_draw_kw": SIZE_KW}
    match at // POINTS % 20:
        case 0:
            return FixedLoad(**who, **sizes)
        case 1:
            return Generator(**who, max_feed_kw=SIZE_KW)
        case 2:
            return Generator(
                **who, max_feed_kw=SIZE_KW, weather_driven=False, ramp_kw_per_min=ramp_kw_per_min,
                on_off=OnOffRules(min_power_kw=30.0, min_up=timedelta(minutes=30)),
            )  # fmt: skip
        case 3:
            return CurtailableLoad(
                **who, **sizes, curtailable_share=0.5, curtailment_cost_per_kwh=0.1
            )
        case 4:
            return InterruptibleLoad(
                **who, rated_draw_kw=SIZE_KW, operating_from=time(6), operating_to=time(22),
                call_length=timedelta(hours=1), callable_hours=(13,), call_cost_per_kwh=0.1,
            )  # fmt: skip
        case 5:
            return ShiftableRun(
                **who, profile_kw=(SIZE_KW,), earliest_start=time(6), latest_end=time(22),
                default_start=time(13),
            )  # fmt: skip
        case 6:
            return FlexibleLoad(**who, **sizes, windows=(), bands_kw=(40.0, 70.0, SIZE_KW))
        case 7:
            return ThermalZone(
                **who, **sizes, heating=False, cop=3.0, resistance_degc_per_kw=0.5,
                capacity_kwh_per_degc=50.0, min_degc=-22.0, max_degc=-18.0, target_degc=-20.0,
                discomfort_cost_per_degc_h=1.0, outdoor_series_id="outdoor",
            )  # fmt: skip
        case 8:
            return EvFleet(**who, **sizes, charger_kw=10.0, unserved_cost_per_kwh=1.0)
        case 9:
            ports = (Port(node_id=None),)
            return Converter(**who, ports=ports, points_kw=((-SIZE_KW,), (-20.0,)), on_off=rules)
        case _:
            return Storage(
                **who, capacity_kwh=2 * SIZE_KW, max_charge_kw=SIZE_KW, max_discharge_kw=SIZE_KW,
                min_soc=0.1, ramp_kw_per_min=ramp_kw_per_min,
            )  # fmt: skip


def wishes_kw(units: Units, chance: np.random.Generator) -> Floats:
    """Something inside the rating of each."""
    return chance.uniform(-units.draw_kw, units.feed_kw)
