"""A made regulation signal over the batteries of the demo park, in process, with a control period of seconds.

    wiggle   the simulated market's own: a level for the quarter-hour and a wiggle about it (`vpp/simulate/regulation.py`)
    steps    once a minute anywhere within the award, drawn by seed: what indices of single instructions are about

The market is simulated: it takes what is offered of a product of our own making. Batteries answer a second late and need
five seconds from full draw to full feed; everything else of the park goes on beside them and is steered too.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from time import perf_counter

from vpp.account.following import Following, Rule, Told
from vpp.account.regulation import Sample
from vpp.clock import SimulatedClock
from vpp.model.ids import ProductId
from vpp.model.time import QUARTER, Interval, local_day
from vpp.service.backtest.asked import BacktestOptions, Way, as_asked
from vpp.service.backtest.replay import open_direct, scenario_of
from vpp.service.calls import activations
from vpp.service.demo.simulation import Simulation, World, lockstep
from vpp.service.forecasting.schema import ForecastsSection
from vpp.service.markets.pack import read_pack
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile, load_park, shipped_park
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.simulate.devicefaults import NO_FAULTS, FaultPlan
from vpp.simulate.market import VenueTimes
from vpp.wire import ActivationRequest

LEAD = timedelta(minutes=45)
"""Before the signal: a plan is made, and the product is bid and awarded."""
SETTLES = QUARTER
"""Of the signal: the park begins to trade as it begins, and moves its base by megawatts; not judged."""

MADE = ProductId("made.agc")
PRODUCT = """\
id: made.agc
version: 1.0.0
valid_from: 2025-10-01
jurisdiction: SE
kind: regulation
direction: symmetric
currency: EUR
unverified: [calendar, offer, performance, settlement]
sources: [{ref: "Made for this benchmark", mark: ours, confidence: L, fields: [calendar, offer, performance, settlement]}]
calendar: {tz: Europe/Stockholm, delivery_interval: PT1H, settlement_interval: PT1H, gate_close: T-15min}
eligibility: {unit_scope: vpp}
offer:
  form: single
  sense: supply
  quantity: {unit: MW, min: 0.1, step: 0.1, max: 1.0}
  price: {unit: EUR/MW, min: 0, max: 100, step: 0.1}
