"""What is counted of messages to people, for Prometheus; labels come from closed lists, never from a person."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class PeopleMetrics:
    """Counters of letters and of the page that answers come by."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "vpp_people_letters",
            "Letters by how a channel ended with them: handed, given_up.",
            ["end"],
            registry=registry,
        )
        self._failed = Counter(
            "vpp_people_tries_failed",
            "Tries to hand a letter over that failed and are made again.",
            registry=registry,
        )
        self._waiting = Gauge(
            "vpp_people_waiting", "Messages that nobody has yet.", registry=registry
        )
        self._page = Counter(
            "vpp_people_page",
            "Requests to the one-time page by what came of them.",
            ["result"],
            registry=registry,
        )

    def ended(self, *, handed: bool) -> None:
        """A channel is done with a letter."""
        self._ended.labels("handed" if handed else "given_up").inc()

    def failed(self) -> None:
        """One try failed, and another follows."""
        self._failed.inc()

    def waits(self, count: int) -> None:
        """So many messages are on their way."""
        self._waiting.set(count)

    def page(self, result: str) -> None:
        """One request to the page; `result` is one of `peoplepage.Result`."""
        self._page.labels(result).inc()
