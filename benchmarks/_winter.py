"""The demo park in another winter, long enough for eight weeks: prices as they were, sources turned by seed.

Each measured source (steel, metal, office, school, furniture, roof, weather, cars) is turned by its own
number of whole weeks, end to beginning: the same weeks meet other prices and each other anew, weekdays and
hours still agree, and one seam in each source is not real. Seeds differ in this, in the prices of the
quarter-hour auction and of imbalance, and in the scenarios that are drawn.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile, load_park

DATA = Path(__file__).parent / "data" / "backtest"
FIRST_DAY, DAYS = date(2025, 1, 1), 77
STEPS_A_WEEK = 7 * 96
HISTORY_DAYS = 19
"""What models begin with; 56 days follow, and two for which only prices are needed."""

LOADS = ("steel_kw", "metal", "office", "school", "furniture")
"""Beginnings of the columns of loads.csv that are turned each by itself."""

SOURCES = (*LOADS, "roof", "weather", "cars")


def winter_park(folder: Path, seed: int) -> ParkFile:
    """Write the park and its series of one seed into `folder`, and read it.

    Raises:
        ConfigErrors: The park file of the demo has changed so that it does not fit any more.
    """
    weeks = weeks_of(seed)
    series = folder / "series"
    series.mkdir(parents=True)
    _write_turned(series, "loads.csv", {c: weeks[c] for c in LOADS})
    _write_turned(series, "pv.csv", {"feed_share": weeks["roof"], "filled": weeks["roof"]})
    _write_turned(series, "outdoor.csv", {"outdoor_degc": weeks["weather"]})
    _write_turned(series, "day_ahead.csv", {})
    _write_cars(series, weeks["cars"])
    for name in ("se3_day_ahead.yaml", "se3_quarter_hour.yaml"):
        text = shipped(f"markets/{name}").read_text(encoding="utf-8")
        (folder / name).write_text(text.replace("2025-10-01", "2025-01-01"), encoding="utf-8")
    text = shipped("parks/demo.yaml").read_text(encoding="utf-8")
    text = text.replace("../series/demo/", "series/").replace("../markets/", "")
    text = text.replace("../strategies/", f"{shipped('strategies')}/")
    first = FIRST_DAY + timedelta(days=HISTORY_DAYS)
    text = text.replace("first_delivery_day: 2025-12-03", f"first_delivery_day: {first}")
    park = folder / "park.yaml"
    park.write_text(text, encoding="utf-8")
    return load_park(park)


def weeks_of(seed: int) -> Mapping[str, int]:
    """By how many weeks each source is turned, 0 to 10."""
    drawn = np.random.default_rng([seed, 2025]).integers(0, DAYS // 7, len(SOURCES))
    return dict(zip(SOURCES, drawn.tolist(), strict=True))


def _rows(name: str) -> list[list[str]]:
    with gzip.open(DATA / f"{name}.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _write(folder: Path, name: str, rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    (folder / name).write_text(text.getvalue(), encoding="utf-8")


def _write_turned(folder: Path, name: str, weeks: Mapping[str, int]) -> None:
    """Columns that begin with a key are turned by so many weeks."""
    header, *rows = _rows(name)
    columns = [list(column) for column in zip(*rows, strict=True)]
    for place, column in enumerate(header):
        for beginning, by in weeks.items():
            if column.startswith(beginning):
                columns[place] = turned(columns[place], by)
    _write(folder, name, [header, *map(list, zip(*columns, strict=True))])


def turned(values: list[str], weeks: int) -> list[str]:
    """The values from that week on, then those before it."""
    first = weeks * STEPS_A_WEEK % len(values)
    return values[first:] + values[:first]


def _write_cars(folder: Path, weeks: int) -> None:
    """Sessions move with their week; one that would begin before the first day comes at the end."""
    header, *rows = _rows("ev_sessions.csv")
    moved = []
    for session_id, car_park, arrives, departs, kwh in rows:
        came, left = datetime.fromisoformat(arrives), datetime.fromisoformat(departs)
        day = (came.date() - FIRST_DAY).days
        by = timedelta(days=(day - 7 * weeks) % DAYS - day)
        moved.append([session_id, car_park, (came + by).isoformat(), (left + by).isoformat(), kwh])
    _write(folder, "ev_sessions.csv", [header, *sorted(moved, key=lambda row: row[2])])
