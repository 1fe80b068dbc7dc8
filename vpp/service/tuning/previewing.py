"""What a strategy file would do, found out beside the running service: asked, watched, cancelled.

    text ─▶ read ─┬─▶ two lives through the days before, each in a process of its own ─▶ back-test
                  └─▶ two plans of the newest picture, in one process more ────────────▶ plan, bids

Every process is of low priority, and no cycle waits for any of them. One preview at a time.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Literal

import structlog

from vpp.errors import ConfigError, ConflictError, VppError
from vpp.model.money import exact
from vpp.model.time import QUARTER, Interval, isoformat, local_date, local_day
from vpp.service.backtest.asked import SERIES_BEYOND, BacktestOptions
from vpp.service.forecasting.schema import ForecastsSection
from vpp.service.park.parkfile import ParkFile
from vpp.service.park.schematypes import DAYS
from vpp.service.plant import Plant
from vpp.service.solving.warmchild import Failed, WarmChild
from vpp.service.strategies.strategies import Strategies
from vpp.service.tuning.differences import differences
from vpp.service.tuning.nofollow import offering_of, problem_under
from vpp.service.tuning.planpair import CENT, PlanPair
from vpp.service.tuning.tomorrow import to_the_end_of_tomorrow
from vpp.wirestrategies import (
    PreviewBacktestView,
    PreviewDayView,
    PreviewFiguresView,
    PreviewPlanView,
)

if TYPE_CHECKING:
    from vpp.service.backtest.days import Day
    from vpp.service.backtest.living import Lived

EVERY = timedelta(hours=1)
"""How often a plan is made in the back-test."""

STEP = QUARTER
"""How often devices are steered in it, and how finely they live."""

FORECASTS = {"series": [{"match": "*", "candidates": ["seasonal-baseline"]}]}
"""Of the back-test, under both versions: models that learn would take a third of its time."""

PLAN_HARD_S = 120.0
KEPT = 8
"""Previews that can still be read; the oldest is forgotten."""

BACKTEST_SHARE = 0.9
"""Of the progress that is shown."""

log = structlog.get_logger("vpp.strategies")


@dataclass(slots=True, kw_only=True)
class Preview:
    """One preview, and how far it is."""

    preview_id: str
    asked_at: datetime
    old: Strategies
    new: Strategies
    changes: tuple[str, ...]
    began_s: float
    state: Literal["running", "done", "failed", "cancelled"] = "running"
    doing: str = "begins"
    progress: float = 0.0
    backtest: PreviewBacktestView | None = None
    no_backtest: str | None = None
    plan: PreviewPlanView | None = None
    no_plan: str | None = None
    took_s: float | None = None
    """None while it runs."""

    reached: dict[str, float] = field(default_factory=dict)
    """Share of the back-test's span that each life is through."""


def start(
    plant: Plant, new: Strategies, days: int, now: datetime, *, every: timedelta = EVERY
) -> Preview:
    """Begin a preview of `new` beside what runs, or waits; `days` are played again, a plan `every` so often.

    Raises:
        ConflictError: One runs already.
    """
    desk = plant.tuning
    if desk.previewing is not None and not desk.previewing.done():
        raise ConflictError(
            "one preview runs already", where="preview", fix="Wait for it, or cancel it"
        )
    old = plant.strategies if desk.waiting is None else desk.waiting
    desk.previews_made += 1
    preview = Preview(
        preview_id=f"preview-{desk.previews_made:04d}",
        asked_at=now,
        old=old,
        new=new,
        changes=differences(old.section, new.section),
        began_s=perf_counter(),
    )
    desk.previews[preview.preview_id] = preview
    for oldest in list(desk.previews)[:-KEPT]:
        del desk.previews[oldest]
    task = asyncio.create_task(fill(plant, preview, days, every), name=preview.preview_id)
    desk.previewing = task
    return preview


