"""A digest of plain data of ours that is the same in every process: whether two back-tests are of one park."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BaseModel

_ATOMS = (str, bytes, bool, int, float, Decimal, date, time, timedelta, ZoneInfo, type(None))
"""Whose `repr` says all of them; `datetime` is a `date`."""


def fingerprint(value: object) -> str:
    """SHA-256 of dataclasses, models, mappings, sequences, sets and arrays of plain values; hexadecimal.

    Where a file lies counts for nothing: a park that was moved is the same park.

    Raises:
        TypeError: Something else is in it, of which nobody can say whether it is the same.
    """
    digest = hashlib.sha256()
    for part in _parts(value):
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()


def _parts(value: object) -> Iterator[bytes]:
    match value:
        case Enum():
            yield f"{type(value).__name__}.{value.name}".encode()
        case PurePath():
            yield b"path"
        case _ if isinstance(value, _ATOMS):
            yield repr(value).encode()
        case np.ndarray():
            yield f"{value.dtype} {value.shape}".encode()
            yield np.ascontiguousarray(value).tobytes()
        case BaseModel():
            yield from _named(value, type(value).model_fields)
        case _ if is_dataclass(value):
            yield from _named(value, [field.name for field in fields(value)])
        case Mapping() | Set() | Sequence():
            yield from _collection(value)
        case _:
            raise TypeError(f"a {type(value).__name__} has no fingerprint")


def _named(value: object, names: Iterable[str]) -> Iterator[bytes]:
    yield type(value).__name__.encode()
    for name in names:
        yield name.encode()
        yield from _parts(getattr(value, name))


def _collection(values: Mapping[Any, Any] | Set[Any] | Sequence[Any]) -> Iterator[bytes]:
    """In an order that does not hang on how it was filled, but for what has an order."""
    match values:
        case Mapping():
            yield b"mapping"
            by_key = {fingerprint(key): one for key, one in values.items()}
            for key in sorted(by_key):
                yield key.encode()
                yield from _parts(by_key[key])
        case Set():
            yield b"set"
            yield from (one.encode() for one in sorted(map(fingerprint, values)))
        case _:
            yield f"sequence {len(values)}".encode()
            for one in values:
                yield from _parts(one)
