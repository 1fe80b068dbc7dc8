"""What is counted of reports, for Prometheus; labels are kinds and ids of the park file."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATE_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 15.0, 60.0)


class ReportMetrics:
    """Counters and gauges of all reports of one plant."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._made = Counter(
            "vpp_reports", "Reports made and put on record, by kind.", ["kind"], registry=registry
        )
        self._missed = Counter(
            "vpp_reports_missed",
            "Reports whose moment passed without one, by kind.",
            ["kind"],
            registry=registry,
        )
        self._late = Histogram(
            "vpp_report_late_seconds",
            "From the moment a point is about to its being on record, by the service's clock.",
            buckets=_LATE_SECONDS,
            registry=registry,
        )
        self._answers = Counter(
            "vpp_report_answers",
            "What platforms made of reports: taken, declined, not_taken.",
            ["platform", "answer"],
            registry=registry,
        )
        self._waiting = Gauge(
            "vpp_reports_waiting",
            "Reports that are still to be sent to a platform.",
            ["platform"],
            registry=registry,
        )

    def made(self, kind: str) -> None:
        """One is on record."""
        self._made.labels(kind).inc()

    def missed(self, kind: str, count: int) -> None:
        """So many never were."""
        self._missed.labels(kind).inc(count)

    def late(self, seconds: float) -> None:
        """A point is on record so long after its moment."""
        self._late.observe(max(seconds, 0.0))

    def answered(self, platform: str, answer: str, waiting: int) -> None:
        """A platform answered, or did not; so many wait for it."""
        self._answers.labels(platform, answer).inc()
        self._waiting.labels(platform).set(waiting)
