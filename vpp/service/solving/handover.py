"""How a problem and its plan pass between two processes: objects pickled, their arrays beside them in memory that both see.

    who asks   ──▶ frame on the pipe: objects, without arrays ──▶   who solves
               ──▶ sheet of memory:   how long each array is ▸ the arrays ──▶

A *sheet* is memory that is open as a file without a name, which the child inherits: of the kernel's own where it has
such (a container's `/dev/shm` holds 64 MB), else a temporary file. Nothing has to be unlinked: it is gone with the
last process that holds it, however that ends. Whoever reads copies all of it
at once, so that the next one may write. A park is sent once: a child keeps it, and is told its number from then on.
"""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import IO, Any

import numpy as np

from vpp.errors import DataError
from vpp.model.park import Park

SMALL_BYTES = 4096
"""Arrays below this go with the objects: each beside them costs more than it saves."""
ALIGNED_BYTES = 64
AT_ONCE = 512
"""Pieces that one system call writes; POSIX promises no more than 1024."""


@contextmanager
def sheet() -> Iterator[int]:
    """A file of memory without a name, as a descriptor that a child may inherit."""
    with _nameless() as file:
        yield file.fileno()


def _nameless() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("vpp-sheet"), "r+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def put(descriptor: int, arrays: Sequence[pickle.PickleBuffer]) -> None:
    """Write arrays on a sheet, over what was there; none at all leaves it empty.

    Raises:
        OSError: There is no memory left for it.
    """
    os.ftruncate(descriptor, 0)
    if not arrays:
        return
    raw = [array.raw() for array in arrays]
    lengths = np.array([len(raw), *(one.nbytes for one in raw)], dtype=np.int64)
    pieces: list[memoryview | bytes] = []
    for one in (lengths.data.cast("B"), *raw):
        pieces += [one, bytes(-one.nbytes % ALIGNED_BYTES)]
    at = 0
    for first in range(0, len(pieces), AT_ONCE):
        some = pieces[first : first + AT_ONCE]
        while some:
            wrote = os.pwritev(descriptor, some, at)
            at += wrote
            some = _unwritten(some, wrote)


def _unwritten(pieces: Sequence[memoryview | bytes], wrote: int) -> list[memoryview | bytes]:
    """What a call that may stop early has left to do."""
    for place, piece in enumerate(pieces):
        size = len(piece)
        if wrote < size:
            return [piece[wrote:], *pieces[place + 1 :]]
        wrote -= size
    return []


def take(descriptor: int) -> list[memoryview]:
    """A copy of the arrays that stand on a sheet.

    Raises:
        ValueError: It was not written whole.
    """
    size = os.fstat(descriptor).st_size
    content = memoryview(bytearray(size))
    at = 0
    while at < size:
        if not (read := os.preadv(descriptor, [content[at:]], at)):
            raise ValueError("a sheet that ends early")
        at += read
    if not size:
        return []
    count = int(np.frombuffer(content, np.int64, 1)[0])
    lengths = np.frombuffer(content, np.int64, count + 1)[1:]
    at, found = _aligned(8 * (count + 1)), []
    for length in lengths.tolist():
        found.append(content[at : at + length])
        at += _aligned(length)
    if at != size:
        raise ValueError(f"a sheet of {size} bytes, {at} were written")
    return found


def _aligned(size: int) -> int:
    return -(-size // ALIGNED_BYTES) * ALIGNED_BYTES


def dumped(thing: object, descriptor: int) -> bytes:
    """A thing as a frame, its arrays on the sheet.

    Raises:
        OSError: There is no memory left for the arrays.
    """
    return _dumped(thing, descriptor, {})


def loaded(frame: bytes, descriptor: int) -> Any:
    """The thing that `dumped` was given. Raises what a broken pickle raises."""
    return pickle.loads(frame, buffers=take(descriptor))


class Parks:
    """Which park a child knows: whoever asks keeps one for each child."""

    def __init__(self) -> None:
        self._told: Park | None = None
        self._number = 0

    def forget(self) -> None:
        """Another child listens now, which knows nothing."""
        self._told = None

    def dumped(self, thing: object, descriptor: int) -> bytes:
        """As `dumped`, with a park that the child knows by its number alone.

        Raises:
            OSError: There is no memory left for the arrays; the child is told the park again.
        """
        try:
            return _dumped(thing, descriptor, {Park: self._reduced})
        except BaseException:
            self.forget()  # what was not sent is not known
            raise

    def _reduced(self, park: Park) -> tuple[Any, ...]:
        if park is self._told:
            return recall, (self._number,)
        self._told, self._number = park, self._number + 1
        return keep, (self._number, {one.name: getattr(park, one.name) for one in fields(park)})


def _dumped(
    thing: object, descriptor: int, reduced: Mapping[type, Callable[[Any], tuple[Any, ...]]]
) -> bytes:
    arrays: list[pickle.PickleBuffer] = []

    def beside(array: pickle.PickleBuffer) -> bool:
        if array.raw().nbytes < SMALL_BYTES:
            return True
        arrays.append(array)
        return False

    frame = io.BytesIO()
    pickler = pickle.Pickler(frame, protocol=pickle.HIGHEST_PROTOCOL, buffer_callback=beside)
    pickler.dispatch_table = copyreg.dispatch_table | dict(reduced)
    pickler.dump(thing)
    put(descriptor, arrays)
    return frame.getvalue()


# ---------------------------------------------------------------- in the child

_KEPT: dict[int, Park] = {}
"""The newest park that this process was told, by its number."""


def keep(number: int, state: dict[str, Any]) -> Park:
    """The park that comes whole; the one before is forgotten."""
    park = object.__new__(Park)  # checked where it comes from
    park.__dict__.update(state)
    _KEPT.clear()
    _KEPT[number] = park
    return park


def recall(number: int) -> Park:
    """The park that came before.

    Raises:
        DataError: It never did.
    """
    if number not in _KEPT:
        raise DataError(f"park {number} was not told", where="solver", fix="Send it whole")
    return _KEPT[number]
