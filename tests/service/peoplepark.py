"""A park that people turn by hand: each `hand` has a press of 400 kW, of which 300 can be given up; each `site` a battery."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from adapters.memory_journal import MemoryJournal
from tests.service.conftest import QuietLink
from tests.service.drpark import DAY_AHEAD, FIRST, read
from tests.service.peoplebench import Postbox
from tests.trading import TRADING
from vpp.act.ladder import SafeState
from vpp.clock import SimulatedClock
from vpp.model.demandresponse import Stage
from vpp.model.ids import PersonId, ResourceId
from vpp.model.measurement import Reading
from vpp.model.time import QUARTER, Interval, isoformat, latest_boundary
from vpp.ports import Journal
from vpp.service import cycle
from vpp.service.demandresponse import demandresponse
from vpp.service.demo.history import give_history
from vpp.service.park.config import shipped
from vpp.service.park.parkfile import ParkFile, load_park
from vpp.service.people.desk import Address, Channel, PeopleDesk, Person
from vpp.service.plant import Plant
from vpp.service.solving.inline import InlineExecutor
from vpp.service.trading import awarding
from vpp.service.wiring import build_plant
from vpp.trade.invitations import Story
from vpp.wire import AwardRequest, TelemetryMessage, topic
from vpp.wiredr import InvitationRequest

NOW = datetime(2026, 7, 15, 4, tzinfo=UTC)
"""Wednesday noon in Shanghai."""
WINDOW = Interval(datetime(2026, 7, 15, 9, tzinfo=UTC), datetime(2026, 7, 15, 11, tzinfo=UTC))
"""17:00 to 19:00."""
PRODUCT = "cn.generic.dr.peak.day_ahead"
PRESS_KW, BASE_KW = 400.0, 100.0
"""What a press draws by itself, and what else each member draws."""

HAND = """\
  - id: hand-{n}
    name: Hand {n}
    connection_points:
      - id: hand-gate-{n}
        import_kw: 2000
        export_kw: 0
        meter: hand-meter-{n}
        tariff: network
        resources:
          - {{id: hand-base-{n}, kind: fixed_load, max_draw_kw: 300, max_age_s: 900}}
          - id: press-{n}
            kind: curtailable_load
            max_draw_kw: 500
            max_age_s: 900
            curtailable_share: 0.75
            curtailment_cost_per_kwh: 1.0
            longest_call_minutes: 240
            max_calls_per_day: 1
            notice_minutes: 90
"""
SITE = """\
  - id: site-{n}
    name: Site {n}
    connection_points:
      - id: site-gate-{n}
        import_kw: 2000
        export_kw: 1000
        meter: site-meter-{n}
        tariff: network
        resources:
          - {{id: site-base-{n}, kind: fixed_load, max_draw_kw: 300, max_age_s: 900}}
          - id: battery-{n}
            kind: storage
            capacity_kwh: 800
            max_charge_kw: 400
            max_discharge_kw: 400
            charge_efficiency: 1
            discharge_efficiency: 1
            min_soc: 0
            wear_cost_per_kwh: 0.5
            max_age_s: 900
"""
PARK = """\
park: by-hand
name: By hand
timezone: Asia/Shanghai
currency: CNY
minor_unit: "0.01"
limits: {{import_kw: 20000, export_kw: 10000}}
carbon: {{grid_kgco2_per_kwh: 0.5, source: a table, valid_from: 2025-01-01}}
tariffs:
  - id: network
    valid_from: 2025-01-01
    source: illustrative
    bands:
      - {{name: all, start: "00:00", end: "00:00", price_per_kwh: 0.2}}
    demand_charge_per_kw_month: 0
enterprises:
{members}bidding_units:
  - id: unit-a
    zone: SD
    resources: all
    products: [da, cn.generic.dr.peak.day_ahead]
    connected_kw: 9000
    declared_kw: 8000
    tested_kw: 7000
    trades_from: 2026-07-14T00:00:00+08:00
    trading_share: {{{shares}}}
