"""The park file, key by key: what a person may write, with its unit.

Only shape and ranges stand here; what joins one place with another is in `checks.py`.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, model_validator

from vpp.model.network import Carrier
from vpp.plan.problem import Method
from vpp.service.alarms.schema import AlarmsSection
from vpp.service.bids.schema import BidSection
from vpp.service.demandresponse.schema import DemandResponseSection, SimulatedPlatformSection
from vpp.service.feeds.schema import AnyFeed
from vpp.service.forecasting.schema import ForecastsSection
from vpp.service.iec104.schema import AnyStation
from vpp.service.instructions.schema import InstructionsSection
from vpp.service.links.deviceschema import ModbusSection
from vpp.service.links.httpdeviceschema import HttpDevicesSection
from vpp.service.links.payloadschema import MqttGatewaySection
from vpp.service.links.replayschema import ReplaySection
from vpp.service.links.s2schema import S2Section
from vpp.service.links.sparkplugschema import SparkplugSection
from vpp.service.links.telemetryschema import TelemetrySection
from vpp.service.markets.clearingschema import ClearingSection
from vpp.service.markets.schema import ProductName
from vpp.service.ocpp.schema import OcppSection
from vpp.service.openadr.schema import AnyUtility
from vpp.service.park.calendars import CalendarSection, DaysSection
from vpp.service.park.fleetfile import FleetSection
from vpp.service.park.recordschema import RecordSection
from vpp.service.park.resourceschema import AnyResource
from vpp.service.park.schematypes import (
    Cost,
    Count,
    Currency,
    DegC,
    FileName,
    Id,
    Minutes,
    Positive,
    Price,
    Section,
    SeriesId,
    Share,
    Size,
    Tag,
    Text,
    Zone,
    whole_minute,
)
from vpp.service.park.tariffschema import TariffSection
from vpp.service.people.schema import PeopleSection
from vpp.service.quotas.schema import QuotaList
from vpp.service.reports.schema import ReportingSection
from vpp.service.steering.schema import ControlSettings
from vpp.service.trading.contractschema import ContractSection
from vpp.service.trading.nominationschema import NominationSection
from vpp.service.trading.schema import TradingSection
from vpp.service.trading.waivers import WaiverSection
from vpp.service.venues.schema import AnyVenue
from vpp.service.vtn.schema import VtnSection
from vpp.service.window.schema import RedisSection

Kva = Annotated[Decimal, Field(gt=0, le=10_000_000, max_digits=18)]


def file_alone(value: object) -> object:
    """Refuse strategies that stand in the park file, as they once did, and say where they go."""
    if isinstance(value, list):
        raise ValueError(
            "strategies stand in a file of their own, so that they can change while the service runs:"
            " move the list there below `strategies:`, give each a `name`, leave out `two_part_tariff`"
            " and `stored_energy_value` (every park has them), call `market_trading` `price_arbitrage`,"
            " and name that file here, such as `strategies: strategies.yaml`"
        )
    return value


class LimitsSection(Section):
    """How much may be drawn and fed here."""

    import_kw: Size
    export_kw: Size


class CarbonSection(Section):
    """Carbon of a kWh imported: one dated figure, and a series where there is one."""

    grid_kgco2_per_kwh: Size
    series: SeriesId | None = None
    """A series in gCO2/kWh, such as `carbon.se3`: plans go by it; the figure stands in where it fails."""
    source: Text
    valid_from: date


class FeederSection(LimitsSection):
    id: Id


class PointSection(LimitsSection):
    """A connection point: where an enterprise meets the grid."""

    id: Id
    feeder: Id | None = None
    meter: Id
    """The main meter's device id."""
    tariff: Id
    period_to_date_peak_kw: Size = 0.0
    """Highest mean import of the running billing month before the service began to look."""
    capacity_kva: Kva | None = None
    """Installed transformers, where the tariff bills by them."""
    contract_kw: Kva | None = None
    """Demand agreed for a month, where the tariff bills it."""
    resources: list[AnyResource]


class EnterpriseSection(Section):
    id: Id
    name: Text
    import_kw: Size | None = None
    """The most that all its connection points may draw together; leave out where nothing limits."""
    export_kw: Size | None = None
    tags: list[Tag] = Field(default_factory=list)
    """Words by which strategies speak of all that it owns."""
    calendar: DaysSection = DaysSection()
    """Its own days: they win over the park's."""
    connection_points: list[PointSection]


