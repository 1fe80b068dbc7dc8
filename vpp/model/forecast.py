"""A forecast: numbers about the future, with the moment they were issued and by which model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from vpp.errors import DataError
from vpp.model.horizon import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Expected values of one series. The unit stands in `unit`, as the series has it."""

    series_id: str
    unit: str
    issued_at: datetime
    model: str
    """Name and version, e.g. `seasonal-naive/1`."""

    expected: Profile

    def __post_init__(self) -> None:
        if not self.expected.complete:
            raise DataError(
                "has steps without a value",
                where=f"forecast of {self.series_id}",
                fix="Say which step lacks history, or shorten the horizon",
            )
