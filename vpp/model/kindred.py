"""The resources of one kind of a park, and their numbers as columns: worked out once, however often the park is planned.

A park does not change while it runs. What a hundred thousand resources say of themselves is gathered the first time
somebody asks, and kept with the park. Nobody may write into what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from vpp.model.horizon import Floats
from vpp.model.ids import ResourceId
from vpp.model.resource import Resource

Kind = TypeVar("Kind", bound=Resource)


class Kindred(Generic[Kind]):
    """K resources of one kind, in park order."""

    def __init__(self, units: Sequence[Kind], rows: NDArray[np.int64]) -> None:
        """`rows` are their places in the park, rising, shape (K,)."""
        self.units = tuple(units)
        self.rows = rows
        self._kept: dict[tuple[Any, ...], NDArray[Any]] = {}
        self._words: dict[str, tuple[str, ...]] = {}
        self._some: tuple[bytes, Kindred[Kind]] | None = None

    def __len__(self) -> int:
        return len(self.units)

    @cached_property
    def names(self) -> tuple[ResourceId, ...]:
        return tuple(unit.resource_id for unit in self.units)

    @cached_property
    def place(self) -> dict[ResourceId, int]:
        """Where each stands among its kind."""
        return {name: at for at, name in enumerate(self.names)}

    def column(self, what: str, *of: float) -> Floats:
        """A number of each as a column to broadcast over steps, shape (K, 1): a field, NaN where it is None.

        With `of` it is a method, asked with these.
        """
        key = (what, *of)
        if key not in self._kept:
            told = [getattr(unit, what) for unit in self.units]
            values = [one(*of) for one in told] if of else told
            self._kept[key] = _fixed(np.array(values, dtype=np.float64)[:, None])  # None is NaN
        return self._kept[key]

    def where(self, field: str) -> NDArray[np.int64]:
        """Places among its kind of those that say something in a field: neither no, nor nothing; rising."""
        key = (field, "where")
        if key not in self._kept:
            says = [bool(getattr(unit, field)) for unit in self.units]
            self._kept[key] = _fixed(np.flatnonzero(np.array(says, dtype=bool)))
        return self._kept[key]

    def words(self, field: str) -> tuple[str, ...]:
        """`resource: field` of each, as limits are called."""
        if field not in self._words:
            self._words[field] = tuple(f"{name}: {field}" for name in self.names)
        return self._words[field]

    def only(self, some: NDArray[np.bool_]) -> Kindred[Kind]:
        """Some of them, shape (K,); the choice that was asked for last is kept."""
        if some.all():
            return self
        chosen = some.tobytes()
        kept = self._some  # read once: another thread may ask for others meanwhile
        if kept is None or kept[0] != chosen:
            at = np.flatnonzero(some)
            kept = chosen, Kindred([self.units[i] for i in at.tolist()], self.rows[at])
            self._some = kept
        return kept[1]


def _fixed(kept: NDArray[Any]) -> NDArray[Any]:
    kept.flags.writeable = False
    return kept
