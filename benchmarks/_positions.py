"""Random events upon a plant's position, and the position told again from the journal alone.

`Script` does what people and markets do, through the service's own functions: bids, awards and their revisions
(late, again, in conflict, for bids that nobody made), withdrawals, outside trades, contracts by series, calls,
restarts. `told_again` reads the journal's JSON and shares nothing with book, position or net position.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import numpy as np

from benchmarks._park import SmallPark, a_park
from vpp.errors import ConflictError, DataError
from vpp.model.horizon import Horizon
from vpp.model.resource import FixedLoad, Storage
from vpp.model.schedule import Schedule, Size
from vpp.model.time import QUARTER, Interval, isoformat
from vpp.ports import Journal
from vpp.service.api.markets import request_digest
from vpp.service.calls import activations
from vpp.service.feeds import door as series_door
from vpp.service.plant import Plant
from vpp.service.run import take
from vpp.service.solving.inline import InlineExecutor
from vpp.service.trading import awarding, outside, positions, trading
from vpp.service.trading.contractschema import ContractSection
from vpp.service.trading.schema import BidLimitsSection, TradingSection
from vpp.service.wiring import build_plant
from vpp.trade.calendar import TradeRefusal
from vpp.wire import ActivationRequest, AwardRequest, BidRequest, SeriesUpload
from vpp.wireposition import OutsideTradeRequest

STEP = timedelta(seconds=2)
"""Between two events: slower than the least rate that the limits take for a flood."""

DAY_AHEAD, QUARTER_HOUR = "se3-day-ahead", "se3-quarter-hour"
COLUMNS = ("contracts", "financial", "day_ahead", "intraday", "activated")
WIDE = TradingSection(
    mode="simulated",
    limits=BidLimitsSection(
        interval_times=Decimal(10_000),
        day_hours=Decimal(1_000_000),
        day_cost_per_mw=Decimal(1_000_000_000),
        most_refusals=10_000,
    ),
)
"""Limits that random trades do not reach: here positions are tried, not limits."""


def _contract(name: str, **more: Any) -> ContractSection:
    return ContractSection(
        id=name, side="buy" if name == "mlt-a" else "sell", quantity_series=f"contract.{name}",
        price_per_mwh=Decimal(50), counterparty="c", reason="a script", by="Ada", **more,
    )  # fmt: skip


CONTRACTS = (
    _contract("mlt-a", obligation="physical"),
    _contract("mlt-b", obligation="financial", reference_series="price.day-ahead.se3"),
)


@dataclass(slots=True, kw_only=True, eq=False)
class Clock:
    """A watch that the script sets."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass(slots=True, kw_only=True, eq=False)
