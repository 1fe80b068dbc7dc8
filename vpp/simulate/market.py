"""The simulated market: a stranger who asks for bids, clears them, pays, and keeps its own books.

    gate − ask_before ──▶ POST …/bids          ask, note the answer
    gate + results    ──▶ POST …/awards        clear at the price of each interval, tell the result
                          PUT  /v1/series/…    publish the prices
    delivery + 1 min  ──▶ PUT  /v1/series/…    imbalance prices; settle by the true registers

It knows the service by its HTTP contract alone. What cannot be delivered now (an award, a price)
is sent again, with the same ids, each time the market acts, until it is acknowledged or refused;
an award also after the market was killed, where its ledger is on disk.

How a product is cleared says its rule (`clearinghouse.py`). A unit that has sent its bids is not asked:
the venue's hall (`hall.py`) takes them, and lists the awards.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from typing import TypeAlias

from vpp.errors import RejectedError, UnavailableError
from vpp.simulate.auction import Auction, is_auctioned, iso, read_auction
from vpp.simulate.clearinghouse import Clearinghouse, Received, Result, book, note
from vpp.simulate.clearingrules import Clearing, Regulation
from vpp.simulate.exchange import Exchange
from vpp.simulate.hall import Hall
from vpp.simulate.ledger import QUARTER, Ledger, Slot
from vpp.simulate.outbox import Outbox, Post
from vpp.simulate.prices import Prices
from vpp.simulate.regulation import Held, held, signal
from vpp.simulate.strangers import dice_of
from vpp.simulate.venuefaults import VenueFaults

log = logging.getLogger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RESULTS, SETTLEMENT, ASK, CALL = range(4)
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
        clearing: Mapping[str, Clearing] | None = None,
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
            clearing: How products are cleared; the others all at the recorded price, and of them only energy.
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
        self._house = Clearinghouse(prices, clearing or {}, seed)
        self._auctions: dict[str, Auction] = {}
        self.hall = Hall(
            ledger,
            self._house,
            self._auctions,
            VenueFaults(),
            results_after=self._results_after,
        )
        self._agenda: list[tuple[datetime, int, int, Action]] = []
        self._ticket = count()
        self._outbox = Outbox(exchange, ledger)

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
            ruled = self._house.ruled
            auctions = [read_auction(p) for p in products if is_auctioned(p, ruled)]
        except (LookupError, TypeError, ValueError) as error:
            raise RejectedError(
                f"{error!r} in GET /v1/markets", where="service", fix="Keep to the contract"
            ) from error
        for auction in auctions:
            self._auctions[auction.product] = auction
            before = self._ask_before(auction)
            delivery = auction.first_open(self._opened_at, before)
            self._plan_auction(auction, delivery)
        first = self._opened_at - (self._opened_at - EPOCH) % QUARTER
        self._plan_settlement(first if first == self._opened_at else first + QUARTER)
        self._outbox.resume()

    def next_due(self) -> datetime:
        """When `act` should be called next.

        Raises:
            UnavailableError: The market has not been started.
        """
        if not self._agenda:
            raise UnavailableError(
                "the market has no agenda", where="Market", fix="Call start() first"
            )
        return min(self._agenda[0][0], self.hall.next_revision() or self._agenda[0][0])

    async def act(self, now: datetime) -> None:
        """Do all that is due until `now`, in order of time."""
        self.hall.tell_due(now)
        await self._outbox.send()
        while self._agenda and self._agenda[0][0] <= now:
            *_, action = heapq.heappop(self._agenda)
            await action(now)

    async def stop(self) -> None:
        """Break off retries and close the connection."""
        await self._exchange.stop()

    @property
    def unsent(self) -> int:
        """Awards and prices that the service has not acknowledged yet."""
        return len(self._outbox)

    # ------------------------------------------------------------ agenda

    def _at(self, when: datetime, rank: int, action: Action) -> None:
        heapq.heappush(self._agenda, (when, rank, next(self._ticket), action))

    def _ask_before(self, auction: Auction) -> timedelta:
        return self._times.ask_daily_before if auction.daily else self._times.ask_rolling_before

    def _results_after(self, auction: Auction) -> timedelta:
        times = self._times
        return times.daily_results_after if auction.daily else times.rolling_results_after

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
            if (
                registration.unit in auction.units
                and delivery[0] >= registration.trades_from
                and not self.hall.has(auction.product, delivery, registration.unit)
            ):
                one = await self._ask_unit(auction, delivery, registration.unit, now)
                if one is not None:
                    received.append(one)
        results_at = auction.closes_at(delivery) + self._results_after(auction)
        self._at(results_at, RESULTS, partial(self._results, auction, delivery, received))

    async def _ask_unit(
        self, auction: Auction, delivery: Slot, unit: str, now: datetime
    ) -> Received | None:
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
        return Received(unit=unit, award_id=f"award:{request_id}", content=content)

    async def _results(
        self, auction: Auction, delivery: Slot, received: Sequence[Received], now: datetime
    ) -> None:
        results = [self._clear(auction, delivery, received)] if received else []
        if not received or self.hall.has(auction.product, delivery):
            results.append(self.hall.clear(auction, delivery, now))
        if isinstance(rule := self._house.rule(auction.product), Regulation):
            for cleared in (one for result in results for one in result.cleared):
                for part in held(cleared.award):
                    call = partial(self._call, auction, cleared.unit, part, rule)
                    self._at(max(now, part.start), CALL, call)
        if auction.priced:
            series_id = self._series.day_ahead if auction.daily else self._series.quarter_hour
            if series_id is None:
                raise UnavailableError(
                    f"no series for the prices of {auction.product}",
                    where="Market",
                    fix="Name one for the quarter-hour auction",
                )
            self._publish(series_id, results[-1].prices, auction.interval, now)
        await self._outbox.send()

    def _clear(self, auction: Auction, delivery: Slot, received: Sequence[Received]) -> Result:
        """Clear what was asked for, and put the awards with what waits to be sent."""
        result = self._house.clear(auction, delivery, received)
        path = f"/v1/markets/{auction.product}/awards"
        for cleared in result.cleared:
            award = cleared.award
            book(self._ledger, auction, cleared, path=path, award=award)
            self._outbox.add(Post("POST", path, award, "award", award["award_id"]))
        note(self._ledger, auction, result)
        return result

    async def _call(
        self, auction: Auction, unit: str, part: Held, rule: Regulation, now: datetime
    ) -> None:
        """Begin the signal of a quarter-hour: each move is a revision of one activation; its way is paid."""
        followed = signal(
            dice_of(self._seed, f"{auction.product}/{unit}", part.start),
            part.awarded_mw,
            "up"
            if auction.direction == "up"
            else "down"
            if auction.direction == "down"
            else "both",
            seconds=int(QUARTER.total_seconds()),
            period_s=rule.signal_period_s,
        )
        activation_id = f"agc:{self._seed}:{auction.product}:{unit}:{iso(part.start)}"
        mileage_mw = followed.mileage_mw
        self._ledger.write("signal", key=activation_id, mileage_mw=mileage_mw)
        slot = (part.start, part.start + QUARTER)
        if auction.price_unit == "mileage_price_per_mw":
            exact = mileage_mw * part.price
            self._ledger.earned(activation_id, "mileage", unit, slot, part.awarded_mw, exact)
        for revision, (after_s, setpoint_mw) in enumerate(followed.moves, start=1):
            body = {
                "activation_id": activation_id,
                "revision": revision,
                "unit": unit,
                "start": iso(slot[0]),
                "end": iso(slot[1]),
                "direction": "down" if setpoint_mw < 0 else "up",
                "quantity_mw": str(abs(setpoint_mw)),
                "source": "simulated AGC",
            }
            path = f"/v1/markets/{auction.product}/activations"
            post = Post("POST", path, body, "activation", f"{activation_id}/{revision}")
            moment = part.start + timedelta(seconds=after_s)
            self._at(max(now, moment), CALL, partial(self._move, post))

    async def _move(self, post: Post, now: datetime) -> None:
        self._outbox.add(post)
        await self._outbox.send()

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
        await self._outbox.send()

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
        self._outbox.add(Post("PUT", f"/v1/series/{series_id}", body, "price", series_id))

    def _request_id(self, auction: Auction, delivery: Slot, unit: str) -> str:
        """The same for the same seed, product, unit and delivery; at most 64 characters."""
        text = f"{self._seed}/{auction.product}/{unit}/{iso(delivery[0])}"
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{auction.product}:{delivery[0]:%Y%m%dT%H%MZ}:{digest}"
