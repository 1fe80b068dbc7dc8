"""All that one running plant holds: what the cycles read and write, and the HTTP face shows.

Built by `wiring.py`; no global state, so several can live in one process. Everything here runs
in one event loop, and every change is made between two awaits of a cycle, so nothing needs a lock
but the order of bids (`trading`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from vpp.account.meters import MeterBook
from vpp.account.peaks import MonthlyPeaks
from vpp.account.qualification import TestedPower
from vpp.account.statements import AccountedInterval, Call
from vpp.act.ladder import SafeState
from vpp.act.life import Lives
from vpp.act.units import Units
from vpp.clock import Drift, Watch
from vpp.model.command import Delivery, Setpoint
from vpp.model.forecast import Forecast
from vpp.model.ids import ConnectionPointId, EnterpriseId, ProductId, ResourceId
from vpp.model.market import Bid, MarketProduct
from vpp.model.measurement import EvSession, Measurement, ParkState, Reading
from vpp.model.outside import energy_of
from vpp.model.schedule import Outcome, Schedule
from vpp.model.settlement import Statement
from vpp.model.time import Interval
from vpp.plan.changes import Changes
from vpp.plan.terms import Term
from vpp.plan.view import PlanningView
from vpp.ports import (
    AskAgain,
    Journal,
    MessageSource,
    SetAside,
    SetpointSink,
    SetTelemetryAside,
    VenueLedger,
)
from vpp.sense.intake import Intake
from vpp.sense.means import IntervalMeans, Means
from vpp.sense.series import SeriesStore
from vpp.service.alarms.desk import AlarmDesk
from vpp.service.calls.limitdesk import HeldOrder
from vpp.service.calls.reservedesk import ReserveDesk
from vpp.service.demandresponse.desk import ResponseDesk
from vpp.service.events import EventLog
from vpp.service.feeds.desk import Feed
from vpp.service.forecasting.desk import ForecastDesk
from vpp.service.iec104.desk import StationDesk
from vpp.service.instructions.desk import InstructionDesk
from vpp.service.kill import KillSwitch, Scope
from vpp.service.links.health import Links, no_links
from vpp.service.listeners import OuterFace
from vpp.service.members.desk import MemberDesk
from vpp.service.metrics import Metrics
from vpp.service.ocpp.desk import ChargerDesk
from vpp.service.openadr.desk import OpenAdrDesk
from vpp.service.park.parkfile import ParkFile
from vpp.service.people.desk import PeopleDesk
from vpp.service.quotas.peaks import PeakState
from vpp.service.quotas.prices import QuotaState
from vpp.service.quotas.tally import Tally
from vpp.service.reports.desk import ReportDesk
from vpp.service.shift.desk import ShiftDesk
from vpp.service.solving.executor import Executor
from vpp.service.steering.desk import ActDesk
from vpp.service.strategies.strategies import Strategies
from vpp.service.trading.desk import HandBids, ReleaseAsked, TradingDesk
from vpp.service.trading.positiondesk import PositionDesk
from vpp.service.tuning.desk import TuningDesk
from vpp.service.venues.state import VenueDesk
from vpp.service.vtn.desk import VtnDesk
from vpp.service.window.desk import WindowDesk
from vpp.trade.book import BidBook
from vpp.trade.calls import CallKey
from vpp.trade.position import Position
from vpp.trade.presubmit import Offered

TRACE_POINTS = 3000
"""Two days of one-minute control cycles: what the page draws."""

Reach = Callable[[str], None]
"""Called with the name of each point between intent and effect, so that a test can stop there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePoint:
    """The park at one control cycle."""

    at: datetime
    park_kw: float | None
    """Measured net injection; None where a main meter is not heard."""

    planned_kw: float | None
    owed_kw: float | None
    spot_per_mwh: float | None
    stored_kwh: float | None
    """In all storages; None where one of them is unknown."""

    capacity_kwh: float
    money: float
    """Settled so far, market and network, credit positive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRecord:
    """How one attempt to plan went."""

    at: datetime
    status: str
    """optimal, feasible or unsolved."""

    total_s: float
    """From the frozen state to the checked plan, wall time."""

    solve_s: float
    """Of the solver alone; 0 where it gave nothing."""

    gap: float | None


@dataclass(slots=True, kw_only=True, eq=False)
class MadeOffer:
    """Bids made from one plan and one position, kept until either changes."""

    schedule: Schedule
    position: Position
    bids: tuple[Bid, ...]
    stems: tuple[str, ...]
    """Of the bids' ids, before the revision."""

    json: tuple[bytes, ...]
    """The bids as they are answered, cut where their revision stands."""

    reasons: bytes
    """Why they are as they are, a `BidReasons` as JSON."""
    reasons_key: str
    """Under which the journal holds them: SHA-256 of `reasons`."""
    reasoned: bool = False
    """Whether the journal holds them."""

    checked: bool = False
    """Whether the market's own rules were found kept."""

    content: str | None = None
    """A digest of what is offered, without ids; made when it is asked for."""

    offered: Offered | None = None
    """What it comes to, for the limits; the same."""

    hand: HandBids | None = None
    """The person's word that it is made of; None where it is the plan's."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closed:
    """What devices did over the newest quarter-hour that was seen whole."""

    interval: Interval
    means: Mapping[ResourceId, Means]
    turned_down: frozenset[ResourceId]
    """Loads that drew what they were told, not what they would have drawn."""


@dataclass(slots=True, kw_only=True)
class QuotaDesk:
    """What is used of the budgets, and what they are worth (`quotas/quotas.py`)."""

    began_at: datetime
    """When the service looked at this park for the first time: `used_at_start` lies before."""

    measured: frozenset[ResourceId]
    """Resources whose energy is counted."""

    unmetered_from: datetime
    """Quarter-hours before this are counted by the main meters."""

    done_until: datetime
    """What resources did before this is counted."""

    metered: set[datetime] = field(default_factory=set)
    """Beginnings of quarter-hours after `unmetered_from` that are counted too."""

    tally: Tally = field(default_factory=Tally)
    states: dict[str, tuple[QuotaState, ...]] = field(default_factory=dict)
    """By quota, as they were priced."""

    peaks: tuple[PeakState, ...] = ()
    """Of the newest plan: what the coming peaks of its months cost."""

    priced_on: date | None = None
    """Local day."""

    told: dict[tuple[str, str], date] = field(default_factory=dict)
    """When it was last told that a quota cannot be kept, by id and what it counts."""


@dataclass(kw_only=True)
class Plant:
    """One park in service."""

    file: ParkFile
    clock: Watch
    drift: Callable[[], Drift] = Drift
    """How the clock stands to the machine's; a simulated one does not drift."""

    started_at: datetime
    tuning: TuningDesk
    """Which strategies run and wait, and who changed what."""

    # ports
    journal: Journal
    source: MessageSource
    sink: SetpointSink
    venue: VenueLedger | None
    executor: Executor
    record: Callable[[Measurement], bool]
    """Hands one measurement to the historian; never blocks. False where it has no room."""
    readings: Callable[[ResourceId, Interval], list[Reading]] | None = None
    """Reads a resource's measurements back, oldest first; waits for the disk. None where nothing is recorded."""
    reach: Reach
    feeds: tuple[Feed, ...] = ()
    programmes: tuple[OpenAdrDesk, ...] = ()
    """Utilities whose events are followed."""
    venues: tuple[VenueDesk, ...] = ()
    """Markets that bids are sent to; `venue` is that of the others, which ask us."""
    stations: tuple[StationDesk, ...] = ()
    """Where dispatch centres read and command the park."""
    vtn: VtnDesk | None = None
    """Our OpenADR server towards sites; None where there is none."""
    instructions: InstructionDesk = field(default_factory=InstructionDesk)
    members: MemberDesk = field(default_factory=MemberDesk)
    """What members asked for."""
    people: PeopleDesk = field(default_factory=PeopleDesk)
    """Who can be asked, and what is on its way to them."""
    alarms: AlarmDesk = field(default_factory=AlarmDesk)
    """What needs a person."""
    shifts: ShiftDesk = field(default_factory=ShiftDesk)
    """What people at the desk wrote down for each other."""
    chargers: tuple[ChargerDesk, ...] = ()
    """Where charging stations connect to."""
    reports: ReportDesk = field(default_factory=ReportDesk)
    tested: Mapping[ResourceId, TestedPower] = field(default_factory=dict)
    """What devices proved in a test; `file` has the units that follow from it."""
    links: Links = no_links
    """How each link to devices does now."""
    link_faces: tuple[OuterFace, ...] = ()
    """Where devices call that are not called."""
    set_aside: SetAside | None = None
    """Takes old entries out of the journal's file; None where nothing is on a disk."""

    set_telemetry_aside: SetTelemetryAside | None = None
    """The same of the historian."""

    ask_again: AskAgain | None = None
    """Asks devices for what never came; None where nothing can be lost."""
    resends: frozenset[ResourceId] | None = None
    """Who can be asked; None: everybody."""

    window: WindowDesk | None = None
    """Where other processes look at us; nothing depends on it."""

    # sense
    intake: Intake
    series: SeriesStore
    means: IntervalMeans
    desk: ForecastDesk
    learnt: frozenset[ResourceId]
    """Resources whose course is measured: for forecasts, and for what meters show beside it."""

    closed: Closed | None = None
    arrivals: dict[ResourceId, dict[str, tuple[datetime, EvSession]]] = field(default_factory=dict)
    """Cars seen at each fleet: when first, and what they wanted then."""

    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a message of the device `awaited` was taken; who waits for it clears it first."""

    awaited: ResourceId | None = None

    # trade
    book: BidBook
    trading: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a bid set is made or an award booked: one after the other."""

    trade: TradingDesk = field(default_factory=TradingDesk)
    positions: PositionDesk = field(default_factory=PositionDesk)
    dr: ResponseDesk = field(default_factory=ResponseDesk)
    reserve: ReserveDesk = field(default_factory=ReserveDesk)

    # act
    acting: ActDesk
    units: Units
    """The park as share and guard see it, without orders."""

    lives: Lives
    """Of set-points."""

    kill: KillSwitch
    latches: dict[Scope, str] = field(default_factory=dict)
    """What of the kill switch was said already."""

    releases: dict[Scope, ReleaseAsked] = field(default_factory=dict)
    """What one person wants released: it waits for a second."""

    # account
    meters: MeterBook
    peaks: MonthlyPeaks
    accounted: dict[Interval, AccountedInterval] = field(default_factory=dict)
    accounted_span: Interval | None = None
    """From the first to the newest interval in `accounted`."""

    final_until: datetime | None = None
    """Everything traded before this is settled for good."""

    final_noted: datetime | None = None
    """The newest of them that is on record."""

    given_up: dict[Interval, bool] = field(default_factory=dict)
    """Intervals that nobody can settle any more, and whether that was said."""

    baselines_kw: dict[tuple[ConnectionPointId, datetime], float | None] = field(
        default_factory=dict
    )
    """Net injection expected without steering, by connection point and interval."""

    statements: dict[Interval, tuple[Statement, ...]] = field(default_factory=dict)
    """By span, as they were asked for since the newest settlement."""

    deliveries: dict[Interval, Delivery] = field(default_factory=dict)
    calls: dict[tuple[ResourceId, datetime], Call] = field(default_factory=dict)
    """Interruptions by load and beginning."""

    quotas: QuotaDesk

    limits: dict[str, HeldOrder] = field(default_factory=dict)
    """Limit orders that came while running, by id; those that are over too."""

    replan: str | None = None
    """Why a plan is to be made before its turn; None where nothing asks for it."""

    replan_alone: tuple[str, frozenset[EnterpriseId]] = ("", frozenset())
    """A reason, and the only enterprises it is about; holds while `replan` is that reason."""

    calls_planned: frozenset[CallKey] = frozenset()
    """Activations, by id and revision, that the newest plan knows."""

    planning: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a plan is made: one after the other."""

    # what the cycles left behind
    events: EventLog
    metrics: Metrics
    unsure: list[tuple[str, str]] = field(default_factory=list)
    """Kind and key of trading entries that the journal refused: they may be on disk all the same."""

    unsure_limits: list[tuple[str, str]] = field(default_factory=list)
    """The same of limit orders."""

    state: ParkState | None = None
    view: PlanningView | None = None
    terms: tuple[Term, ...] = ()
    outcome: Outcome | None = None
    schedule: Schedule | None = None
    """The newest validated plan, which HOLD keeps for a while when a solve fails."""

    made_from: tuple[PlanningView, tuple[Term, ...]] | None = None
    """The view and the terms of `schedule`: what its reasons are read from."""

    changes: Changes | None = None
    """What `schedule` does otherwise than the one before it."""

    what_if: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a case of somebody else is planned: one at a time."""

    validate_s: float | None = None
    """How long the check of `schedule` took."""

    forecasts: tuple[Forecast, ...] = ()
    safe_state: SafeState = SafeState.RELEASE
    safe_state_reason: str = "no plan yet"
    setpoints: Mapping[ResourceId, Setpoint] = field(default_factory=dict)
    """The newest command to each device."""

    trace: deque[TracePoint] = field(default_factory=lambda: deque(maxlen=TRACE_POINTS))
    reconciled: bool = False
    """False until open intents of the last run were asked about: no bids before."""

    offers: dict[tuple[ProductId, Interval], MadeOffer] = field(default_factory=dict)
    venue_silent: bool = False
    """Whether the market gave no answer when it was last asked about a bid set."""

    unhedged: str = ""
    """Why the newest plan trusts its forecast though several futures were asked for."""

    uncurved: str = ""
    """Why bids come from the plan alone though curves were asked for, as it was told last."""

    margins_lack: str = ""
    """What margins below limits do not know, as it was told last."""

    clipped: Counter[ResourceId] = field(default_factory=Counter)
    """How often the guard cut a wish of each resource."""

    refusing: set[ResourceId] = field(default_factory=set)
    """Who refused its newest command."""

    not_following: frozenset[ResourceId] = frozenset()
    """Who acknowledges its set-point and does not obey."""

    interval_money: dict[Interval, Decimal] = field(default_factory=dict)
    """Market and network of each settled interval."""

    money: Decimal = Decimal(0)
    """Settled so far, credit positive."""

    reader_failed_at: datetime | None = None
    """When it was last told that a message broke its reader."""

    historian_full: bool = False
    """Whether the newest measurement found no room in the historian."""

    late_told_on: dict[tuple[str, str], date] = field(default_factory=dict)
    """Series and products that lack values before a gate, and on which local day that was said last."""

    carbon_told: str | None = None
    """Why the park's own carbon figure stands in for the series; None where it does not."""

    calendar_told: str | None = None
    """What was said of holidays that are not known."""

    journal_fault: str | None = None
    """Why the newest entry could not be written; None where it was."""

    plan_count: int = 0
    """Plans tried in the whole life of the record: the next one's number less 1."""

    plan_log: deque[PlanRecord] = field(default_factory=lambda: deque(maxlen=20_000))
    setpoints_sent: int = 0
    lag_s: deque[float] = field(default_factory=lambda: deque(maxlen=20_000))
    """How late the event loop was, as sampled lately."""

    @property
    def strategies(self) -> Strategies:
        """What the park is steered for now."""
        return self.file.strategies

    @property
    def strategy_version(self) -> str:
        """Which strategies these are, as plans and bids name it."""
        return self.file.strategies.version

    @property
    def products(self) -> dict[ProductId, MarketProduct]:
        """The market products of this park, in the file's order."""
        return {product.product_id: product for product in self.file.products}

    def sold_mw(self, interval: Interval) -> Decimal:
        """Energy sold for `interval` less what is bought, mean over it."""
        lines, energy = self.book.position().trades(interval), self.energy_products
        return sum((line.sold_mw for line in lines if line.product_id in energy), Decimal(0))

    @property
    def energy_products(self) -> frozenset[ProductId]:
        """Those whose trades are energy to be fed, not a service that may be called; contracts among them."""
        return energy_of(self.file.products)
