"""Forecasts as they were issued, and sums of how they did, in one SQLite file: a `ForecastRecord`.

    issue    one row a series and issue: what is expected, and the quantiles below it, as 4-byte floats
             (1 + levels × steps), compressed
    score    one row a series, day, model and lead: sums, added to as values come
    scored   up to which moment each series is scored

Format 1 was written without and with what is expected, and did not say which: its issues are dropped when
the file is opened, its scores are kept.

A value in 4-byte floats is off by less than a millionth of its size. What was issued is bounded by
`forget`; sums are few. Called from one thread at a time, whichever it is.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, fields
from datetime import date, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Self

import numpy as np

from adapters.sqlite_file import connect, unavailable
from vpp.model.forecast import LEVELS, Forecast
from vpp.model.forecastscore import ScoreKey, ScoreSums
from vpp.model.horizon import Horizon, Profile
from vpp.model.time import EPOCH

VERSION = 2
_SUMS = [field.name for field in fields(ScoreSums)]
_INTEGERS = ("cases", "unsure", "within80", "within90", "compared")
_ISSUE = """
CREATE TABLE issue (
    issued_ms INTEGER NOT NULL, series TEXT NOT NULL, model TEXT NOT NULL, unit TEXT NOT NULL,
    start_ms INTEGER NOT NULL, step_ms INTEGER NOT NULL, steps INTEGER NOT NULL,
    courses BLOB NOT NULL,
    PRIMARY KEY (issued_ms, series, model)
) STRICT, WITHOUT ROWID
"""
UPGRADES = {1: f"DROP TABLE issue;{_ISSUE}"}
SCHEMA = f"""{_ISSUE};
CREATE TABLE score (
    series TEXT NOT NULL, day INTEGER NOT NULL, model TEXT NOT NULL, lead TEXT NOT NULL,
    {", ".join(f"{n} {'INTEGER' if n in _INTEGERS else 'REAL'} NOT NULL" for n in _SUMS)},
    PRIMARY KEY (series, day, model, lead)
) STRICT, WITHOUT ROWID;
CREATE TABLE scored (series TEXT PRIMARY KEY, until_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID
"""
INSERT_ISSUE = "INSERT INTO issue VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING"
ADD_SCORE = (
    f"INSERT INTO score VALUES (?,?,?,?,{','.join('?' * len(_SUMS))})"
    " ON CONFLICT (series, day, model, lead) DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)
)
MILLISECOND = timedelta(milliseconds=1)


class SqliteForecasts:
    """A `ForecastRecord` in the file `path`; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            ConfigError: The file cannot be written; it is damaged or too new.
        """
        self._path = path
        self._connection = connect(
            path, schema=SCHEMA, version=VERSION, synchronous="NORMAL", upgrades=UPGRADES
        )
        self._one_at_a_time = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._one_at_a_time:
            try:
                with self._connection:  # commits, or rolls back
                    self._connection.execute("BEGIN IMMEDIATE")
                    yield self._connection
            except sqlite3.Error as error:
                raise unavailable(self._path, error) from error

    def keep(self, forecasts: Sequence[Forecast]) -> None:
        """Keep what one plan went by. Forecasts without spread are kept as if they had none."""
        rows = [_row(forecast) for forecast in forecasts]
        with self._transaction() as connection:
            connection.executemany(INSERT_ISSUE, rows)

    def issued(
        self, *, since: datetime, until: datetime, series_id: str | None = None
    ) -> list[Forecast]:
        """Forecasts issued from `since` to `until`, both included, oldest first."""
        query = "SELECT * FROM issue WHERE issued_ms BETWEEN ? AND ?"
        values: tuple[object, ...] = (_ms(since), _ms(until))
        if series_id is not None:
            query, values = f"{query} AND series = ?", (*values, series_id)
        with self._transaction() as connection:
            rows = connection.execute(f"{query} ORDER BY issued_ms, series", values).fetchall()
        return [_forecast(row) for row in rows]

    def add_scores(
        self, sums: Mapping[ScoreKey, ScoreSums], scored_until: Mapping[str, datetime]
    ) -> None:
        """Add to the sums, and note up to which moment each series is scored: both or neither."""
        with self._transaction() as connection:
            connection.executemany(
                ADD_SCORE,
                [
                    (key.series_id, key.day.toordinal(), key.model, key.lead, *astuple(one))
                    for key, one in sums.items()
                ],
            )
            connection.executemany(
                "INSERT INTO scored VALUES (?,?)"
                " ON CONFLICT (series) DO UPDATE SET until_ms = excluded.until_ms",
                [(name, _ms(at)) for name, at in scored_until.items()],
            )

    def scores(self, since: date) -> dict[ScoreKey, ScoreSums]:
        """The sums of all days from `since` on."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM score WHERE day >= ? ORDER BY series, day, model, lead",
                (since.toordinal(),),
            ).fetchall()
        return {
            ScoreKey(
                series_id=series, day=date.fromordinal(day), model=model, lead=lead
            ): ScoreSums(**dict(zip(_SUMS, sums, strict=True)))
            for series, day, model, lead, *sums in rows
        }

    def scored_until(self) -> dict[str, datetime]:
        """Up to which moment each series is scored."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT series, until_ms FROM scored").fetchall()
        return {series: _moment(until) for series, until in rows}

    def forget(self, *, issued_before: datetime, scored_before: date) -> None:
        """Drop what is older; the file keeps its size and fills the room again."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM issue WHERE issued_ms < ?", (_ms(issued_before),))
            connection.execute("DELETE FROM score WHERE day < ?", (scored_before.toordinal(),))


def _row(forecast: Forecast) -> tuple[object, ...]:
    horizon, quantiles = forecast.expected.horizon, forecast.quantiles
    if quantiles is None:
        quantiles = np.tile(forecast.expected.values, (len(LEVELS), 1))
    courses = np.vstack([forecast.expected.values, quantiles])
    return (
        _ms(forecast.issued_at),
        forecast.series_id,
        forecast.model,
        forecast.unit,
        _ms(horizon.start),
        horizon.step // MILLISECOND,
        horizon.steps,
        zlib.compress(courses.astype("<f4").tobytes(), level=1),
    )


def _forecast(row: tuple[int, str, str, str, int, int, int, bytes]) -> Forecast:
    issued_ms, series_id, model, unit, start_ms, step_ms, steps, content = row
    horizon = Horizon(_moment(start_ms), step_ms * MILLISECOND, steps)
    packed = np.frombuffer(zlib.decompress(content), "<f4")
    expected, *quantiles = packed.astype(np.float64).reshape(1 + len(LEVELS), steps)
    return Forecast(
        series_id=series_id,
        unit=unit,
        issued_at=_moment(issued_ms),
        model=model,
        expected=Profile(horizon, expected),
        quantiles=np.array(quantiles),
    )


def _ms(moment: datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


def _moment(ms: int) -> datetime:
    return EPOCH + ms * MILLISECOND
