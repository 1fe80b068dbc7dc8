"""Put a plant together from a park file and the adapters it is given: no global state.

With the other `*wiring.py` the only module that names adapters and strategies.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random

from adapters.broker_process import BrokerAccess
from adapters.brokers import Broker, choose_broker
from adapters.csv_feed import CsvFeed
from adapters.feed_table import SeriesColumn, TableLayout
from adapters.http_feed import HttpDocument, HttpFeed
from adapters.http_token import TokenSource
from adapters.http_venue import HttpVenue, HttpVenueAccess
from adapters.memory_forecasts import MemoryForecasts
from adapters.memory_journal import MemoryJournal
from adapters.mqtt_life import BrokerAddress
from adapters.mqtt_link import MqttLink
from adapters.nomination_folder import NominationFolder
from adapters.openadr2b import OpenAdr2b, Vtn2b
from adapters.openadr3 import OpenAdr3, Vtn
from adapters.sqlite_forecasts import SqliteForecasts
from adapters.sqlite_journal import SqliteJournal
from adapters.sqlite_telemetry import SqliteTelemetry
from vpp.account.meters import MeterBook
from vpp.account.peaks import MonthlyPeaks
from vpp.act.life import Lives
from vpp.act.units import Units
from vpp.clock import Drift, WallClock, Watch
from vpp.model.ids import EnterpriseId
from vpp.model.measurement import Measurement
from vpp.model.park import Park
from vpp.model.resource.series import available_series, power_series
from vpp.model.time import QUARTER, latest_boundary
from vpp.ports import (
    ForecastRecord,
    Journal,
    JournalEntry,
    MessageSource,
    NominationBox,
    ProgrammeServer,
    SetpointSink,
    Venue,
    VenueLedger,
)
from vpp.sense.decode import plausible_kw
from vpp.sense.forecast.seasonal import SeasonalBaseline
from vpp.sense.intake import Intake
from vpp.sense.means import IntervalMeans
from vpp.sense.plausible import facts_of
from vpp.sense.series import SeriesStore
from vpp.service import recovery
from vpp.service.alarms.book import AlarmBook
from vpp.service.alarms.desk import AlarmDesk
from vpp.service.alarms.schema import kinds_of
from vpp.service.devicetest import record as devicetestrecord
from vpp.service.events import EventLog
from vpp.service.feeds.desk import Feed
from vpp.service.feeds.schema import AnyFeed, CsvFeedSection
from vpp.service.forecasting import scoring
from vpp.service.forecasting.desk import ForecastDesk
from vpp.service.forecasting.forecaster import Forecaster, ProcessForecaster
from vpp.service.forecasting.inline import InlineForecaster
from vpp.service.iec104.desk import StationDesk
from vpp.service.iec104.wiring import stations_of
from vpp.service.kill import KillSwitch
from vpp.service.links.health import Links, no_links
from vpp.service.links.wiring import open_links
from vpp.service.metrics import Metrics
from vpp.service.ocpp.desk import ChargerDesk
from vpp.service.openadr.desk import OpenAdrDesk
from vpp.service.openadr.schema import OpenAdr2bSection, OpenAdrSection
from vpp.service.park.parkfile import ParkFile
from vpp.service.people.desk import PeopleDesk
from vpp.service.people.wiring import open_people
from vpp.service.plant import Plant, QuotaDesk, Reach
from vpp.service.quotas import quotas
from vpp.service.reports.wiring import open_platforms
from vpp.service.secretfiles import headers_of, read_secret
from vpp.service.solving.executor import Executor, ProcessExecutor
from vpp.service.steering.desk import ActDesk, patience_of
from vpp.service.trading.positiondesk import PositionDesk
from vpp.service.tuning.starting import desk_of
from vpp.service.venues.schema import (
    AnyVenue,
)
from vpp.service.venues.state import AwardList, VenueDesk
from vpp.service.venues.wiring import open_port, shown_to
from vpp.service.window.desk import WindowDesk
from vpp.service.window.wiring import open_window
from vpp.simulate.gateway import BrokerAccess as GatewayAccess
from vpp.trade.book import BidBook

JOURNAL_FILE, TELEMETRY_FILE = "journal.sqlite", "telemetry.sqlite"
FORECASTS_FILE = "forecasts.sqlite"


def unseen(entry: JournalEntry) -> None:
    """Nobody looks at what is written."""


def nowhere(point: str) -> None:
    """Passes every named point by; tests hand in something that stops there."""


def build_plant(
    file: ParkFile,
    *,
    clock: Watch,
    data: Path,
    journal: Journal,
    source: MessageSource,
    sink: SetpointSink,
    venue: VenueLedger | None,
    executor: Executor,
    record: Callable[[Measurement], bool],
    forecaster: Forecaster | None = None,
    forecasts: ForecastRecord | None = None,
    seed: int = 0,
    strategy_file: Path | None = None,
    reach: Reach = nowhere,
    feeds: tuple[Feed, ...] = (),
    programmes: tuple[OpenAdrDesk, ...] = (),
    venues: tuple[VenueDesk, ...] = (),
    boxes: Mapping[str, NominationBox] | None = None,
    stations: tuple[StationDesk, ...] = (),
    people: PeopleDesk | None = None,
    chargers: tuple[ChargerDesk, ...] = (),
    links: Links = no_links,
    window: WindowDesk | None = None,
) -> Plant:
    """A plant that knows what its journal knows, and nothing of the present yet.

    Without a `forecaster` models learn and forecast in this process, and block it; without a record of
    `forecasts` they are kept as long as it lives.

    Raises:
        DataError: The park file's control settings contradict each other.
    """
    tested = devicetestrecord.on_record(journal)
    file = devicetestrecord.as_tested(file, tested)
    park, now = file.park, clock.now()
    plausible = plausible_kw(park)
    tuning = desk_of(file.strategies, strategy_file, journal)
    began_at, measured = recovery.began_at(journal, now), quotas.measured(park, file.quotas)
    whole_from = latest_boundary(began_at + QUARTER - timedelta.resolution, QUARTER)
    plant = Plant(
        file=file,
        clock=clock,
        drift=clock.drift if isinstance(clock, WallClock) else Drift,
        started_at=now,
        tested=tested,
        tuning=tuning,
        journal=journal,
        source=source,
        sink=sink,
        venue=venue,
        executor=executor,
        record=record,
        reach=reach,
        feeds=feeds,
        programmes=programmes,
        venues=venues,
        stations=stations,
        people=people or PeopleDesk(),
        alarms=AlarmDesk(book=AlarmBook(kinds=kinds_of(file.alarms))),
        chargers=chargers,
        links=links,
        window=window,
        positions=PositionDesk(boxes=boxes or {}),
        intake=Intake(
            park.device_owner,
            plausible,
            frozenset(point.meter_id for point in park.connection_points),
            facts=facts_of(park),
            patience=file.telemetry.patience(),
        ),
        series=SeriesStore(),
        means=IntervalMeans(plausible),
        learnt=frozenset(
            r.resource_id for r in park.resources if power_series(r) or available_series(r)
        )
        | {r.resource_id for r in park.electric}
        | measured,
        desk=ForecastDesk(
            forecaster=InlineForecaster() if forecaster is None else forecaster,
            record=MemoryForecasts() if forecasts is None else forecasts,
            baseline=SeasonalBaseline(file.calendar),
            seed=seed,
        ),
        book=BidBook(frozenset(product.product_id for product in file.products)),
        units=(units := Units.of(park)),
        acting=ActDesk.of(park, units, seed),
        lives=Lives(
            units,
            now=now,
            patience=patience_of(file.control),
            first_seq=recovery.first_command_seq(journal, now),
            ttl=timedelta(seconds=file.control.setpoint_ttl_s),
            control_period=timedelta(seconds=file.control.period_s),
            deadband_kw=file.control.deadband_kw,
        ),
        kill=KillSwitch(data),
        meters=MeterBook(
            {p.meter_id: max(map(abs, plausible[p.meter_id])) for p in park.connection_points}
        ),
        peaks=MonthlyPeaks(
            park.timezone,
            {p.connection_point_id: p.period_to_date_peak_kw for p in park.connection_points},
            began_at,
            {p.connection_point_id: park.tariff_by_id[p.tariff_id] for p in park.connection_points},
        ),
        quotas=QuotaDesk(
            began_at=began_at, measured=measured, unmetered_from=whole_from, done_until=whole_from
        ),
        events=EventLog(),
        metrics=Metrics(park.park_id),
    )
    recovery.recover(plant)
    scoring.take_up(plant, now)
    return plant


def plant_in_memory(
    file: ParkFile,
    *,
    clock: Watch,
    data: Path,
    source: MessageSource,
    sink: SetpointSink,
    executor: Executor,
    forecaster: Forecaster | None = None,
    seed: int = 0,
    written: Callable[[JournalEntry], None] = unseen,
) -> Plant:
    """A plant that nobody will ask again: no journal on disk, no historian, no venue to ask.

    `data` holds the kill switch; `written` is shown each entry of the journal. Raises as `build_plant`.
    """
    return build_plant(
        file,
        clock=clock,
        data=data,
        journal=MemoryJournal(written),
        source=source,
        sink=sink,
        venue=None,
        executor=executor,
        record=lambda measurement: True,
        forecaster=forecaster,
        seed=seed,
    )


async def open_feeds(file: ParkFile, stack: AsyncExitStack) -> tuple[Feed, ...]:
    """The feeds of a park file, each with its adapter, closed with `stack`.

    Raises:
        ConfigError: An address is neither https nor loopback, or carries a password.
    """
    return tuple([await _open_feed(section, file, stack) for section in file.feeds])


async def _open_feed(section: AnyFeed, file: ParkFile, stack: AsyncExitStack) -> Feed:
    layout = TableLayout(
        start=section.start,
        stamps=file.park.timezone if section.stamps == "local" else section.stamps,
        issued=section.issued,
        resolution=timedelta(minutes=section.resolution_minutes),
        source=section.source,
        series=tuple(
            SeriesColumn(series_id=s.id, column=s.column, unit=s.unit, times=s.times)
            for s in section.series
        ),
    )
    if isinstance(section, CsvFeedSection):
        folder = file.folder / section.folder
        port = CsvFeed(folder, section.pattern, layout, max_bytes=section.max_bytes)
        return Feed(section=section, port=port)
    fetched = HttpFeed(
        HttpDocument(
            url=section.url,
            zone=file.park.timezone,
            form=section.form,
            rows=section.rows,
            layout=layout,
            headers=partial(headers_of, section.headers, file.folder),
            timeout_s=section.timeout_s,
            max_bytes=section.max_bytes,
        )
    )
    return Feed(section=section, port=await stack.enter_async_context(fetched))


def boxes_of(file: ParkFile) -> dict[str, NominationBox]:
    """Where the units of a park file put their nominations; nowhere with a market that is simulated."""
    if file.trading.mode == "simulated":
        return {}
    return {
        one.unit: NominationFolder(
            file.folder / one.outbox, file.folder / one.inbox, max_bytes=one.max_bytes
        )
        for one in file.nominations
    }


async def open_venues(file: ParkFile, clock: Watch, stack: AsyncExitStack) -> tuple[VenueDesk, ...]:
    """The venues of a park file, each with its adapter, closed with `stack`.

    None where the market is simulated with the park: what is bid there must reach no market outside.

    Raises:
        ConfigError: An address is neither https nor loopback, or carries a password.
    """
    if file.trading.mode == "simulated":
        return ()
    return tuple(
        [desk_for(venue, await open_port(venue, file, clock, stack)) for venue in file.venues]
    )


def desk_for(section: AnyVenue, port: Venue) -> VenueDesk:
    """A desk that knows nothing yet; `build_plant` lets it take up what the journal holds."""
    return VenueDesk(section=section, port=port, list=AwardList(cursor=section.first_sequence - 1))


async def open_programmes(
    file: ParkFile, clock: Watch, seed: int, stack: AsyncExitStack
) -> tuple[OpenAdrDesk, ...]:
    """The utilities of a park file, each with its adapter, closed with `stack`.

    None where the market is simulated with the park: nobody outside is told of what is not real.

    Raises:
        ConfigError: An address is neither https nor loopback, or carries a password; 2.0b without openleadr.
    """
    if file.trading.mode == "simulated":
        return ()
    rng = Random(seed)
    desks = []
    for section in file.openadr:
        port: ProgrammeServer
        if isinstance(section, OpenAdr2bSection):
            port = await stack.enter_async_context(OpenAdr2b(vtn2b_of(section, file.folder)))
        else:
            ahead = timedelta(seconds=rng.uniform(60, 300))
            vtn = vtn_of(section, file.folder, ahead=ahead)
            port = await stack.enter_async_context(OpenAdr3(vtn, now=clock.now))
        desks.append(OpenAdrDesk(section=section, port=port))
    return tuple(desks)


def vtn2b_of(section: OpenAdr2bSection, folder: Path) -> Vtn2b:
    """How a utility of OpenADR 2.0b is asked."""
    return Vtn2b(
        url=section.url,
        ven_name=section.ven_name,
        ven_id=section.ven_id,
        certificate=shown_to(section.certificate, folder),
        vtn_fingerprint=section.vtn_fingerprint,
        sample_s=section.report_s,
    )


def vtn_of(section: OpenAdrSection, folder: Path, *, ahead: timedelta) -> Vtn:
    """How a utility is asked; its token is renewed `ahead`, which is not the same for all parks."""
    return Vtn(
        url=section.url,
        version=section.version,
        ven_name=section.ven_name,
        token=TokenSource(
            url=section.token_url or f"{section.url.rstrip('/')}/auth/token",
            client_id=partial(read_secret, section.client_id, folder),
            client_secret=partial(read_secret, section.client_secret, folder),
            scope=section.scope,
            ahead=ahead,
        ),
        certificate=shown_to(section.certificate, folder),
        targets=tuple(section.targets),
        target_type=section.target_type,
        timeout_s=section.timeout_s,
        max_bytes=section.max_bytes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerDoor:
    """A running broker, and how the service and each enterprise's gateway enter."""

    broker: Broker
    access: BrokerAccess

    def gateway(self, enterprise_id: EnterpriseId) -> GatewayAccess:
        """What an enterprise's gateway connects with."""
        address = self.access.address(enterprise_id)
        return GatewayAccess(
            host=address.host,
            port=address.port,
            username=address.username,
            password=address.password,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A plant with everything that had to be opened for it."""

    plant: Plant
    link: MqttLink
    executor: Executor
    historian: SqliteTelemetry


@asynccontextmanager
async def open_plant(
    file: ParkFile,
    *,
    clock: Watch,
    seed: int,
    data: Path,
    broker: BrokerAddress,
    venue_url: str | None,
    reach: Reach = nowhere,
    executor: Executor | None = None,
    forecaster: Forecaster | None = None,
) -> AsyncIterator[Opened]:
    """Open journal, historian, solver process and broker link, and build the plant on them.

    Where an `executor` or a `forecaster` is given, no process is started for it.

    Raises:
        ConfigError: The data folder cannot be used, or is in use by another service.
        UnavailableError: The journal cannot be opened.
    """
    async with AsyncExitStack() as stack:
        if executor is None:
            executor = await stack.enter_async_context(ProcessExecutor())
        if forecaster is None:
            forecaster = await stack.enter_async_context(ProcessForecaster())
        journal = await stack.enter_async_context(SqliteJournal.open(data / JOURNAL_FILE))
        historian = await stack.enter_async_context(SqliteTelemetry(data / TELEMETRY_FILE))
        forecasts = stack.enter_context(SqliteForecasts(data / FORECASTS_FILE))
        linked = await open_links(
            file, clock=clock, seed=seed, broker=broker, stack=stack, journal=journal
        )
        venue = None
        if venue_url is not None:
            venue = HttpVenue(HttpVenueAccess(url=venue_url), now=clock.now)
        if venue is not None:
            await stack.enter_async_context(venue)
        feeds = await open_feeds(file, stack)
        plant = build_plant(
            file,
            clock=clock,
            data=data,
            strategy_file=file.strategies.path,
            journal=journal,
            source=linked.channels,
            sink=linked.channels,
            venue=venue,
            executor=executor,
            record=historian.add,
            forecaster=forecaster,
            forecasts=forecasts,
            seed=seed,
            reach=reach,
            feeds=feeds,
            links=linked.channels.health,
            programmes=await open_programmes(file, clock, seed, stack),
            venues=await open_venues(file, clock, stack),
            stations=stations_of(file, clock),
            people=await open_people(file, clock, stack),
            chargers=linked.chargers,
            boxes=boxes_of(file),
            window=await open_window(file, stack),
        )
        plant.ask_again, plant.resends = linked.native.ask_again, linked.native_devices
        plant.set_aside = journal.set_aside
        plant.set_telemetry_aside, plant.readings = historian.set_aside, historian.query
        await open_platforms(plant, stack)
        plant.link_faces, plant.vtn = linked.faces, linked.vtn
        plant.alarms.carrier = linked.channels.carrier
        recovery.read_back(plant, historian, clock.now())
        yield Opened(plant=plant, link=linked.native, executor=executor, historian=historian)


@asynccontextmanager
async def open_broker(url: str | None, park: Park, *, embedded: bool) -> AsyncIterator[BrokerDoor]:
    """The broker to use: an external one by its URL, else a private one on loopback.

    `embedded` always takes the one that comes with the package, the same on every machine.

    Raises:
        ConfigError: The URL is no broker's, or a port is taken.
        UnavailableError: The broker does not come up.
    """
    enterprises = [enterprise.enterprise_id for enterprise in park.enterprises]
    broker = choose_broker(url, enterprises, prefer="embedded" if embedded else "auto")
    access = await broker.start()
    try:
        yield BrokerDoor(broker=broker, access=access)
    finally:
        await broker.stop()
