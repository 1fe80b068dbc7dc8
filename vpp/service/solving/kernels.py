"""The structured solver's kernels in a solver child: numpy at once, the compiled ones as soon as they are there.

    first plan that asks      numpy serves it, and all others until the compiled ones are ready
    meanwhile                 a process of its own compiles into a folder (`compiling.py`): the plan that is
                              being made shares its interpreter with nobody
    then                      a thread loads them from there, which takes a second, and they serve

Without numba, or without a folder that can be written, numpy goes on serving; the log says why. The folder
is named by what is compiled and by numba's version: after an upgrade nothing old is found.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from threading import Thread

from vpp.plan.fleet.forest import Duals, Forest, Ints, Point
from vpp.plan.fleet.kernels import NUMPY, Structured
from vpp.plan.lp import Deadline
from vpp.plan.parts import Workers
from vpp.service.solving.childlife import give_back
from vpp.service.solving.warmchild import NONSENSE

LONGEST_COMPILE_S = 600.0

MANY_BUSES = 1000
"""From so many on what was freed before leaves the process first: an eighth of what a hundred thousand resources have
taken until then, in 0.06 s."""

BROKEN: tuple[type[Exception], ...] = (*NONSENSE, OSError, RuntimeError)
"""What loading broken files may raise; RuntimeError is LLVM's."""

log = logging.getLogger(__name__)


class BestKernels:
    """Kernels as the planner takes them: the best that are ready."""

    def __init__(
        self, workers: Workers, *, prepare: Callable[[], Path | str] | None = None
    ) -> None:
        """Solve with `workers`, which begin no tasks of their own; `prepare` is `prepared` but for tests."""
        self._workers = workers
        self._prepare = prepare or prepared
        self._now: Structured = NUMPY
        self._served: Structured = NUMPY
        self._loading: Thread | None = None

    @property
    def name(self) -> str:
        """Of those that served last."""
        return self._served.name

    def solve(
        self, forest: Forest, point: Point, duals: Duals, *, tolerance: float, deadline: Deadline
    ) -> Ints:
        """See `vpp.plan.fleet.solve.Kernels`."""
        if self._loading is None:
            self._loading = Thread(target=self._load, name="kernels", daemon=True)
            self._loading.start()
        self._served = self._now
        if len(forest.buses.parent) >= MANY_BUSES:
            give_back()
        return self._served.solve(forest, point, duals, tolerance=tolerance, deadline=deadline)

    def wait(self, timeout_s: float) -> bool:
        """Wait for the loading that a first `solve` has begun; whether it has ended."""
        if self._loading is not None:
            self._loading.join(timeout_s)
        return self._loading is not None and not self._loading.is_alive()

    def _load(self) -> None:
        folder = self._prepare()
        if isinstance(folder, str):
            log.warning("the fleet solver stays with numpy: %s", folder)
            return
        try:
            self._now = loaded(folder, self._workers)
        except Exception as error:  # numba's own derive from nothing else, and numpy serves on
            what = "the fleet solver stays with numpy: compiled kernels from %s: %r"
            log.warning(what, folder, error, exc_info=True)


def prepared() -> Path | str:
    """The folder that holds compiled kernels, compiled now where it does not; or why there is none."""
    try:
        folder = folder_in(root())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (stranger := folder.stat().st_uid) not in (os.geteuid(), 0):
            # What lies there is unpickled: whoever can write it runs as we do.
            return f"{folder} is of user {stranger} -> name a folder of your own by NUMBA_CACHE_DIR"
        ended = subprocess.run(
            [sys.executable, "-m", "vpp.service.solving.compiling", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=LONGEST_COMPILE_S,
            check=False,
        )
    except PackageNotFoundError:
        return "numba is not installed -> in a checkout: .venv/bin/pip install '.[fleet]'"
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        return f"{error} -> name a folder for compiled kernels by NUMBA_CACHE_DIR"
    except subprocess.TimeoutExpired:
        return f"compiling took over {LONGEST_COMPILE_S:g} s"
    return folder if ended.returncode == 0 else f"compiling ended with code {ended.returncode}"


def root() -> Path:
    """Where kernels are kept: NUMBA_CACHE_DIR, or the user's cache folder."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vpp" / "kernels"


def folder_in(root: Path) -> Path:
    """The folder of what would be compiled today.

    Raises:
        PackageNotFoundError: numba is not installed.
    """
    found = hashlib.sha256(version("numba").encode())
    package = Path(str(files("vpp.plan.fleet")))
    for source in sorted(package.rglob("*.py")):
        found.update(source.read_bytes())
    return root / found.hexdigest()[:16]


def loaded(folder: Path, workers: Workers) -> Structured:
    """The kernels that `folder` holds; compiled into it where they are not there.

    Raises:
        Exception: Any of `BROKEN`, where a file in there is broken.
    """
    os.environ["NUMBA_CACHE_DIR"] = str(folder)  # read once, by the import of numba
    from vpp.plan.fleet.jitted.warm import warm

    return warm(workers)
