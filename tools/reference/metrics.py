"""Every metric at `/metrics`: its kind, labels and what it tells, read from the registry itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from tools.reference.tables import table
from vpp.service.metrics import Metrics

_HEAD = """\
# Metrics

What `GET /metrics` tells Prometheus, as the registry has it. Units are base units: seconds, ratios, watts, joules;
powers are net injection, feeding positive. Labels come from closed lists or from ids of the park file, never from what
somebody sent; the largest is `link`, of which a park file has as many as gateways. What is not known is `NaN`, never the
last value. [Alert rules and a dashboard](../monitoring.md) are made of them.

"""
_ENDINGS = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "gauge": ("",),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """One metric as it was registered."""

    name: str
    kind: str
    labels: tuple[str, ...]
    about: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names that Prometheus stores."""
        return tuple(f"{self.name}{ending}" for ending in _ENDINGS[self.kind])


def listed() -> tuple[Listed, ...]:
    """All metrics of a plant, by name."""
    return tuple(sorted(_registered(Metrics().registry), key=lambda one: one.name))


def _registered(registry: CollectorRegistry) -> Iterator[Listed]:
    """The registry has no public way to ask for metrics that have no value yet."""
    for metric in set(registry._names_to_collectors.values()):
        assert isinstance(metric, MetricWrapperBase)
        assert metric._type is not None
        yield Listed(metric._name, metric._type, metric._labelnames, metric._documentation)


def metrics_page() -> str:
    """A row a metric."""
    rows = [
        (
            f"`{one.series[0] if one.kind == 'counter' else one.name}`",
            one.kind,
            ", ".join(f"`{label}`" for label in one.labels),
            one.about,
        )
        for one in listed()
    ]
    return _HEAD + table(("metric", "kind", "labels", "what it tells"), rows)
