"""What is counted of the window, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class WindowMetrics:
    """Counters and gauges of the window of one plant; all 0 where none is configured."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge(
            "vpp_window_up",
            "1 while other processes see the newest picture in the Redis window.",
            registry=registry,
        )
        self._shown = Counter("vpp_window_pictures", "Pictures shown.", registry=registry)
        self._failed = Counter(
            "vpp_window_failures",
            "Pictures that could not be shown; the next one takes their place.",
            registry=registry,
        )
        self._refilled = Counter(
            "vpp_window_refills",
            "Times the window was found empty or changed, and was filled again.",
            registry=registry,
        )

    def shown(self) -> None:
        self._up.set(1)
        self._shown.inc()

    def failed(self) -> None:
        self._up.set(0)
        self._failed.inc()

    def refilled(self) -> None:
        self._refilled.inc()
