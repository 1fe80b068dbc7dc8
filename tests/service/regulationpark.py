"""The big park, registered for regulation and reserve: awards, signals and meters by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.service.drpark import DAY_AHEAD, TEN_TIMES, a_plant, planned, write_park
from vpp.clock import SimulatedClock
from vpp.model.ids import ProductId, ResourceId
from vpp.model.market import Bid
from vpp.model.measurement import MeterReading
from vpp.model.time import Interval, isoformat
from vpp.service.calls import activations
from vpp.service.park.config import ConfigErrors, shipped
from vpp.service.park.parkfile import load_park
from vpp.service.plant import Plant
from vpp.service.trading import awarding, trading
from vpp.wire import ActivationRequest, AwardRequest, BidRequest, TelemetryMessage, topic

D = Decimal
MILEAGE, CAPACITY, ENERGY = "cn.hn.fr.mileage", "de.afrr.capacity.pos", "de.afrr.energy.pos"
BIG = TEN_TIMES | {"capacity_kwh: 2000": "capacity_kwh: 2000000"}
BATTERY = ResourceId("battery")


def a_park(
    folder: Path, *names: str, euro: bool = False, rules: dict[str, str] | None = None
) -> Plant:
    """The big park, registered for these shipped products beside the day-ahead market."""
    products = "products: [da, cn.generic.dr.peak.day_ahead]"
    changes = BIG | {products: f"products: [da, {', '.join(names)}]"}
    files = [f"{name.replace('.', '_')}.yaml" for name in names]
    changes |= {"markets: [da.yaml, dr.yaml]": f"markets: [da.yaml, {', '.join(files)}]"}
    changes |= {
        "trading: {mode: simulated}": "trading: {mode: simulated, regulation_rate_share_per_min: 0.15}"
    }
    if euro:
        changes |= {"currency: CNY": "currency: EUR"}
    with pytest.raises(ConfigErrors):  # the rule files come next
        write_park(folder, changes=changes)
    for file in files:
        text = shipped(f"markets/{file}").read_text()
        for old, new in (rules or {}).items():
            text = text.replace(old, new)
        (folder / file).write_text(text)
    day_ahead = DAY_AHEAD.replace("CNY", "EUR") if euro else DAY_AHEAD
    (folder / "da.yaml").write_text(day_ahead)
    return a_plant(load_park(folder / "park.yaml"), folder)


async def bids_of(
    plant: Plant, name: str, delivery: Interval, now: datetime
) -> tuple[str, list[Bid]]:
    plant.clock = SimulatedClock(now)
    span = {"start": isoformat(delivery.start), "end": isoformat(delivery.end)}
    body = {"request_id": f"{name}-{delivery.start:%d%H%M}", "delivery": span}
    request = BidRequest.model_validate(body)
    await trading.answer_bid_request(plant, name, request, digest="d", now=now)
    found = plant.book.newest_of(
        ProductId(name), plant.file.park.bidding_units[0].unit_id, delivery
    )
    assert found is not None
    return found.bid_set_id, list(found.bids)


async def award(
    plant: Plant,
    name: str,
    bid_set_id: str,
    lines: list[tuple[Bid, str, str]],
    now: datetime,
    *,
    award_id: str = "a",
    revision: int = 1,
) -> None:
    body = {
        "award_id": f"{award_id}-{bid_set_id}",
        "revision": revision,
        "final": True,
        "bid_set_id": bid_set_id,
    }
    body |= {
        "cleared": [
            {"bid_id": bid.bid_id, "start": bid.interval.start, "end": bid.interval.end}
            | {"quantity_mw": mw, "price_per_mwh": price}
            for bid, mw, price in lines
        ]
    }
    await awarding.book_award(plant, name, AwardRequest.model_validate(body), now=now)


async def signal(
    plant: Plant, name: str, mw: str, now: datetime, *, revision: int, span: Interval
) -> None:
    plant.clock = SimulatedClock(now)
    request = ActivationRequest.model_validate(
        {"activation_id": f"agc-{name}", "revision": revision, "start": span.start, "end": span.end}
        | {"direction": "up" if D(mw) >= 0 else "down", "quantity_mw": str(abs(D(mw)))}
        | {"source": "AGC"}
    )
    await activations.take(plant, name, request, now=now)


ASKED_AT = datetime(2026, 7, 15, 3, 30, tzinfo=UTC)
"""Half an hour before the gate of the Hunan market for the day after."""
DAY = Interval(datetime(2026, 7, 15, 16, tzinfo=UTC), datetime(2026, 7, 16, 16, tzinfo=UTC))
HOUR = Interval(datetime(2026, 7, 16, 9, tzinfo=UTC), datetime(2026, 7, 16, 10, tzinfo=UTC))
COURSE = ["10", "-10", "10", "-10", "10", "-10", "0"]
"""10 + 5 · 20 + 10: a mileage of 120 MW."""
EVERY = timedelta(minutes=5)


async def regulating(plant: Plant) -> None:
    """10 MW of regulation for the hour, at 10 CNY per MW of mileage."""
    await planned(plant, ASKED_AT)
    name, bids = await bids_of(plant, MILEAGE, DAY, ASKED_AT)
    (bid,) = [bid for bid in bids if bid.interval == HOUR]
    await award(plant, MILEAGE, name, [(bid, "10", "10")], ASKED_AT)


def hear_meters(plant: Plant, at: datetime, seq: int) -> None:
    """Every device again, and main meters that show what was planned."""
    schedule = plant.schedule
    assert schedule is not None
    step = schedule.horizon.index(at)
    park = plant.file.park
    meters = {p.meter_id: p.connection_point_id for p in park.connection_points}
    hours = (at - schedule.horizon.start) / timedelta(hours=1)
    for device, (owner, site) in park.device_owner.items():
        kw = 0.0
        if device in meters:
            kw = float(schedule.connection_point_kw[meters[device]][step])
        elif device != BATTERY:
            kw = float(schedule.power_kw[schedule.resource_ids.index(device), step])
        for when, number in ((schedule.horizon.start, seq), (at, seq + 1)):
            later = when == at
            message = TelemetryMessage(
                ts=isoformat(when),
                seq=number,
                power_kw=kw,
                soc=0.5 if device == BATTERY else None,
                temperature_degc=-20.0 if device == "cold" else None,
                import_wh=(round(-kw * hours * 1000) if later else 0) if device in meters else None,
                export_wh=0 if device in meters else None,
            )
            path = topic(owner, site, device, "telemetry")
            plant.intake.accept(path, msgspec.json.encode(message), at)
    for meter_id, point in meters.items():
        kw = float(schedule.connection_point_kw[point][step])
        for when in (schedule.horizon.start, at):
            gone = (when - schedule.horizon.start) / timedelta(hours=1)
            plant.meters.add(
                MeterReading(
                    meter_id=meter_id,
                    enterprise_id=park.point_by_id[point].enterprise_id,
                    measured_at=when,
                    received_at=at,
                    seq=seq,
                    import_wh=10**10 + round(-kw * gone * 1000),
                    export_wh=0,
                    power_kw=kw,
                )
            )
