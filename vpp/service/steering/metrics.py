"""What is counted of steering, for Prometheus; labels come from closed lists, never from a device."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATE_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class ControlMetrics:
    """Counters and gauges of the act cycle of one plant."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._late = Histogram(
            "vpp_act_late_seconds",
            "How late an act cycle began after its tick, by the service's clock.",
            buckets=_LATE_SECONDS,
            registry=registry,
        )
        self._results = Counter(
            "vpp_control_results",
            "What came of set-points, as measured: delivered, short, excess, refused, unknown.",
            ["result"],
            registry=registry,
        )
        self._back_offs = Counter(
            "vpp_control_back_offs",
            "Times that a resource was left out for a while.",
            registry=registry,
        )
        self._left_out = Gauge(
            "vpp_control_left_out", "Resources that are left out now.", registry=registry
        )
        self._overridden = Gauge(
            "vpp_control_overridden", "Resources in an operator's hand now.", registry=registry
        )
        self._lives = Gauge(
            "vpp_control_setpoints",
            "Set-points by where their life stands now.",
            ["state"],
            registry=registry,
        )

    def late(self, seconds: float) -> None:
        """An act cycle begins so long after its tick."""
        self._late.observe(max(seconds, 0.0))

    def results(self, kind: str, count: int) -> None:
        """So many instructions came to their end."""
        self._results.labels(kind).inc(count)

    def back_offs(self, more: int) -> None:
        """So many resources are newly left out."""
        self._back_offs.inc(more)

    def stands(self, *, left_out: int, overridden: int, lives: Mapping[str, int]) -> None:
        """Where all resources stand after an act cycle; `lives` names every state."""
        self._left_out.set(left_out)
        self._overridden.set(overridden)
        for state, count in lives.items():
            self._lives.labels(state).set(count)
