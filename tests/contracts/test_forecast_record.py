"""What every `ForecastRecord` promises, whatever holds it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from adapters.memory_forecasts import MemoryForecasts
from adapters.sqlite_forecasts import SqliteForecasts
from vpp.errors import UnavailableError
from vpp.model.forecast import LEVELS, Forecast
from vpp.model.forecastscore import ScoreKey, ScoreSums
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import QUARTER
from vpp.ports import ForecastRecord

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
DAY = date(2025, 12, 3)
HOUR = timedelta(hours=1)


@pytest.fixture(params=["memory", "sqlite"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ForecastRecord]:
    """One kind of record, empty."""
    if request.param == "memory":
        yield MemoryForecasts()
    else:
        with SqliteForecasts(tmp_path / "forecasts.sqlite") as sqlite:
            yield sqlite


def a_forecast(
    series_id: str = "power.a", *, at: datetime = NOON, median: float = -100.0, model: str = "m/1"
) -> Forecast:
    """Three quarter-hours, 10 kW from level to level."""
    horizon = Horizon(at, QUARTER, 3)
    fan = median + 10.0 * (np.arange(len(LEVELS))[:, None] - LEVELS.index(0.5)) * np.ones(3)
    return Forecast(
        series_id=series_id,
        unit="kW",
        issued_at=at,
        model=model,
        expected=Profile(horizon, fan[LEVELS.index(0.5)] - 1.0),  # a mean is no median
        quantiles=fan,
    )


def a_key(*, day: date = DAY, lead: str = "0-1 h") -> ScoreKey:
    return ScoreKey(series_id="power.a", day=day, model="m/1", lead=lead)


def test_a_forecast_comes_back_as_it_was_issued(record: ForecastRecord) -> None:
    record.keep([a_forecast()])

    (back,) = record.issued(since=NOON, until=NOON)

    assert (back.series_id, back.unit, back.model, back.issued_at) == (
        *("power.a", "kW", "m/1", NOON),
    )
    assert back.expected.horizon == Horizon(NOON, QUARTER, 3)
    assert back.expected.values.tolist() == [-101.0] * 3
    assert back.quantiles is not None
    assert back.quantiles[:, 0].tolist() == [-140.0 + 10 * i for i in range(9)]


def test_the_first_of_the_same_series_issue_and_model_stays(record: ForecastRecord) -> None:
    record.keep([a_forecast(median=-100.0)])
    record.keep([a_forecast(median=-200.0), a_forecast(median=-300.0, model="n/1")])

    found = {f.model: f.expected.values[0] for f in record.issued(since=NOON, until=NOON)}

    assert found == {"m/1": -101.0, "n/1": -301.0}


def test_only_what_was_issued_in_the_span_is_found_oldest_first(record: ForecastRecord) -> None:
    record.keep([a_forecast(at=NOON + i * HOUR) for i in (2, 0, 1)] + [a_forecast("power.b")])

    found = record.issued(since=NOON, until=NOON + HOUR)
    only = record.issued(since=NOON, until=NOON + 2 * HOUR, series_id="power.a")

    assert [(f.issued_at, f.series_id) for f in found] == [
        (NOON, "power.a"),
        (NOON, "power.b"),
        (NOON + HOUR, "power.a"),
    ]
    assert [f.issued_at for f in only] == [NOON, NOON + HOUR, NOON + 2 * HOUR]


def test_scores_add_up(record: ForecastRecord) -> None:
    one = ScoreSums(cases=2, abs_error=10.0, unsure=2, within80=1)
    record.add_scores({a_key(): one}, {"power.a": NOON})
    record.add_scores({a_key(): one, a_key(lead="1-6 h"): one}, {"power.a": NOON + HOUR})

    assert record.scores(DAY) == {a_key(): one + one, a_key(lead="1-6 h"): one}
    assert record.scored_until() == {"power.a": NOON + HOUR}
    assert record.scores(DAY + timedelta(days=1)) == {}


def test_what_is_too_old_is_forgotten(record: ForecastRecord) -> None:
    record.keep([a_forecast(at=NOON), a_forecast(at=NOON + HOUR)])
    yesterday = a_key(day=DAY - timedelta(days=1))
    record.add_scores({a_key(): ScoreSums(cases=1), yesterday: ScoreSums(cases=1)}, {})

    record.forget(issued_before=NOON + HOUR, scored_before=DAY)

    assert [f.issued_at for f in record.issued(since=NOON, until=NOON + HOUR)] == [NOON + HOUR]
    assert list(record.scores(DAY - timedelta(days=30))) == [a_key()]


def test_the_file_holds_it_over_a_restart(tmp_path: Path) -> None:
    with SqliteForecasts(tmp_path / "forecasts.sqlite") as before:
        before.keep([a_forecast()])
        before.add_scores({a_key(): ScoreSums(cases=1, crps=0.5)}, {"power.a": NOON})
    with SqliteForecasts(tmp_path / "forecasts.sqlite") as after:
        assert [f.model for f in after.issued(since=NOON, until=NOON)] == ["m/1"]
        assert after.scores(DAY) == {a_key(): ScoreSums(cases=1, crps=0.5)}
        assert after.scored_until() == {"power.a": NOON}


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    with SqliteForecasts(tmp_path / "forecasts.sqlite") as record:
        record._connection.execute("PRAGMA max_page_count=1")
        with pytest.raises(UnavailableError, match="Look at the disk"):
            record.keep([a_forecast(f"power.{i}") for i in range(200)])


def test_a_day_of_forty_series_takes_little_room(tmp_path: Path) -> None:
    """96 issues of 148 steps: 20 MB of numbers, noise that hardly compresses, kept in 22 MB at most."""
    noise = np.sort(np.random.default_rng(1).normal(0, 1, (len(LEVELS), 148)), axis=0)
    horizon = Horizon(NOON, QUARTER, 148)
    with SqliteForecasts(tmp_path / "forecasts.sqlite") as record:
        record.keep(
            [
                Forecast(
                    series_id=f"power.{i}",
                    unit="kW",
                    issued_at=NOON,
                    model="m/1",
                    expected=Profile(horizon, noise[LEVELS.index(0.5)]),
                    quantiles=noise,
                )
                for i in range(40)
            ]
        )
        record._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert (tmp_path / "forecasts.sqlite").stat().st_size * 96 < 28_000_000


@pytest.mark.parametrize("blob", ["quantiles", "courses"])
def test_a_file_of_the_first_format_loses_its_issues_and_keeps_its_scores(
    tmp_path: Path, blob: str
) -> None:
    """Rows of that format were written in two ways: read as the other, they would be other forecasts."""
    path = tmp_path / "forecasts.sqlite"
    with SqliteForecasts(path) as record:
        record.keep([a_forecast()])
        record.add_scores({a_key(): ScoreSums(cases=3)}, {"power.a": NOON})
    with closing(sqlite3.connect(path)) as old:
        old.execute(f"ALTER TABLE issue RENAME COLUMN courses TO {blob}")
        old.execute("PRAGMA user_version=1")

    with SqliteForecasts(path) as record:
        assert record.issued(since=NOON, until=NOON) == []
        assert record.scores(DAY)[a_key()].cases == 3
        record.keep([a_forecast()])
        assert len(record.issued(since=NOON, until=NOON)) == 1
