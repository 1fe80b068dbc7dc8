"""Reads the cuts of real series beside this file (`data/SOURCE.md`)."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from vpp.model.horizon import Horizon, Profile
from vpp.sense.labels import Row

DATA = Path(__file__).parent / "data"


def table(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def number(text: str) -> float:
    return float(text) if text else np.nan


def regular(name: str, stamp: str, column: str, step: timedelta) -> Profile:
    """A column whose rows stand on a grid without a hole."""
    rows = table(name)
    horizon = Horizon(moment(rows[0][stamp]), step, len(rows))
    assert [moment(row[stamp]) for row in rows] == list(horizon.starts())
    return Profile(horizon, np.array([number(row[column]) for row in rows]))


def rows(name: str, column: str, lasts: timedelta | None = None) -> list[Row]:
    """Rows as they are, each with the length that it says itself, or `lasts`."""
    return [
        Row(
            start=moment(row["interval_start_utc"]),
            lasts=lasts or timedelta(minutes=int(row["resolution_minutes"])),
            value=number(row[column]),
        )
        for row in table(name)
    ]