class NodeSection(Section):
    """Where another carrier than electricity is balanced: one place, one temperature level."""

    id: Id
    carrier: Carrier
    supply_degc: DegC | None = None
    """Temperature level, for people."""
    spill_cost_per_kwh: Size | None = None
    """What a kWh thrown away costs; leave out where nothing can be thrown away."""


class PipeSection(Section):
    """A one-way connection between two nodes."""

    id: Id
    from_node: Id
    to_node: Id
    max_kw: Size
    """The most that may enter it."""
    loss_share: Share = 0.0
    """Share of what enters that does not arrive."""
    delay_minutes: Minutes = 0
    """Time from entering to arriving; rounded to whole steps of the plan."""
    cost_per_kwh: Size = 0.0
    """Pumping, per kWh that enters."""


class GroupSection(Section):
    """Resources that share something: a transformer, a crane, a crew."""

    id: Id
    resources: Annotated[list[Id], Field(min_length=1)]
    max_draw_kw: Size | None = None
    """The most they may draw together."""
    max_running: Count | None = None
    """How many may run at once, where each is either on or off; 1 excludes one another."""


class UnitSection(Section):
    """Resources that are registered together at a market."""

    id: Id
    zone: Text
    resources: Literal["all"] | list[Id]
    """`all`, or the ids one by one."""
    products: list[ProductName]
    connected_kw: Size
    declared_kw: Size
    tested_kw: Size
    trades_from: Annotated[AwareDatetime, AfterValidator(whole_minute)]
    """First delivery the unit trades, with its offset from UTC."""
    trading_share: dict[Id, Price]
    """How the trading result is shared between the enterprises: weights."""


class PlanningSettings(Section):
    """How far, how finely and how long to plan."""

    step_minutes: Literal[15] = 15
    every_minutes: Annotated[int, Field(ge=15, le=720, multiple_of=15)] = 15
    """How often a new plan is made, counted from midnight UTC; a plan that fails is tried again
    each quarter-hour."""
    at_least_hours: Annotated[float, Field(ge=1, le=168)] = 24.0
    """The horizon reaches this far, or to the end of the farthest delivery about to be bid."""
    gate_lookahead_minutes: Annotated[float, Field(ge=0, le=1440)] = 60.0
    """A delivery whose gate closes within this time belongs into the horizon."""
    soft_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """The solver's own time limit."""
    hard_s: Annotated[float, Field(gt=0, le=3600)] = 20.0
    """After this the solver's process is killed."""
    gap: Annotated[float, Field(gt=0, lt=1)] = 0.001
    method: Method = Method.AUTO
    """What solves the linear programmes of a plan: HiGHS, the structured solver for fleets, or by size."""
    limit_excess_per_kwh: Annotated[float, Field(gt=0, le=1e9)] = 20.0
    """What a plan pays in the park's currency for each kWh beyond a limit: far above any market price (in EUR 4 at
    most), so that limits are kept before money is made. A park whose prices have other sizes sets its own."""
    max_price_age_hours: Annotated[float, Field(gt=0, le=8760)] = 48.0
    """Where the newest day-ahead price that is known ended longer ago, no bid is built on its forecast."""
    scenarios: Annotated[int, Field(ge=0, le=50)] = 0
    """How many futures a plan is made for; 0 or 1: it trusts its forecast."""
    scenarios_for: Literal["every_plan", "day_ahead_bids"] = "every_plan"
    """Which plans: all, or those alone whose day-ahead bids cannot wait for the next one."""
    cvar_weight: Annotated[float, Field(ge=0, le=1)] = 0.0
    """0: their mean cost counts; 1: only that of the dearest ones; between: a mixture."""
    cvar_level: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """The dearest 1 - cvar_level of the futures are meant by that."""
    scenario_doubt: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Standard errors, over the scenarios, of what hedging saves that are not believed: they are few."""
    margin_probability: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    """With what probability limits are kept in each step, by room left for forecast errors; leave out
    for none."""
    margin_price_per_kwh: Size = 5.0
    """What using that room costs: more than what else the park could do, less than a broken limit."""

    @property
    def every(self) -> timedelta:
        return timedelta(minutes=self.every_minutes)

    @model_validator(mode="after")
    def _soft_before_hard(self) -> PlanningSettings:
        if self.soft_s >= self.hard_s:
            raise ValueError(f"soft_s {self.soft_s} is not below hard_s {self.hard_s}")
        return self


class SimulatorSettings(Section):
    """Simulations that others may run here beside the park (`POST /v1/simulations`)."""

    at_most: Annotated[int, Field(ge=0, le=64)] = 8
    """At once; 0 allows none."""
    idle_minutes: Annotated[float, Field(gt=0, le=10_080)] = 60.0
    """One that nobody asks for so long is removed."""
    most_requests: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """That change something: so many are kept of each, for a branch does them again. Beyond, nothing branches off it."""


# ---------------------------------------------------------------- simulation


class Course(Section):
    """A column of the file, times a number, is the power of a resource in kW (a size)."""

    resource: Id
    column: Text
    times: Positive


class CourseFile(Section):
    file: FileName
    courses: list[Course]


class OutdoorSeries(Section):
    id: SeriesId
    column: Text


class OutdoorFile(Section):
    file: FileName
    series: list[OutdoorSeries]


class Fleet(Section):
    """Which sessions an EV fleet gets."""

    resource: Id
    car_park: Text
    """Value of the file's column `car_park`."""
    energy_times: Positive = 1.0
    """Scales each session's energy, up to what one charger gives during the stay."""


