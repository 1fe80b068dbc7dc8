"""What is measured of charging stations over OCPP, for Prometheus; labels are ids of the park file.

By car park, not by station: a park of 500 stations shall not make 500 rows of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Gauge

from vpp.service.ocpp.desk import ChargerDesk


class ChargerMetrics:
    """Gauges of all car parks of one plant."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def of_park(name: str, about: str) -> Gauge:
            return Gauge(name, about, ["link", "resource"], registry=registry)

        self._gauges = {
            "stations": of_park("vpp_charger_stations", "Charging stations of the park file."),
            "connected": of_park(
                "vpp_charger_connected", "Charging stations that are connected now."
            ),
            "faulty": of_park(
                "vpp_charger_faulty", "Charging stations with which something is wrong now."
            ),
            "connections": of_park(
                "vpp_charger_connections",
                "Connections of charging stations since the service began.",
            ),
            "refused": of_park(
                "vpp_charger_messages_refused",
                "Messages of charging stations that could not be read, since the service began.",
            ),
            "sessions": of_park("vpp_charger_sessions", "Cars that charge, or could."),
            "limited": of_park(
                "vpp_charger_limited", "Points at which a limit of ours is in force."
            ),
        }

    def are(self, desks: Iterable[ChargerDesk]) -> None:
        """How each car park does now."""
        for desk in desks:
            parks: dict[str, Counter[str]] = {}
            for one in desk.port.shown():
                sums = parks.setdefault(one.resource_id, Counter())
                sums["stations"] += 1
                sums["connected"] += one.connected
                sums["faulty"] += one.fault != ""
                sums["connections"] += one.connections
                sums["refused"] += one.refused
                sums["sessions"] += sum(point.session is not None for point in one.points)
                sums["limited"] += sum(point.limit_kw is not None for point in one.points)
            for resource, sums in parks.items():
                for name, gauge in self._gauges.items():
                    gauge.labels(desk.section.id, resource).set(sums[name])
