"""Which code this process runs: a digest of its sources, as they were when it began.

A version is what somebody wrote down; two machines may say the same one and run different code, and a
process may run what has long been replaced on disk. Who takes a product live does so for this digest
(`trading/golive.py`), and other code bids in the shadow until somebody has.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("vpp", "adapters", "strategies")


@cache
def code_digest() -> str:
    """The first 12 digits of the SHA-256 over every source file of the packages that ship, by name.

    Read once: afterwards it says what runs, not what lies on disk.
    """
    whole = hashlib.sha256()
    for package in PACKAGES:
        whole.update(digest_of(_folder(package)).encode())
    return whole.hexdigest()[:12]


def digest_of(folder: Path) -> str:
    """SHA-256 over the sources below a folder: their names, and what stands in them."""
    whole = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        whole.update(f"{file.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def _folder(package: str) -> Path:
    """Found and not imported: names of adapters and strategies are the business of wiring alone."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent
