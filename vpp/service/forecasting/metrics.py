"""What is measured of forecasts, for Prometheus: by kind of series, for a park may have thousands of them.

The kind is what stands before the first point of a series' name: power, available, arriving, price, outdoor.
Which series it is that does badly is told by `GET /v1/forecasts/scores` and by events `forecast_skill`.
"""

from __future__ import annotations

from collections import defaultdict

from prometheus_client import CollectorRegistry, Gauge, Histogram

_LEARNING_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)


class ForecastMetrics:
    """Gauges of all series of one plant, as of the last whole local day of each."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._learning = Histogram(
            "vpp_forecast_learning_seconds",
            "Seconds until the model of one series was chosen and had learnt.",
            buckets=_LEARNING_SECONDS,
            registry=registry,
        )
        self._skill = Gauge(
            "vpp_forecast_skill_ratio",
            "1 - our error / the naive one, of the last whole local day: mean over the series of a kind.",
            ["kind"],
            registry=registry,
        )
        self._below = Gauge(
            "vpp_forecast_below_naive_series",
            "Series of a kind whose last whole local day the naive forecast told better.",
            ["kind"],
            registry=registry,
        )
        self._coverage = Gauge(
            "vpp_forecast_coverage80_ratio",
            "Share of the last whole local day's values within the quantiles 0.1 and 0.9: mean over a kind.",
            ["kind"],
            registry=registry,
        )
        self._skills: dict[str, dict[str, float | None]] = defaultdict(dict)
        self._coverages: dict[str, dict[str, float | None]] = defaultdict(dict)

    def learnt(self, seconds: float) -> None:
        """A series was learnt, or could not be."""
        self._learning.observe(seconds)

    def scored(self, series_id: str, skill: float | None, coverage80: float | None) -> None:
        """A local day of a series is over and scored; None where nothing could be said."""
        kind = series_id.partition(".")[0]
        self._skills[kind][series_id] = skill
        self._coverages[kind][series_id] = coverage80
        known = [one for one in self._skills[kind].values() if one is not None]
        self._skill.labels(kind).set(_mean(known))
        self._below.labels(kind).set(sum(one < 0 for one in known))
        covered = self._coverages[kind].values()
        self._coverage.labels(kind).set(_mean([one for one in covered if one is not None]))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
