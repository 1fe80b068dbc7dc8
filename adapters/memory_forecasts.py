"""A `ForecastRecord` that lasts as long as its process: for tests, back-tests and one-off commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from vpp.model.forecast import Forecast
from vpp.model.forecastscore import ScoreKey, ScoreSums


class MemoryForecasts:
    """Keeps everything in dictionaries."""

    def __init__(self) -> None:
        self._issued: dict[tuple[datetime, str, str], Forecast] = {}
        self._sums: dict[ScoreKey, ScoreSums] = {}
        self._until: dict[str, datetime] = {}

    def keep(self, forecasts: Sequence[Forecast]) -> None:
        """Keep what one plan went by."""
        for one in forecasts:
            self._issued.setdefault((one.issued_at, one.series_id, one.model), one)

    def issued(
        self, *, since: datetime, until: datetime, series_id: str | None = None
    ) -> list[Forecast]:
        """Forecasts issued from `since` to `until`, both included, oldest first."""
        return [
            one
            for (at, name, _), one in sorted(self._issued.items())
            if since <= at <= until and series_id in (None, name)
        ]

    def add_scores(
        self, sums: Mapping[ScoreKey, ScoreSums], scored_until: Mapping[str, datetime]
    ) -> None:
        """Add to the sums, and note up to which moment each series is scored."""
        for key, one in sums.items():
            self._sums[key] = self._sums.get(key, ScoreSums()) + one
        self._until |= scored_until

    def scores(self, since: date) -> dict[ScoreKey, ScoreSums]:
        """The sums of all days from `since` on."""
        kept = {key: one for key, one in self._sums.items() if key.day >= since}
        return dict(
            sorted(kept.items(), key=lambda i: (i[0].series_id, i[0].day, i[0].model, i[0].lead))
        )

    def scored_until(self) -> dict[str, datetime]:
        """Up to which moment each series is scored."""
        return dict(self._until)

    def forget(self, *, issued_before: datetime, scored_before: date) -> None:
        """Drop what is older."""
        self._issued = {key: one for key, one in self._issued.items() if key[0] >= issued_before}
        self._sums = {key: one for key, one in self._sums.items() if key.day >= scored_before}
