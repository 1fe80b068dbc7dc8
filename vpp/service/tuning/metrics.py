"""What is counted of strategies, for Prometheus."""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge


class TuningMetrics:
    """Of one plant."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._changes = Counter(
            "vpp_strategies_changes",
            "Strategy files that were looked at, by what came of it: accepted, refused, broken.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("accepted", "refused", "broken"):  # an increase is seen from 0 on alone
            self._changes.labels(outcome)
        self._live = Gauge(
            "vpp_strategies_live_number",
            "The number of the strategies' version that plans are made by; 0 before the first plan.",
            registry=registry,
        )

    def changed(self, outcome: Literal["accepted", "refused", "broken"]) -> None:
        self._changes.labels(outcome).inc()

    def live(self, number: int) -> None:
        self._live.set(number)