class Script:
    """Random events, the same for the same seed."""

    park: SmallPark
    folder: Path
    chance: Random
    clock: Clock
    plant: Plant
    begins: datetime
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    sets: list[dict[str, Any]] = field(default_factory=list)
    awards: dict[str, dict[str, Any]] = field(default_factory=dict)
    deals: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    number: int = 0

    @property
    def span(self) -> Interval:
        """All that events are about."""
        return Interval(self.begins, self.begins + timedelta(hours=37))

    async def happen(self) -> None:
        """One event."""
        self.clock.at += STEP
        self.number += 1
        self._plan()
        kinds: dict[Callable[[], Awaitable[None]], int] = {
            self._bid: 25, self._award: 30, self._withdraw: 3, self._deal: 15,
            self._take_back: 4, self._contract: 6, self._call: 6,
        }  # fmt: skip
        (one,) = self.chance.choices(list(kinds), list(kinds.values()))
        if self.chance.random() < 0.005:
            one = self.restart
        self.done[one.__name__.strip("_")] += 1
        try:
            await one()
        except TradeRefusal as refusal:
            self.refused[refusal.code] += 1
        except (ConflictError, DataError) as error:
            self.refused[type(error).__name__] += 1

    def _plan(self) -> None:
        """As if a plan had been made now: it knows every call."""
        plant = self.plant
        plant.calls_planned = plant.book.calls.keys()
        if plant.schedule is None or self.clock.at - plant.schedule.issued_at > QUARTER:
            plant.schedule = replace(a_schedule(plant, self.begins), issued_at=self.clock.at)

    async def _bid(self) -> None:
        daily = self.chance.random() < 0.03
        product = self.plant.products[DAY_AHEAD if daily else QUARTER_HOUR]  # type: ignore[index]
        delivery = product.delivery_at(
            self.clock.at + (timedelta(days=1) if daily else self.chance.randrange(1, 30) * QUARTER)
        )
        span = {"start": delivery.start, "end": delivery.end}
        request = BidRequest.model_validate({"request_id": f"r-{self.number}", "delivery": span})
        answer = await trading.answer_bid_request(
            self.plant,
            product.product_id,
            request,
            digest=request_digest(request),
            now=self.clock.at,
        )
        self.sets.append(msgspec.json.decode(answer))

    async def _award(self) -> None:
        old = [name for name in self.awards if self.chance.random() < 0.5]
        if old and self.chance.random() < 0.5:
            await self._award_again(self.chance.choice(old))
            return
        if not self.sets:
            return
        name, chosen = f"a-{self.number}", self.chance.choice(self.sets[-200:])
        self.awards[name] = {"revision": self.chance.randrange(3), "set": chosen}
        await self._award_again(name)

    async def _award_again(self, name: str) -> None:
        """A new revision, one that was left out, or the last one with other numbers."""
        known = self.awards[name]
        known["revision"] += self.chance.choice((0, 1, 2, 3))
        late = self.chance.choice((0, 0, 1, 2))
        bids = known["set"]["bids"]
        body = {
            "award_id": name,
            "revision": max(known["revision"] - late, 1),
            "final": self.chance.random() < 0.8,
            "bid_set_id": known["set"]["bid_set_id"],
            "cleared": [
                self._cleared(bid)
                for bid in self.chance.sample(bids, min(len(bids), self.chance.randrange(1, 6)))
            ],
        }
        request = AwardRequest.model_validate_json(json.dumps(body))
        await awarding.book_award(self.plant, known["set"]["product"], request, now=self.clock.at)

    def _cleared(self, bid: Mapping[str, Any]) -> dict[str, str]:
        """Some of a bid, now and then more than was bid, or of one that nobody made."""
        bid_id = bid["bid_id"]
        if self.chance.random() < 0.03:
            bid_id = self.chance.choice(("not ours", f"{bid_id.rsplit('/', 1)[0]}/999"))
        return {
            "bid_id": bid_id,
            "start": bid["start"],
            "end": bid["end"],
            "quantity_mw": str(Decimal(self.chance.randrange(0, 40)) / 10),
            "price_per_mwh": str(self.chance.randrange(-50, 200)),
        }

    async def _withdraw(self) -> None:
        if self.sets:
            chosen = self.chance.choice(self.sets)
            await trading.withdraw(
                self.plant, chosen["product"], chosen["bid_set_id"], now=self.clock.at
            )

    async def _deal(self) -> None:
        old = self.deals and self.chance.random() < 0.4
        name = self.chance.choice(list(self.deals)) if old else f"d-{self.number}"
        self.deals[name] = max(1, self.deals.get(name, 0) + self.chance.choice((1, 1, 2, 0, -1)))
        start = self.begins + self.chance.randrange(100) * QUARTER
        financial = self.chance.random() < 0.3
        body = {
            "trade_id": name,
            "revision": self.deals[name],
            "product": self.chance.choice((DAY_AHEAD, QUARTER_HOUR, "forward", "forward")),
            "start": isoformat(start),
            "end": isoformat(start + self.chance.randrange(1, 40) * QUARTER),
            "side": self.chance.choice(("buy", "sell")),
            "quantity_mw": str(Decimal(self.chance.randrange(0, 300)) / 100),
            "price_per_mwh": "40",
            "obligation": "financial" if financial else "physical",
            "counterparty": "c",
            "reason": "a script",
            "by": "Ada",
        } | ({"reference_series": "price.day-ahead.se3"} if financial else {})
        request = OutsideTradeRequest.model_validate_json(json.dumps(body))
        await outside.take(self.plant, request, now=self.clock.at)

    async def _take_back(self) -> None:
        if self.deals:
            name = self.chance.choice(list(self.deals))
            gone = await outside.withdraw(
                self.plant, name, reason="a script", by="Bo", now=self.clock.at
            )
            if gone is not None:
                self.deals[name] = max(self.deals[name], gone.revision)

    async def _contract(self) -> None:
        """Some quarter-hours of a curve anew; None takes one out."""
        first = self.chance.randrange(120)
        values = [
            self.chance.choice((None, 0.0, 0.5, 1.25, round(self.chance.uniform(0, 3), 3)))
            for _ in range(self.chance.randrange(1, 28))
        ]
        upload = SeriesUpload.model_validate(
            {
                "unit": "MW",
                "resolution_s": 900,
                "issued_at": self.clock.at - self.chance.randrange(3) * STEP,
                "source": "script",
                "revision": self.number,
                "values": [
                    {"interval_start": self.begins + (first + k) * QUARTER, "value": value}
                    for k, value in enumerate(values)
                ],
            }
        )
        series_id = self.chance.choice(CONTRACTS).quantity_series
        await series_door.put_series(self.plant, series_id, upload, now=self.clock.at)

    async def _call(self) -> None:
        old = self.calls and self.chance.random() < 0.4
        name = self.chance.choice(list(self.calls)) if old else f"c-{self.number}"
        self.calls[name] = max(1, self.calls.get(name, 0) + self.chance.choice((1, 1, 2, 0, -1)))
        start = self.begins + self.chance.randrange(100) * QUARTER
        request = ActivationRequest.model_validate(
            {
                "activation_id": name,
                "revision": self.calls[name],
                "start": start,
                "end": start + self.chance.randrange(1, 12) * QUARTER,
                "direction": self.chance.choice(("up", "down")),
                "quantity_mw": Decimal(self.chance.randrange(0, 20)) / 10,
                "source": "grid",
            }
        )
        product = self.chance.choice((DAY_AHEAD, QUARTER_HOUR))
        await activations.take(self.plant, product, request, now=self.clock.at)

    async def restart(self) -> None:
        self.plant = rebuilt(self.park, self.plant.journal, self.clock, self.folder)

    def wrong(self) -> list[str]:
        """Where the net position differs from what the journal says."""
        told = told_again(self.plant.journal, self.span)
        found = []
        for line in positions.net_lines(self.plant, self.span):
            for name in COLUMNS:
                shown, true = getattr(line, f"{name}_mw"), told[line.interval.start][name]
                if shown != true:
                    found.append(f"{name} at {isoformat(line.interval.start)}: {shown}, not {true}")
        return found


