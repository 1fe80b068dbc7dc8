"""What a back-test keeps in a folder, so that it can be interrupted at any moment and goes on.

    asked.json     what is played, and a digest of all that goes into it: another question is refused
    01.plans       every plan that was solved in the first life, by a digest of its problem; append-only
    01.lived.json  what the first life came to, once it has ended

Who goes on lives through the days again from the beginning, but solves nothing twice: plans are taken
from the record, and as their problem's digest is their key, what has changed meanwhile is solved anew.
So the result is the same, byte for byte, as if nobody had interrupted. A record that was torn in the
middle of a write is cut off where it is torn.

Plans on record are pickles of which nothing but plain nouns is read (`_Plain`): a folder from elsewhere
cannot run code. It can tell of wrong plans.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import pickle
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, ClassVar, Self

from pydantic import TypeAdapter, ValidationError

from vpp.errors import ConfigError, DataError
from vpp.model.schedule import Feasible, Optimal, Outcome, Unsolved
from vpp.plan.problem import Problem
from vpp.service.backtest.living import Lived
from vpp.service.solving.executor import Executor
from vpp.service.solving.warmchild import NONSENSE

_LIVED: TypeAdapter[Lived] = TypeAdapter(Lived)

HEAD = Struct(">32sQI")
"""Of a plan on record: key, length and CRC-32 of the body."""

LARGEST_BODY = 2**28


class KeptFolder:
    """The folder of one back-test, held by one process at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def plans(self, number: int) -> Path:
        """Where the plans of a life stand; lives are counted from 1."""
        return self._folder / f"{number:02}.plans"

    def lived(self, number: int) -> Lived | None:
        """What a life came to; None where it has not ended.

        Raises:
            DataError: The file was changed by hand.
        """
        path = self._lived(number)
        try:
            return _LIVED.validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise DataError(
                f"is no result of a back-test: {error.errors()[0]['msg']}",
                where=str(path),
                fix="Remove it; the life is played again, from its plans on record",
            ) from error

    def keep(self, number: int, lived: Lived) -> None:
        """Put on record what a life came to, all of it or nothing."""
        path = self._lived(number)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(_LIVED.dump_json(lived))
        fresh.replace(path)

    def _lived(self, number: int) -> Path:
        return self._folder / f"{number:02}.lived.json"


@contextmanager
def kept_in(folder: Path, asked: Mapping[str, Any]) -> Iterator[KeptFolder]:
    """Hold the folder of a back-test; made where there is none.

    Raises:
        ConfigError: It cannot be used, another process uses it, or it is of another back-test.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"cannot be used: {error}", where=str(folder), fix="Name another"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                "another back-test is at work in it", where=str(folder), fix="Wait for its end"
            ) from error
        _require_same(folder, asked)
        yield KeptFolder(folder)
    finally:
        os.close(lock)


def _require_same(folder: Path, asked: Mapping[str, Any]) -> None:
    path = folder / "asked.json"
    text = json.dumps(asked, indent=2)
    if not path.exists():
        if any(one.name != "lock" for one in folder.iterdir()):
            raise ConfigError(
                "holds something else", where=str(folder), fix="Name a new folder, or an empty one"
            )
        fresh = path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"is no JSON: {error}", where=str(path), fix="Name a new folder"
        ) from error
    now = json.loads(text)
    if before != now:
        other = before if isinstance(before, dict) else {}
        changed = sorted(key for key in now if other.get(key) != now[key])
        raise ConfigError(
            f"another back-test began in it: other {', '.join(changed) or 'question'}",
            where=str(folder),
            fix="Ask the same again, or name a new folder",
        )


class PlanRecord:
    """Plans that were solved, in an append-only file. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[bytes, tuple[int, int]] = {}
        self._file: BinaryIO

    def __enter__(self) -> Self:
        self._file = self._path.open("a+b")
        self._file.truncate(self._read())
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._known)

    def _read(self) -> int:
        """Note where each plan stands; how far the file is whole."""
        whole, size = 0, self._file.seek(0, os.SEEK_END)
        while whole + HEAD.size <= size:
            self._file.seek(whole)
            key, length, crc = HEAD.unpack(self._file.read(HEAD.size))
            end = whole + HEAD.size + length
            if length > LARGEST_BODY or end > size or zlib.crc32(self._file.read(length)) != crc:
                break
            self._known[key] = whole + HEAD.size, length
            whole = end
        return whole

    def find(self, key: bytes) -> Outcome | None:
        """The plan of a problem; None where it is not on record."""
        if key not in self._known:
            return None
        start, length = self._known[key]
        self._file.seek(start)
        return _outcome(zlib.decompress(self._file.read(length)))

    def add(self, key: bytes, outcome: Outcome) -> None:
        """Put a plan on record."""
        body = zlib.compress(pickle.dumps(outcome, protocol=pickle.HIGHEST_PROTOCOL), 1)
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(HEAD.pack(key, len(body), zlib.crc32(body)) + body)
        self._file.flush()
        self._known[key] = start + HEAD.size, len(body)


class RecordedExecutor:
    """An `Executor` that solves nothing which is on record. What failed is tried again."""

    def __init__(self, executor: Executor, record: PlanRecord) -> None:
        self._executor = executor
        self._record = record

    @property
    def pid(self) -> int | None:
        return self._executor.pid

    async def solve(self, problem: Problem, *, hard_s: float) -> Outcome:
        """Look it up, or solve it and put it on record."""
        key = hashlib.sha256(pickle.dumps(problem, protocol=pickle.HIGHEST_PROTOCOL)).digest()
        outcome = self._record.find(key)
        if outcome is None:
            outcome = await self._executor.solve(problem, hard_s=hard_s)
            if not isinstance(outcome, Unsolved):
                self._record.add(key, outcome)
        return outcome


class _Plain(pickle.Unpickler):
    """Reads outcomes and the plain values in them, and refuses every other name."""

    ALLOWED: ClassVar[frozenset[str]] = frozenset(
        [
            "datetime.datetime",
            "datetime.timedelta",
            "datetime.timezone",
            "datetime.date",
            "vpp.model.rows.Rows",
            "numpy.ndarray",
            "numpy.dtype",
            "numpy._core.multiarray._reconstruct",
            "numpy._core.multiarray.scalar",
            "numpy._core.numeric._frombuffer",
        ]
    )

    def find_class(self, module: str, name: str) -> Any:
        ours = module.startswith("vpp.model.") and "." not in name
        if ours or f"{module}.{name}" in self.ALLOWED:
            found = super().find_class(module, name)
            if f"{module}.{name}" in self.ALLOWED or (
                isinstance(found, type) and is_dataclass(found)
            ):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a plan")


def _outcome(content: bytes) -> Outcome:
    try:
        outcome = _Plain(io.BytesIO(content)).load()
    except NONSENSE as error:
        raise DataError(
            f"no plan can be read: {error}", where="plans on record", fix="Remove the folder"
        ) from error
    if not isinstance(outcome, Optimal | Feasible):
        raise DataError(
            f"a {type(outcome).__name__} stands where a plan should",
            where="plans on record",
            fix="Remove the folder and begin anew",
        )
    return outcome