trading: {{mode: simulated}}
markets: [da.yaml, dr.yaml]
strategies: TRADING
people:
  page: {{url: "http://127.0.0.1:8443", listen: {{port: 8443}}}}
  mail: {{host: 127.0.0.1, port: 2525, tls: none, from: vpp@park.example}}
  persons:
{persons}
instructions:
  tell_before_minutes: 240
  answer_before_minutes: 30
  remind_before_minutes: 15
  resources:
{reached}
simulation:
  first_delivery_day: 2026-07-15
  loads:
    file: series.csv
    courses:
{courses}
  generation: {{file: series.csv, courses: []}}
  outdoor: {{file: series.csv, series: []}}
  day_ahead_per_mwh: {{file: series.csv, column: price}}
  opening: {{soc: {{{socs}}}}}
  market:
    quarter_hour_noise_sd_per_mwh: 5
    quarter_hour_noise_correlation: 0.5
    imbalance_spread_per_mwh: 10
""".replace("TRADING", TRADING)


def park_text(*, hands: int, sites: int) -> str:
    """The park file of so many members of either kind."""
    hand, site = range(1, hands + 1), range(1, sites + 1)
    members = "".join([HAND.format(n=n) for n in hand] + [SITE.format(n=n) for n in site])
    names = [f"hand-{n}" for n in hand] + [f"site-{n}" for n in site]
    courses = [f"{name.replace('-', '-base-')}, column: load, times: 1" for name in names]
    courses += [f"press-{n}, column: load, times: 4" for n in hand]
    return PARK.format(
        members=members,
        shares=", ".join(f"{name}: 1" for name in names),
        persons="\n".join(
            f"    - {{id: person-{n}, name: 王 {n}, language: {'zh' if n % 2 else 'en'},"
            f" mail: person-{n}@park.example}}"
            for n in hand
        ),
        reached="\n".join(f"    - {{resource: press-{n}, person: person-{n}}}" for n in hand),
        courses="\n".join(f"      - {{resource: {course}}}" for course in courses),
        socs=", ".join(f"battery-{n}: 1.0" for n in site),
    )


def write_park(
    folder: Path, *, hands: int = 1, sites: int = 1, changes: Mapping[str, str] | None = None
) -> ParkFile:
    """The park, with pieces of its text replaced."""
    text = park_text(hands=hands, sites=sites)
    for old, new in (changes or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    rows = [f"{isoformat(FIRST + QUARTER * at)},100,300" for at in range(96 * 21)]
    (folder / "series.csv").write_text("\n".join(["interval_start,load,price", *rows]) + "\n")
    (folder / "da.yaml").write_text(DAY_AHEAD)
    rules = shipped("markets/cn_generic_dr_peak_day_ahead.yaml").read_text()
    (folder / "dr.yaml").write_text(rules.replace("min_mw: 1,", "min_mw: 0.1,"))
    (folder / "park.yaml").write_text(text)
    return load_park(folder / "park.yaml")


def staff(file: ParkFile, box: Postbox) -> PeopleDesk:
    """Everybody whom the park file knows, by mail."""
    mail = Channel(name="mail", port=box)
    persons = [
        Person(
            person_id=PersonId(one.id),
            name=one.name,
            language=one.language,
            addresses=(Address(channel=mail, to=one.mail or ""),),
        )
        for one in file.people.persons
    ]
    return PeopleDesk(
        persons={one.person_id: one for one in persons}, page_url="http://127.0.0.1:8443"
    )


def a_plant(
    file: ParkFile,
    folder: Path,
    *,
    box: Postbox | None = None,
    now: datetime = NOW,
    journal: Journal | None = None,
) -> Plant:
    """In full swing but for a plan; what people are told lies in `box`."""
    link = QuietLink()
    plant = build_plant(
        file,
        clock=SimulatedClock(now),
        data=folder,
        journal=MemoryJournal() if journal is None else journal,
        source=link,
        sink=link,
        venue=None,
        executor=InlineExecutor(),
        record=lambda measurement: True,
        people=staff(file, box or Postbox()),
    )
    assert file.simulation is not None
    give_history(plant, file.simulation, now)
    plant.reconciled = True
    plant.safe_state, plant.safe_state_reason = SafeState.NORMAL, ""
    return plant


def at(plant: Plant, moment: datetime) -> None:
    """It is that late."""
    plant.clock = SimulatedClock(moment)


def hear(plant: Plant, moment: datetime, **power_kw: float) -> None:
    """Every resource is heard: presses draw what is said, all others what they draw by themselves.

    A name is that of a resource with `_` for `-`.
    """
    for resource in plant.file.park.resources:
        name = resource.resource_id
        default = -PRESS_KW if name.startswith("press") else -BASE_KW
        if name.startswith("battery"):
            default = 0.0
        owner, site = plant.file.park.device_owner[name]
        message = TelemetryMessage(
            ts=isoformat(moment),
            seq=int(moment.timestamp()),
            power_kw=power_kw.get(name.replace("-", "_"), default),
            soc=1.0 if name.startswith("battery") else None,
        )
        taken = plant.intake.accept(
            topic(owner, site, name, "telemetry"), msgspec.json.encode(message), moment
        )
        if isinstance(taken, Reading) and name in plant.learnt:
            plant.means.add(taken)


async def planned(plant: Plant, moment: datetime, **power_kw: float) -> None:
    """Time comes to `moment`, everybody is heard, and the plan cycle of its quarter-hour runs."""
    at(plant, moment)
    hear(plant, moment, **power_kw)
    await cycle.plan(plant, latest_boundary(moment, QUARTER))
    assert plant.schedule is not None, plant.outcome


async def through_quarters(plant: Plant, span: Interval, **power_kw: float) -> None:
    """Everybody is heard each minute of a span, and the plan cycle runs at the end of each quarter-hour."""
    for quarter in span.split(QUARTER):
        for minute in range(15):
            hear(plant, quarter.start + timedelta(minutes=minute), **power_kw)
        await planned(plant, quarter.end, **power_kw)


def meter(plant: Plant, start: datetime, end: datetime, draw_kw: Mapping[str, float]) -> None:
    """Read all main meters each quarter-hour of a span; members draw what is said, else what they do by themselves."""
    for point in plant.file.park.connection_points:
        usual = BASE_KW + (PRESS_KW if point.enterprise_id.startswith("hand") else 0.0)
        kw = draw_kw.get(point.enterprise_id, usual)
        register_wh = _register(plant, point.meter_id, start)
        read(plant, point.meter_id, point.enterprise_id, start, register_wh)
        for quarter in Interval(start, end).split(QUARTER):
            register_wh += round(kw * 250)
            read(plant, point.meter_id, point.enterprise_id, quarter.end, register_wh)


async def called(plant: Plant, wanted_mw: str) -> Story:
    """The platform invites to peak-1, we nominate from the plan, it confirms all of it; an hour has passed since."""
    request = {
        "invitation_id": "peak-1",
        "revision": 1,
        "start": WINDOW.start,
        "end": WINDOW.end,
        "wanted_mw": wanted_mw,
        "price_cap_per_mwh": "3000",
        "reply_by": NOW + timedelta(minutes=45),
        "area": "east",
        "source": "the load-management platform",
    }
    meter(plant, FIRST, NOW, {})
    at(plant, NOW)
    invitation = InvitationRequest.model_validate(request)
    await demandresponse.take(plant, PRODUCT, invitation, now=NOW)
    await planned(plant, NOW)
    moment = NOW + timedelta(minutes=15)
    await demandresponse.advance(plant, moment)
    (story,) = plant.dr.book.stories()
    assert story.nomination is not None, story
    bids = plant.book.answer(story.nomination.bid_set_id).bid_set.bids
    award = {
        "award_id": "a",
        "revision": 1,
        "final": True,
        "bid_set_id": story.nomination.bid_set_id,
        "cleared": [
            {
                "bid_id": bid.bid_id,
                "start": bid.interval.start,
                "end": bid.interval.end,
                "quantity_mw": story.nomination.quantity_mw,
                "price_per_mwh": "3000",
            }
            for bid in bids
        ],
    }
    await awarding.book_award(plant, PRODUCT, AwardRequest.model_validate(award), now=moment)
    await demandresponse.advance(plant, moment)
    (story,) = plant.dr.book.stories()
    assert story.stage is Stage.CONFIRMED
    return story


def _register(plant: Plant, meter_id: ResourceId, moment: datetime) -> int:
    """Where the import register stands: it was read up to here, or begins at 0."""
    first = plant.meters.first_read_at(meter_id)
    if first is None or first >= moment:
        return 0
    energy = plant.meters.energy_wh(meter_id, Interval(first, moment))
    assert energy is not None
    return energy.import_wh - energy.export_wh