async def cancel(plant: Plant, preview: Preview) -> None:
    """End a preview that runs; again changes nothing."""
    task = plant.tuning.previewing
    if preview.state == "running" and task is not None and task.get_name() == preview.preview_id:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def fill(plant: Plant, preview: Preview, days: int, every: timedelta) -> None:
    """Find all of it out; whatever fails is told in the preview."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_fill_plan(plant, preview))
            group.create_task(_fill_backtest(plant, preview, days, every))
        preview.state, preview.doing, preview.progress = "done", "done", 1.0
    except asyncio.CancelledError:
        preview.state, preview.doing = "cancelled", "cancelled"
        raise
    except Exception:  # a bug of a preview must not end the service that goes on beside it
        log.exception("a preview failed", preview_id=preview.preview_id)
        preview.state, preview.doing = "failed", "failed: a fault of the service, see its log"
    finally:
        preview.took_s = perf_counter() - preview.began_s


# ---------------------------------------------------------------- plan


async def _fill_plan(plant: Plant, preview: Preview) -> None:
    basis = plant.tuning.basis
    if basis is None:
        preview.no_plan = "there is no plan yet that could be made otherwise"
        return
    try:
        basis = to_the_end_of_tomorrow(plant, basis, plant.clock.now())
        old = problem_under(plant, basis, preview.old)
        pair = PlanPair(
            old=old,
            old_view=old.view,
            new=problem_under(plant, basis, preview.new),
            offering=offering_of(plant, plant.clock.now()),
            old_strategies=preview.old,
            new_strategies=preview.new,
        )
    except VppError as error:
        preview.no_plan = str(error)
        return
    payload = await asyncio.to_thread(pickle.dumps, pair, pickle.HIGHEST_PROTOCOL)
    answer = await ask_child(payload, PLAN_HARD_S)
    if isinstance(answer, str):
        preview.no_plan = answer
    else:
        preview.plan = answer


async def ask_child(payload: bytes, hard_s: float) -> PreviewPlanView | str:
    """What a fresh child makes of a pickled `PlanPair`; why where it makes nothing."""
    command = (sys.executable, "-m", "vpp.service.tuning.planchild")
    async with WarmChild(command, name="preview", recycle_after=1_000_000) as child:
        answer = await child.ask(lambda: payload, _read, hard_s=hard_s)
    return answer.reason if isinstance(answer, Failed) else answer


def _read(content: bytes) -> PreviewPlanView | str:
    answer = pickle.loads(content)
    if not isinstance(answer, PreviewPlanView | str):
        raise TypeError(f"{type(answer).__name__} is no answer")
    return answer


# ---------------------------------------------------------------- back-test


async def _fill_backtest(plant: Plant, preview: Preview, days: int, every: timedelta) -> None:
    if days == 0:
        preview.no_backtest = "none was asked for"
        return
    now = plant.clock.now()
    try:
        span = days_before(plant.file, now, days)
    except ConfigError as error:
        preview.no_backtest = f"{error.what}: {error.fix}"
        return

    def progress(name: str, at: datetime) -> None:
        _show_progress(preview, span, name, at)

    preview.doing = f"plays {span_in_words(plant.file, span)} again"
    try:
        lives = await both_lives(
            plant.file, preview.old, preview.new, span, every=every, progress=progress
        )
    except VppError as error:
        preview.no_backtest = str(error)
        return
    preview.backtest = backtest_view(lives, span_in_words(plant.file, span))


def _show_progress(preview: Preview, span: Interval, name: str, at: datetime) -> None:
    begins = span.start - timedelta(hours=13)  # the eve that each life begins on
    preview.reached[name] = min(max((at - begins) / (span.end - begins), 0.0), 1.0)
    preview.progress = BACKTEST_SHARE * sum(preview.reached.values()) / 2


async def both_lives(
    file: ParkFile,
    old: Strategies,
    new: Strategies,
    span: Interval,
    *,
    every: timedelta = EVERY,
    progress: Callable[[str, datetime], None],
) -> tuple[Lived, Lived]:
    """The span lived through under both versions, side by side.

    Raises:
        ConfigError: The park cannot be replayed.
        PlanError, DataError: A replay cannot be scored honestly.
        UnavailableError: A child died.
    """
    # Here, for what replays a plant imports its loops, and those import us.
    from vpp.service.backtest.compare import compare
    from vpp.service.backtest.living import Variant

    played = replace(file, forecasts=forecasts_of(file, span))
    variants = [
        Variant(name="old", file=replace(played, strategies=old)),
        Variant(name="new", file=replace(played, strategies=new)),
    ]
    options = BacktestOptions(
        span=span, every=every, foresight=False, period=STEP, device_step=STEP
    )
    first, second = (await compare(variants, options, progress=progress)).lives
    return first, second


def forecasts_of(file: ParkFile, span: Interval) -> ForecastsSection:
    """How the back-test forecasts: learnt as it opens, and not again before a week is over."""
    opens_on = local_date(span.start, file.park.timezone) - timedelta(days=1)
    retrain = {"day": DAYS[opens_on.weekday()], "hour": 0}
    return ForecastsSection.model_validate(FORECASTS | {"retrain": retrain})


def days_before(file: ParkFile, now: datetime, days: int) -> Interval:
    """The newest `days` whole local days before `now`.

    Raises:
        ConfigError: The park cannot be played again, or its series do not hold these days.
    """
    if file.simulation is None:
        raise ConfigError(
            "the park file has no simulation section, so nobody knows what its devices would have done",
            where="preview",
            fix="add one to have days played again; the plan below is made without it",
        )
    zone = file.park.timezone
    end = local_day(local_date(now, zone), zone).start
    start = end
    for _ in range(days):
        start = local_day(local_date(start - QUARTER, zone), zone).start
    series = file.simulation.day_ahead_per_mwh.horizon.span
    first, last = series.start + timedelta(days=2), series.end - SERIES_BEYOND
    if start < first or end > last:
        raise ConfigError(
            f"the park's series reach from {isoformat(series.start)} to {isoformat(series.end)}",
            where="preview",
            fix=f"{isoformat(start)} to {isoformat(end)} would be needed, with two days before and after",
        )
    return Interval(start, end)


def span_in_words(file: ParkFile, span: Interval) -> str:
    """First and last local day."""
    zone = file.park.timezone
    first, last = local_date(span.start, zone), local_date(span.end - QUARTER, zone)
    return first.isoformat() if first == last else f"{first.isoformat()} to {last.isoformat()}"


def backtest_view(lives: tuple[Lived, Lived], span: str) -> PreviewBacktestView:
    """Both lives, day by day and in all."""
    old, new = lives
    return PreviewBacktestView(
        days=[
            PreviewDayView(day=before.day, old=day_figures(before), new=day_figures(after))
            for before, after in zip(old.days, new.days, strict=True)
        ],
        old=life_figures(old),
        new=life_figures(new),
        note=f"{span}, simulated devices and market, devices steered each quarter-hour, forecasts by the seasonal baseline",
    )


def day_figures(day: Day) -> PreviewFiguresView:
    """One day of a life."""
    return _figures(day.cost, day.highest_draw_kw, day.carbon_kgco2, day.cycles)


def life_figures(life: Lived) -> PreviewFiguresView:
    """All days of a life."""
    return _figures(life.cost, life.highest_draw_kw, life.carbon_kgco2, life.cycles)


def _figures(cost: float, peak_kw: float, carbon_kgco2: float, cycles: float) -> PreviewFiguresView:
    return PreviewFiguresView(
        cost=exact(cost).quantize(CENT),
        peak_import_kw=round(peak_kw, 3),
        carbon_kgco2=round(carbon_kgco2, 3),
        cycles=round(cycles, 4),
    )
