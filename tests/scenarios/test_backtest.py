"""Days played again in one process: as the demo plays them, honest about what was known, repeatable."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from vpp.errors import ConfigError
from vpp.model.horizon import Profile
from vpp.model.ids import ConnectionPointId
from vpp.model.schedule import Outcome, Unsolved
from vpp.model.time import Interval, isoformat
from vpp.plan.problem import Problem
from vpp.ports import JournalEntry
from vpp.service.backtest.asked import BacktestOptions, Way, as_asked, span_of
from vpp.service.backtest.backtest import Backtest, backtest
from vpp.service.backtest.brokenlimits import violations_of
from vpp.service.backtest.replay import ReplayOptions, open_replay
from vpp.service.backtest.rows import Row
from vpp.service.backtest.show import show_backtest
from vpp.service.demo.simulation import lockstep
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.record import PLAN
from vpp.service.solving.inline import InlineExecutor
from vpp.service.steering import setpoints
from vpp.service.trading import log as tradelog
from vpp.simulate.market import VenueTimes
from vpp.simulate.spec import Scenario
from vpp.simulate.trajectory import Trajectory

if TYPE_CHECKING:
    from tests.scenarios.conftest import MakePark

MINUTE = timedelta(minutes=1)
THREE_HOURS = timedelta(hours=3)


def unseen(way: Way, plant: Plant) -> None:
    """Look on."""


def options(file: ParkFile, hours: int = 3, **changes: Any) -> BacktestOptions:
    midnight = span_of(file, "2025-12-03", "2025-12-04").start
    span = Interval(midnight, midnight + timedelta(hours=hours))
    asked: dict[str, Any] = {"span": span, "every": THREE_HOURS} | changes
    return BacktestOptions(**asked)


def played_again(file: ParkFile, asked: BacktestOptions) -> Backtest:
    return asyncio.run(backtest(file, asked, InlineExecutor(), unseen))


def by_way(result: Backtest) -> dict[Way, Row]:
    return {row.way: row for row in result.rows}


@pytest.fixture(scope="module")
def file(small_park: MakePark) -> ParkFile:
    return small_park()


@pytest.fixture(scope="module")
def night(file: ParkFile) -> Backtest:
    """Three hours, planned once in three hours."""
    return played_again(file, options(file))


def test_steps_of_five_minutes_cost_nearly_what_steps_of_one_minute_do(
    file: ParkFile, night: Backtest
) -> None:
    """Ramps and cars that come within a step are what differs: a tenth of a per cent is allowed."""
    fine = by_way(played_again(file, options(file, device_step=MINUTE, foresight=False)))

    for way in (Way.NOTHING, Way.POINT):
        assert by_way(night)[way].cost == pytest.approx(fine[way].cost, rel=1e-3)


def test_the_rows_stand_side_by_side_and_add_up(night: Backtest) -> None:
    rows = by_way(night)

    assert list(rows) == [Way.NOTHING, Way.POINT, Way.FORESIGHT]
    for way in (Way.NOTHING, Way.POINT):
        assert sum(rows[way].causes.values()) == pytest.approx(rows[way].cost)
        assert rows[way].violations == dict.fromkeys(
            ("connection_points", "enterprises", "feeders", "park"), 0.0
        )
    assert rows[Way.FORESIGHT].cost <= min(rows[Way.POINT].cost, rows[Way.NOTHING].cost) + 0.01
    assert rows[Way.POINT].plans == 1
    assert rows[Way.POINT].plans_failed == 0
    assert rows[Way.POINT].fallback_share == 0.0


def test_the_table_shows_every_way_and_cause(night: Backtest) -> None:
    page = io.StringIO()

    show_backtest(night, Console(file=page, width=110))

    text = page.getvalue()
    for word in ("nothing", "point", "foresight", "market", "network energy", "value captured"):
        assert word in text
    assert f"{by_way(night)[Way.POINT].cost:,.2f}" in text


def test_the_same_seed_gives_the_same_document_and_another_seed_another(
    file: ParkFile, night: Backtest
) -> None:
    def told(seed: int) -> str:
        return json.dumps(played_again(file, options(file, seed=seed)).document())

    assert told(1) == json.dumps(night.document())
    assert told(2) != json.dumps(night.document())


class FailsOnce:
    """An executor that gives no plan when it is asked for the `number`th time."""

    pid: int | None = None

    def __init__(self, number: int) -> None:
        self._number = number
        self._inline = InlineExecutor()

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        self._number -= 1
        if self._number == 0:
            return Unsolved(reason="out of order")
        return await self._inline.solve(problem, hard_s=hard_s)


class WithoutForesight:
    """An executor that runs out of memory over the whole span."""

    pid: int | None = None

    def __init__(self) -> None:
        self._inline = InlineExecutor()

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        if problem.options.plan_id == "foresight":
            return Unsolved(reason="the solver process died with code 1")
        return await self._inline.solve(problem, hard_s=hard_s)


def test_days_that_were_played_are_told_where_foresight_is_not_found(
    file: ParkFile, night: Backtest
) -> None:
    result = asyncio.run(backtest(file, options(file), WithoutForesight(), unseen))

    rows = by_way(result)
    assert list(rows) == [Way.NOTHING, Way.POINT]
    assert rows[Way.POINT].cost == by_way(night)[Way.POINT].cost
    assert rows[Way.POINT].value_captured is None
    assert rows[Way.POINT].null_because == (
        "foresight: the solver process died with code 1 -> Shorten the span"
    )


def test_a_plan_that_fails_is_made_in_the_next_quarter_hour_not_in_the_next_period(
    file: ParkFile,
) -> None:
    """The first plan is made at the opening, 11:00 in Stockholm, whatever the period."""
    asked = options(file, hours=1)
    replay = ReplayOptions(span=asked.span, seed=1, device_step=asked.period, times=VenueTimes())

    async def live() -> list[tuple[str, str]]:
        fails = FailsOnce(number=2)
        async with open_replay(as_asked(file, asked, Way.POINT), replay, fails) as (run, clock):
            await lockstep(run, clock, asyncio.Event(), lambda plant: None)
            return [(f"{record.at:%H:%M}", record.status) for record in run.plant.plan_log]

    assert asyncio.run(live()) == [
        ("10:00", "optimal"),
        ("12:00", "unsolved"),
        ("12:15", "optimal"),
        ("15:00", "optimal"),
        ("18:00", "optimal"),
        ("21:00", "optimal"),
        ("00:00", "optimal"),
    ]


# ---------------------------------------------------------------- what was known

MORNING = datetime.fromisoformat("2025-12-03T04:00:00+00:00")
"""05:00 in Stockholm."""


def _from(moment: datetime, profile: Profile, change: Callable[[Any], Any]) -> Profile:
    values, first = profile.values.copy(), profile.horizon.index(moment)
    values[first:] = change(values[first:])
    return Profile(profile.horizon, values)


def another_future(scenario: Scenario, midnight: datetime) -> Scenario:
    """The same until `MORNING`, then all otherwise; prices from the day on that is not published yet."""
    return replace(
        scenario,
        base_kw={
            name: _from(MORNING, p, lambda kw: kw * 0.7) for name, p in scenario.base_kw.items()
        },
        available_kw={
            name: _from(MORNING, p, lambda kw: kw + 50) for name, p in scenario.available_kw.items()
        },
        outdoor_degc={
            name: _from(MORNING, p, lambda degc: degc - 9)
            for name, p in scenario.outdoor_degc.items()
        },
        visits={
            name: tuple(v for v in visits if v.arrives_at < MORNING)
            for name, visits in scenario.visits.items()
        },
        day_ahead_per_mwh=_from(midnight, scenario.day_ahead_per_mwh, lambda price: price + 100),
    )


def decided(file: ParkFile, asked: BacktestOptions) -> list[JournalEntry]:
    """Every plan, set-point and bid of a replay, in order."""

    async def live() -> list[JournalEntry]:
        replay = ReplayOptions(
            span=asked.span, seed=1, device_step=asked.period, times=VenueTimes()
        )
        async with open_replay(as_asked(file, asked, Way.POINT), replay, InlineExecutor()) as (
            run,
            clock,
        ):
            await lockstep(run, clock, asyncio.Event(), lambda plant: None)
            kinds = (PLAN, setpoints.SETPOINTS, tradelog.BID_SET)
            return list(run.plant.journal.entries(*kinds))

    return asyncio.run(live())


def test_nothing_is_decided_by_what_comes_later(file: ParkFile) -> None:
    assert file.simulation is not None
    asked = options(file, hours=7, every=timedelta(hours=1))
    midnight = asked.span.start + timedelta(days=1)
    otherwise = replace(file, simulation=another_future(file.simulation, midnight))

    one, other = decided(file, asked), decided(otherwise, asked)

    before = [entry for entry in one if entry.recorded_at <= MORNING]
    assert {entry.kind for entry in before} == {"plan", "setpoints", "bid_set"}
    assert [entry for entry in other if entry.recorded_at <= MORNING] == before
    assert [entry.body for entry in other] != [entry.body for entry in one]


# ---------------------------------------------------------------- limits, and what is asked


@pytest.fixture(scope="module")
def an_hour(file: ParkFile) -> Trajectory:
    """An hour in which the works draw 1000 kW and the store 200 kW, by their meters."""

    async def live() -> Trajectory:
        asked = options(file, hours=1)
        replay = ReplayOptions(
            span=asked.span, seed=1, device_step=asked.period, times=VenueTimes()
        )
        async with open_replay(file, replay, InlineExecutor()) as (run, _):
            await run.world.advance(asked.span.end, {})
            return await run.world.trajectory(asked.span)

    flat = {"works-point": 250_000, "store-point": 50_000}
    return replace(
        asyncio.run(live()),
        import_wh={ConnectionPointId(name): np.full(4, wh) for name, wh in flat.items()},
        export_wh={ConnectionPointId(name): np.zeros(4, np.int64) for name in flat},
    )


@pytest.mark.parametrize(
    ("point", "drawn_wh", "shares", "worst_kw"),
    [
        pytest.param("works-point", [250_000] * 4, (0, 0), 0, id="all within 1900 and 2500 kW"),
        pytest.param(
            "works-point", [250_000, 500_000, 250_000, 250_000], (0.25, 0), 100,
            id="a quarter-hour of 2000 kW through 1900",
        ),
        pytest.param(
            "works-point", [600_000] * 4, (1, 1), 500, id="2400 kW, and with the store above 2500"
        ),
        pytest.param(
            "store-point", [150_100] * 4, (0, 0), 0, id="less than a kW too much is a register's"
        ),
    ],
)  # fmt: skip
def test_a_limit_counts_as_broken_in_the_quarter_hours_whose_meters_say_so(
    file: ParkFile,
    an_hour: Trajectory,
    point: str,
    drawn_wh: list[int],
    shares: tuple[float, float],
    worst_kw: float,
) -> None:
    drawn = {**an_hour.import_wh, ConnectionPointId(point): np.array(drawn_wh)}

    found, worst = violations_of(file.park, replace(an_hour, import_wh=drawn))

    assert (found["connection_points"], found["park"]) == shares
    assert worst == pytest.approx(worst_kw)


@pytest.mark.parametrize(
    ("since", "until", "says"),
    [
        pytest.param("yesterday", "2025-12-04", "neither a day nor a moment", id="no day"),
        pytest.param("2025-12-04", "2025-12-04", "no whole number", id="an empty span"),
        pytest.param("2025-12-03T01:00:00Z", "2025-12-04", "no local midnight", id="in the night"),
        pytest.param("2025-11-01", "2025-12-04", "series reach from", id="before the series"),
        pytest.param("2025-12-03", "2025-12-31", "series reach from", id="after the series"),
    ],
)
def test_a_span_that_cannot_be_played_is_refused(
    file: ParkFile, since: str, until: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        span_of(file, since, until)


def test_the_last_day_is_not_played_and_a_moment_names_its_zone(file: ParkFile) -> None:
    whole = span_of(file, "2025-12-03", "2025-12-04")
    part = span_of(file, "2025-12-03", "2025-12-03T06:00:00+01:00")

    assert (isoformat(whole.start), isoformat(whole.end)) == (
        "2025-12-02T23:00:00Z",
        "2025-12-03T23:00:00Z",
    )
    assert part == Interval(whole.start, whole.start + timedelta(hours=6))


def test_a_period_that_no_plan_can_have_is_refused(file: ParkFile) -> None:
    with pytest.raises(ConfigError, match="every"):
        as_asked(file, options(file, every=timedelta(minutes=20)), Way.POINT)


def test_the_unit_trades_from_the_first_moment_of_the_span(small_park: MakePark) -> None:
    later = small_park(day=date(2025, 12, 3), trades_from="2025-12-04T00:00:00+01:00")
    asked = options(later)

    assert as_asked(later, asked, Way.POINT).park.bidding_units[0].trades_from == asked.span.start