def script(folder: Path, seed: int) -> Script:
    """The demo park on the eve, an hour before the day-ahead gate."""
    park = a_park(time(11), folder)
    clock = Clock(at=park.plant.clock.now())
    plant = rebuilt(park, park.plant.journal, clock, folder)
    return Script(
        park=park, folder=folder, chance=Random(seed), clock=clock, plant=plant, begins=clock.at
    )


def rebuilt(park: SmallPark, journal: Journal, clock: Clock, folder: Path) -> Plant:
    """What a restart does: everything from the journal, devices heard again."""
    file, whole = park.plant.file, park.plant.file.park
    units = tuple(replace(u, trades_from=park.plant.started_at) for u in whole.bidding_units)
    plant = build_plant(
        replace(file, park=replace(whole, bidding_units=units), trading=WIDE, contracts=CONTRACTS),
        clock=clock,
        data=folder,
        journal=journal,
        source=park.plant.source,
        sink=park.plant.sink,
        venue=None,
        executor=InlineExecutor(),
        record=lambda measurement: True,
    )
    plant.events.hush()  # thousands of awards that fit no bid are meant
    plant.reconciled = True
    for topic, payload in park.messages():
        take(plant, topic, payload)
    return plant


def a_schedule(plant: Plant, begins: datetime) -> Schedule:
    """37 hours: each fixed load draws 100 kW, each store moves 200 kW back and forth by the hour."""
    park, horizon = plant.file.park, Horizon(begins, QUARTER, 4 * 37)
    power = np.zeros((len(park.resources), horizon.steps))
    swing = np.where(np.arange(horizon.steps) // 4 % 2 == 0, 200.0, -200.0)
    for row, resource in enumerate(park.resources):
        if isinstance(resource, FixedLoad):
            power[row] = -100.0
        elif isinstance(resource, Storage):
            power[row] = np.clip(swing, -resource.max_charge_kw, resource.max_discharge_kw)
    stores = [r for r in park.resources if isinstance(r, Storage)]
    return Schedule(
        plan_id="plan-1",
        issued_at=begins,
        horizon=horizon,
        resource_ids=tuple(r.resource_id for r in park.resources),
        power_kw=power,
        stored_kwh={r.resource_id: np.full(horizon.steps, r.capacity_kwh / 2) for r in stores},
        temperature_degc={},
        connection_point_kw={
            p.connection_point_id: power[
                [r.connection_point_id == p.connection_point_id for r in park.resources]
            ].sum(axis=0)
            for p in park.connection_points
        },
        net_kw=power.sum(axis=0),
        committed_kw=np.zeros(horizon.steps),
        trade_kw={},
        stored_value_per_kwh={r.resource_id: np.full(horizon.steps, 0.05) for r in stores},
        net_value_per_kwh=np.full(horizon.steps, 0.05),
        starts={},
        unserved_kwh={},
        cost_by_cause={},
        gap=0.0,
        size=Size(columns=0, rows=0, nonzeros=0, binaries=0),
        build_s=0.0,
        solve_s=0.0,
        strategy_version="s",
        input_digest="i",
    )


# ---------------------------------------------------------------- from the journal alone


def told_again(journal: Journal, span: Interval) -> Mapping[datetime, Mapping[str, Decimal]]:
    """MW by quarter-hour and column, slowly, from the entries' JSON."""
    kinds = ("bid_set", "award", "outside_trade", "activation", "series")
    newest: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
    bids: dict[str, dict[str, tuple[str, str]]] = {}
    curves: dict[str, dict[datetime, tuple[tuple[datetime, int], float | None]]] = {}
    for entry in journal.entries(*kinds):
        body = json.loads(entry.body, parse_float=str)
        if entry.kind == "bid_set":
            made = body["response"]
            bids[made["bid_set_id"]] = {
                bid["bid_id"]: (made["product"], bid["side"]) for bid in made["bids"]
            }
        elif entry.kind == "series":
            _put(curves.setdefault(entry.key.rsplit("/", 1)[0], {}), body)
        else:
            name, _, revision = entry.key.rpartition("/")
            if int(revision) > newest.get((entry.kind, name), (0, {}))[0]:
                newest[entry.kind, name] = int(revision), body
    table = {part.start: dict.fromkeys(COLUMNS, Decimal(0)) for part in span.split(QUARTER)}
    for (kind, _), (_, body) in newest.items():
        for column, start, end, mw in _moves(kind, body, bids):
            _add(table, column, start, end, mw)
    for contract in CONTRACTS:
        column = "contracts" if contract.obligation == "physical" else "financial"
        for start, (_, value) in curves.get(contract.quantity_series, {}).items():
            if value is not None:
                sign = 1 if contract.side == "sell" else -1
                _add(table, column, start, start + QUARTER, sign * Decimal(str(float(value))))
    return table


def _put(
    curve: dict[datetime, tuple[tuple[datetime, int], float | None]], body: Mapping[str, Any]
) -> None:
    """The later issue wins, of equal ones the higher revision."""
    issued = _time(body["issued_at"]), int(body["revision"])
    for one in body["values"]:
        start = _time(one["interval_start"])
        if start not in curve or curve[start][0] < issued:
            curve[start] = issued, one["value"]


def _moves(
    kind: str, body: Mapping[str, Any], bids: Mapping[str, Mapping[str, tuple[str, str]]]
) -> list[tuple[str, datetime, datetime, Decimal]]:
    """(column, start, end, MW sold) of the standing revision of one thing."""
    if kind == "activation":
        mw = Decimal(body["quantity_mw"]) * _sign(body["side"])
        return [("activated", _time(body["start"]), _time(body["end"]), mw)]
    if kind == "outside_trade":
        mw = Decimal(body["quantity_mw"]) * _sign(body["side"])
        column = _column(body["product"]) if body["obligation"] == "physical" else "financial"
        return [(column, _time(body["start"]), _time(body["end"]), mw)]
    moves = []
    ours = bids.get(body["award"]["bid_set_id"], {})
    for line in body["award"]["cleared"]:
        parts = line["bid_id"].split("/")
        if line["bid_id"] in ours:
            product, side = ours[line["bid_id"]]
        elif len(parts) == 5:
            product, side = parts[0], parts[3]
        else:
            continue
        mw = Decimal(line["quantity_mw"]) * _sign(side)
        moves.append((_column(product), _time(line["start"]), _time(line["end"]), mw))
    return moves


def _column(product: str) -> str:
    return {DAY_AHEAD: "day_ahead", QUARTER_HOUR: "intraday"}.get(product, "contracts")


def _sign(side: str) -> int:
    return 1 if side == "sell" else -1


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _add(
    table: dict[datetime, dict[str, Decimal]],
    column: str,
    start: datetime,
    end: datetime,
    mw: Decimal,
) -> None:
    while start < end:
        if start in table:
            table[start][column] += mw
        start += QUARTER
