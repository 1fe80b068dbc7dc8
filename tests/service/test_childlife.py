"""How a child lives: it has no more memory than its parent may have."""

from __future__ import annotations

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
