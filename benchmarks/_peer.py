"""One run of somebody else's library in another interpreter: what it printed, or why it is not run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from benchmarks.harness import ROOT, BrokenBenchmarkError

NOT_RUN = 3
"""What `_peers/run.py` and `_forecast/peer_run.py` exit with where a library is not there."""


def ask(command: Sequence[str], *, limit_s: float, about: str) -> list[str] | str:
    """The lines on its stdout; as one text why it was not run.

    Raises:
        BrokenBenchmarkError: It is there and failed; `about` says at what.
    """
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=limit_s, check=False
        )
    except FileNotFoundError:
        return "not installed: make peers"
    except subprocess.TimeoutExpired:
        return f"not done after {limit_s:g} s"
    last = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
    if done.returncode == NOT_RUN:
        return last
    if done.returncode:
        raise BrokenBenchmarkError(f"{about}: {last}")
    return done.stdout.strip().splitlines()
