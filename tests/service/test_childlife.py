"""How a child lives: it has no more memory than its parent may have."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

GIB = 2**30

CHILD = """
import resource, sys
from vpp.service.solving.childlife import address_space_bytes, behave
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
behave(most_bytes=int(sys.argv[2]), niceness=0)
print(address_space_bytes())
"""


@pytest.mark.parametrize(
    ("parents", "asked", "has"), [(8 * GIB, 4 * GIB, 4 * GIB), (4 * GIB, 12 * GIB, 4 * GIB)]
)
def test_a_child_has_what_it_asks_for_but_no_more_than_its_parent(
    parents: int, asked: int, has: int
) -> None:
    said = subprocess.run(
        [sys.executable, "-c", CHILD, str(parents), str(asked)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(said.stdout) == has


FREED = """
from vpp.service.solving.childlife import give_back
def resident_kib():
    told = open("/proc/self/status").read()
    return int(told.partition("VmRSS:")[2].split()[0])
pieces = [bytearray(60_000) for _ in range(2000)]
pieces = pieces[::100]  # what is left stands between what is free
before = resident_kib()
give_back()
print(before - resident_kib())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_what_was_freed_between_what_is_in_use_leaves_the_process() -> None:
    said = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, check=True)
    assert int(said.stdout) > 80_000  # of 117 MB
