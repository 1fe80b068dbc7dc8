"""The simulated market: a stranger who asks for bids, clears them, pays, and keeps its own books.

    gate − ask_before ──▶ POST …/bids          ask, note the answer
    gate + results    ──▶ POST …/awards        clear at the price of each interval, tell the result
                          PUT  /v1/series/…    publish the prices
    delivery + 1 min  ──▶ PUT  /v1/series/…    imbalance prices; settle by the true registers

It knows the service by its HTTP contract alone. What cannot be delivered now (an award, a price)
is sent again, with the same ids, each time the market acts, until it is acknowledged or refused.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any, TypeAlias

from vpp.errors import RejectedError, UnavailableError
from vpp.simulate.auction import Auction, is_auctioned, iso, read_auction, utc
from vpp.simulate.exchange import Exchange
from vpp.simulate.ledger import Ledger, Slot, Trade, clear
from vpp.simulate.prices import Prices

log = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
RESULTS, SETTLEMENT, ASK = range(3)
"""Order of what is due at the same moment."""

Action: TypeAlias = Callable[[datetime], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Registration:
    """A bidding unit that is registered at this venue."""

    unit: str
    trades_from: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTimes:
    """When the venue does what, relative to gates and deliveries."""

    ask_daily_before: timedelta = timedelta(minutes=5)
    ask_rolling_before: timedelta = timedelta(seconds=60)
    daily_results_after: timedelta = timedelta(minutes=45)
    rolling_results_after: timedelta = timedelta(seconds=60)
    imbalance_after: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesIds:
    """Under which names, and in which unit, the venue publishes its prices."""

    unit: str
    """Such as `EUR/MWh`."""
    day_ahead: str
    quarter_hour: str | None
    """None where the venue holds no such auction."""
    short: str
    long: str
    """The same as `short` where one price of the real time pays for both."""


@dataclass(frozen=True, slots=True)
class _Post:
    """Something the service must acknowledge."""

    method: str
    path: str
    body: Mapping[str, Any]
    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class _Received:
    """A bid set on its way to the auction."""

    unit: str
    content: Mapping[str, Any]


class Market:
    """A venue with some auctions. `next_due` says when it wants to `act` again."""

    def __init__(
        self,
        exchange: Exchange,
        prices: Prices,
        ledger: Ledger,
        registrations: Sequence[Registration],
        metered_wh: Callable[[str, Slot], int],
        *,
        seed: int,
        opened_at: datetime,
        times: VenueTimes | None = None,
        series: SeriesIds,
        publishes: bool = True,
    ) -> None:
        """Make a market; nothing is asked before `start`.

        Args:
            exchange: How the service is asked.
            prices: What every interval clears at.
            ledger: The venue's books.
            registrations: Who may bid, from which delivery on.
            metered_wh: True net injection of a unit in a slot that is over, in Wh.
            seed: Enters the ids, so that two runs are told apart.
            opened_at: The simulation's first moment; nothing before it is asked.
            times: When it does what.
            series: Names of the published series.
            publishes: False where somebody else publishes the prices.
        """
        self._exchange = exchange
        self._prices = prices
        self._ledger = ledger
        self._registrations = tuple(registrations)
        self._metered_wh = metered_wh
        self._seed = seed
        self._opened_at = opened_at
        self._times = times or VenueTimes()
        self._series = series
        self._publishes = publishes
        self._agenda: list[tuple[datetime, int, int, Action]] = []
        self._ticket = count()
        self._unsent: deque[_Post] = deque()

    async def start(self) -> None:
        """Read the products and put the first gates on the agenda.

        Raises:
            UnavailableError: The service does not answer.
            RejectedError: It answers something that no market can be made of.
        """
        self._exchange.start()
        answer = await self._exchange.request("GET", "/v1/markets")
        if answer.status != 200:
            raise RejectedError(
                f"GET /v1/markets gives {answer.code}",
                where="service",
                fix="Check its address",
            )
        try:
            content = answer.content
            products = content["products"] if isinstance(content, dict) else content
            auctions = [read_auction(p) for p in products if is_auctioned(p)]
        except (LookupError, TypeError, ValueError) as error:
            raise RejectedError(
                f"{error!r} in GET /v1/markets", where="service", fix="Keep to the contract"
            ) from error
        for auction in auctions:
            before = self._ask_before(auction)
            delivery = auction.first_open(self._opened_at, before)
            self._plan_auction(auction, delivery)
        first = self._opened_at - (self._opened_at - EPOCH) % QUARTER
        self._plan_settlement(first if first == self._opened_at else first + QUARTER)

    def next_due(self) -> datetime:
        """When `act` should be called next.

        Raises:
            UnavailableError: The market has not been started.
        """
        if not self._agenda:
            raise UnavailableError(
                "the market has no agenda", where="Market", fix="Call start() first"
            )
        return self._agenda[0][0]

    async def act(self, now: datetime) -> None:
        """Do all that is due until `now`, in order of time."""
        await self._send_unsent()
        while self._agenda and self._agenda[0][0] <= now:
            *_, action = heapq.heappop(self._agenda)
            await action(now)

    async def stop(self) -> None:
        """Break off retries and close the connection."""
        await self._exchange.stop()

    @property
    def unsent(self) -> int:
        """Awards and prices that the service has not acknowledged yet."""
        return len(self._unsent)

    # ------------------------------------------------------------ agenda

    def _at(self, when: datetime, rank: int, action: Action) -> None:
        heapq.heappush(self._agenda, (when, rank, next(self._ticket), action))

    def _ask_before(self, auction: Auction) -> timedelta:
        return self._times.ask_daily_before if auction.daily else self._times.ask_rolling_before

    def _plan_auction(self, auction: Auction, delivery: Slot) -> None:
        asked_at = auction.closes_at(delivery) - self._ask_before(auction)
        self._at(asked_at, ASK, partial(self._ask, auction, delivery))

    def _plan_settlement(self, start: datetime) -> None:
        slot = (start, start + QUARTER)
        self._at(slot[1] + self._times.imbalance_after, SETTLEMENT, partial(self._settle, slot))

    # ------------------------------------------------------------ what is done

    async def _ask(self, auction: Auction, delivery: Slot, now: datetime) -> None:
        self._plan_auction(auction, auction.following(delivery))
        received = []
        for registration in self._registrations:
            if registration.unit in auction.units and delivery[0] >= registration.trades_from:
                content = await self._ask_unit(auction, delivery, registration.unit, now)
                if content is not None:
                    received.append(_Received(registration.unit, content))
        after = self._times
        results_after = after.daily_results_after if auction.daily else after.rolling_results_after
        results_at = auction.closes_at(delivery) + results_after
        self._at(results_at, RESULTS, partial(self._results, auction, delivery, received))

    async def _ask_unit(
        self, auction: Auction, delivery: Slot, unit: str, now: datetime
    ) -> Mapping[str, Any] | None:
        request_id = self._request_id(auction, delivery, unit)
        span = {"start": iso(delivery[0]), "end": iso(delivery[1])}
        body = {"request_id": request_id, "unit": unit, "delivery": span}
        path = f"/v1/markets/{auction.product}/bids"
        self._ledger.write("asked", request_id=request_id, at=now, **span)
        try:
            answer = await self._exchange.request("POST", path, body, retry_busy=False)
        except UnavailableError as error:
            log.warning("no bid for %s: %s", request_id, error)
            self._ledger.write("no_bid", request_id=request_id, code="unreachable")
            return None
        content = answer.content
        if answer.status >= 300 or not isinstance(content, dict) or "bid_set_id" not in content:
            self._ledger.write("no_bid", request_id=request_id, code=answer.code)
            return None
        self._ledger.received(
            str(content["bid_set_id"]),
            hashlib.sha256(answer.raw).hexdigest(),
            request_id=request_id,
            bids=len(content.get("bids", ())),
        )
        return content

    async def _results(
        self, auction: Auction, delivery: Slot, received: Sequence[_Received], now: datetime
    ) -> None:
        for bid_set in received:
            award, trades = self._clear(auction, delivery, bid_set)
            self._ledger.cleared(award["bid_set_id"], award["award_id"], trades)
            path = f"/v1/markets/{auction.product}/awards"
            self._unsent.append(_Post("POST", path, award, "award", award["award_id"]))
        series_id = self._series.day_ahead if auction.daily else self._series.quarter_hour
        if series_id is None:
            raise UnavailableError(
                f"no series for the prices of {auction.product}",
                where="Market",
                fix="Name one for the quarter-hour auction",
            )
        prices = {slot[0]: self._price(auction, slot[0]) for slot in auction.slots(delivery)}
        self._publish(series_id, prices, auction.interval, now)
        await self._send_unsent()

    def _clear(
        self, auction: Auction, delivery: Slot, received: _Received
    ) -> tuple[dict[str, Any], list[Trade]]:
        """The award for a bid set, and the trades it makes."""
        slots = set(auction.slots(delivery))
        cleared, rejected, trades = [], [], []
        for bid in received.content.get("bids", ()):
            try:
                slot = (utc(bid["start"]), utc(bid["end"]))
                price = self._price(auction, slot[0]) if slot in slots else None
                bid_id = str(bid["bid_id"])
                taken_mw = clear(bid, price) if price is not None else Decimal(0)
            except (LookupError, TypeError, ValueError, ArithmeticError) as error:
                self._ledger.write("bad_bid", bid=str(bid)[:200], reason=repr(error))
                price, taken_mw = None, Decimal(0)
            if price is None or not taken_mw:
                rejected.append(str(bid.get("bid_id", "")))
                continue
            cleared.append(
                {
                    "bid_id": bid_id,
                    "start": iso(slot[0]),
                    "end": iso(slot[1]),
                    "quantity_mw": str(taken_mw),
                    "price_per_mwh": str(price),
                }
            )
            net_mw = taken_mw if bid["side"] == "sell" else -taken_mw
            kind = "day_ahead" if auction.daily else "quarter_hour"
            trades.append(Trade(kind, received.unit, slot, net_mw, price))
        award = {
            "award_id": f"award:{self._request_id(auction, delivery, received.unit)}",
            "revision": 1,
            "final": True,
            "bid_set_id": received.content["bid_set_id"],
            "cleared": cleared,
            "rejected": rejected,
        }
        return award, trades

    def _price(self, auction: Auction, start: datetime) -> Decimal | None:
        return (self._prices.day_ahead if auction.daily else self._prices.quarter_hour)(start)

    async def _settle(self, slot: Slot, now: datetime) -> None:
        self._plan_settlement(slot[1])
        short, long = self._prices.short(slot[0]), self._prices.long(slot[0])
        for series_id, price in {self._series.short: short, self._series.long: long}.items():
            self._publish(series_id, {slot[0]: price}, QUARTER, now)
        take_back = self._prices.take_back(slot[0])
        for registration in self._registrations:
            if slot[0] >= registration.trades_from:
                metered_wh = self._metered_wh(registration.unit, slot)
                self._ledger.settle(registration.unit, slot, metered_wh, short, long, take_back)
        await self._send_unsent()

    def _publish(
        self,
        series_id: str,
        prices: Mapping[datetime, Decimal | None],
        resolution: timedelta,
        now: datetime,
    ) -> None:
        if not self._publishes:
            return
        known = {start: price for start, price in prices.items() if price is not None}
        if not known:
            self._ledger.write("no_price", series=series_id, start=min(prices))
            return
        body = {
            "unit": self._series.unit,
            "resolution_s": int(resolution.total_seconds()),
            "issued_at": iso(now),
            "source": "recorded" if series_id == self._series.day_ahead else "illustrative",
            "revision": 1,
            "values": [
                {"interval_start": iso(start), "value": float(price)}
                for start, price in known.items()
            ],
        }
        self._unsent.append(_Post("PUT", f"/v1/series/{series_id}", body, "price", series_id))

    # ------------------------------------------------------------ telling

    async def _send_unsent(self) -> None:
        """Send what waits, in order; stop at the first that the service does not take now."""
        while self._unsent:
            post = self._unsent[0]
            try:
                answer = await self._exchange.request(post.method, post.path, post.body)
            except UnavailableError as error:
                log.warning("%s %s waits: %s", post.kind, post.key, error)
                return
            self._unsent.popleft()
            if answer.status < 300:
                self._ledger.write(f"{post.kind}_acknowledged", key=post.key)
                continue
            log.warning("%s %s was refused: %s", post.kind, post.key, answer.code)
            self._ledger.write(f"{post.kind}_refused", key=post.key, code=answer.code)

    def _request_id(self, auction: Auction, delivery: Slot, unit: str) -> str:
        """The same for the same seed, product, unit and delivery; at most 64 characters."""
        text = f"{self._seed}/{auction.product}/{unit}/{iso(delivery[0])}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{auction.product}:{delivery[0]:%Y%m%dT%H%MZ}:{digest}"
