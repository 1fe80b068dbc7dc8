"""A hundred open pages: what they cost the service, how soon they see, and who is let go.

    alone ▸ open all ▸ measured ▸ a storm of events, some listeners deaf ▸ measured again
             └── the processor of the service with pages less without; its memory the same way

The service is a process of its own (`_pages_server.py`), the pages are those of `_pages_clients.py`. What a
person waits for is taken in Chromium (`_pages_browser.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks._pages_browser import paint, tree_pauses
from benchmarks._pages_clients import Seen, deaf, page, was_dropped
from benchmarks.harness import ROOT, Benchmark, BrokenBenchmarkError, Figure, percentile
from vpp.service.api.pages import static_files, web_folder
from vpp.service.api.shared import pack
from vpp.service.api.stream import SLOW_S

GOODBYE_S = 30.0
VIEWS = ("overview", "overview", "park", "plan")
"""Every fourth page shows the tree, every fourth the plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    pages: int
    deaf: int
    seconds: float
    batteries: int


FULL = Size(pages=100, deaf=5, seconds=20, batteries=10_000)
SMALL = Size(pages=4, deaf=0, seconds=2, batteries=100)


@dataclass(frozen=True, slots=True)
class Service:
    """The service under the eyes of its pages."""

    address: str
    child: subprocess.Popen[str]

    def cpu_s(self) -> float:
        """Processor time so far, of the service alone."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        for line in Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        raise BrokenBenchmarkError("the service is gone")

    def storm(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write("storm\n")
        self.child.stdin.flush()


@contextmanager
def served(which: str) -> Iterator[Service]:
    """Run `_pages_server.py` while the block lasts.

    Raises:
        BrokenBenchmarkError: It does not come up.
    """
    with subprocess.Popen(
        (sys.executable, "-m", "benchmarks._pages_server", which),
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            first = child.stdout.readline()
            if not first:
                raise BrokenBenchmarkError(f"the service did not come up: exit {child.wait()}")
            yield Service(address=json.loads(first)["address"], child=child)
            child.stdin.close()
            child.wait(GOODBYE_S)
        finally:
            if child.poll() is None:
                child.kill()


def measure(small: bool) -> list[Figure]:
    """Cost and delay of the pages; in full also what Chromium shows.

    Raises:
        BrokenBenchmarkError: The service does not come up, or a page is refused.
    """
    size = SMALL if small else FULL
    with served("demo") as service:
        figures = asyncio.run(_looked_at(service, size))
        if not small:
            figures += _painted(service)
    figures.append(
        Figure(name="all files of the page, packed", measured=round(packed_kib(), 1), unit="KiB", at_most=300)
    )  # fmt: skip
    if not small:
        with served(str(size.batteries)) as service:
            longest_ms, gap_ms = asyncio.run(tree_pauses(service.address, size.batteries))
        figures += [
            Figure(name="tree: longest task", measured=longest_ms, unit="ms", at_most=100),
            Figure(name="tree: longest gap of frames", measured=round(gap_ms, 1), unit="ms"),
        ]
    return figures


async def _looked_at(service: Service, size: Size) -> list[Figure]:
    alone = await _cpu_share(service, size.seconds)
    before_mib, seen = service.resident_mib(), Seen()
    tasks = [
        asyncio.create_task(page(service.address, VIEWS[n % len(VIEWS)], n, seen))
        for n in range(size.pages)
    ]
    await asyncio.sleep(size.seconds / 4)
    seen.measuring = True
    looked = await _cpu_share(service, size.seconds)
    open_mib = service.resident_mib()
    seen.measuring = False
    lines = [await deaf(service.address) for _ in range(size.deaf)]
    if lines:
        service.storm()
        await asyncio.sleep(SLOW_S + 8)
    dropped = [await was_dropped(line, 2.0) for line in lines]
    for line in lines:
        line.close()
    after_mib = service.resident_mib()
    broken = [str(task.exception()) for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if broken or seen.failed:
        raise BrokenBenchmarkError(f"pages ended: {(broken + seen.failed)[:3]}")
    return [
        Figure(name="pages", measured=size.pages),
        Figure(name="reads a second", measured=round(seen.reads / size.seconds, 1)),
        Figure(name="processor, share of a core", measured=round(100 * (looked - alone), 1), unit="%", at_most=20),
        Figure(name="processor without pages", measured=round(100 * alone, 1), unit="%"),
        Figure(name="memory of the service", measured=round(open_mib, 1), unit="MiB"),
        Figure(name="memory of the pages", measured=round(open_mib - before_mib, 1), unit="MiB", at_most=50),
        Figure(name="memory after a storm", measured=round(after_mib - before_mib, 1), unit="MiB", at_most=50),
        Figure(name="event heard, p99", measured=round(1000 * percentile(seen.heard_s, 0.99)), unit="ms", at_most=1000),
        Figure(name="event shown, p99", measured=round(1000 * percentile(seen.shown_s, 0.99)), unit="ms", at_most=1000),
        Figure(name="deaf listeners let go", measured=sum(dropped), at_least=size.deaf, at_most=size.deaf),
    ]  # fmt: skip


async def _cpu_share(service: Service, seconds: float) -> float:
    """Of one core, over the next `seconds`."""
    began_s, began = service.cpu_s(), perf_counter()
    await asyncio.sleep(seconds)
    return (service.cpu_s() - began_s) / (perf_counter() - began)


def _painted(service: Service) -> Sequence[Figure]:
    found = asyncio.run(paint(service.address))
    return [
        Figure(name="first paint", measured=round(found.first_ms), unit="ms", at_most=1000),
        Figure(name="first meaningful paint", measured=round(found.shown_ms), unit="ms", at_most=1000),
        Figure(name="over the line until then", measured=round(found.kib, 1), unit="KiB", at_most=300),
    ]  # fmt: skip


def packed_kib() -> float:
    """Every script and style of the page, all views together, as they go over the line; not the API browser's."""
    folder = web_folder()
    files = [file for file in static_files(folder) if "rapidoc" not in file.name]
    return sum(len(pack(file.read_bytes(), level=9)) for file in files) / 1024


BENCHMARK = Benchmark(about="a hundred open pages, and the tree of 10,000", measure=measure)
