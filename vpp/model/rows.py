"""One row of numbers a name: what a dict of arrays would hold, as one array.

So that a hundred thousand courses go to another process, or are cut, as one thing and not as so many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from vpp.errors import DataError
from vpp.model.horizon import Floats, Horizon, Profile

Name = TypeVar("Name", bound=str)


class Rows(Mapping[Name, Floats]):
    """Rows of an array by name, in order; each is a view of the array."""

    __slots__ = ("_place", "_values", "names")

    def __init__(self, names: Sequence[Name], values: Floats) -> None:
        """Name the rows of `values`, shape (K, T).

        Raises:
            DataError: There are not as many names as rows, or one stands twice.
        """
        self.names = tuple(names)
        self._values = values
        self._place = {name: row for row, name in enumerate(self.names)}
        if not len(values) == len(self.names) == len(self._place):
            raise DataError(
                f"{len(values)} rows, {len(self.names)} names, {len(self._place)} of them different",
                where="Rows",
                fix="Give each row a name of its own",
            )

    @property
    def values_by_row(self) -> Floats:
        """All of them, shape (K, T), in the order of `names`."""
        return self._values

    def __getitem__(self, name: Name) -> Floats:
        row: Floats = self._values[self._place[name]]
        return row

    def __iter__(self) -> Iterator[Name]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._place

    def __reduce__(self) -> tuple[Any, ...]:
        """The array as one."""
        return Rows, (self.names, self._values)


class Profiles(Mapping[Name, Profile]):
    """Profiles on one horizon by name, in order; the values of all of them are one array."""

    __slots__ = ("_rows", "horizon")

    def __init__(self, horizon: Horizon, rows: Rows[Name]) -> None:
        """Let each row, shape (T,), be the values of a profile on `horizon`.

        Raises:
            DataError: The rows are of another length.
        """
        if rows.values_by_row.shape[1:] != (horizon.steps,):
            raise DataError(
                f"shape {rows.values_by_row.shape} on {horizon.steps} steps",
                where="Profiles",
                fix="Give one value for each step",
            )
        self.horizon, self._rows = horizon, rows

    @property
    def complete(self) -> bool:
        """Whether every value of each is known and finite."""
        return bool(np.isfinite(self._rows.values_by_row).all())

    def __getitem__(self, name: Name) -> Profile:
        return Profile(self.horizon, self._rows[name])

    def __iter__(self) -> Iterator[Name]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __reduce__(self) -> tuple[Any, ...]:
        """The array as one."""
        return Profiles, (self.horizon, self._rows)
