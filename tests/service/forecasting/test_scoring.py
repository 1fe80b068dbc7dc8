"""What came of forecasts: scored as values come, told when naive would have been better, kept over a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adapters.memory_journal import MemoryJournal
from adapters.sqlite_forecasts import SqliteForecasts
from vpp.clock import SimulatedClock
from vpp.errors import UnavailableError
from vpp.model.forecast import LEVELS, Forecast
from vpp.model.forecastscore import ScoreKey, ScoreSums
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER
from vpp.service import inputs
from vpp.service.forecasting.issuing import issue
from vpp.service.forecasting.scoring import keep, score, sum_of
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.wiring import build_plant

NOW = datetime(2025, 12, 2, 10, tzinfo=UTC)
LOAD, PRICE = "power.office-base", "price.day-ahead.se3"
HOUR = timedelta(hours=1)


def a_forecast(at: datetime, median: float, *, hours: int = 36, model: str = "m/1") -> Forecast:
    """The same at each step, 10 kW from level to level."""
    steps = hours * 4
    fan = median + 10.0 * (np.arange(len(LEVELS))[:, None] - LEVELS.index(0.5)) * np.ones(steps)
    return Forecast(
        series_id=LOAD,
        unit="kW",
        issued_at=at,
        model=model,
        expected=Profile(Horizon(at, QUARTER, steps), fan[LEVELS.index(0.5)]),
        quantiles=fan,
    )


def measure(plant: Plant, start: datetime, values: Sequence[float], name: str = LOAD) -> None:
    plant.series.put_profile(
        name,
        unit="kW",
        profile=Profile(Horizon(start, QUARTER, len(values)), np.array(values, dtype=float)),
        known_at="interval_end",
        source="test",
    )


def scores(plant: Plant) -> dict[tuple[date, str], ScoreSums]:
    return {
        (key.day, key.lead): one
        for key, one in plant.desk.record.scores(date(2025, 1, 1)).items()
        if key.series_id == LOAD
    }


def test_a_value_is_scored_against_every_forecast_that_spoke_of_it(fed: Plant) -> None:
    """-130 came at 12:00; forecasts of 10:00 and 11:00 said -100, that of 11:15 is of no whole hour."""

    async def course() -> None:
        for at in (NOW, NOW + HOUR, NOW + HOUR + QUARTER):
            await keep(fed, [a_forecast(at, -100.0)], at)
        measure(fed, NOW, [-100.0] * 8 + [-130.0])
        await score(fed, NOW + 2 * HOUR + QUARTER)

    asyncio.run(course())

    found = scores(fed)
    # The hour from each issue on: 4 steps of each forecast, all met; then 5 and 1 steps of leads above.
    assert found[date(2025, 12, 2), "0-1 h"].cases == 8
    assert found[date(2025, 12, 2), "0-1 h"].abs_error == 0.0
    later = found[date(2025, 12, 2), "1-6 h"]
    assert later.cases == 6
    assert later.abs_error == 60.0  # both of them missed 12:00 by 30 kW
    assert later.within80 == 6


def test_what_a_plan_out_of_turn_issues_again_is_scored_once(fed: Plant) -> None:
    """A limit order at 10:07 makes another plan of 10:00, with forecasts of 10:00: the first count."""

    async def course() -> None:
        await keep(fed, [a_forecast(NOW, -100.0)], NOW)
        await keep(fed, [a_forecast(NOW, -90.0)], NOW)
        measure(fed, NOW, [-100.0])
        await score(fed, NOW + QUARTER)

    asyncio.run(course())

    found = scores(fed)[date(2025, 12, 2), "0-1 h"]
    assert (found.cases, found.abs_error) == (1, 0.0)
    (kept,) = fed.desk.record.issued(since=NOW, until=NOW)
    assert kept.expected.values[0] == -100.0


def test_nothing_is_scored_twice_and_a_late_value_is_waited_for(fed: Plant) -> None:
    async def course() -> list[int]:
        await keep(fed, [a_forecast(NOW, -100.0)], NOW)
        cases = []
        measure(fed, NOW, [-100.0])
        for late in (QUARTER, 2 * QUARTER, HOUR):
            await score(fed, NOW + late)
            await score(fed, NOW + late)
            cases.append(sum_of(fed.desk.sums, series_id=LOAD).cases)
        measure(fed, NOW + QUARTER, [-100.0] * 3)
        await score(fed, NOW + HOUR)
        cases.append(sum_of(fed.desk.sums, series_id=LOAD).cases)
        measure(fed, NOW + 4 * HOUR, [-100.0] * 4)  # the three hours before never come
        await score(fed, NOW + 5 * HOUR)
        cases.append(sum_of(fed.desk.sums, series_id=LOAD).cases)
        await score(fed, NOW + 6 * HOUR)
        cases.append(sum_of(fed.desk.sums, series_id=LOAD).cases)
        return cases

    assert asyncio.run(course()) == [1, 1, 1, 4, 4, 8]


def test_published_prices_are_no_forecast(fed: Plant) -> None:
    """The prices of today were known at the issue, those of tomorrow not."""

    async def course() -> None:
        await issue(fed, inputs.series_needed(fed), inputs.horizon_of(fed, NOW), NOW)
        midnight = datetime(2025, 12, 2, 23, tzinfo=UTC)
        fed.series.put_profile(
            PRICE,
            unit="EUR/MWh",
            profile=Profile(Horizon(midnight, QUARTER, 8), np.full(8, 50.0)),
            known_at=NOW + 3 * HOUR,
            source="test",
        )
        await score(fed, midnight + 2 * HOUR)

    asyncio.run(course())

    sums = {k: one for k, one in fed.desk.sums.items() if k.series_id == PRICE}
    assert {key.day for key in sums} == {date(2025, 12, 3)}
    assert {key.model for key in sums} == {"seasonal-baseline/1"}
    assert sum(one.cases for one in sums.values()) == 8


def test_a_day_worse_than_naive_is_told_once_and_so_is_its_end(
    fed: Plant, told: Callable[[Plant, str], list[str]]
) -> None:
    """The load falls by 1 kW a day: from the second day on the naive forecast errs by as much, ours by 49
    on that day, on the sixth by 9 and on all others by nothing. That it is better is told after a week of it."""
    midnight = datetime(2025, 12, 2, 23, tzinfo=UTC)
    measure(fed, NOW, [-100.0] * 52)

    async def course() -> list[int]:
        told_when = []
        for day, off in enumerate((-50.0, -49.0, 0.0, 0.0, 0.0, -9.0, *[0.0] * 7)):
            median = -100.0 - day + off
            begins = midnight + timedelta(days=day)
            await keep(fed, [a_forecast(begins, median, hours=24)], begins)
            measure(fed, begins, [-100.0 - day] * 96)
            await score(fed, begins + timedelta(days=1, minutes=15))
            told_when.append(len(told(fed, "forecast_skill")))
        return told_when

    assert asyncio.run(course()) == [0, *[1] * 11, 2]
    first, last = told(fed, "forecast_skill")
    assert first.startswith(f"{LOAD}: on 2025-12-0")
    assert last == f"{LOAD} is forecast better than naively again"


def test_a_day_that_was_scored_in_part_is_not_judged(
    fed: Plant, told: Callable[[Plant, str], list[str]]
) -> None:
    """The first forecast is of 11:00: the rest of that day says nothing about a day."""

    async def course() -> None:
        await keep(fed, [a_forecast(NOW, -5000.0)], NOW)
        measure(fed, NOW, [-100.0] * 52)
        await score(fed, NOW + 13 * HOUR + QUARTER)

    asyncio.run(course())

    assert sum_of(fed.desk.sums, series_id=LOAD).mae == 4900.0
    assert told(fed, "forecast_skill") == []


def test_skill_and_coverage_of_the_last_whole_day_are_metrics(fed: Plant) -> None:
    midnight = datetime(2025, 12, 2, 23, tzinfo=UTC)

    async def course() -> None:
        await keep(fed, [a_forecast(midnight, -100.0, hours=24)], midnight)
        measure(fed, midnight, [-100.0] * 48 + [-200.0] * 48)
        await score(fed, midnight + timedelta(days=1, minutes=15))

    asyncio.run(course())

    text, _ = fed.metrics.text(None)
    assert b'vpp_forecast_coverage80_ratio{kind="power"} 0.5' in text
    assert b'vpp_forecast_skill_ratio{kind="power"}' in text


# ---------------------------------------------------------------- restart


def built_on(plant: Plant, record: SqliteForecasts, at: datetime, data: Path) -> Plant:
    """What a restart does: the same park on the same record of forecasts."""
    again = build_plant(
        plant.file,
        clock=SimulatedClock(at),
        data=data,
        journal=MemoryJournal(),
        source=plant.source,
        sink=plant.sink,
        venue=None,
        executor=InlineExecutor(),
        record=lambda measurement: True,
        forecasts=record,
    )
    again.series = plant.series
    return again


def test_a_restart_keeps_forecasts_and_goes_on_scoring_where_it_was(
    fed: Plant, tmp_path: Path
) -> None:
    """Two hours scored before, two after; as without a restart, nothing twice and nothing lost."""

    async def course() -> tuple[dict[Any, Any], dict[Any, Any]]:
        measure(fed, NOW, [-110.0] * 16)
        await keep(fed, [a_forecast(NOW, -100.0)], NOW)
        await score(fed, NOW + 4 * HOUR)
        without = scores(fed)
        with SqliteForecasts(tmp_path / "f.sqlite") as record:
            first = built_on(fed, record, NOW, tmp_path)
            await keep(first, [a_forecast(NOW, -100.0)], NOW)
            await score(first, NOW + 2 * HOUR)
        with SqliteForecasts(tmp_path / "f.sqlite") as record:
            second = built_on(fed, record, NOW + 3 * HOUR, tmp_path)
            assert [f.issued_at for f in second.forecasts] == [NOW]
            assert second.forecasts[0].model == "m/1"
            await score(second, NOW + 4 * HOUR)
            return without, scores(second)

    without, with_restart = asyncio.run(course())

    assert without.keys() == with_restart.keys()
    for key, one in without.items():
        assert astuple(with_restart[key]) == pytest.approx(astuple(one))
    assert sum(one.cases for one in without.values()) == 16


def test_old_forecasts_are_forgotten_and_scores_stay(fed: Plant) -> None:
    fed.file = replace(fed.file, forecasts=fed.file.forecasts.model_copy(update={"keep_days": 1}))

    async def course() -> list[datetime]:
        for days in range(3):
            at = NOW + timedelta(days=days)
            await keep(fed, [a_forecast(at, -100.0)], at)
            measure(fed, at - (2 * HOUR if days else 0 * HOUR), [-100.0] * (12 if days else 4))
            await score(fed, at + HOUR)
        return [f.issued_at for f in fed.desk.record.issued(since=NOW, until=NOW + 9 * 24 * HOUR)]

    assert asyncio.run(course()) == [NOW + timedelta(days=1), NOW + timedelta(days=2)]
    assert {day for day, _ in scores(fed)} == {date(2025, 12, 2 + i) for i in range(3)}


def test_a_disk_that_refuses_costs_no_forecast_and_is_told_once(
    fed: Plant, told: Callable[[Plant, str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UnavailableError("disk full", where="forecasts.sqlite", fix="Make room")

    async def course() -> None:
        with monkeypatch.context() as broken:
            broken.setattr(fed.desk.record, "keep", refuse)
            for at in (NOW, NOW + HOUR):
                found = await issue(fed, inputs.series_needed(fed), inputs.horizon_of(fed, at), at)
                assert len(found) == len(inputs.series_needed(fed))
        await keep(fed, fed.forecasts, NOW + HOUR)

    asyncio.run(course())

    assert told(fed, "forecast_record") == [
        "forecasts are made and not recorded: forecasts.sqlite: disk full -> Make room",
        "forecasts are recorded again",
    ]


# ---------------------------------------------------------------- HTTP


def test_forecasts_are_shown_as_they_were_issued_and_as_known_by_a_moment(
    fed: Plant, serving: Any
) -> None:
    async def course() -> dict[str, Any]:
        for hours in range(3):
            at = NOW + hours * HOUR
            fed.forecasts = (a_forecast(at, -100.0 - hours),)
            await keep(fed, fed.forecasts, at)
        asked = {
            "newest": "",
            "issued_at": "&issued_at=2025-12-02T10:00:00Z",
            "known_by": "&known_by=2025-12-02T11:59:00Z",
            "none": "&issued_at=2025-12-02T10:30:00Z",
            "both": "&issued_at=2025-12-02T10:00:00Z&known_by=2025-12-02T11:59:00Z",
        }
        async with serving(fed) as client:
            return {
                name: await (await client.get(f"/v1/forecasts?series={LOAD}{query}")).json()
                for name, query in asked.items()
            }

    found = asyncio.run(course())

    medians = {name: found[name]["forecasts"][0]["values"][0] for name in list(found)[:3]}
    assert medians == {"newest": -102.0, "issued_at": -100.0, "known_by": -101.0}
    one = found["issued_at"]["forecasts"][0]
    assert one["levels"] == list(LEVELS)
    assert [row[0] for row in one["quantiles"]] == [-140.0 + 10 * i for i in range(9)]
    assert found["none"]["code"] == "unknown_series"
    assert found["both"]["code"] == "invalid_query"


def test_scores_and_choices_are_shown(fed: Plant, serving: Any) -> None:
    from vpp.service.forecasting.learning import learn

    async def course() -> Any:
        await learn(fed, NOW)
        await keep(fed, [a_forecast(NOW, -100.0)], NOW)
        measure(fed, NOW, [-120.0] * 4)
        await score(fed, NOW + HOUR)
        async with serving(fed) as client:
            return await (await client.get(f"/v1/forecasts/scores?series={LOAD}&days=2")).json()

    shown = asyncio.run(course())

    assert shown["since"] == "2025-12-01"
    (one,) = shown["scores"]
    assert (one["model"], one["lead"], one["cases"], one["mae"]) == ("m/1", "0-1 h", 4, 20.0)
    assert one["coverage80"] == 1.0
    assert one["naive_mae"] > 0
    (choice,) = shown["choices"]
    assert choice["model"] == "same-weekday/1"
    assert choice["candidates"][0]["cases"] > 100


def test_keys_name_series_day_model_and_lead() -> None:
    key = ScoreKey(series_id=LOAD, day=date(2025, 12, 2), model="m/1", lead="0-1 h")

    assert sum_of({key: ScoreSums(cases=2)}, series_id=LOAD, day=date(2025, 12, 2)).cases == 2
    assert sum_of({key: ScoreSums(cases=2)}, series_id=LOAD, day=date(2025, 12, 3)).cases == 0
