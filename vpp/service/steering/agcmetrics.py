"""How signals are followed, for Prometheus; labels are ids of market files."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from vpp.account.following import Following

_WATTS = 1_000_000.0
"""In a MW."""


class AgcMetrics:
    """Gauges of all signals of one plant, as of the newest control cycle in which they ran."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, about: str) -> Gauge:
            return Gauge(f"vpp_regulation_{name}", about, ["product"], registry=registry)

        self._asked = gauge("asked_watts", "What the signal asks, net injection.")
        self._response = gauge(
            "response_watts", "Net injection beside what is owed without the signal."
        )
        self._mileage = gauge("mileage_watts", "How far the signal has moved since its run began.")
        self._in_band = gauge("in_band_ratio", "Share of samples within the acceptance band.")

    def followed(self, product: str, following: Following) -> None:
        """Show how a signal stands."""
        for gauge, value, times in (
            (self._asked, following.asked_mw, _WATTS),
            (self._response, following.response_mw, _WATTS),
            (self._mileage, following.mileage_mw, _WATTS),
            (self._in_band, following.in_band, 1.0),
        ):
            gauge.labels(product).set(float("nan") if value is None else float(value) * times)
