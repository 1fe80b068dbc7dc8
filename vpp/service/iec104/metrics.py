"""What is measured of dispatch centres over IEC 104, for Prometheus; labels are ids and addresses of the park file."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from vpp.service.iec104.desk import StationDesk


class StationMetrics:
    """Gauges of all controlled stations of one plant."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def of_master(name: str, about: str) -> Gauge:
            return Gauge(name, about, ["station", "master"], registry=registry)

        self._listens = Gauge(
            "vpp_dispatch_listens",
            "1 while a station for dispatch centres listens, else 0.",
            ["station"],
            registry=registry,
        )
        self._gets_data = of_master("vpp_dispatch_master_connected", "1 while a master gets data.")
        self._orders = of_master(
            "vpp_dispatch_orders", "Orders of a master that were taken, since the station began."
        )
        self._refused = of_master(
            "vpp_dispatch_orders_refused",
            "Orders of a master that were refused, since the station began.",
        )
        self._given_way = of_master(
            "vpp_dispatch_given_way", "Changes of states that a master who is here was not told."
        )

    def are(self, stations: Iterable[StationDesk]) -> None:
        """How each station and its masters do now."""
        for desk in stations:
            name = desk.section.id
            self._listens.labels(name).set(desk.port.listens)
            for master in desk.port.health():
                self._gets_data.labels(name, master.host).set(master.gets_data)
                self._orders.labels(name, master.host).set(master.orders)
                self._refused.labels(name, master.host).set(master.refused)
                self._given_way.labels(name, master.host).set(master.given_way)