class CarsFile(Section):
    file: FileName
    fleets: list[Fleet]


class PriceColumn(Section):
    file: FileName
    column: Text


class Opening(Section):
    """How the simulated resources stand when the run begins."""

    soc: dict[Id, Share]
    """State of charge of every storage."""
    degc: dict[Id, DegC] = Field(default_factory=dict)
    """Temperature of zones; the others begin at their target."""


class SimulatedMarket(Section):
    """How the illustrative prices are derived from the recorded day-ahead price, by seed."""

    quarter_hour_noise_sd_per_mwh: Size
    """Of the quarter-hour auction, or of the real time where there is none."""
    quarter_hour_noise_correlation: Annotated[float, Field(ge=0, lt=1)]
    imbalance_spread_per_mwh: Size = 0.0
    imbalance: Literal["two_prices", "real_time"] = "two_prices"
    """real_time: what is metered otherwise than traded is paid at the real-time price, both ways."""
    least_per_mwh: Cost = -1_000_000.0
    most_per_mwh: Cost = 1_000_000.0
    """Bounds of the derived prices."""
    claw_back_band: Annotated[Decimal, Field(ge=0, le=1)] | None = None
    """Share of what was metered that a declaration may be off by before its gain is taken back."""
    claw_back_times: Annotated[Decimal, Field(ge=0, le=10)] = Decimal(1)
    clearing: Annotated[list[ClearingSection], Field(max_length=100)] = Field(default_factory=list)
    """How products are cleared; one that is not named at the recorded price, everyone at it."""


class SimulationSection(Section):
    """What the simulated world is made of; a live park leaves it out."""

    first_delivery_day: date
    loads: CourseFile
    generation: CourseFile
    outdoor: OutdoorFile
    cars: CarsFile | None = None
    day_ahead_per_mwh: PriceColumn
    opening: Opening
    market: SimulatedMarket
    demand_response: SimulatedPlatformSection | None = None
    """A load-management platform that invites; left out: nobody does."""


