"""A strategy is changed while the park runs: previewed, taken at the next plan, and another tried in the shadow.

One run of the eve holds all of it; each test looks at one thing that it left.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.commandsread import commands_of
from tests.scenarios.conftest import Eve, MakePark, Play, Played, Until
from vpp.errors import ConfigError
from vpp.model.time import Interval, local_day
from vpp.ports import JournalEntry
from vpp.service.demo.demo import Run
from vpp.service.forecasting.schema import ForecastsSection
from vpp.service.park.parkfile import ParkFile
from vpp.service.plant import Plant
from vpp.service.record import PLAN
from vpp.service.steering import setpoints
from vpp.service.strategies.reading import parse_strategies
from vpp.service.strategies.strategies import version_of
from vpp.service.tuning import changing, previewing, record, shadow
from vpp.service.tuning.reading import read_aside
from vpp.service.tuning.view import preview_view, shadows_view
from vpp.wirestrategies import PreviewView, ShadowView


@dataclass(kw_only=True)
class Seen:
    """What the operator saw."""

    before: str = ""
    after: str = ""
    preview: PreviewView | None = None
    later: PreviewView | None = None
    live_end: datetime | None = None
    shadow: ShadowView | None = None
    kept: list[JournalEntry] = field(default_factory=list)
    versions_at: dict[datetime, str] = field(default_factory=dict)


def dearer(text: str) -> str:
    """The same file, to which a deviation from what was traded costs more."""
    assert "imbalance_spread_per_mwh" in text
    key, value = "imbalance_spread_per_mwh:", "95.0"
    head, tail = text.split(key, 1)
    rest = tail.lstrip(" 0123456789.")
    return f"{head}{key} {value}{rest}"


def quick(file: ParkFile) -> ParkFile:
    """The park without models that learn."""
    simple = {"series": [{"match": "*", "candidates": ["seasonal-baseline"]}]}
    return replace(file, forecasts=ForecastsSection.model_validate(simple))


@pytest.fixture(scope="module")
def changed(
    small_park: MakePark, play: Play, eve: Eve, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Played, Seen, Path]:
    file, seen = quick(small_park()), Seen()
    data = tmp_path_factory.mktemp("data") / "new"

    async def operate(run: Run, until: Until) -> None:
        plant = run.plant
        await until(eve(file, 11, 5))
        seen.before = plant.strategies.text
        seen.after = dearer(seen.before)
        read = await read_aside(plant, seen.after)
        preview = previewing.start(plant, read, 0, plant.clock.now())
        assert plant.tuning.previewing is not None
        await plant.tuning.previewing
        seen.preview = preview_view(preview)
        await changing.put(
            plant,
            seen.after,
            by="Li",
            reason="deviations are dear",
            based_on=version_of(seen.before),
            now=plant.clock.now(),
        )
        assert plant.strategy_version == version_of(seen.before)
        await until(eve(file, 11, 20))
        old = await read_aside(plant, seen.before)
        await shadow.start(
            plant, old, by="Li", reason="was it better before?", now=plant.clock.now()
        )
        await until(eve(file, 12, 20))  # the gate has closed: plans look a day ahead, no farther
        assert plant.schedule is not None
        seen.live_end = plant.schedule.horizon.end
        later = previewing.start(plant, old, 0, plant.clock.now())
        await plant.tuning.previewing
        seen.later = preview_view(later)
        await asyncio.sleep(0)
        seen.shadow = shadows_view(plant).shadow
        kinds = (PLAN, setpoints.SETPOINTS, record.LIVE, record.SHADOW_PLAN)
        seen.kept = list(plant.journal.entries(*kinds))

    def look(plant: Plant) -> None:
        if plant.schedule is not None:
            seen.versions_at[plant.clock.now()] = plant.schedule.strategy_version

    return play(file, operator=operate, leave=True, progress=look, data=data), seen, data


def test_a_preview_tells_the_change_the_days_played_again_and_the_plan(
    changed: tuple[Played, Seen, Path],
) -> None:
    preview = changed[1].preview
    assert preview is not None
    assert (preview.state, preview.progress) == ("done", 1.0)
    (change,) = preview.changes
    assert "imbalance_spread_per_mwh" in change
    assert "becomes 95.0" in change
    assert preview.no_plan is None
    assert preview.plan is not None
    assert len(preview.plan.old_kw) == len(preview.plan.new_kw)
    assert preview.plan.bids_compared >= 96
    assert preview.no_backtest == "none was asked for"


def test_days_that_are_over_are_played_again_under_both(small_park: MakePark) -> None:
    file = small_park()
    other = parse_strategies(
        dearer(file.strategies.text).encode(), file.strategies.ground, name="other"
    )
    midnight = local_day(date(2025, 12, 3), file.park.timezone).start
    span = Interval(midnight, midnight + timedelta(hours=1))
    seen: set[str] = set()

    lives = asyncio.run(
        previewing.both_lives(
            file,
            file.strategies,
            other,
            span,
            every=timedelta(hours=12),
            progress=lambda name, at: seen.add(name),
        )
    )

    assert [life.strategies for life in lives] == [file.strategies.version, other.version]
    assert seen == {"old", "new"}
    told = previewing.backtest_view(lives, "an hour")
    (day,) = told.days
    assert (day.day, day.old) == (date(2025, 12, 3), told.old)
    assert abs(float(told.old.cost) - lives[0].cost) <= 0.005
    assert day.old.peak_import_kw > 0


def test_the_days_before_are_whole_local_days_that_the_series_hold(small_park: MakePark) -> None:
    file = small_park()  # series from 25 November to 6 December
    now = datetime(2025, 12, 2, 10, tzinfo=UTC)

    span = previewing.days_before(file, now, 2)
    assert (span.start, span.end) == (
        datetime(2025, 11, 29, 23, tzinfo=UTC),
        datetime(2025, 12, 1, 23, tzinfo=UTC),
    )
    assert previewing.span_in_words(file, span) == "2025-11-30 to 2025-12-01"
    with pytest.raises(ConfigError, match="the park's series reach"):
        previewing.days_before(file, now, 7)
    with pytest.raises(ConfigError, match="no simulation section"):
        previewing.days_before(replace(file, simulation=None), now, 2)


def test_days_played_again_are_learnt_for_once(small_park: MakePark) -> None:
    file = small_park()
    sunday = local_day(date(2025, 11, 30), file.park.timezone)

    forecasts = previewing.forecasts_of(file, sunday)

    assert forecasts.retrain.day == "sat"  # before it opens, at eleven of the eve
    assert forecasts.retrain.hour == 0
    assert forecasts.candidates_of("power.any") == ("seasonal-baseline",)


def test_a_preview_plans_to_the_end_of_tomorrow_where_the_live_plan_does_not(
    changed: tuple[Played, Seen, Path],
) -> None:
    later, seen = changed[1].later, changed[1]
    assert later is not None
    assert later.no_plan is None
    assert later.plan is not None
    assert seen.live_end == datetime(2025, 12, 3, 11, 15, tzinfo=UTC)
    assert later.plan.end == datetime(2025, 12, 3, 23, tzinfo=UTC)
    assert len(later.plan.new_kw) == (later.plan.end - later.plan.start) // timedelta(minutes=15)


def test_it_is_taken_at_the_next_plan_and_stamped_from_then_on(
    changed: tuple[Played, Seen, Path], eve: Eve
) -> None:
    played, seen, _ = changed
    file = played.run.file
    old, new = version_of(seen.before), version_of(seen.after)

    assert seen.versions_at[eve(file, 11, 10)] == old
    assert seen.versions_at[eve(file, 11, 20)] == new
    plans = [json.loads(e.body) for e in seen.kept if e.kind == PLAN]
    assert [one["strategy_version"] for one in plans[:2]] == [old, new]
    told: list[dict[str, Any]] = [
        one
        for entry in seen.kept
        if entry.kind == setpoints.SETPOINTS
        for one in commands_of(entry.body)
    ]
    assert {one["strategies"] for one in told} <= {old, new}
    assert new in {one["strategies"] for one in told}
    live = [entry.recorded_at for entry in seen.kept if entry.kind == record.LIVE]
    assert live == [eve(file, 11), eve(file, 11, 15)]


def test_a_demo_writes_into_a_copy_of_its_own(changed: tuple[Played, Seen, Path]) -> None:
    played, seen, data = changed
    shipped = played.run.file.folder / "strategies.yaml"

    assert (data / "strategies.yaml").read_text() == seen.after
    assert not shipped.exists() or shipped.read_text() == seen.before


def test_a_candidate_plans_beside_the_live_version_and_is_on_record(
    changed: tuple[Played, Seen, Path],
) -> None:
    _, seen, _ = changed
    assert seen.shadow is not None
    assert seen.shadow.version == version_of(seen.before)
    assert seen.shadow.plans >= 1
    assert seen.shadow.newest is not None
    assert seen.shadow.newest.reason == ""
    assert seen.shadow.newest.shadow_cost is not None
    assert seen.shadow.newest.bids_compared > 0
    kept = [entry for entry in seen.kept if entry.kind == record.SHADOW_PLAN]
    assert len(kept) == seen.shadow.plans
    # It is never followed.
    assert seen.versions_at[max(seen.versions_at)] == version_of(seen.after)
