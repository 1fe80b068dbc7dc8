"""Forecasts in a whole plant: learnt at the start and at the week's moment, scored, and on disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from adapters.sqlite_forecasts import SqliteForecasts
from vpp.model.time import isoformat
from vpp.service import inputs
from vpp.service.demo.demo import Run
from vpp.service.forecasting.learning import CHOICE
from vpp.service.forecasting.schema import RetrainSection
from vpp.service.wiring import FORECASTS_FILE

LOAD = "power.works-load"


def test_models_learn_at_the_start_and_at_the_weeks_moment_and_are_scored(
    small_park: Any, play: Any, eve: Any, tmp_path: Path
) -> None:
    """The run begins on Tuesday at 11:00; the week's moment is Tuesday at 13:00."""
    file = small_park()
    retrain = RetrainSection(day="tue", hour=13)
    file = replace(file, forecasts=file.forecasts.model_copy(update={"retrain": retrain}))
    seen: dict[str, Any] = {}

    async def operator(run: Run, until: Any) -> None:
        await until(eve(file, 14, 10))
        plant = run.plant
        seen["needed"] = inputs.series_needed(plant)
        seen["choices"] = [
            (entry.key, msgspec.json.decode(entry.body)) for entry in plant.journal.entries(CHOICE)
        ]
        seen["models"] = {f.series_id: f.model for f in plant.forecasts}
        seen["trained_at"] = {name: c.trained_at for name, c in plant.desk.choices.items()}
        seen["ill"] = plant.desk.ill

    play(file, operator=operator, leave=True, data=tmp_path)

    moments = [eve(file, 11), eve(file, 13)]
    assert [key for key, _ in seen["choices"]] == [
        f"{name}/{isoformat(at)}" for at in moments for name in seen["needed"]
    ]
    assert set(seen["trained_at"].values()) == {moments[1]}
    assert seen["ill"] is None
    # Days that repeat: yesterday says all, and the simplest candidate wins the tie.
    assert seen["models"][LOAD] == "yesterday/1"
    record = _record_of(tmp_path, eve(file, 11), eve(file, 14, 10))
    assert record["issues"] == 13  # each quarter-hour from 11:00 to 14:00
    assert record["mae"] < 1.0


def _record_of(data: Path, first: datetime, last: datetime) -> dict[str, Any]:
    with SqliteForecasts(data / FORECASTS_FILE) as record:
        issued = record.issued(since=first, until=last, series_id=LOAD)
        sums = [
            one
            for key, one in record.scores(first.date() - timedelta(days=1)).items()
            if key.series_id == LOAD
        ]
    assert sum(one.cases for one in sums) > 20
    return {
        "issues": len(issued),
        "mae": sum(one.abs_error for one in sums) / sum(one.cases for one in sums),
    }
