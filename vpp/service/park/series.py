"""Measured series beside a park file, read into the `Scenario` of a simulation.

A series file is CSV with a header; its first column is `interval_start` (UTC) and its rows stand
on the quarter-hour grid without a hole. A missing value is a fault, never a guess: whoever cuts
the series fills it by a stated rule. Sessions of cars carry local wall-clock times.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ResourceId
from vpp.model.park import Park
from vpp.model.resource import CurtailableLoad, EvFleet, FixedLoad, Generator
from vpp.model.time import local_day
from vpp.service.park.config import Document, Fault, KeyPath
from vpp.service.park.schema import CarsFile, Course, SimulatedMarket, SimulationSection
from vpp.service.park.seriestable import read_profiles, read_rows
from vpp.simulate.spec import CarVisit, MarketRules, Scenario


@dataclass(slots=True)
class SeriesReader:
    """Reads what a simulation section names and collects every fault on the way."""

    document: Document
    folder: Path
    park: Park
    faults: list[Fault] = field(default_factory=list)
    _grid: tuple[Path, Horizon] | None = None
    """The first file read and its grid; every other one must stand on the same."""

    def scenario(self, section: SimulationSection) -> Scenario | None:
        """The scenario, or None where `faults` say why there is none."""
        loads = self._table(("simulation", "loads"), section.loads.file)
        feeds = self._table(("simulation", "generation"), section.generation.file)
        outdoor = self._table(("simulation", "outdoor"), section.outdoor.file)
        prices = self._table(("simulation", "day_ahead_per_mwh"), section.day_ahead_per_mwh.file)
        base_kw, available_kw = {}, {}
        for place, course in enumerate(section.loads.courses):
            path = ("simulation", "loads", "courses", place)
            if (kw := self._course(path, course, loads)) is not None:
                base_kw[ResourceId(course.resource)] = Profile(kw.horizon, -kw.values)
        for place, course in enumerate(section.generation.courses):
            path = ("simulation", "generation", "courses", place)
            if (kw := self._course(path, course, feeds)) is not None:
                available_kw[ResourceId(course.resource)] = kw
        outdoor_degc = {}
        for place, series in enumerate(section.outdoor.series):
            path = ("simulation", "outdoor", "series", place)
            if (degc := self._column(path, series.column, outdoor)) is not None:
                outdoor_degc[series.id] = degc
        price_path: KeyPath = ("simulation", "day_ahead_per_mwh")
        day_ahead = self._column(price_path, section.day_ahead_per_mwh.column, prices)
        visits = self._visits(section.cars) if section.cars is not None else {}
        self._check_day(section)
        if self.faults or day_ahead is None:
            return None
        return Scenario(
            first_delivery_day=section.first_delivery_day,
            base_kw=base_kw,
            available_kw=available_kw,
            outdoor_degc=outdoor_degc,
            visits=visits,
            day_ahead_per_mwh=day_ahead,
            opening_soc={ResourceId(name): soc for name, soc in section.opening.soc.items()},
            opening_degc={ResourceId(name): degc for name, degc in section.opening.degc.items()},
            market=_market(section.market),
            minor_unit=self.park.minor_unit,
        )

    def _table(self, path: KeyPath, name: str) -> dict[str, Profile] | None:
        """Every column of a series file on the one grid; None where it has faults."""
        file = self.folder / name
        found = read_rows(file, self.document.fault((*path, "file"), ""), self.faults)
        if found is None:
            return None
        table, faults = read_profiles(file, found)
        self.faults += faults
        if faults or table is None:
            return None
        horizon = next(iter(table.values())).horizon
        if self._grid is None:
            self._grid = (file, horizon)
        elif horizon != self._grid[1]:
            what = f"spans {horizon.start} … {horizon.end}, not what {self._grid[0]} spans"
            self.faults.append(self.document.fault((*path, "file"), what))
            return None
        return table

    def _column(
        self, path: KeyPath, column: str, table: dict[str, Profile] | None
    ) -> Profile | None:
        if table is None:
            return None
        if column not in table:
            what = f"the file has no column {column!r}; it has {sorted(table)}"
            self.faults.append(self.document.fault((*path, "column"), what))
        return table.get(column)

    def _course(
        self, path: KeyPath, course: Course, table: dict[str, Profile] | None
    ) -> Profile | None:
        """Power in kW as a size, checked against what its resource can do."""
        profile = self._column(path, course.column, table)
        resource = self.park.resource_by_id[ResourceId(course.resource)]
        if profile is None or not isinstance(resource, FixedLoad | CurtailableLoad | Generator):
            return None
        kw = profile.values * course.times
        most = resource.draw_kw + resource.feed_kw
        if kw.min() < 0:
            what = f"the column goes down to {kw.min():.3f} kW; a size is never negative"
            self.faults.append(self.document.fault((*path, "column"), what))
        if kw.max() > most:
            what = f"the series then reaches {kw.max():.1f} kW, and {course.resource} {most:g} kW"
            self.faults.append(self.document.fault((*path, "times"), what))
        return Profile(profile.horizon, kw)

    def _visits(self, section: CarsFile) -> dict[ResourceId, tuple[CarVisit, ...]]:
        """Sessions of each fleet. A car wants no more than one charger gives while it stays."""
        file = self.folder / section.file
        path: KeyPath = ("simulation", "cars")
        rows = read_rows(file, self.document.fault((*path, "file"), ""), self.faults)
        if rows is None:
            return {}
        sessions, faults = _sessions(file, rows, self.park.timezone)
        self.faults += faults
        visits = {}
        for place, fleet in enumerate(section.fleets):
            resource = self.park.resource_by_id[ResourceId(fleet.resource)]
            own = [session for car_park, session in sessions if car_park == fleet.car_park]
            if not own and not faults:
                what = f"the file has no sessions of {fleet.car_park!r}"
                self.faults.append(self.document.fault((*path, "fleets", place, "car_park"), what))
            if isinstance(resource, EvFleet):
                visits[resource.resource_id] = tuple(
                    _scaled(visit, fleet.energy_times, resource) for visit in own
                )
        return visits

    def _check_day(self, section: SimulationSection) -> None:
        """The day before the first delivery, and that day itself, must be in the series."""
        if self._grid is None:
            return
        span = self._grid[1].span
        day = local_day(section.first_delivery_day, self.park.timezone)
        if not (span.start <= day.start - timedelta(days=1) and day.end <= span.end):
            what = f"this day or the one before lies outside the series {span.start} … {span.end}"
            self.faults.append(self.document.fault(("simulation", "first_delivery_day"), what))


def _scaled(visit: CarVisit, energy_times: float, fleet: EvFleet) -> CarVisit:
    stay_h = (visit.departs_at - visit.arrives_at) / timedelta(hours=1)
    most_kwh = stay_h * fleet.charger_kw * fleet.charge_efficiency
    return CarVisit(
        session_id=visit.session_id,
        arrives_at=visit.arrives_at,
        departs_at=visit.departs_at,
        wanted_kwh=min(visit.wanted_kwh * energy_times, most_kwh),
    )


SESSION_COLUMNS = ["session_id", "car_park", "arrives_local", "departs_local", "energy_kwh"]


def _sessions(
    file: Path, rows: list[list[str]], zone: ZoneInfo
) -> tuple[list[tuple[str, CarVisit]], list[Fault]]:
    """Car park and visit of each row, by arrival."""
    if rows[0] != SESSION_COLUMNS:
        return [], [Fault(str(file), 1, 1, "", f"the header is not {','.join(SESSION_COLUMNS)}")]
    found, faults, seen = [], [], set()
    for place, row in enumerate(rows[1:]):
        try:
            session_id, car_park, arrives, departs, energy = row
            visit = CarVisit(
                session_id=session_id,
                arrives_at=_wall_clock(arrives, zone),
                departs_at=_wall_clock(departs, zone),
                wanted_kwh=float(energy),
            )
            if visit.departs_at <= visit.arrives_at or not 0 < visit.wanted_kwh < 1e6:
                raise ValueError("a stay or an energy that is not above 0")
            if session_id in seen:
                raise ValueError(f"session {session_id} stands here a second time")
        except (ValueError, OverflowError) as error:
            faults.append(Fault(str(file), place + 2, 1, "", str(error)))
            continue
        seen.add(session_id)
        found.append((car_park, visit))
    return sorted(found, key=lambda item: (item[1].arrives_at, item[1].session_id)), faults[:20]


def _market(section: SimulatedMarket) -> MarketRules:
    rules = {each.product: each.rule() for each in section.clearing}
    return MarketRules(**section.model_dump(exclude={"clearing"}), clearing=rules)


def _wall_clock(text: str, zone: ZoneInfo) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError(f"{text} names a zone; write the wall clock")
    return moment.replace(tzinfo=zone).astimezone(UTC)
