"""What is counted of sites that ask our OpenADR server; whether each is heard is a figure of its link."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from vpp.service.vtn.desk import VtnDesk


class SiteMetrics:
    """Gauges of all sites of one plant."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def of_site(name: str, about: str) -> Gauge:
            return Gauge(name, about, ["link"], registry=registry)

        self._events = of_site("vpp_openadr_site_events", "Events on the list of a site.")
        self._notified = of_site(
            "vpp_openadr_site_notified", "Notifications that a site took, since the server began."
        )
        self._not_notified = of_site(
            "vpp_openadr_site_not_notified",
            "Notifications that a site did not take, since the server began.",
        )

    def are(self, desk: VtnDesk | None) -> None:
        """How each site does now."""
        for one in () if desk is None else desk.health():
            assert desk is not None
            self._events.labels(one.name).set(len(desk.sites[one.name].shelf.events))
            self._notified.labels(one.name).set(one.notified)
            self._not_notified.labels(one.name).set(one.not_notified)
