"""Reports of a unit: what they tell, when they are due, that they are on record before they leave, and leave again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from tests.patience import PATIENCE_S
from tests.service.conftest import NOW, QuietLink, Serving, hear
from tests.service.drpark import NOW as DR_NOW
from tests.service.drpark import a_plant as a_dr_plant
from tests.service.drpark import write_park
from tests.service.smallpark import MARKET, PARK
from vpp.act.ladder import SafeState
from vpp.clock import SimulatedClock
from vpp.errors import DataError, UnavailableError
from vpp.model.ids import ResourceId
from vpp.model.measurement import Reading
from vpp.model.reporting import (
    DayPlanReport,
    Declined,
    ForecastReport,
    NotTaken,
    PointReport,
    ReportAnswer,
    ReportHead,
    ReportKind,
    Taken,
    is_known,
)
from vpp.model.telecontrol import Flaw
from vpp.model.time import QUARTER, Interval, isoformat, local_date
from vpp.service import cycle, inputs
from vpp.service.demandresponse import baseline as drbaseline
from vpp.service.iec104 import points as iec104points
from vpp.service.markets.pack import Pack
from vpp.service.markets.schema import Reporting
from vpp.service.park.config import ConfigErrors
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.plant import Plant
from vpp.service.reports import making as reportmaking
from vpp.service.reports import reporting
from vpp.service.reports import sending as reportsending
from vpp.service.reports.desk import PlatformDesk
from vpp.service.reports.schema import PlatformSection
from vpp.service.reports.values import Look
from vpp.service.reports.wiring import open_platforms
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import plant_in_memory
from vpp.wire import TelemetryMessage, topic

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
ALL: dict[str, Any] = {
    "telemetry_s": 60,
    "members_s": 60,
    "holds": ["PT15M", "PT4H"],
    "forecast": {"step": "PT15M", "horizon": "PT4H"},
    "schedule_points": 96,
}


def owing(plant: Plant, **said: Any) -> Plant:
    """The plant, whose first product owes reports now."""
    first = plant.file.packs[0]
    section = first.section.model_copy(update={"reporting": Reporting.model_validate(said)})
    packs = (replace(first, section=section), *plant.file.packs[1:])
    plant.file = replace(plant.file, packs=packs)
    reporting.recover(plant)
    return plant


def at(plant: Plant, moment: datetime) -> None:
    """The present of the plant is `moment`, and a report cycle happens."""
    plant.clock = SimulatedClock(moment)
    asyncio.run(reporting.report(plant, moment))


def plans_at(plant: Plant, moment: datetime) -> None:
    """The same of what is planned."""
    plant.clock = SimulatedClock(moment)
    asyncio.run(reporting.report_planned(plant, moment))


def newest(plant: Plant, kind: ReportKind = ReportKind.POINT) -> Any:
    (owed,) = plant.reports.owed
    return plant.reports.stream(owed.duty, kind).newest


def point(plant: Plant) -> PointReport:
    found = newest(plant)
    assert isinstance(found, PointReport)
    return found


def says(plant: Plant, name: str, moment: datetime, seq: int = 2, **values: Any) -> None:
    """One device is heard."""
    owner, site = plant.file.park.device_owner[ResourceId(name)]
    message = TelemetryMessage(ts=isoformat(moment), seq=seq, **values)
    taken = plant.intake.accept(
        topic(owner, site, name, "telemetry"), msgspec.json.encode(message), moment
    )
    assert isinstance(taken, Reading), taken


class Platform:
    """Takes reports, or does not, as it is told."""

    def __init__(self, *answers: ReportAnswer) -> None:
        self.answers = list(answers)
        """The next ones; then it takes all."""
        self.got: list[tuple[ReportHead, bytes]] = []

    async def send(self, head: ReportHead, body: bytes) -> ReportAnswer:
        self.got.append((head, body))
        return self.answers.pop(0) if self.answers else Taken()

    @property
    def minutes(self) -> list[int]:
        """Of the moments of what came, in order."""
        return [head.due_at.minute for head, _ in self.got]


def platform(plant: Plant, port: Platform, **said: Any) -> PlatformDesk:
    section = PlatformSection.model_validate(
        {"id": "centre", "url": "https://centre.example"} | said
    )
    desk = PlatformDesk(section=section, port=port)
    plant.reports.platforms = (desk,)
    return desk


def send_all(plant: Plant, desk: PlatformDesk) -> None:
    """Until nothing waits or the platform does not answer."""

    async def go_on() -> None:
        while desk.waiting and await reportsending.send_next(plant, desk):
            pass

    asyncio.run(go_on())


# ---------------------------------------------------------------- what is told


def test_the_power_of_a_unit_is_the_sum_of_what_its_members_show(plant: Plant) -> None:
    at(owing(plant, **ALL), NOW)
    says(plant, "steel-battery", NOW + 30 * SECOND, power_kw=120.0004, soc=0.5)
    says(plant, "office-base", NOW + 30 * SECOND, power_kw=-80.0)
    at(plant, NOW + MINUTE)

    told = point(plant)
    shown = {member.resource_id: member.power for member in told.members}
    assert shown[ResourceId("steel-battery")].value == 120.0
    assert told.power.value == 40.0 == sum(one.value for one in shown.values())
    assert told.power.flaw is Flaw.NONE
    assert told.power.at == NOW - 30 * SECOND  # as old as the oldest of them
    assert told.heard == told.resources == len(plant.file.park.electric)


def test_a_value_that_is_too_old_says_so_and_keeps_its_time_and_then_there_is_none(
    plant: Plant,
) -> None:
    heard_at = NOW - 30 * SECOND
    at(owing(plant, **ALL), NOW)
    hear(plant, NOW + 10 * MINUTE, seq=2)
    name = ResourceId("steel-battery")
    old = replace(plant.intake.newest[name], measured_at=heard_at)
    plant.intake.newest[name] = replace(old, power_kw=75.0)
    at(plant, NOW + 10 * MINUTE)

    told = point(plant)
    (battery,) = [one for one in told.members if one.resource_id == name]
    assert (battery.power.value, battery.power.flaw) == (75.0, Flaw.NOT_TOPICAL)
    assert battery.power.at == told.power.at == heard_at
    assert (told.power.value, told.power.flaw) == (75.0, Flaw.NOT_TOPICAL)
    assert told.heard == told.resources - 1
    assert told.capability[0].up.flaw is Flaw.NOT_TOPICAL

    hear(plant, NOW + 31 * MINUTE, seq=3)
    plant.intake.newest[name] = old
    at(plant, NOW + 31 * MINUTE)
    told = point(plant)
    (battery,) = [one for one in told.members if one.resource_id == name]
    assert not is_known(battery.power)
    assert (told.power.value, told.power.flaw) == (0.0, Flaw.NOT_TOPICAL)


def test_what_nobody_may_go_by_is_no_value_and_what_was_corrected_says_so(plant: Plant) -> None:
    name, other = ResourceId("steel-battery"), ResourceId("office-battery")
    newest_of = plant.intake.newest
    newest_of[name] = replace(newest_of[name], doubt="has not moved for an hour")
    newest_of[other] = replace(newest_of[other], power_kw=5.0, raw_power_kw=900.0)
    at(owing(plant, **ALL), NOW)

    shown = {member.resource_id: member.power for member in point(plant).members}
    assert not is_known(shown[name])
    assert (shown[other].value, shown[other].flaw) == (5.0, Flaw.SUBSTITUTED)


def test_reactive_power_is_the_sum_of_those_that_tell_it(plant: Plant) -> None:
    owing(plant, **ALL)
    says(plant, "steel-battery", NOW, power_kw=0.0, soc=0.5, reactive_kvar=40.0)
    says(plant, "office-battery", NOW, power_kw=0.0, soc=0.5, reactive_kvar=-15.5)
    at(plant, NOW)
    assert point(plant).reactive.value == 24.5


def test_reactive_power_of_a_device_that_tells_it_now_and_then_is_as_old_as_it_was_told(
    plant: Plant,
) -> None:
    owing(plant, **ALL)
    minute = timedelta(minutes=1)
    at_once: dict[str, Any] = {"power_kw": 0.0, "soc": 0.5}
    says(plant, "steel-battery", NOW, **at_once, reactive_kvar=40.0)
    says(plant, "office-battery", NOW, **at_once, reactive_kvar=-15.5)
    says(plant, "steel-battery", NOW + minute, seq=3, **at_once)
    at(plant, NOW + minute)
    shown = point(plant).reactive
    assert (shown.value, shown.flaw, shown.at) == (24.5, Flaw.NONE, NOW)

    for later in range(2, 5):
        says(plant, "office-battery", NOW + later * minute, later + 1, **at_once, reactive_kvar=1.0)
        says(plant, "steel-battery", NOW + later * minute, later + 2, **at_once)
    at(plant, NOW + 4 * minute)
    shown = point(plant).reactive
    assert (shown.value, shown.flaw, shown.at) == (41.0, Flaw.NOT_TOPICAL, NOW)

    says(plant, "steel-battery", NOW + 5 * minute, 9, **at_once, quality="bad")
    at(plant, NOW + 5 * minute)
    assert point(plant).reactive.value == 1.0, "who is not believed is not counted"
    assert point(plant).reactive.flaw is Flaw.NOT_TOPICAL


def test_room_that_is_held_longer_is_smaller_where_energy_is_behind_it(plant: Plant) -> None:
    at(owing(plant, **ALL), NOW)
    quarter, four_hours = point(plant).capability
    assert (quarter.hold, four_hours.hold) == (QUARTER, timedelta(hours=4))
    assert 0 < four_hours.up.value < quarter.up.value
    assert 0 < four_hours.down.value < quarter.down.value


def test_a_unit_is_told_with_its_working_point_and_what_it_would_do_uncalled(plant: Plant) -> None:
    at(owing(plant, **ALL), NOW)
    told = point(plant)
    assert plant.schedule is not None
    assert told.planned.value == plant.schedule.net_kw[0] < 0
    assert (told.baseline.value, told.baseline.flaw) == (told.planned.value, Flaw.SUBSTITUTED)
    assert not is_known(told.owed)  # nothing was sold yet


def test_the_baseline_of_a_product_is_that_of_its_method(tmp_path: Path) -> None:
    plant = a_dr_plant(write_park(tmp_path), tmp_path)
    packs = [p for p in plant.file.packs if p.section.baseline.n_days]
    plant.file = replace(plant.file, packs=(*packs, *plant.file.packs[:1]))
    at(owing(plant, **ALL), DR_NOW)
    assert point(plant).baseline.value == -2800.0  # a mill of 2 MW and a dairy of 0.8, each day


def test_that_tomorrow_has_no_baseline_is_told_once_though_today_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant = a_dr_plant(write_park(tmp_path), tmp_path)
    packs = [p for p in plant.file.packs if p.section.baseline.n_days]
    plant.file = replace(plant.file, packs=(*packs, *plant.file.packs[:1]))
    (owed, *_), known = owing(plant, **ALL).reports.owed, drbaseline.expected_mwh
    today = local_date(DR_NOW, plant.file.park.timezone)

    def expected(plant: Plant, pack: Pack, members: Any, window: Interval, **more: Any) -> Any:
        if local_date(window.start, plant.file.park.timezone) > today:
            raise DataError("no like day", where="a holiday", fix="Wait")
        return known(plant, pack, members, window, **more)

    monkeypatch.setattr(drbaseline, "expected_mwh", expected)
    for quarter in range(3):
        look = Look(plant=plant, now=DR_NOW + quarter * QUARTER, unit=owed.unit)
        assert is_known(reportmaking.point(look, owed, look.now, members=False).baseline)
        tomorrow = reportmaking.day_plan(look, owed, today + timedelta(days=1), look.now)
        assert not any(map(is_known, tomorrow.baseline))
    told = [event.text for event in plant.events.recent() if event.kind == "report"]
    assert len(told) == 1, told


def test_a_forecast_tells_what_is_planned_and_the_room_beside_it(plant: Plant) -> None:
    owing(plant, **ALL)
    plans_at(plant, NOW + 2 * MINUTE)

    told = newest(plant, ReportKind.FORECAST)
    assert isinstance(told, ForecastReport)
    assert plant.schedule is not None
    assert told.head.due_at == NOW == told.horizon.start
    assert len(told.planned) == len(told.up) == len(told.down) == len(told.baseline) == 16
    assert [one.value for one in told.planned] == [*plant.schedule.net_kw[:16]]
    assert all(one.flaw & Flaw.SUBSTITUTED and one.value > 0 for one in told.up)


def test_a_store_that_the_plan_empties_has_no_room_left_to_feed(plant: Plant) -> None:
    assert plant.schedule is not None
    for kwh in plant.schedule.stored_kwh.values():
        kwh[7:] = 0.0
    owing(plant, **ALL)
    plans_at(plant, NOW + 2 * MINUTE)
    told = newest(plant, ReportKind.FORECAST)
    assert told.up[7].value > 0 == told.up[8].value


def test_what_no_plan_reaches_is_unknown_and_not_zero(plant: Plant) -> None:
    plant.schedule = None
    at(owing(plant, **ALL), NOW)
    plans_at(plant, NOW + 2 * MINUTE)
    told = newest(plant, ReportKind.FORECAST)
    for values in (told.planned, told.baseline, told.up, told.down):
        assert not any(map(is_known, values))
    assert not is_known(point(plant).planned)


def test_the_plan_of_a_day_is_told_the_evening_before(plant: Plant) -> None:
    owing(plant, **ALL)
    evening = datetime(2025, 12, 2, 17, tzinfo=UTC)  # 18:00 in Stockholm
    plans_at(plant, evening - 13 * MINUTE)
    assert newest(plant, ReportKind.DAY_PLAN).day == date(2025, 12, 2)
    plans_at(plant, evening + 2 * MINUTE)

    told = newest(plant, ReportKind.DAY_PLAN)
    assert isinstance(told, DayPlanReport)
    assert (told.day, told.head.due_at) == (date(2025, 12, 3), evening)
    assert told.horizon.start == datetime(2025, 12, 2, 23, tzinfo=UTC)
    assert len(told.planned) == 96
    assert all(map(is_known, told.planned))  # the plan reaches the end of that day


@pytest.mark.parametrize(
    ("day", "points"), [(date(2026, 3, 29), 92), (date(2025, 10, 26), 100), (date(2026, 1, 1), 96)]
)
def test_a_day_has_as_many_points_as_it_has_quarter_hours(
    plant: Plant, day: date, points: int
) -> None:
    (owed,) = owing(plant, **ALL).reports.owed
    look = Look(plant=plant, now=NOW, unit=owed.unit)
    assert len(reportmaking.day_plan(look, owed, day, NOW).planned) == points


def test_a_day_that_is_no_whole_number_of_points_is_told_to_its_end(plant: Plant) -> None:
    (owed,) = owing(plant, **ALL | {"schedule_points": 24}).reports.owed
    zone = ZoneInfo("Australia/Lord_Howe")  # where clocks change by half an hour
    plant.file = replace(plant.file, park=replace(plant.file.park, timezone=zone))
    look = Look(plant=plant, now=NOW, unit=owed.unit)
    told = reportmaking.day_plan(look, owed, date(2026, 4, 5), NOW)
    assert len(told.planned) == 25


def test_a_plan_reaches_the_end_of_the_day_that_is_told_next(plant: Plant) -> None:
    owing(plant, **ALL)
    noon, evening = NOW, datetime(2025, 12, 2, 16, 45, tzinfo=UTC)
    end_of_tomorrow = datetime(2025, 12, 3, 23, tzinfo=UTC)
    plans_at(plant, noon)
    plain = replace(inputs.horizon_of(plant, noon), steps=4)
    assert reporting.reaching(plant, plain).end == plain.end
    before = replace(plain, start=evening)
    assert reporting.reaching(plant, before).end == end_of_tomorrow


def test_a_dispatch_centre_and_a_platform_are_told_the_same(plant: Plant) -> None:
    from tests.service.test_iec104 import desk_of

    says(plant, "steel-battery", NOW, power_kw=77.0, soc=0.5, reactive_kvar=3.0)
    at(owing(plant, **ALL), NOW)
    points = [
        {"ioa": ioa, "what": what}
        for ioa, what in enumerate(("sum_power", "reactive", "up", "down", "planned", "owed"), 1)
    ]
    shown = iec104points.picture(plant, desk_of(plant, points=points, orders=[]), NOW)
    told = point(plant)
    assert [shown[ioa] for ioa in range(1, 7)] == [
        told.power,
        told.reactive,
        told.capability[0].up,
        told.capability[0].down,
        told.planned,
        told.owed,
    ]


# ---------------------------------------------------------------- when


def test_each_kind_is_made_once_at_its_moment(plant: Plant) -> None:
    owing(plant, **{**ALL, "telemetry_s": 20, "members_s": 40})
    assert reporting.tick(plant) == 20 * SECOND
    for k in range(31):
        at(plant, NOW + k * 10 * SECOND)
        plans_at(plant, NOW + k * 10 * SECOND)
    (owed,) = plant.reports.owed
    streams = {kind: plant.reports.stream(owed.duty, kind) for kind in ReportKind}
    assert {kind: s.made for kind, s in streams.items()} == {
        ReportKind.POINT: 16,
        ReportKind.FORECAST: 1,
        ReportKind.DAY_PLAN: 1,  # of the running day: nobody has told it yet
    }
    assert not any(s.missed for s in streams.values())


def test_the_plan_of_a_day_waits_for_a_plan(plant: Plant) -> None:
    owing(plant, **ALL)
    schedule, plant.schedule = plant.schedule, None
    plans_at(plant, NOW + 2 * MINUTE)
    assert newest(plant, ReportKind.DAY_PLAN) is None
    plant.schedule = schedule
    plans_at(plant, NOW + 17 * MINUTE)
    assert newest(plant, ReportKind.DAY_PLAN).day == date(2025, 12, 2)


def test_moments_that_passed_are_missed_and_not_made_up(plant: Plant) -> None:
    at(owing(plant, telemetry_s=60), NOW)
    at(plant, NOW + 5 * MINUTE)
    (owed,) = plant.reports.owed
    stream = plant.reports.stream(owed.duty, ReportKind.POINT)
    assert (stream.made, stream.missed) == (2, 4)


def test_members_are_told_as_often_as_they_are_owed(plant: Plant) -> None:
    owing(plant, telemetry_s=60, members_s=120)
    told = []
    for k in range(4):
        at(plant, NOW + k * MINUTE)
        told.append(bool(point(plant).members))
    assert told == [True, False, True, False]


def test_a_service_that_begins_tells_nothing_of_a_moment_that_it_has_not_seen(
    plant: Plant,
) -> None:
    plant.started_at = NOW + 20 * SECOND
    at(owing(plant, telemetry_s=60), NOW + 20 * SECOND)
    assert newest(plant) is None
    at(plant, NOW + 60 * SECOND)
    assert point(plant).head.due_at == NOW + 60 * SECOND


# ---------------------------------------------------------------- on record, and away


def test_a_report_is_on_record_before_it_leaves(plant: Plant) -> None:
    port = Platform()
    desk = platform(owing(plant, telemetry_s=60), port)
    at(plant, NOW)
    entries = {entry.key: entry.body for entry in plant.journal.entries(reporting.REPORT)}
    send_all(plant, desk)
    ((head, body),) = port.got
    assert entries == {head.report_id: body}
    assert json.loads(body)["report_id"] == head.report_id


def test_what_cannot_be_put_on_record_does_not_leave(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = Platform()
    desk = platform(owing(plant, telemetry_s=60), port)

    async def full(entries: object, *, now: datetime) -> None:
        raise UnavailableError("the disk is full", where="journal", fix="Make room")

    with monkeypatch.context() as broken:
        broken.setattr(plant.journal, "append_all", full)
        at(plant, NOW)
    at(plant, NOW + MINUTE)
    send_all(plant, desk)
    (owed,) = plant.reports.owed
    assert port.minutes == [1]
    assert plant.reports.stream(owed.duty, ReportKind.POINT).missed == 1


def test_after_an_outage_what_is_new_comes_first_and_then_what_was_missed_in_order(
    plant: Plant,
) -> None:
    port = Platform(*[NotTaken(why="503")] * 3)
    desk = platform(owing(plant, telemetry_s=60), port)
    for minute in range(3):
        at(plant, NOW + minute * MINUTE)
        send_all(plant, desk)
    assert (desk.waiting, desk.fault) == (3, "does not take reports: 503")
    at(plant, NOW + 3 * MINUTE)
    send_all(plant, desk)
    assert port.minutes == [0, 1, 2, 3, 0, 1, 2]
    assert desk.waiting == 0
    told = [event.text for event in plant.events.recent() if event.kind == "report"]
    assert told == [
        "platform centre does not take reports: 503",
        "platform centre takes reports again",
    ]


def test_what_waits_keeps_its_order_though_one_of_it_fails_again(plant: Plant) -> None:
    away = NotTaken(why="away")
    port = Platform(away, away, away, Taken(), away)
    desk = platform(owing(plant, telemetry_s=60), port)
    for minute in range(4):
        at(plant, NOW + minute * MINUTE)
        send_all(plant, desk)
    send_all(plant, desk)
    assert port.minutes == [0, 1, 2, 3, 0, 0, 1, 2]


def test_a_report_that_alone_is_never_taken_holds_up_no_other(plant: Plant) -> None:
    class Picky(Platform):
        async def send(self, head: ReportHead, body: bytes) -> ReportAnswer:
            self.got.append((head, body))
            return NotTaken(why="500") if head.due_at == NOW else Taken()

    port = Picky()
    desk = platform(owing(plant, telemetry_s=60), port)
    for minute in range(30):
        at(plant, NOW + minute * MINUTE)
        send_all(plant, desk)
    assert (desk.declined, desk.waiting) == (1, 0)
    assert desk.taken == 29
    tries = port.minutes.count(0)
    assert tries == reportsending.MOST_PASSED_OVER + 1, "and once when it was new"
    (answer,) = [
        entry for entry in plant.journal.entries(reporting.ANSWER) if b"declined" in entry.body
    ]
    assert answer.key.endswith(isoformat(NOW))


def test_a_platform_that_is_away_is_waited_for_however_long(plant: Plant) -> None:
    port = Platform(*[NotTaken(why="away")] * 100)
    desk = platform(owing(plant, telemetry_s=60), port)
    at(plant, NOW)
    for _ in range(101):
        send_all(plant, desk)
    assert (desk.taken, desk.declined) == (1, 0)


def test_what_a_platform_declines_is_not_sent_again(plant: Plant) -> None:
    port = Platform(Declined(why="422 no such unit"))
    desk = platform(owing(plant, telemetry_s=60), port)
    at(plant, NOW)
    send_all(plant, desk)
    at(plant, NOW + MINUTE)
    send_all(plant, desk)
    assert port.minutes == [0, 1]
    assert (desk.declined, desk.taken) == (1, 1)


def test_a_platform_that_declines_one_kind_and_takes_another_is_told_once(plant: Plant) -> None:
    class NoForecasts(Platform):
        async def send(self, head: ReportHead, body: bytes) -> ReportAnswer:
            return Declined(why="404") if head.kind is ReportKind.FORECAST else Taken()

    port = NoForecasts()
    desk = platform(owing(plant, **ALL), port)
    for quarter in range(4):
        at(plant, NOW + quarter * QUARTER)
        plans_at(plant, NOW + quarter * QUARTER)
        send_all(plant, desk)
    assert desk.declined == 4
    told = [event.text for event in plant.events.recent() if event.kind == "report"]
    assert len(told) == 1, told
    assert "declines" in told[0]
    assert desk.fault is not None

    desk.port = Platform()
    plans_at(plant, NOW + 4 * QUARTER)
    send_all(plant, desk)
    assert desk.fault is None
    assert plant.events.recent()[-1].text.endswith("/forecast again")


def test_what_waits_is_bounded_and_what_finds_no_room_is_counted(plant: Plant) -> None:
    desk = platform(owing(plant, telemetry_s=60), Platform(), backlog=3)
    for minute in range(10):
        at(plant, NOW + minute * MINUTE)
    assert (desk.waiting, desk.dropped) == (4, 6)  # the newest beside the backlog
    assert [parcel.head.due_at.minute for parcel in desk.backlog] == [6, 7, 8]


def test_a_platform_gets_reports_of_its_products_alone(plant: Plant) -> None:
    desk = platform(owing(plant, telemetry_s=60), Platform(), products=["another"])
    at(plant, NOW)
    assert desk.waiting == 0


def test_what_was_sent_can_be_sent_again_byte_for_byte(plant: Plant) -> None:
    port = Platform()
    desk = platform(owing(plant, telemetry_s=60), port)
    for minute in range(5):
        at(plant, NOW + minute * MINUTE)
        send_all(plant, desk)
    first = list(port.got)
    says(plant, "steel-battery", NOW + 4 * MINUTE, power_kw=99.0, soc=0.5)
    port.got.clear()
    (owed,) = plant.reports.owed
    span = Interval(NOW + MINUTE, NOW + 4 * MINUTE)
    assert reportsending.replay(plant, desk, owed, ReportKind.POINT, span) == (3, 0, None)
    send_all(plant, desk)
    assert [body for _, body in port.got] == [body for _, body in first[1:4]]


def test_a_service_that_begins_again_sends_what_was_not_answered_and_nothing_twice(
    plant: Plant,
) -> None:
    port = Platform(Taken(), NotTaken(why="away"), NotTaken(why="away"))
    desk = platform(owing(plant, telemetry_s=60), port)
    for minute in range(3):
        at(plant, NOW + minute * MINUTE)
        send_all(plant, desk)
    sent = [body for _, body in port.got]

    again = Platform()
    desk = platform(plant, again)
    plant.reports.streams.clear()
    plant.clock = SimulatedClock(NOW + 2 * MINUTE)
    plant.started_at = NOW + 2 * MINUTE
    reportsending.recover(plant)
    send_all(plant, desk)
    assert [body for _, body in again.got] == sent[1:]

    at(plant, NOW + 2 * MINUTE)  # the moment that the one before has told
    assert newest(plant) is None
    at(plant, NOW + 3 * MINUTE)
    assert len(list(plant.journal.entries(reporting.REPORT))) == 4


def test_a_service_whose_clock_was_set_back_before_it_began_leaves_what_is_on_record(
    plant: Plant,
) -> None:
    owing(plant, telemetry_s=60)
    says(plant, "steel-battery", NOW, power_kw=10.0, soc=0.5)
    for minute in range(3):
        at(plant, NOW + minute * MINUTE)
    told = [entry.body for entry in plant.journal.entries(reporting.REPORT)]

    plant.reports.streams.clear()
    plant.started_at = NOW
    says(plant, "steel-battery", NOW + MINUTE, seq=3, power_kw=99.0, soc=0.5)
    for minute in range(4):
        at(plant, NOW + minute * MINUTE)
    again = [entry.body for entry in plant.journal.entries(reporting.REPORT)]
    assert again[:3] == told
    assert (len(again), point(plant).head.due_at) == (4, NOW + 3 * MINUTE)


def test_a_record_that_cannot_be_read_ends_neither_the_cycle_nor_the_sender(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ill(kind: str, key: str) -> None:
        raise UnavailableError("disk I/O error", where="journal", fix="Look at the disk")

    port = Platform()
    desk = platform(owing(plant, telemetry_s=60), port)
    monkeypatch.setattr(plant.journal, "find", ill)
    at(plant, NOW)
    send_all(plant, desk)
    assert port.minutes == [0]
    assert (desk.taken, desk.unsaid) == (1, {})


def test_a_span_of_ten_thousand_years_costs_no_more_than_a_page(plant: Plant) -> None:
    (owed,) = owing(plant, **ALL).reports.owed
    ever = Interval(datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    for kind in ReportKind:
        began_s = process_time()
        found, missing, following = reporting.on_record(plant, owed, kind, ever, most=50)
        assert process_time() - began_s < 1, "the act cycle waits meanwhile"
        assert (found, missing) == ([], 50)
        assert following is not None
    to_come = Interval(NOW + MINUTE, NOW + 9 * MINUTE)
    assert reporting.on_record(plant, owed, ReportKind.POINT, to_come, most=50) == ([], 0, None)


def test_the_pause_between_tries_grows_and_the_sender_ends_in_good_order(plant: Plant) -> None:
    desk = platform(owing(plant, telemetry_s=60), Platform(), longest_retry_s=10)
    assert [reportsending.retry_s(desk, n) for n in (1, 2, 3, 10, 10_000)] == [0.5, 1, 2, 10, 10]

    async def play() -> None:
        stop = asyncio.Event()
        (serve,) = reportsending.loops(plant).values()
        running = asyncio.ensure_future(serve(stop))
        await asyncio.sleep(0)  # it waits for news
        plant.clock = SimulatedClock(NOW)
        await reporting.report(plant, NOW)
        while not desk.taken:  # noqa: ASYNC110
            await asyncio.sleep(0)
        stop.set()
        await running

    asyncio.run(asyncio.wait_for(play(), PATIENCE_S))
    assert isinstance(desk.port, Platform)
    assert desk.port.minutes == [0]


def test_a_platform_that_hangs_keeps_no_report_from_being_made(plant: Plant) -> None:
    class Hanging(Platform):
        async def send(self, head: ReportHead, body: bytes) -> ReportAnswer:
            await asyncio.Event().wait()
            raise AssertionError("it never ends")

    desk = platform(owing(plant, telemetry_s=60), Hanging(), backlog=2)

    async def play() -> None:
        stop = asyncio.Event()
        sending = asyncio.create_task(reportsending.serve(plant, desk, stop))
        for minute in range(6):
            plant.clock = SimulatedClock(NOW + minute * MINUTE)
            await reporting.report(plant, NOW + minute * MINUTE)
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    asyncio.run(asyncio.wait_for(play(), PATIENCE_S))
    (owed,) = plant.reports.owed
    assert plant.reports.stream(owed.duty, ReportKind.POINT).made == 6
    assert desk.waiting == 3


# ---------------------------------------------------------------- read


def test_reports_are_read_as_they_were_made_and_gaps_are_told(
    plant: Plant, serving: Serving
) -> None:
    port = Platform()
    platform(owing(plant, **ALL), port)
    for minute in (0, 1, 3):
        at(plant, NOW + minute * MINUTE)
    plans_at(plant, NOW + 3 * MINUTE)
    product = plant.reports.owed[0].duty.product_id

    async def ask() -> tuple[Any, ...]:
        async with serving(plant) as client:
            whole = await (await client.get("/v1/reports")).json()
            query = {"start": isoformat(NOW), "end": isoformat(NOW + 4 * MINUTE), "limit": "3"}
            page = await (await client.get(f"/v1/reports/{product}", params=query)).json()
            again = await client.post(
                "/v1/reports/replays",
                json={
                    "platform": "centre",
                    "product": product,
                    "kind": "point",
                    "start": isoformat(NOW),
                    "end": isoformat(NOW + 4 * MINUTE),
                },
            )
            unknown = await client.get("/v1/reports/nothing")
            turned = {"start": isoformat(NOW), "end": isoformat(NOW)}
            wrong = await client.get(f"/v1/reports/{product}", params=turned)
            return whole, page, await again.json(), unknown.status, wrong.status

    whole, page, again, unknown, wrong = asyncio.run(ask())
    kinds = [(stream["kind"], stream["made"], stream["missed"]) for stream in whole["streams"]]
    assert kinds == [("point", 3, 1), ("forecast", 1, 0), ("day-plan", 1, 0)]
    assert whole["streams"][0]["newest"]["power_kw"]["value"] == 0.0
    assert whole["platforms"][0]["platform"] == "centre"
    assert [one["due_at"][11:16] for one in page["reports"]] == ["10:00", "10:01"]
    assert (page["missing"], page["next_from"]) == (1, isoformat(NOW + 3 * MINUTE))
    assert again == {"queued": 3, "missing": 1, "next_from": None}
    assert (unknown, wrong) == (404, 422)


def test_a_platform_is_not_sent_again_what_it_may_not_have(plant: Plant, serving: Serving) -> None:
    desk = platform(owing(plant, telemetry_s=60), Platform(), products=["another"])
    at(plant, NOW)
    body = {
        "platform": "centre",
        "product": plant.reports.owed[0].duty.product_id,
        "kind": "point",
        "start": isoformat(NOW),
        "end": isoformat(NOW + MINUTE),
    }

    async def ask() -> int:
        async with serving(plant) as client:
            return (await client.post("/v1/reports/replays", json=body)).status

    assert (asyncio.run(ask()), desk.waiting) == (422, 0)


def test_a_simulated_day_of_the_act_cycle_is_reported_like_any_other(plant: Plant) -> None:
    owing(plant, telemetry_s=60)
    asyncio.run(cycle.act(plant, NOW))
    at(plant, NOW)
    assert is_known(point(plant).power)


# ---------------------------------------------------------------- the park file

PLATFORM = """\
reporting:
  carried_minutes: 10
  platforms:
    - id: load-centre
      url: https://platform.example/vpp
      products: [quarter]
      headers: {X-Api-Key: {env: VPP_TEST_PLATFORM_KEY}}
      backlog: 5
