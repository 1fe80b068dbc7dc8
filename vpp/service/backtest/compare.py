"""Lives through the same days side by side, each in a process of its own: strategies compared.

    compare ─┬─ child ── solver        the current strategies
             ├─ child ── solver        a candidate
             └─ …                      at most `processes` at once, each of low priority

Each child plays the whole span (`living.py`) and tells how far it is; the result is the same as if one
process had played them in turn. Who asks may cancel: the children are killed.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from vpp import __version__
from vpp.errors import ConfigError, UnavailableError, VppError
from vpp.service.backtest.asked import BacktestOptions, Way
from vpp.service.backtest.backtest import Backtest, ways_of
from vpp.service.backtest.fingerprint import fingerprint
from vpp.service.backtest.kept import kept_in
from vpp.service.backtest.living import Lived, Variant
from vpp.service.solving.warmchild import read_answer, write_question

SIDE_BY_SIDE = 2
"""Lives at once where nobody says otherwise; each uses about one core."""

NICENESS = 10
"""Of the children: a plant that runs beside them goes first."""

SURROUNDINGS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
"""Of the children: one thread each, and sets in one order, so that a problem has the same bytes each time."""

Progress: TypeAlias = Callable[[str, datetime], None]
"""Is told which life stands at which moment of its span; hourly, and of the run-up before it too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a child is asked: one life."""

    variant: Variant
    options: BacktestOptions
    way: Way
    record: Path | None = None
    """Where plans are kept that were solved, for whoever goes on after an interruption."""


def unwatched(name: str, now: datetime) -> None:
    """Nobody looks on."""


async def compare(
    variants: Sequence[Variant],
    options: BacktestOptions,
    *,
    processes: int = SIDE_BY_SIDE,
    folder: Path | None = None,
    progress: Progress = unwatched,
) -> Backtest:
    """Live through the span with each variant; differences are told against the first.

    Plans are made for several futures where `options.scenarios` says so, for the forecast alone
    otherwise. Each life also holds doing nothing, and foresight where `options.foresight` asks for it,
    from its own opening state.

    Args:
        variants: One or more, with names of their own.
        options: Span, how often plans are made, seed.
        processes: How many lives at once.
        folder: Where to keep what was done, and to go on from; nowhere where it is None.
        progress: Shown how far each is.

    Raises:
        ConfigError: No variants, two of one name, a park that cannot be replayed as asked, or a folder of
            another back-test.
        PlanError, DataError: A replay cannot be scored honestly.
        UnavailableError: A child died.
    """
    names = [variant.name for variant in variants]
    if not names or len(set(names)) < len(names):
        raise ConfigError(
            f"{names or 'nothing'} is to be compared",
            where="back-test",
            fix="Give one or more variants, each with a name of its own",
        )
    way = ways_of(options)[-1]
    jobs = [Job(variant=variant, options=options, way=way) for variant in variants]
    lives = await _side_by_side(jobs, processes, folder, progress)
    return Backtest(file=variants[0].file, options=options, lives=lives)


async def both_ways(
    variant: Variant,
    options: BacktestOptions,
    *,
    processes: int = SIDE_BY_SIDE,
    folder: Path | None = None,
    progress: Progress = unwatched,
) -> Backtest:
    """Live through the span with the park file's own strategies, in every way asked for. Raises as `compare`."""
    jobs = [
        Job(variant=replace(variant, name=way.value), options=options, way=way)
        for way in ways_of(options)
    ]
    lives = await _side_by_side(jobs, processes, folder, progress)
    return Backtest(file=variant.file, options=options, lives=lives)


async def _side_by_side(
    jobs: Sequence[Job], processes: int, folder: Path | None, progress: Progress
) -> tuple[Lived, ...]:
    """What each job came to, in order. Raises as `compare`; the first failure ends the others."""
    with ExitStack() as stack:
        kept = None if folder is None else stack.enter_context(kept_in(folder, _asked(jobs)))
        room = asyncio.Semaphore(processes)

        async def one(number: int, job: Job) -> Lived:
            async with room:
                if kept is None:
                    return await _live(job, progress)
                if (before := kept.lived(number)) is not None:
                    return before
                life = await _live(replace(job, record=kept.plans(number)), progress)
                kept.keep(number, life)
                return life

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(*item)) for item in enumerate(jobs, start=1)]
        except* VppError as errors:
            raise errors.exceptions[0] from None
        return tuple(task.result() for task in tasks)


def _asked(jobs: Sequence[Job]) -> dict[str, Any]:
    """What a folder is kept for: any other question would get another answer."""
    return {
        "version": __version__,
        "options": fingerprint(jobs[0].options),
        "lives": [
            {"name": job.variant.name, "way": job.way.value, "park": fingerprint(job.variant.file)}
            for job in jobs
        ],
    }


async def _live(job: Job, progress: Progress) -> Lived:
    """Let a child live through one job."""
    name = job.variant.name
    path = os.pathsep.join(entry or os.curdir for entry in sys.path)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vpp.service.backtest.child"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | SURROUNDINGS | {"PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C at a terminal is for us
    )
    try:
        # Beside the loop: a park with its series is megabytes, and a plant may go on meanwhile.
        question = await asyncio.to_thread(pickle.dumps, job, pickle.HIGHEST_PROTOCOL)
        await write_question(child, question)
        while True:
            answer = pickle.loads(await read_answer(child))
            match answer:
                case datetime():
                    progress(name, answer)
                case Lived():
                    return answer
                case VppError():
                    raise answer
                case _:
                    raise TypeError(f"{type(answer).__name__} is no answer")
    except (OSError, asyncio.IncompleteReadError) as error:
        code = await child.wait()
        raise UnavailableError(
            f"the process that lived through {name!r} died with code {code}",
            where="back-test",
            fix="Look at its last words above; it may have run out of memory",
        ) from error
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