class ParkSection(Section):
    """One industrial park: who is in it, what it may draw, how it trades and plans."""

    park: Id
    name: Text
    timezone: Zone
    currency: Currency
    minor_unit: Annotated[Decimal, Field(gt=0, max_digits=18)]
    """Smallest amount of money that is ever booked."""
    calendar: CalendarSection = CalendarSection()
    limits: LimitsSection
    carbon: CarbonSection
    feeders: list[FeederSection] = Field(default_factory=list)
    tariffs: Annotated[list[TariffSection], Field(min_length=1)]
    enterprises: list[EnterpriseSection] = Field(default_factory=list)
    """Leave out where a fleet's table of points names them all."""
    fleets: Annotated[list[FleetSection], Field(max_length=100)] = Field(default_factory=list)
    """Tables of many resources that are alike, beside those that stand here."""
    nodes: list[NodeSection] = Field(default_factory=list)
    """Where other carriers than electricity are balanced."""
    pipes: list[PipeSection] = Field(default_factory=list)
    groups: list[GroupSection] = Field(default_factory=list)
    quotas: QuotaList = Field(default_factory=list)
    """Budgets of a day, a month or a year, which enter each plan as a price."""
    bidding_units: list[UnitSection] = Field(default_factory=list)
    markets: list[FileName] = Field(default_factory=list)
    """Rule files, resolved beside the park file."""
    waivers: Annotated[list[WaiverSection], Field(max_length=100)] = Field(default_factory=list)
    """Unverified rules that this park trades live by, and who decided it."""
    bids: Annotated[list[BidSection], Field(max_length=100)] = Field(default_factory=list)
    """How offers of a product are made; left out: so that whatever is accepted can be delivered."""
    trading: TradingSection = TradingSection()
    demand_response: DemandResponseSection = DemandResponseSection()
    """How invitations are answered."""
    instructions: InstructionsSection = InstructionsSection()
    """Loads that people turn down by hand, and how they are asked."""
    contracts: Annotated[list[ContractSection], Field(max_length=200)] = Field(default_factory=list)
    """Mid- and long-term contracts whose daily curves come as series."""
    nominations: Annotated[list[NominationSection], Field(max_length=100)] = Field(
        default_factory=list
    )
    """Units that announce a schedule for each day."""
    strategies: Annotated[FileName | None, BeforeValidator(file_alone)] = None
    """The strategy file, resolved beside the park file; it may change while the service runs."""
    feeds: Annotated[list[AnyFeed], Field(max_length=100)] = Field(default_factory=list)
    """Series that are fetched: files in a folder, documents at an address."""
    modbus: Annotated[list[ModbusSection], Field(max_length=500)] = Field(default_factory=list)
    """Gateways whose devices speak Modbus TCP; every other device speaks MQTT."""
    telemetry: TelemetrySection = TelemetrySection()
    mqtt_gateways: Annotated[list[MqttGatewaySection], Field(max_length=100)] = Field(
        default_factory=list
    )
    """Gateways that speak MQTT in words of their own."""
    http_devices: HttpDevicesSection = HttpDevicesSection()
    """Devices that are asked over HTTP, or that call us."""
    sparkplug: Annotated[list[SparkplugSection], Field(max_length=50)] = Field(default_factory=list)
    """Edge nodes of Sparkplug B with devices behind them."""
    s2: S2Section | None = None
    """Devices that speak S2 and connect to us; left out: nobody does."""
    replays: Annotated[list[ReplaySection], Field(max_length=100)] = Field(default_factory=list)
    """Recordings that are told in place of devices."""
    iec104: Annotated[list[AnyStation], Field(max_length=50)] = Field(default_factory=list)
    """Dispatch centres that read and command this park over IEC 60870-5-104, and devices that we do."""
    ocpp: Annotated[list[OcppSection], Field(max_length=20)] = Field(default_factory=list)
    """Charging stations that connect to us."""
    venues: Annotated[list[AnyVenue], Field(max_length=20)] = Field(default_factory=list)
    """Markets that bids are sent to and whose awards are fetched; the others ask us."""
    reporting: ReportingSection = ReportingSection()
    """Reports to dispatch centres and platforms; what is owed stands in each market file."""
    openadr: Annotated[list[AnyUtility], Field(max_length=20)] = Field(default_factory=list)
    """Utilities whose programmes this park takes part in."""
    people: PeopleSection = PeopleSection()
    """Who can be asked, and how each is reached."""
    alarms: AlarmsSection = AlarmsSection()
    """Who is told of what nobody acknowledges, and what differs from the catalogue."""
    openadr_vtn: VtnSection | None = None
    """Our own OpenADR server, and the sites that ask it."""
    redis: RedisSection | None = None
    """A window for other processes; left out: there is none."""
    record: RecordSection = RecordSection()
    forecasts: ForecastsSection = ForecastsSection()
    planning: PlanningSettings = PlanningSettings()
    control: ControlSettings = ControlSettings()
    simulators: SimulatorSettings = SimulatorSettings()
    simulation: SimulationSection | None = None
