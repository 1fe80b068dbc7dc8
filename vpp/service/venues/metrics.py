"""What is counted of venues, for Prometheus; labels are ids of the park file and closed lists."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class VenueMetrics:
    """Counters and gauges of all venues of one plant."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._submissions = Counter(
            "vpp_venue_submissions",
            "Bid sets sent to a venue, by what came of it: taken, declined, conflict, later, unknown,"
            " foreign; and questions about those in doubt: asked_received, asked_cleared, asked_unknown.",
            ["venue", "outcome"],
            registry=registry,
        )
        self._awards = Counter(
            "vpp_venue_awards",
            "Awards fetched from a venue and booked for the first time.",
            ["venue"],
            registry=registry,
        )
        self._at_risk = Counter(
            "vpp_venue_gates_at_risk",
            "Gates before which a person was told that no bid is with the venue yet.",
            ["venue"],
            registry=registry,
        )
        self._stopped = Gauge(
            "vpp_venue_no_new_bids",
            "1 while nothing new is bid into a venue: latched, or not reconciled yet.",
            ["venue"],
            registry=registry,
        )
        self._missing = Gauge(
            "vpp_venue_awards_missing",
            "Awards that a venue has numbered and that are not here.",
            ["venue"],
            registry=registry,
        )
        self._offset = Gauge(
            "vpp_venue_clock_offset_seconds",
            "A venue's clock less ours at its newest answer; NaN where it does not tell the time.",
            ["venue"],
            registry=registry,
        )
        self._certificate = Gauge(
            "vpp_venue_certificate_seconds",
            "Seconds until the certificate that is shown to a venue ends; NaN where none is shown.",
            ["venue"],
            registry=registry,
        )

    def submitted(self, venue: str, outcome: str) -> None:
        self._submissions.labels(venue, outcome).inc()

    def award(self, venue: str) -> None:
        self._awards.labels(venue).inc()

    def at_risk(self, venue: str) -> None:
        self._at_risk.labels(venue).inc()

    def stands(
        self,
        venue: str,
        *,
        stopped: bool,
        missing: int,
        clock_offset_s: float | None,
        certificate_left_s: float | None,
    ) -> None:
        """How a venue stands now; what is not known shows as NaN."""
        nan = float("nan")
        self._stopped.labels(venue).set(stopped)
        self._missing.labels(venue).set(missing)
        self._offset.labels(venue).set(nan if clock_offset_s is None else clock_offset_s)
        self._certificate.labels(venue).set(
            nan if certificate_left_s is None else certificate_left_s
        )
