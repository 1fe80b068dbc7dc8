"""How well the service is, for Prometheus: how old what it last did and heard is, and which build it is.

Ages are by the service's own clock and taken when somebody asks: health is a cycle that ended, a plan that
was made and a device that was heard, not a port that is open. What never was is NaN.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from vpp import __version__
from vpp.service.build import code_digest


class WellbeingMetrics:
    """Gauges of one plant."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, about: str) -> Gauge:
            return Gauge(f"vpp_{name}", about, registry=registry)

        self._ready = gauge(
            "ready", "1 while bids are made and set-points go out, as /readyz says, else 0."
        )
        self._act = gauge(
            "control_age_seconds", "Seconds since the newest control cycle ended; NaN before it."
        )
        self._plan = gauge(
            "plan_age_seconds", "Seconds since the newest plan was made; NaN before it."
        )
        self._reading = gauge(
            "oldest_reading_seconds",
            "Age of the oldest newest reading of a resource; NaN where nothing was heard.",
        )
        build = Gauge(
            "vpp_build_info",
            "The build in service, as who goes live for it names it; always 1.",
            ["version", "code"],
            registry=registry,
        )
        build.labels(__version__, code_digest()).set(1)

    def stands(
        self,
        *,
        ready: bool,
        control_age_s: float | None,
        plan_age_s: float | None,
        oldest_reading_s: float | None,
    ) -> None:
        """How it is now."""
        self._ready.set(ready)
        for gauge, age_s in (
            (self._act, control_age_s),
            (self._plan, plan_age_s),
            (self._reading, oldest_reading_s),
        ):
            gauge.set(float("nan") if age_s is None else age_s)
