"""This machine: ports that are free, a folder that keeps what is written, a clock that is set.

Nothing is left behind: a port is taken and given back, a file written and removed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import socket
import statistics
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

from vpp.service.livecheck.addresses import Listens
from vpp.service.livecheck.finding import Finding, State

FREE_BYTES = 5_000_000_000
"""A park of 1,000 devices writes about 2 GB in 400 days of readings; below this it is time to look."""

FULL_BYTES = 500_000_000
FSYNC_S = 0.1
"""Beyond, each bid and each set-point waits noticeably for the disk."""

CERTIFICATE_DAYS = 30
UNSYNCHRONISED = 5
"""TIME_ERROR of adjtimex(2): nobody sets this clock."""

LOCK = "vpp.lock"


def port(at: Listens) -> Finding:
    """Whether the service could listen there."""
    family = socket.AF_INET6 if ":" in at.host else socket.AF_INET
    shown = f"{at.host} port {at.port}"
    with socket.socket(family, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((at.host, at.port))
            tried.listen(1)
        except OSError as error:
            return Finding(
                "port",
                at.name,
                State.FAULT,
                f"{shown} cannot be taken: {error.strerror}",
                f"`ss -ltnp sport = :{at.port}` says who has it; stop that, or give another port",
            )
    return Finding("port", at.name, State.OK, f"{shown} is free")


def disk(data: Path) -> Iterator[Finding]:
    """Whether the folder of the record takes and keeps what is written."""
    folder = next(place for place in (data, *data.absolute().parents) if place.exists())
    name = str(data)
    try:
        seconds = _fsync_s(folder)  # tried and not asked: root may do all, and some disks nothing
    except OSError as error:
        do = "Give it to the user that runs the service: `chown`, or another --data"
        what = f"{folder} cannot be written to: {error.strerror}"
        yield Finding("disk", name, State.FAULT, what, do)
        return
    if (holder := _locked(data)) is not None:
        yield holder
    free = shutil.disk_usage(folder).free
    state = State.OK if free >= FREE_BYTES else State.WARNING if free >= FULL_BYTES else State.FAULT
    do = (
        "" if state is State.OK else "Make room, or name another --data: a full disk stops all bids"
    )
    yield Finding("disk", name, state, f"{free / 1e9:.1f} GB are free", do)
    slow = seconds > FSYNC_S
    yield Finding(
        "disk",
        name,
        State.WARNING if slow else State.OK,
        f"an entry is kept after {seconds * 1000:.1f} ms",
        "Bids wait for it: put the folder on a disk of this machine, not on a network"
        if slow
        else "",
    )


def _locked(data: Path) -> Finding | None:
    """A service that runs on this folder already; the lock is looked at, and not kept."""
    try:
        with (data / LOCK).open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except OSError:
        do = "Stop that one first, or give this one a folder of its own"
        return Finding("disk", str(data), State.FAULT, "a service runs on it already", do)
    return None


def _fsync_s(folder: Path) -> float:
    """The median of a few writes of 4 KB with fsync."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(5):
            began = perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
            took.append(perf_counter() - began)
    return statistics.median(took)


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`; the rest is room for what the kernel writes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


def clock() -> Finding:
    """Whether the kernel says that somebody keeps its clock right (adjtimex(2))."""
    now = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(now))
    if state == UNSYNCHRONISED:
        do = "Start chrony or systemd-timesyncd, and wait until `chronyc tracking` is content"
        return Finding("clock", "this machine", State.WARNING, "nobody keeps the clock right", do)
    if state < 0:
        what = f"the kernel does not tell: {os.strerror(ctypes.get_errno())}"
        do = "See that chrony or systemd-timesyncd runs on the machine around this one"
        return Finding("clock", "this machine", State.WARNING, what, do)
    what = f"kept right, to {now.maxerror / 1e6:.3f} s at most"
    return Finding("clock", "this machine", State.OK, what)


def folder(name: str, path: Path, *, written: bool) -> Finding:
    """Whether files can be exchanged there."""
    needed = os.R_OK | os.X_OK | (os.W_OK if written else 0)
    if path.is_dir() and os.access(path, needed):
        return Finding("market", name, State.OK, f"{path} is there")
    what = f"{path} is not there" if not path.is_dir() else f"{path} may not be used"
    do = "Make it, and give it to the user that runs the service"
    return Finding("market", name, State.FAULT, what, do)


def certificate(name: str, ends_at: datetime, now: datetime) -> Finding:
    """How long a certificate that we show still holds."""
    left = ends_at - now
    what = f"holds until {ends_at:%Y-%m-%d}"
    if left <= timedelta(0):
        do = "Put a new one in its place; it is taken up by itself"
        return Finding("certificate", name, State.FAULT, f"ended on {ends_at:%Y-%m-%d}", do)
    if left < timedelta(days=CERTIFICATE_DAYS):
        return Finding("certificate", name, State.WARNING, what, "Order a new one now")
    return Finding("certificate", name, State.OK, what)
