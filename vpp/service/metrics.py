"""What the plant counts and measures about itself, for Prometheus.

Each plant has a registry of its own, so that several can live in one process. Methods are named
after what happens; children are kept, since looking a label up costs more than counting. Labels
come from closed lists (reasons, statuses, routes), never from what somebody sent.

Units stand in the names and are Prometheus' base units: seconds, ratios, watts and joules, though
powers are kW and energies kWh everywhere inside: a rule or a dashboard that joins them with figures of
other exporters shall not have to know us. Powers are net injection: feeding is positive. Money is a float here, good for a curve and for an
alarm; statements are the place of exact sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from vpp.service.alarms.metrics import AlarmMetrics
from vpp.service.forecasting.metrics import ForecastMetrics
from vpp.service.iec104.metrics import StationMetrics
from vpp.service.instructions.metrics import InstructionMetrics
from vpp.service.links.metrics import LinkMetrics
from vpp.service.ocpp.metrics import ChargerMetrics
from vpp.service.people.metrics import PeopleMetrics
from vpp.service.reports.metrics import ReportMetrics
from vpp.service.steering.agcmetrics import AgcMetrics
from vpp.service.steering.metrics import ControlMetrics
from vpp.service.tuning.metrics import TuningMetrics
from vpp.service.venues.metrics import VenueMetrics
from vpp.service.vtn.metrics import SiteMetrics
from vpp.service.wellbeing import WellbeingMetrics
from vpp.service.window.metrics import WindowMetrics

_SOLVE_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
_SHORT_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_GAPS = (0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)

WATTS = 1_000.0
"""In a kW."""

JOULES = 3_600_000.0
"""In a kWh."""

Child = TypeVar("Child", Counter, Gauge, Histogram)


class _Children(Generic[Child]):
    """The children of one metric, each looked up once."""

    def __init__(self, metric: Child) -> None:
        self._metric: Child = metric
        self._known: dict[tuple[str, ...], Child] = {}

    def __call__(self, *labels: str) -> Child:
        child = self._known.get(labels)
        if child is None:
            child = self._known[labels] = self._metric.labels(*labels)
        return child

    def others(self, *labels: str) -> list[Child]:
        """All children that were asked for before, but this one."""
        return [child for known, child in self._known.items() if known != labels]


class Metrics:
    """Counters, gauges and histograms of one plant."""

    def __init__(self, park_id: str = "") -> None:
        """`park_id` names the plant in `vpp_park_info`."""
        self.registry = CollectorRegistry()
        self._count_telemetry()
        self._count_plans()
        self._count_trade()
        self._measure_service()
        self._measure_park()
        self.forecasts = ForecastMetrics(self.registry)
        self.wellbeing = WellbeingMetrics(self.registry)
        self.venues = VenueMetrics(self.registry)
        self.tuning = TuningMetrics(self.registry)
        self.agc = AgcMetrics(self.registry)
        self.control = ControlMetrics(self.registry)
        self.window = WindowMetrics(self.registry)
        self.links = LinkMetrics(self.registry)
        self.alarms = AlarmMetrics(self.registry)
        self.people = PeopleMetrics(self.registry)
        self.instructions = InstructionMetrics(self.registry)
        self.reports = ReportMetrics(self.registry)
        self.stations = StationMetrics(self.registry)
        self.chargers = ChargerMetrics(self.registry)
        self.sites = SiteMetrics(self.registry)
        info = Gauge(
            "vpp_park_info", "The park in service; always 1.", ["park"], registry=self.registry
        )
        info.labels(park_id).set(1)

    # ------------------------------------------------------------ what exists

    def _count_telemetry(self) -> None:
        self._accepted = Counter(
            "vpp_telemetry_accepted",
            "Telemetry messages taken as measurements.",
            registry=self.registry,
        )
        self._unrecorded = Counter(
            "vpp_telemetry_unrecorded_messages",
            "Measurements that the historian had no room for.",
            registry=self.registry,
        )
        self._duplicates = Counter(
            "vpp_telemetry_duplicates",
            "Telemetry messages that came again.",
            registry=self.registry,
        )
        self._refused = _Children(
            Counter(
                "vpp_telemetry_refused",
                "Telemetry messages refused, by reason.",
                ["reason"],
                registry=self.registry,
            )
        )
        self._lost = Gauge(
            "vpp_telemetry_lost_messages",
            "Messages that devices counted and the service never had; falls when a buffer arrives.",
            registry=self.registry,
        )
        self._unknown = Gauge(
            "vpp_resources_unknown",
            "Resources nobody can speak for now: never heard, too old, or bad.",
            registry=self.registry,
        )

    def _count_plans(self) -> None:
        self._plans = _Children(
            Counter(
                "vpp_plans",
                "Plans made, by status: optimal, feasible, unsolved.",
                ["status"],
                registry=self.registry,
            )
        )
        for status in ("optimal", "feasible", "unsolved"):  # an increase is seen from 0 on alone
            self._plans(status)
        self._plan_seconds = Histogram(
            "vpp_plan_seconds",
            "Seconds from the frozen state to a checked plan.",
            buckets=_SOLVE_SECONDS,
            registry=self.registry,
        )
        self._plan_gap = Histogram(
            "vpp_plan_gap_ratio",
            "Relative gap that the solver proved for a plan.",
            buckets=_GAPS,
            registry=self.registry,
        )
        self._newest_gap = Gauge(
            "vpp_plan_newest_gap_ratio", "Relative gap of the newest plan.", registry=self.registry
        )

        self._ties_left = Counter(
            "vpp_plan_ties_left",
            "Plans that were left as the solver found them where others cost the same.",
            registry=self.registry,
        )
        self._fallbacks = Counter(
            "vpp_plan_fallbacks",
            "Trees of plans that the structured solver gave up, and HiGHS solved.",
            registry=self.registry,
        )

    def _count_trade(self) -> None:
        self._bid_sets = Counter(
            "vpp_bid_sets", "Bid sets answered and journalled.", registry=self.registry
        )
        self._refused_bids = _Children(
            Counter(
                "vpp_bid_requests_refused",
                "Bid requests refused, by code.",
                ["code"],
                registry=self.registry,
            )
        )
        self._warned_bids = _Children(
            Counter(
                "vpp_bid_warnings",
                "Bid sets that came near a limit, by rule.",
                ["rule"],
                registry=self.registry,
            )
        )
        self._awards = _Children(
            Counter("vpp_awards", "Awards taken, by status.", ["status"], registry=self.registry)
        )
        self._feed_faults = _Children(
            Counter(
                "vpp_feed_faults",
                "Documents of a feed that were not taken, by feed.",
                ["feed"],
                registry=self.registry,
            )
        )
        self._setpoints = Counter(
            "vpp_setpoints_sent", "Set-points handed to the link.", registry=self.registry
        )
        self._rejected = Counter(
            "vpp_setpoints_rejected", "Set-points that a device refused.", registry=self.registry
        )

    def _measure_service(self) -> None:
        self._clock_ahead = Gauge(
            "vpp_clock_ahead_seconds",
            "Seconds by which our clock runs ahead of the machine's, which was set back.",
            registry=self.registry,
        )
        self._loop_lag = Histogram(
            "vpp_loop_lag_seconds",
            "Seconds by which the event loop woke late.",
            buckets=_SHORT_SECONDS,
            registry=self.registry,
        )
        self._journal = Histogram(
            "vpp_journal_seconds",
            "Seconds until an entry of the journal was on disk.",
            buckets=_SHORT_SECONDS,
            registry=self.registry,
        )
        self._journal_failures = Counter(
            "vpp_journal_failures", "Entries that the disk refused.", registry=self.registry
        )
        self._cycles = _Children(
            Histogram(
                "vpp_cycle_seconds",
                "Seconds that a cycle took.",
                ["cycle"],
                buckets=(*_SHORT_SECONDS, 10.0, 30.0),
                registry=self.registry,
            )
        )
        self._skipped = _Children(
            Counter(
                "vpp_cycle_skipped",
                "Ticks that an overrun let pass.",
                ["cycle"],
                registry=self.registry,
            )
        )
        self._broker = Gauge(
            "vpp_broker_connected",
            "1 while the link to the broker stands, else 0.",
            registry=self.registry,
        )
        self._states = _Children(
            Gauge(
                "vpp_safe_state",
                "1 for the rung of the ladder the plant stands on, 0 for the others.",
                ["state"],
                registry=self.registry,
            )
        )
        self._requests = _Children(
            Counter(
                "vpp_http_requests",
                "HTTP requests answered, by route and status.",
                ["method", "route", "status"],
                registry=self.registry,
            )
        )
        self._request_seconds = _Children(
            Histogram(
                "vpp_http_request_seconds",
                "Seconds until a request was answered; streams are not measured.",
                ["method", "route"],
                buckets=_SHORT_SECONDS,
                registry=self.registry,
            )
        )

    def _measure_park(self) -> None:
        self._power = _Children(
            Gauge(
                "vpp_park_power_watts",
                "Net injection of the park: measured, planned, owed to markets.",
                ["what"],
                registry=self.registry,
            )
        )
        self._stored = Gauge(
            "vpp_stored_energy_joules", "Energy in all storages.", registry=self.registry
        )
        self._money = _Children(
            Gauge(
                "vpp_money_settled",
                "Settled so far, credit positive, in the currency of the park.",
                ["currency"],
                registry=self.registry,
            )
        )

    # ------------------------------------------------------------ what happens

    def telemetry_accepted(self) -> None:
        self._accepted.inc()

    def telemetry_unrecorded(self) -> None:
        """A measurement was used, and the historian had no room for it."""
        self._unrecorded.inc()

    def telemetry_duplicate(self) -> None:
        self._duplicates.inc()

    def telemetry_refused(self, reason: str) -> None:
        self._refused(reason).inc()

    def telemetry_lost(self, messages: int) -> None:
        """How many are missing now."""
        self._lost.set(messages)

    def resources_unknown(self, resources: int) -> None:
        """How many of the frozen state are unknown."""
        self._unknown.set(resources)

    def plan(self, status: str, seconds: float, gap: float | None) -> None:
        """A plan was made, or failed (`gap` None); `seconds` from state to checked plan."""
        self._plans(status).inc()
        self._plan_seconds.observe(seconds)
        if gap is not None:
            self._plan_gap.observe(gap)
            self._newest_gap.set(gap)

    def ties_left(self) -> None:
        """A plan's ties were left as the solver found them."""
        self._ties_left.inc()

    def fallbacks(self, trees: int) -> None:
        """So many trees of a plan the structured solver gave up."""
        self._fallbacks.inc(trees)

    def bid_set(self) -> None:
        self._bid_sets.inc()

    def bid_refused(self, code: str) -> None:
        self._refused_bids(code).inc()

    def bid_warned(self, rules: Iterable[str]) -> None:
        for rule in rules:
            self._warned_bids(rule).inc()

    def feed_fault(self, feed_id: str) -> None:
        self._feed_faults(feed_id).inc()

    def award(self, status: str) -> None:
        self._awards(status).inc()

    def setpoints_sent(self, setpoints: int) -> None:
        self._setpoints.inc(setpoints)

    def setpoint_rejected(self) -> None:
        self._rejected.inc()

    def clock_ahead(self, seconds: float) -> None:
        self._clock_ahead.set(seconds)

    def loop_lag(self, seconds: float) -> None:
        self._loop_lag.observe(seconds)

    def journal_written(self, seconds: float) -> None:
        self._journal.observe(seconds)

    def journal_failed(self) -> None:
        self._journal_failures.inc()

    def cycle(self, name: str, seconds: float) -> None:
        """One cycle (plan, trade, act, account, report) has ended."""
        self._cycles(name).observe(seconds)

    def skipped(self, name: str, ticks: int) -> None:
        self._skipped(name).inc(ticks)

    def broker_connected(self, connected: bool) -> None:
        self._broker.set(connected)

    def safe_state(self, state: str) -> None:
        """The plant stands on this rung now."""
        for child in self._states.others(state):
            child.set(0)
        self._states(state).set(1)

    def park_power(
        self, *, measured_kw: float | None, planned_kw: float | None, owed_kw: float | None
    ) -> None:
        """Net injection now; what is not known shows as NaN, never as the last value."""
        for what, power_kw in (
            ("measured", measured_kw),
            ("planned", planned_kw),
            ("owed", owed_kw),
        ):
            self._power(what).set(float("nan") if power_kw is None else power_kw * WATTS)

    def stored_energy(self, stored_kwh: float) -> None:
        self._stored.set(stored_kwh * JOULES)

    def money(self, amount: float, currency: str) -> None:
        """Settled so far, credit positive."""
        self._money(currency).set(amount)

    def http_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is the template, so that ids never become labels."""
        self._requests(method, route, str(status)).inc()
        self._request_seconds(method, route).observe(seconds)

    # ------------------------------------------------------------ how it is told

    def text(self, accept: str | None) -> tuple[bytes, str]:
        """The body of `/metrics` and its content type, in the form that `accept` asks for."""
        encode: Callable[[CollectorRegistry], bytes]
        encode, content_type = choose_encoder(accept or "")
        return encode(self.registry), content_type