"""


def loaded(folder: Path, text: str) -> ParkFile:
    park = PARK.replace(
        "with: {spread: 4.0}", "with: {quarter_hour_spread_per_mwh: 4, imbalance_spread_per_mwh: 9}"
    )
    (folder / "park.yaml").write_text(park + text, encoding="utf-8")
    owed = "reporting: {telemetry_s: 4, members_s: 60}\n"
    (folder / "market.yaml").write_text(MARKET + owed, encoding="utf-8")
    return load_park(folder / "park.yaml")


def test_platforms_of_a_park_file_are_opened_and_none_beside_a_simulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, a_link: Callable[[], QuietLink]
) -> None:
    monkeypatch.setenv("VPP_TEST_PLATFORM_KEY", "secret")
    file = loaded(tmp_path, PLATFORM)

    async def opened(file: ParkFile) -> Plant:
        link = a_link()
        plant = plant_in_memory(
            file,
            clock=SimulatedClock(NOW),
            data=tmp_path,
            source=link,
            sink=link,
            executor=InlineExecutor(),
        )
        async with AsyncExitStack() as stack:
            await open_platforms(plant, stack)
        return plant

    plant = asyncio.run(opened(file))
    (desk,), (owed,) = plant.reports.platforms, plant.reports.owed
    assert (desk.name, desk.section.backlog) == ("load-centre", 5)
    assert (owed.duty.telemetry, owed.duty.members) == (4 * SECOND, MINUTE)
    assert {r.resource_id for r in Look(plant=plant, now=NOW, unit=owed.unit).members} == {
        "battery",
        "pv",
    }
    assert asyncio.run(opened(file.in_simulation())).reports.platforms == ()


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (("[quarter]", "[hour]"), "platforms.0.products.0: unknown product with reports 'hour'"),
        (("VPP_TEST_PLATFORM_KEY", "VPP_TEST_NOT_SET"), "headers.X-Api-Key: "),
        (("backlog: 5", "backlog: -1"), "reporting.platforms.0.backlog"),
        (("X-Api-Key: {env: VPP_TEST_PLATFORM_KEY}", "X-Api-Key: abc"), "headers"),
        (("backlog: 5", "frozen: true"), "reporting.platforms.0.frozen"),
        (
            (
                "      backlog: 5\n",
                "    - {id: load-centre, url: https://other.example}\n",
            ),
            "platforms.1.id: 'load-centre' is given twice",
        ),
    ],
)
def test_what_does_not_fit_is_told_at_its_place(
    spoilt: tuple[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VPP_TEST_PLATFORM_KEY", "secret")
    assert spoilt[0] in PLATFORM
    with pytest.raises(ConfigErrors) as raised:
        loaded(tmp_path, PLATFORM.replace(*spoilt))
    assert any(told in f"{f.path}: {f.what}" for f in raised.value.faults), raised.value.faults


def test_a_part_of_a_park_has_a_plan_and_a_room_of_its_own(
    tmp_path: Path, a_link: Callable[[], QuietLink]
) -> None:
    link = a_link()
    plant = plant_in_memory(
        loaded(tmp_path, ""),
        clock=SimulatedClock(NOW),
        data=tmp_path,
        source=link,
        sink=link,
        executor=InlineExecutor(),
    )
    plant.safe_state = SafeState.NORMAL
    for seq, name in enumerate(("battery", "pv", "base", "hall", "saw", "kiln")):
        more: dict[str, Any] = {"soc": 0.5} if name == "battery" else {}
        more |= {"available_kw": 100.0} if name == "pv" else {}
        more |= {"phase": "running"} if name == "saw" else {}  # of another's, and could be called
        says(plant, name, NOW, seq, power_kw=0.0 if name in ("battery", "pv") else -10.0, **more)
    at(plant, NOW)
    told = point(plant)
    assert told.resources == told.heard == 2
    assert told.power.value == 0.0
    assert told.capability[0].up.value == pytest.approx(200.0)  # the battery's 100, the roof's 100
    assert told.capability[1].down.value == pytest.approx(100.0)
