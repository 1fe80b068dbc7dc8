"""Reading a fleet without the collector, which would walk all that was read so far again and again.

Of a hundred thousand resources that is half of the time. What is read stays, and hardly any of it is a circle.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Leave the collector out meanwhile; where it was out already, it stays so."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
