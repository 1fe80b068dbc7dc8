"""Simulations by request: daily auctions a minute, and whether many at once leave what each leaves alone.

    python benchmarks/simulations.py [--days 30] [--at-once 8] [--park ten|demo] [--json]

Run by hand. A service of simulations in this process, asked over HTTP. Each simulation bids into one day-ahead auction a
day from its point plan, re-planned hourly; the first step of every bid is taken. Then each seed is run again
alone, and the SHA-256 of its record (every plan, set-point, bid, award, series) is held against the first.
`ten` is a park of ten batteries and one load; `demo` has 44 resources. An auction's time is that of the
simulated day around it; making the simulation, in which models learn, is told apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import resource
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

if __package__ in (None, ""):  # run as a script, not as `python -m benchmarks.simulations`
    sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp
import structlog

from benchmarks._batteries import write_ten_batteries
from benchmarks.harness import BrokenBenchmarkError, Figure, machine
from vpp.clock import WallClock
from vpp.service.api.face import build_simulators_api
from vpp.service.http import serve_app
from vpp.service.park.schema import SimulatorSettings
from vpp.service.simulations.desk import SimulationDesk

BEFORE_GATE, AFTER_GATE = timedelta(minutes=5), timedelta(minutes=45)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One simulation, when it is over."""

    seed: int
    making_s: float
    trading_s: float
    auctions: int
    digest: str
    plans_cut_off: int

    @property
    def auctions_a_minute(self) -> float:
        return 60 * self.auctions / self.trading_s


@asynccontextmanager
async def served(parks: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A service of simulations, and a session with it."""
    desk = SimulationDesk(SimulatorSettings(at_most=64), parks=parks, clock=WallClock())
    app = build_simulators_api(desk)
    no_limit = aiohttp.ClientTimeout(total=None)
    async with (
        serve_app(app, host="127.0.0.1", port=0) as address,
        aiohttp.ClientSession(address, timeout=no_limit) as session,
    ):
        yield session


async def call(session: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
    async with session.request(method, path, json=body) as answer:
        content = await answer.json()
        if answer.status != 200:
            raise BrokenBenchmarkError(f"{method} {path}: {content}")
        return content


async def play(session: aiohttp.ClientSession, park: str, seed: int, days: int) -> Ran:
    """Trade `days` daily auctions in a simulation of its own."""
    began = perf_counter()
    asked = {"park": park, "seed": seed, "bids": "point_plan", "plan_every_minutes": 60}
    made = await call(session, "POST", "/v1/simulations", asked)
    one, start = f"/v1/simulations/{made['simulation_id']}", perf_counter()
    products = (await call(session, "GET", f"{one}/markets"))["products"]
    market = next(f"{one}/markets/{p['product']}" for p in products if p["kind"] == "energy_da")
    for day in range(days):
        gate = (await call(session, "GET", market))["next_delivery"]
        closes_at = datetime.fromisoformat(gate["closes_at"])
        await call(session, "POST", f"{one}/step", {"until": (closes_at - BEFORE_GATE).isoformat()})
        request = {"request_id": f"day-{day}", "delivery": gate["delivery"]}
        bid_set = await call(session, "POST", f"{market}/bids", request)
        cleared = [
            {k: bid[k] for k in ("bid_id", "start", "end")} | bid["offer"]["steps"][0]
            for bid in bid_set["bids"]
        ]
        await call(session, "POST", f"{one}/step", {"until": (closes_at + AFTER_GATE).isoformat()})
        award = {"award_id": f"award-{day}", "revision": 1, "final": True, "cleared": cleared}
        award |= {"bid_set_id": bid_set["bid_set_id"]}
        await call(session, "POST", f"{market}/awards", award)
    trading_s = perf_counter() - start
    manifest = await call(session, "GET", f"{one}/manifest")
    await call(session, "DELETE", one)
    return Ran(
        seed=seed,
        making_s=start - began,
        trading_s=trading_s,
        auctions=days,
        digest=manifest["record_digest"],
        plans_cut_off=manifest["plans_cut_off"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Many at once, and each again alone."""

    together: Sequence[Ran]
    alone: Sequence[Ran]
    together_s: float
    alone_cpu_s: float
    """Of all processes, making included: what a busy machine does not change."""

    @property
    def differing(self) -> int:
        """How many left another record beside others than alone."""
        pairs = zip(self.together, self.alone, strict=True)
        return sum(one.digest != other.digest for one, other in pairs)


async def compare(park: str, days: int, at_once: int) -> Compared:
    """Run seeds 1, 2 … at once, then each alone."""
    with tempfile.TemporaryDirectory(prefix="vpp-simulations-") as folder:
        write_ten_batteries(Path(folder), days)
        seeds = range(1, at_once + 1)
        async with served(Path(folder)) as session:
            began = perf_counter()
            together = await asyncio.gather(*(play(session, park, s, days) for s in seeds))
            together_s = perf_counter() - began
        alone, cpu_began_s = [], cpu_s()
        for seed in seeds:
            async with served(Path(folder)) as session:
                alone.append(await play(session, park, seed, days))
                one = alone[-1]
                print(
                    f"seed {seed} alone: {one.auctions_a_minute:.1f} auctions a minute,"
                    f" made in {one.making_s:.1f} s",
                    file=sys.stderr,
                    flush=True,
                )
        return Compared(
            together=together,
            alone=alone,
            together_s=together_s,
            alone_cpu_s=cpu_s() - cpu_began_s,
        )


def cpu_s() -> float:
    """What this process and the children that have ended have used so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def figures(park: str, found: Compared) -> list[Figure]:
    """What one comparison comes to."""
    days = sum(ran.auctions for ran in found.together)
    best = max(ran.auctions_a_minute for ran in found.alone)
    return [
        Figure(
            name=f"{park}: daily auctions a minute, one alone",
            measured=best,
            at_least=PROMISED[park],
        ),
        Figure(
            name=f"{park}: simulated days a minute, {len(found.together)} at once",
            measured=60 * days / found.together_s,
        ),
        Figure(
            name=f"{park}: CPU time of a simulated day, making included",
            measured=found.alone_cpu_s / days,
            unit="s",
        ),
        Figure(name=f"{park}: records that differ from alone", measured=found.differing, at_most=0),
        Figure(
            name=f"{park}: plans cut off by the time limit",
            measured=sum(ran.plans_cut_off for ran in (*found.together, *found.alone)),
        ),
        Figure(
            name=f"{park}: to make one, alone",
            measured=min(ran.making_s for ran in found.alone),
            unit="s",
        ),
    ]


PROMISED = {"ten": 12.0, "demo": 3.0}
"""Daily auctions a minute of one simulation alone, on a machine that does nothing else."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/simulations.py", description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--park", choices=("ten", "demo"), default="ten")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    facts = machine()
    found = figures(args.park, asyncio.run(compare(args.park, args.days, args.at_once)))
    if args.json:
        print(json.dumps({"machine": facts, "figures": [figure.plain() for figure in found]}))
    else:
        for figure in found:
            told = f"{figure.name}: {figure.measured:.4g} {figure.unit}".rstrip()
            print(f"{told}, {figure.promised}: {figure.verdict}" if figure.promised else told)
    return 0


if __name__ == "__main__":
    sys.exit(main())