activation: {trigger: agc}
performance: {index: none}
settlement: {formula: mileage_k, params: {m_factor: 1.0}}
exclusivity_group: made_agc
"""

BATTERY_KW = re.compile(r"(\n +)max_discharge_kw: (\d+)")


class Steps:
    """A simulated world whose market also moves a set-point every so often, anywhere within the award."""

    def __init__(
        self, world: World, plant: Plant, span: Interval, every: timedelta, seed: int
    ) -> None:
        self._world, self._plant, self._span, self._every = world, plant, span, every
        self._dice = Random(f"{seed}/steps")
        self._due, self._revision = span.start, 0
        self.advance, self.trajectory = world.advance, world.trajectory
        self.rollout, self.report = world.rollout, world.report

    def next_trade(self) -> datetime:
        """When the market or the signal is due next."""
        due = self._world.next_trade()
        return min(due, self._due) if self._due < self._span.end else due

    async def trade(self, now: datetime) -> None:
        """Let the market do what is due, and the signal move."""
        await self._world.trade(now)
        while self._due <= now and self._due < self._span.end:
            unit = self._plant.file.park.bidding_units[0].unit_id
            most_mw = activations.awarded_mw(self._plant, MADE, unit, now)
            mw = round(most_mw * Decimal(str(self._dice.uniform(-1.0, 1.0))), 3)
            self._revision += 1
            request = ActivationRequest(
                activation_id="made-steps",
                revision=self._revision,
                start=self._span.start,
                end=self._span.end,
                direction="up" if mw >= 0 else "down",
                quantity_mw=abs(mw),
                source="made test signal",
            )
            await activations.take(self._plant, MADE, request, now=now)
            self._due += self._every


@dataclass(frozen=True, slots=True, kw_only=True)
class Regulated:
    """A signal that is over, and how it was followed."""

    course: Sequence[tuple[datetime, Decimal]]
    samples: Sequence[Sample]
    awarded_mw: Decimal
    span: Interval
    wall_s: float

    def judged(self, index: str, params: Mapping[str, Decimal], rate_share: Decimal) -> Told:
        """By one rule, as it is told live."""
        following = Following(
            Rule(
                index=index,
                params=params,
                capacity_mw=self.awarded_mw,
                standard_rate=self.awarded_mw * rate_share,
                band_mw=self.awarded_mw / 20,
            )
        )
        seen = [(one.at, 0, one.response_mw) for one in self.samples]
        moves = [(at, 1, mw) for at, mw in self.course]  # a sample of their moment is older
        for at, is_move, mw in sorted(seen + moves):
            (following.ask if is_move else following.see)(at, mw)
        following.ask(self.span.end, Decimal(0))
        return following.told()


def regulate(
    *,
    length: timedelta,
    seed: int,
    every: timedelta,
    steps: bool,
    period: timedelta,
    faults: FaultPlan = NO_FAULTS,
) -> Regulated:
    """Let the signal run and judge `length` of it: a set-point each `every`, steered each `period`."""
    began = perf_counter()
    with tempfile.TemporaryDirectory(prefix="vpp-agc-") as folder:
        path = _write_park(Path(folder), every, steps=steps)
        park = load_park(path)
        assert park.simulation is not None
        midnight = local_day(park.simulation.first_delivery_day, park.park.timezone).start
        start = midnight + timedelta(hours=2)
        span = Interval(start, start + SETTLES + length)
        asked = BacktestOptions(span=span, every=QUARTER, period=period)
        plain = {"series": [{"match": "*", "candidates": ["yesterday"]}]}
        file = replace(
            as_asked(park, asked, Way.POINT), forecasts=ForecastsSection.model_validate(plain)
        )
        return asyncio.run(
            _live(file, Path(folder), span, seed, every if steps else None, period, faults, began)
        )


async def _live(
    file: ParkFile,
    folder: Path,
    span: Interval,
    seed: int,
    steps_every: timedelta | None,
    period: timedelta,
    faults: FaultPlan,
    began: float,
) -> Regulated:
    clock, executor = SimulatedClock(span.start - LEAD), InlineExecutor()
    plant, world = await open_direct(
        file, clock, folder, executor, seed=seed, device_step=period, times=VenueTimes(), faults=faults
    )  # fmt: skip
    market: World = world
    if steps_every is not None:
        market = Steps(world, plant, span, steps_every, seed)
    run = Simulation(
        file=file, scenario=scenario_of(file), span=span, seed=seed, plant=plant,
        executor=executor, world=market, began=began,
    )  # fmt: skip
    await lockstep(run, clock, asyncio.Event(), lambda plant: None, plan_limit_s=600.0)
    judged = Interval(span.start + SETTLES, span.end)
    calls = [call for call in plant.book.calls.standing_in(span) if call.signal]
    trades = [t for t in plant.book.position().all_trades() if t.product_id == MADE]
    return Regulated(
        course=[move for call in calls for move in call.followed],
        samples=[one for one in plant.reserve.samples if one.at in judged],
        awarded_mw=max((t.quantity_mw for t in trades), default=Decimal(0)),
        span=judged,
        wall_s=perf_counter() - began,
    )


def _write_park(folder: Path, every: timedelta, *, steps: bool) -> Path:
    """The demo park with the made product, and batteries that are not perfect."""
    source = shipped_park("demo")
    text = source.read_text(encoding="utf-8")
    series = shipped("series/demo/loads.csv").parent
    text = text.replace("../series/demo", str(series))
    for name in ("se3_day_ahead", "se3_quarter_hour"):
        text = text.replace(f"../markets/{name}.yaml", str(shipped(f"markets/{name}.yaml")))
    text = text.replace("../strategies", str(shipped("strategies")))
    text = text.replace("\nstrategies:", "  - made_agc.yaml\n\nstrategies:", 1)
    text = text.replace("se3-quarter-hour]", "se3-quarter-hour, made.agc]", 1)
    text = text.replace("period_s: 60\n  setpoint_ttl_s: 300", "period_s: 2\n  setpoint_ttl_s: 60")
    style = f"style: agc, signal_period_s: {every // timedelta(seconds=1)}"
    if steps:
        style = "style: pay_as_cleared"
    text = text.replace(
        "    imbalance_spread_per_mwh: 15.0",
        "    imbalance_spread_per_mwh: 15.0\n    clearing:\n"
        f"      - {{product: made.agc, price: 20, {style}}}",
    )
    text = BATTERY_KW.sub(
        lambda m: f"{m[0]}{m[1]}response_delay_s: 1{m[1]}ramp_kw_per_min: {24 * int(m[2])}", text
    )
    (folder / "made_agc.yaml").write_text(PRODUCT, encoding="utf-8")
    path = folder / "park.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def rule_of(market: str) -> tuple[str, Mapping[str, Decimal]]:
    """Index and parameters of a shipped market file."""
    judged = read_pack(Path(str(shipped(f"markets/{market}.yaml")))).section.performance
    return judged.index, judged.params
