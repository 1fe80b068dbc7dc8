"""A process that compiles the fleet solver's kernels into a folder, and ends: `python -m … FOLDER`.

Two that are begun at once wait for one another. A folder whose files are broken is emptied and filled again.

It outlives the solver that has begun it: one that numpy makes too slow for its hard limit is killed with every plan,
and what it had compiled would never be ready. It ends by itself after `LONGEST_COMPILE_S` at the latest.

Whoever uses a folder touches its lock; folders of other releases that nobody has used for `UNUSED` are removed.
"""

from __future__ import annotations

import fcntl
import logging
import re
import shutil
import signal
import sys
from datetime import timedelta
from pathlib import Path
from time import time

from vpp.plan.parts import ALONE
from vpp.service.solving.childlife import behave
from vpp.service.solving.kernels import BROKEN, LONGEST_COMPILE_S, loaded

ADDRESS_SPACE_BYTES = 4 * 2**30

UNUSED = timedelta(days=30)
"""A service that ran for longer has its kernels in memory; one that begins again compiles them again."""

NAME = re.compile(r"[0-9a-f]{16}")
"""Of a folder of ours (`kernels.folder_in`): beside it may lie anything where NUMBA_CACHE_DIR names the place."""

OURS = re.compile(r"^lock$|\.nb[ci]$")
"""Files of such a folder: one that holds others is somebody else's."""

log = logging.getLogger(__name__)


def main() -> None:
    """Fill the folder; what cannot be written ends the process with an error that says so."""
    behave(most_bytes=ADDRESS_SPACE_BYTES, niceness=0, outlives=True)  # as nice as who began it
    signal.alarm(round(LONGEST_COMPILE_S))
    folder = Path(sys.argv[1])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            loaded(folder, ALONE)
        except BROKEN as error:
            log.warning("%s: %r; compiling anew", folder, error)
            _empty(folder)
            loaded(folder, ALONE)
    forget_unused(folder, now_s=time())


def _empty(folder: Path) -> None:
    """Remove what numba has put there."""
    for file in folder.rglob("*.nb[ci]"):
        file.unlink()


def forget_unused(folder: Path, *, now_s: float) -> None:
    """Remove the folders beside this one that nobody has used for long, nor is filling. `now_s`: seconds of POSIX time."""
    try:
        others = tuple(folder.parent.iterdir())
    except OSError as error:  # kernels that are ready are not given up for it
        log.info("what lies beside %s is not looked at: %s", folder, error)
        return
    for other in others:
        lock = other / "lock"
        if other == folder or not NAME.fullmatch(other.name) or other.is_symlink():
            continue
        try:
            if now_s - lock.stat().st_mtime < UNUSED.total_seconds():
                continue
            with lock.open("rb") as held:  # to write it would be to use it
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if all(file.is_dir() or OURS.search(file.name) for file in other.rglob("*")):
                    shutil.rmtree(other)
        except FileNotFoundError:  # it never was one of ours, or another one removes it too
            continue
        except OSError as error:  # in use, or of somebody else
            log.info("%s is left: %s", other, error)


if __name__ == "__main__":
    main()
