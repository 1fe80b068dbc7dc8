"""A loop gone wild bids 1 000 times a second: how soon the kill switch of its market is latched.

The demo park in this process with a journal on disk and the limits of a new park file. The loop asks in an
open loop, a millisecond apart by the wall clock, for the bids of the next day, each time under a new id.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from time import perf_counter

from adapters.sqlite_journal import SqliteJournal
from benchmarks._park import a_park
from benchmarks.harness import Benchmark, BrokenBenchmarkError, Figure
from vpp.model.schedule import Feasible, Optimal
from vpp.service import cycle
from vpp.service.api.markets import request_digest
from vpp.service.inputs import reference_product
from vpp.service.kill import Scope
from vpp.service.plant import Plant
from vpp.service.trading import trading
from vpp.service.trading.schema import TradingSection
from vpp.trade.calendar import TradeRefusal, next_delivery
from vpp.wire import BidRequest, Span

BEFORE_THE_GATE = time(11)
EVERY_S = 0.001
MOST = 2000
LATCHED_MS = 100.0


def measure(small: bool) -> Sequence[Figure]:
    """One runaway loop; `small` is the same, for it lasts a tenth of a second.

    Raises:
        BrokenBenchmarkError: There was no plan to bid from, or nothing stopped the loop.
    """
    with tempfile.TemporaryDirectory(prefix="vpp-runaway-") as folder:
        plant = a_park(BEFORE_THE_GATE, Path(folder)).plant
        plant.file = replace(plant.file, trading=TradingSection(mode="simulated"))
        return asyncio.run(_measure(plant, Path(folder)))


async def _measure(plant: Plant, folder: Path) -> Sequence[Figure]:
    await cycle.plan(plant, plant.clock.now())
    if not isinstance(plant.outcome, Optimal | Feasible):
        raise BrokenBenchmarkError(f"no plan: {plant.outcome}")
    async with SqliteJournal.open(folder / "journal.sqlite") as journal:
        plant.journal, plant.reconciled = journal, True
        answers, latched_s = await _run_away(plant)
    return (
        Figure(name="from the first bid to the latch", measured=1000 * latched_s, unit="ms", at_most=LATCHED_MS),
        Figure(name="bid sets that left", measured=answers["made"], at_most=plant.file.trading.limits.burst),
        Figure(name="bid sets refused", measured=answers["rate_exceeded"] + answers["killed"]),
    )  # fmt: skip


async def _run_away(plant: Plant) -> tuple[Counter[str], float]:
    product = reference_product(plant)
    start = plant.clock.now()
    delivery = next_delivery(product, start)
    span = Span(start=delivery.start, end=delivery.end)
    answers: Counter[str] = Counter()
    market = Scope("market", product.product_id)
    began = perf_counter()

    async def ask(number: int) -> None:
        request = BidRequest(request_id=f"runaway-{number}", delivery=span)
        now = start + timedelta(seconds=perf_counter() - began)
        try:
            await trading.answer_bid_request(
                plant, product.product_id, request, digest=request_digest(request), now=now
            )
        except TradeRefusal as refusal:
            answers[refusal.code] += 1
        else:
            answers["made"] += 1

    async with asyncio.TaskGroup() as asking:
        for number in range(MOST):
            await asyncio.sleep(max(began + number * EVERY_S - perf_counter(), 0.0))
            asking.create_task(ask(number))
            await asyncio.sleep(0)
            if plant.kill.mark_of(market) is not None:
                return_s = perf_counter() - began
                break
        else:
            raise BrokenBenchmarkError(f"nothing stopped {MOST} bids: {dict(answers)}")
    return answers, return_s


BENCHMARK = Benchmark(about="a loop that bids 1 000 times a second is stopped", measure=measure)
