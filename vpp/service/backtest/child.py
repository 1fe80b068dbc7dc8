"""The process that lives through the days of one back-test: a pickled job on stdin, frames on stdout.

Moments say how far it is, then comes the result, or the error. The pickles go between us and our own parent
over private pipes. It ends with its parent.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import sys
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import BinaryIO

import structlog

from vpp.errors import VppError
from vpp.model.time import latest_boundary
from vpp.service.backtest.compare import NICENESS, Job
from vpp.service.backtest.kept import PlanRecord, RecordedExecutor
from vpp.service.backtest.living import Lived, lived
from vpp.service.plant import Plant
from vpp.service.run import keep_start
from vpp.service.solving.childlife import answers_alone, behave
from vpp.service.solving.executor import Executor, ProcessExecutor
from vpp.service.solving.frames import read_frame, write_frame

ADDRESS_SPACE_BYTES = 8 * 2**30
"""Two months of a park's life need a quarter of it."""

HOUR = timedelta(hours=1)


def main() -> None:
    """Live through the job that stands on stdin, and answer."""
    behave(most_bytes=ADDRESS_SPACE_BYTES, niceness=NICENESS)
    # What the plant tells is counted in the rows, not logged: weeks of it would hide the progress.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with answers_alone() as answers:
        payload = read_frame(sys.stdin.buffer)
        if payload is None:
            return  # the parent changed its mind
        answer: Lived | VppError
        try:
            answer = asyncio.run(_live(pickle.loads(payload), answers))
        except VppError as error:
            answer = error
        _write(answers, answer)


async def _live(job: Job, answers: BinaryIO) -> Lived:
    told: datetime | None = None

    def look(plant: Plant) -> None:
        nonlocal told
        hour = latest_boundary(plant.clock.now(), HOUR)
        if hour != told:
            told = hour
            _write(answers, hour)

    async with AsyncExitStack() as stack:
        executor: Executor = await stack.enter_async_context(ProcessExecutor())
        if job.record is not None:
            executor = RecordedExecutor(executor, stack.enter_context(PlanRecord(job.record)))
        keep_start()
        return await lived(job.variant, job.options, job.way, executor, look)


def _write(answers: BinaryIO, answer: object) -> None:
    write_frame(answers, pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    main()
