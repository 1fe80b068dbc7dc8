"""Bid requests on a fixed schedule, whatever the answers do: an open loop.

    t0      t0+10 ms  t0+20 ms …       each leaves at its moment, or as soon after as it can
    ├─ request ────────▶ answer        latency counts from the moment, so that a queue shows

The service is another process (`_bids_server.py`), whose solver works all the time. Alone:

    python benchmarks/bids_load.py --rate 100 --seconds 20 --product se3-quarter-hour --json
    python benchmarks/bids_load.py --product se3-day-ahead --curves      # from curves over price scenarios
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import aiohttp

from benchmarks.harness import ROOT, Benchmark, BrokenBenchmarkError, Figure, percentile

PRODUCTS = ("se3-quarter-hour", "se3-day-ahead")
RATE_PER_S = 100.0
SECONDS = 20.0
ANSWER_S = 30.0
GOODBYE_S = 30.0


@dataclass(slots=True)
class Answers:
    """What came back."""

    latency_ms: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    answer_bytes: int = 0
    bids: int = 0
    """In the last answer."""

    def plain(self) -> dict[str, object]:
        return {
            "requests": len(self.latency_ms),
            "statuses": dict(self.statuses),
            "p50_ms": round(percentile(self.latency_ms, 0.50), 2),
            "p99_ms": round(percentile(self.latency_ms, 0.99), 2),
            "max_ms": round(max(self.latency_ms), 2),
            "answer_bytes": self.answer_bytes,
            "bids_per_answer": self.bids,
        }


@dataclass(slots=True)
class Server:
    """The service under load."""

    address: str
    deliveries: dict[str, dict[str, str]]
    saw: dict[str, Any] = field(default_factory=dict)
    """What it measured itself; filled when it has ended."""


@contextmanager
def served(*arguments: str) -> Iterator[Server]:
    """Run `_bids_server.py` while the block lasts.

    Raises:
        BrokenBenchmarkError: It does not come up, or did not end well.
    """
    with subprocess.Popen(
        (sys.executable, "-m", "benchmarks._bids_server", *arguments),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            first = child.stdout.readline()
            if not first:
                raise BrokenBenchmarkError(f"the service did not come up: exit {child.wait()}")
            server = Server(**json.loads(first))
            yield server
            child.stdin.close()
            last = child.stdout.readline()
            if child.wait(GOODBYE_S) != 0 or not last:
                raise BrokenBenchmarkError(f"the service ended with {child.returncode}")
            server.saw = json.loads(last)
        finally:
            if child.poll() is None:
                child.kill()


async def ask(
    address: str, product: str, delivery: dict[str, str], *, rate_per_s: float, seconds: float
) -> Answers:
    """Send `rate_per_s` requests a second for `seconds`, each with an id of its own."""
    answers = Answers()
    url = f"{address}/v1/markets/{product}/bids"
    run = f"load-{product}-{perf_counter():.6f}"
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        asyncio.TaskGroup() as group,
    ):
        began = perf_counter()
        for number in range(round(rate_per_s * seconds)):
            due = began + number / rate_per_s
            if (early := due - perf_counter()) > 0:
                await asyncio.sleep(early)
            body = {"request_id": f"{run}-{number}", "delivery": delivery}
            group.create_task(_one(session, url, body, due, answers))
    return answers


async def _one(
    session: aiohttp.ClientSession, url: str, body: dict[str, Any], due: float, answers: Answers
) -> None:
    content = b""
    try:
        async with session.post(url, json=body) as response:
            content = await response.read()
            status = str(response.status)
    except (aiohttp.ClientError, TimeoutError) as error:
        status = type(error).__name__
    answers.latency_ms.append(1000 * (perf_counter() - due))
    answers.statuses[status] += 1
    if status == "200":
        answers.answer_bytes = len(content)
        answers.bids = content.count(b'"bid_id"')


def measure(small: bool) -> Sequence[Figure]:
    """Both products, one after the other, each against a service of its own; small: one, briefly."""
    seconds = 0.2 if small else SECONDS
    figures: list[Figure] = []
    for product in PRODUCTS[:1] if small else PRODUCTS:
        answers, saw = _load(product, rate_per_s=RATE_PER_S, seconds=seconds)
        plain = answers.plain()
        refused = sum(count for status, count in answers.statuses.items() if status != "200")
        figures += [
            Figure(name=f"{product}: p50", measured=_number(plain["p50_ms"]), unit="ms"),
            Figure(
                name=f"{product}: p99", measured=_number(plain["p99_ms"]), unit="ms", at_most=50
            ),
            Figure(name=f"{product}: max", measured=_number(plain["max_ms"]), unit="ms"),
            Figure(name=f"{product}: requests", measured=len(answers.latency_ms)),
            Figure(name=f"{product}: not 200", measured=refused, at_least=0, at_most=0),
            Figure(name=f"{product}: bids an answer", measured=answers.bids),
            Figure(
                name=f"{product}: loop lag p99", measured=saw["lag_ms_p99"], unit="ms", at_most=50
            ),
            Figure(name=f"{product}: solves meanwhile", measured=saw["solves"]),
        ]
    return figures


def _load(
    product: str, *, rate_per_s: float, seconds: float, curves: bool = False
) -> tuple[Answers, dict[str, Any]]:
    with served(*(["expected"] if curves else [])) as server:
        if product not in server.deliveries:
            raise BrokenBenchmarkError(f"no product {product}: {', '.join(server.deliveries)}")
        answers = asyncio.run(
            ask(
                server.address,
                product,
                server.deliveries[product],
                rate_per_s=rate_per_s,
                seconds=seconds,
            )
        )
    return answers, server.saw


def _number(value: object) -> float:
    assert isinstance(value, float | int)
    return float(value)


def main() -> None:
    parser = argparse.ArgumentParser(description="Bid requests in an open loop.")
    parser.add_argument("--rate", type=float, default=RATE_PER_S, help="requests a second")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--product", default=PRODUCTS[0], choices=PRODUCTS)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--curves", action="store_true", help="bids of the mode expected")
    asked = parser.parse_args()
    answers, saw = _load(
        asked.product, rate_per_s=asked.rate, seconds=asked.seconds, curves=asked.curves
    )
    document = {"product": asked.product, "rate_per_s": asked.rate} | answers.plain() | saw
    if asked.json:
        print(json.dumps(document))
        return
    for name, value in document.items():
        print(f"{name:16} {value}")


BENCHMARK = Benchmark(about="POST …/bids, 100 a second, while a plan is solved", measure=measure)

if __name__ == "__main__":
    main()
