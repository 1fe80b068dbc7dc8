"""Kernels of the fleet solver in a solver child: what serves while they are compiled, and where they cannot be."""

from __future__ import annotations

import fcntl
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from threading import Event
from time import time

import numpy as np
import pytest

from benchmarks._forests import random_forest
from tests.patience import PATIENCE_S
from vpp.plan.fleet.forest import Solved
from vpp.plan.fleet.solve import Kernels, solve_forest
from vpp.plan.lp import Deadline
from vpp.plan.parts import ALONE
from vpp.service.solving.compiling import UNUSED, forget_unused
from vpp.service.solving.kernels import BestKernels, folder_in, prepared

NEVER = Deadline(lambda: 0.0, np.inf)


def answer(kernels: Kernels) -> Solved:
    found = solve_forest(random_forest(3, trees=4), kernels=kernels, deadline=NEVER)
    assert isinstance(found, Solved)
    return found


def test_numpy_serves_until_the_compiled_kernels_are_there_and_then_they_do(
    compiled_folder: Path,
) -> None:
    compiled = Event()

    def prepare() -> Path:
        assert compiled.wait(PATIENCE_S)
        return compiled_folder

    kernels = BestKernels(ALONE, prepare=prepare)
    before = answer(kernels)
    compiled.set()
    assert kernels.wait(PATIENCE_S)
    after = answer(kernels)
    assert before.method == "structured (numpy)"
    assert after.method == "structured (numba, 1 thread)"
    assert after.cost == pytest.approx(before.cost, rel=1e-6, abs=1e-6)
    assert before.fallbacks == after.fallbacks == ()


def test_nothing_is_compiled_before_a_plan_asks_for_the_structured_solver() -> None:
    begun = Event()

    def prepare() -> str:
        begun.set()
        return "not in this test"

    kernels = BestKernels(ALONE, prepare=prepare)
    assert not kernels.wait(0.0)
    assert not begun.is_set()
    answer(kernels)
    assert kernels.wait(PATIENCE_S)
    assert begun.is_set()


def test_a_folder_that_cannot_be_written_leaves_numpy_serving_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("numba")
    (tmp_path / "a file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "a file"))
    kernels = BestKernels(ALONE, prepare=prepared)
    with caplog.at_level(logging.WARNING):
        answer(kernels)
        assert kernels.wait(PATIENCE_S)
    assert answer(kernels).method == "structured (numpy)"
    assert "name a folder for compiled kernels by NUMBA_CACHE_DIR" in caplog.text


WITH_A_BROKEN_FOLDER = """
import sys
from pathlib import Path
from tests.service.test_kernels import answer
from vpp.plan.parts import ALONE
from vpp.service.solving.kernels import BestKernels

kernels = BestKernels(ALONE, prepare=lambda: Path(sys.argv[1]))
answer(kernels)
assert kernels.wait(100.0)
print(answer(kernels).method)
"""


def test_a_broken_file_leaves_numpy_serving_and_is_told(
    compiled_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(compiled_folder, folder)
    indexes = list(folder.rglob("*.nbi"))
    for index in indexes:
        index.write_bytes(index.read_bytes()[:-20])
    ended = subprocess.run(
        [sys.executable, "-c", WITH_A_BROKEN_FOLDER, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert indexes
    assert ended.stdout == "structured (numpy)\n"
    assert "the fleet solver stays with numpy: compiled kernels from" in ended.stderr


def test_an_error_of_numbas_own_leaves_numpy_serving_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    errors = pytest.importorskip("numba.core.errors")

    def broken(*_: object) -> None:
        raise errors.LoweringError("no such instruction")

    monkeypatch.setattr("vpp.service.solving.kernels.loaded", broken)
    kernels = BestKernels(ALONE, prepare=lambda: tmp_path)
    with caplog.at_level(logging.WARNING):
        answer(kernels)
        assert kernels.wait(PATIENCE_S)
    assert answer(kernels).method == "structured (numpy)"
    assert "the fleet solver stays with numpy" in caplog.text
    assert "no such instruction" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_folder_of_another_user_is_refused_for_what_lies_there_is_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    folder = folder_in(tmp_path)
    folder.mkdir()
    os.chown(folder, 65534, 65534)

    assert f"{folder} is of user 65534" in str(prepared())


def test_what_is_compiled_from_other_sources_has_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    ours = folder_in(tmp_path)
    monkeypatch.setattr("vpp.service.solving.kernels.version", lambda name: "0.0.1")
    assert folder_in(tmp_path).parent == ours.parent
    assert folder_in(tmp_path) != ours


def test_folders_that_nobody_has_used_for_long_are_removed_and_no_others(tmp_path: Path) -> None:
    now_s = time()

    def folder(name: str, *, used_days_ago: float) -> Path:
        made = tmp_path / name
        made.mkdir()
        (made / "kernel.1.nbc").touch()
        (made / "lock").touch()
        os.utime(made / "lock", (0, now_s - 86_400 * used_days_ago))
        return made

    long_ago = UNUSED.days + 1
    ours = folder("0" * 16, used_days_ago=long_ago)
    old = folder("1" * 16, used_days_ago=long_ago)
    used = folder("2" * 16, used_days_ago=UNUSED.days - 1)
    being_filled = folder("3" * 16, used_days_ago=long_ago)
    not_ours = folder("somebody's", used_days_ago=long_ago)
    without_a_lock = folder("4" * 16, used_days_ago=long_ago)
    (without_a_lock / "lock").unlink()
    with_a_letter = folder("5" * 16, used_days_ago=long_ago)
    (with_a_letter / "letter.txt").touch()
    with (being_filled / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        forget_unused(ours, now_s=now_s)

    left = set(tmp_path.iterdir())
    assert left == {ours, used, being_filled, not_ours, without_a_lock, with_a_letter}
    assert not old.exists()


BEGINS_AND_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from subprocess import DEVNULL, Popen
from vpp.service.solving.childlife import behave

behave(most_bytes=2**33)
command = [sys.executable, "-m", "vpp.service.solving.compiling", sys.argv[1]]
compiling = Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
lock = os.path.realpath(Path(sys.argv[1]) / "lock")

def opened():
    for one in Path(f"/proc/{compiling.pid}/fd").iterdir():
        try:
            yield os.readlink(one)
        except FileNotFoundError:  # it is closed since it was listed
            continue

while lock not in opened():
    os.sched_yield()
print(compiling.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere children outlive their parent anyway"
)
def test_what_is_being_compiled_is_ready_though_the_solver_that_began_it_was_killed(
    compiled_folder: Path, tmp_path: Path
) -> None:
    """A plan that is too slow without kernels is killed each time: they would never be there."""
    folder = tmp_path / "kernels" / ("5" * 16)
    shutil.copytree(compiled_folder, folder)
    unused = folder.with_name("6" * 16)
    unused.mkdir()
    (unused / "lock").touch()
    os.utime(unused / "lock", (0, 0))
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # so that it is at work yet when its solver dies
        ended = subprocess.run(
            [sys.executable, "-c", BEGINS_AND_IS_KILLED, str(folder)],
            stdout=subprocess.PIPE,
            check=False,
            cwd=Path(__file__).parents[2],
        )
        compiling = os.pidfd_open(int(ended.stdout))
    assert ended.returncode == -signal.SIGKILL
    readable, _, _ = select.select([compiling], [], [], PATIENCE_S)
    os.close(compiling)
    assert readable
    assert not unused.exists()  # the last that it does
