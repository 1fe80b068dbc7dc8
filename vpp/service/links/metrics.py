"""What is measured of the links to devices, for Prometheus; labels are ids of the park file."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from vpp.service.links.health import LinkHealth


class LinkMetrics:
    """Gauges of all links of one plant."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._connected = Gauge(
            "vpp_link_connected",
            "1 while the link to these devices stands, else 0.",
            ["link"],
            registry=registry,
        )
        self._faulty = Gauge(
            "vpp_link_faulty",
            "1 while something is wrong with the link or with devices behind it, else 0.",
            ["link"],
            registry=registry,
        )
        self._reconnects = Gauge(
            "vpp_link_reconnects",
            "Connections made after the first one.",
            ["link"],
            registry=registry,
        )

    def are(self, links: Iterable[LinkHealth]) -> None:
        """How each link does now."""
        for link in links:
            self._connected.labels(link.name).set(link.connected)
            self._faulty.labels(link.name).set(link.fault is not None)
            self._reconnects.labels(link.name).set(link.reconnects)
