"""A process that compiles the fleet solver's kernels into a folder, and ends: `python -m … FOLDER`.

Two that are begun at once wait for one another. A folder whose files are broken is emptied and filled again.
"""

from __future__ import annotations

import fcntl
import logging
import sys
from pathlib import Path

from vpp.plan.parts import ALONE
from vpp.service.solving.childlife import behave
from vpp.service.solving.kernels import BROKEN, loaded

ADDRESS_SPACE_BYTES = 4 * 2**30


log = logging.getLogger(__name__)


def main() -> None:
    """Fill the folder; what cannot be written ends the process with an error that says so."""
    behave(most_bytes=ADDRESS_SPACE_BYTES, niceness=0)  # as nice as who began it
    folder = Path(sys.argv[1])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            loaded(folder, ALONE)
        except BROKEN as error:
            log.warning("%s: %r; compiling anew", folder, error)
            _empty(folder)
            loaded(folder, ALONE)


def _empty(folder: Path) -> None:
    """Remove what numba has put there."""
    for file in folder.rglob("*.nb[ci]"):
        file.unlink()


if __name__ == "__main__":
    main()
