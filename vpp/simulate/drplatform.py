"""The simulated load-management platform (负荷管理平台): it invites, confirms by its own rule, calls, evaluates.

    invited_at ─▶ POST …/invitations        reply_by − 1 min ─▶ GET …/invitations/{id}, GET …/bids/{id}
    reply_by + confirms_after ─▶ POST …/awards      start − reminds_before ─▶ POST …/activations
    end + 5 min ─▶ evaluation from the true registers, into the ledger

A stranger: it knows the service by its HTTP contract, and what a call came to it works out with plain code of
its own, from the registers of the simulated meters. Only the published numbers of the market rules are the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from vpp.errors import UnavailableError
from vpp.simulate.exchange import Answer, Exchange
from vpp.simulate.ledger import Ledger
from vpp.simulate.spec import EvaluationRules, Event, PlatformRules

log = logging.getLogger(__name__)

QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
LOOKS_BEFORE = timedelta(minutes=1)
EVALUATES_AFTER = timedelta(minutes=5)
AGAIN_AFTER = timedelta(minutes=1)
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
NAME = "simulated load-management platform"

DrawnWh: TypeAlias = Callable[[str, datetime], int | None]
"""What an enterprise drew in the quarter-hour that begins then, net of what it fed, by its true registers."""


@dataclass(slots=True, kw_only=True)
class _Call:
    """One event, and how far it has come."""

    event: Event
    due: datetime
    stage: str = "invite"
    bids: list[Mapping[str, Any]] = field(default_factory=list)
    bid_set_id: str = ""
    price_per_mwh: Decimal = Decimal(0)
    offered_mw: Decimal = Decimal(0)
    confirmed_mw: Decimal = Decimal(0)
    members: tuple[str, ...] = ()


class LoadPlatform:
    """Invites to its events. `next_due` says when it wants to `act` again."""

    def __init__(
        self,
        exchange: Exchange,
        rules: PlatformRules | None,
        ledger: Ledger,
        drawn_wh: DrawnWh,
        *,
        zone: ZoneInfo,
        minor_unit: Decimal,
        opened_at: datetime,
    ) -> None:
        """Make a platform; nothing is sent before the first `act`.

        Args:
            exchange: How the service is asked.
            rules: Its events, and how it judges; None: it invites to nothing.
            ledger: Where it writes what it did and what it owes.
            drawn_wh: The true registers.
            zone: Whose clock the days follow.
            minor_unit: Smallest amount it pays.
            opened_at: Events it should have sent before are sent then.
        """
        self._exchange, self._rules, self._ledger = exchange, rules, ledger
        self._drawn_wh, self._zone, self._minor_unit = drawn_wh, zone, minor_unit
        self._calls = [
            _Call(event=event, due=max(event.invited_at, opened_at))
            for event in (rules.events if rules is not None else ())
        ]
        self.results: list[dict[str, Any]] = []
        """One for each call that was evaluated, as plain data."""

    def start(self) -> None:
        """Get ready; call inside the event loop."""
        self._exchange.start()

    async def stop(self) -> None:
        """Break off what is under way."""
        await self._exchange.stop()

    def next_due(self) -> datetime:
        """When `act` should be called next; far away where nothing is left to do."""
        return min((call.due for call in self._calls), default=NEVER)

    async def act(self, now: datetime) -> None:
        """Do all that is due until `now`; where the service does not answer it is done again later."""
        for call in self._calls:
            while call.due <= now:
                try:
                    await self._next(call, now)
                except UnavailableError as error:
                    log.warning("%s waits: %s", call.event.event_id, error)
                    call.due = now + AGAIN_AFTER

    # ------------------------------------------------------------ one step

    async def _next(self, call: _Call, now: datetime) -> None:
        match call.stage:
            case "invite":
                await self._invite(call)
            case "read":
                await self._read(call)
            case "confirm":
                await self._confirm(call)
            case "call":
                await self._call(call)
            case "evaluate":
                self._evaluate(call)
            case _:
                call.due = NEVER

    async def _invite(self, call: _Call) -> None:
        event = call.event
        body = {
            "invitation_id": event.event_id,
            "revision": 1,
            "start": _iso(event.start),
            "end": _iso(event.end),
            "wanted_mw": str(event.wanted_mw),
            "price_cap_per_mwh": str(event.price_cap_per_mwh),
            "reply_by": _iso(event.reply_by),
            "area": event.area,
            "source": NAME,
        }
        answer = await self._ask("POST", "invitations", body)
        self._note("dr_invited", call, status=answer.status, wanted_mw=event.wanted_mw)
        self._go(call, "read", event.reply_by - LOOKS_BEFORE, ok=answer.status < 300)

    async def _read(self, call: _Call) -> None:
        """The reply as it stands shortly before its time is over, and the bids that it is made of."""
        event = call.event
        story = (await self._ask("GET", f"invitations/{event.event_id}")).content or {}
        nomination = story.get("nomination")
        if not nomination:
            self._note("dr_no_reply", call, stage=str(story.get("stage")))
            self._go(call, "over", NEVER)
            return
        call.bid_set_id = str(nomination["bid_set_id"])
        shown = await self._ask("GET", f"bids/{call.bid_set_id}")
        call.bids = list(shown.content["bids"])
        call.offered_mw = Decimal(nomination["quantity_mw"])
        call.price_per_mwh = max(_price(bid) for bid in call.bids)
        call.members = tuple(nomination["shares_mw"])
        self._ledger.received(call.bid_set_id, "", bids=len(call.bids))
        self._note("dr_reply", call, offered_mw=call.offered_mw, price=call.price_per_mwh)
        self._go(call, "confirm", event.reply_by + self._own.confirms_after)

    async def _confirm(self, call: _Call) -> None:
        """A share of what was offered, in whole steps, at one price for all; nothing of what asks for more."""
        event, rules = call.event, self._own
        clears = event.price_cap_per_mwh * rules.clears_at_share
        steps = call.offered_mw * rules.confirm_share / rules.step_mw
        quantity = steps.to_integral_value(ROUND_FLOOR) * rules.step_mw
        chosen = call.price_per_mwh <= clears and quantity > 0
        call.confirmed_mw = quantity if chosen else Decimal(0)
        call.price_per_mwh = clears
        names = [str(bid["bid_id"]) for bid in call.bids]
        cleared = [
            {"bid_id": bid["bid_id"], "start": bid["start"], "end": bid["end"]}
            | {"quantity_mw": str(quantity), "price_per_mwh": str(clears)}
            for bid in call.bids
        ]
        award = {
            "award_id": f"dr:{event.event_id}",
            "revision": 1,
            "final": True,
            "bid_set_id": call.bid_set_id,
            "cleared": cleared if chosen else [],
            "rejected": [] if chosen else names,
        }
        answer = await self._ask("POST", "awards", award)
        self._ledger.cleared(call.bid_set_id, str(award["award_id"]), [])
        self._note("dr_confirmed", call, status=answer.status, confirmed_mw=call.confirmed_mw)
        before = rules.reminds_before
        if not chosen:
            self._go(call, "over", NEVER)
        elif before:
            self._go(call, "call", event.start - before)
        else:
            self._go(call, "evaluate", event.end + EVALUATES_AFTER)

    async def _call(self, call: _Call) -> None:
        event = call.event
        body = {
            "activation_id": f"dr-call:{event.event_id}",
            "revision": 1,
            "start": _iso(event.start),
            "end": _iso(event.end),
            "direction": self._own.direction,
            "quantity_mw": str(call.confirmed_mw),
            "source": NAME,
        }
        answer = await self._ask("POST", "activations", body)
        self._note("dr_called", call, status=answer.status)
        self._go(call, "evaluate", event.end + EVALUATES_AFTER)

    def _evaluate(self, call: _Call) -> None:
        event = call.event
        result = evaluated(self, call, self._own.evaluation)
        self._note("dr_evaluated", call, **{k: str(v) for k, v in result.items()})
        self.results.append({"event_id": event.event_id, "start": event.start} | result)
        self._go(call, "over", NEVER)

    # ------------------------------------------------------------ within

    @property
    def _own(self) -> PlatformRules:
        assert self._rules is not None  # there are no calls without rules
        return self._rules

    def _go(self, call: _Call, stage: str, due: datetime, *, ok: bool = True) -> None:
        call.stage, call.due = (stage, due) if ok else ("over", NEVER)

    def _note(self, kind: str, call: _Call, **fields: Any) -> None:
        self._ledger.write(kind, event=call.event.event_id, **fields)

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        return await self._exchange.request(method, f"/v1/markets/{self._own.product}/{path}", body)

    # ------------------------------------------------------------ the true registers

    def drawn_mwh(self, enterprise: str, start: datetime, end: datetime) -> list[Decimal] | None:
        """By quarter-hour; None where one is not known."""
        found = []
        while start < end:
            wh = self._drawn_wh(enterprise, start)
            if wh is None:
                return None
            found.append(Decimal(wh) / 1_000_000)
            start += QUARTER
        return found

    def midnight(self, day: date) -> datetime:
        """When a local day begins."""
        return datetime.combine(day, time(), self._zone).astimezone(UTC)

    def local_day(self, moment: datetime) -> date:
        return moment.astimezone(self._zone).date()

    def called_days(self, enterprise: str) -> set[date]:
        """Days on which it called an enterprise."""
        return {
            self.local_day(call.event.start)
            for call in self._calls
            if call.confirmed_mw and enterprise in call.members
        }

    @property
    def minor_unit(self) -> Decimal:
        return self._minor_unit

    @property
    def direction(self) -> str:
        return self._own.direction


def evaluated(platform: LoadPlatform, call: _Call, rules: EvaluationRules) -> dict[str, Any]:
    """What a call came to: amounts as text, by enterprise and in all."""
    event = call.event
    sign = 1 if platform.direction == "up" else -1
    brought: dict[str, Decimal] = {}
    loads: list[list[Decimal]] = []
    usual: list[list[Decimal]] = []
    for name in call.members:
        expected = _baseline(platform, name, event, rules)
        actual = platform.drawn_mwh(name, event.start, event.end)
        if expected is None or actual is None:
            return {
                "amount": "0",
                "penalty": "0",
                "completion": "0",
                "why": f"no meter or no like day of {name}",
            }
        loads.append(actual)
        usual.append(expected)
        brought[name] = sign * (sum(expected, Decimal(0)) - sum(actual, Decimal(0)))
    total = sum(brought.values(), Decimal(0))
    if rules.below_baseline and not _below(loads, usual):
        total = Decimal(0)
    hours = Decimal(len(loads[0])) / 4
    owed = call.confirmed_mw * hours
    amount = _paid(max(total, Decimal(0)), owed, rules) * call.price_per_mwh
    penalty = _penalty(loads, usual, sign, call, rules)
    return {
        "amount": str(_rounded(amount, platform.minor_unit)),
        "penalty": str(_rounded(penalty, platform.minor_unit)),
        "completion": str(max(total, Decimal(0)) / owed),
        "confirmed_mwh": str(owed),
        "response_mwh": str(total),
        "members_mwh": {name: str(mwh) for name, mwh in brought.items()},
        "why": "",
    }


def _rounded(amount: Decimal, minor_unit: Decimal) -> Decimal:
    return (amount / minor_unit).to_integral_value(ROUND_HALF_EVEN) * minor_unit


def _penalty(
    loads: Sequence[Sequence[Decimal]],
    usual: Sequence[Sequence[Decimal]],
    sign: int,
    call: _Call,
    rules: EvaluationRules,
) -> Decimal:
    """For each hour in which less than a part of what was confirmed came."""
    if rules.shortfall is None:
        return Decimal(0)
    ratio, multiplier = rules.shortfall
    came = [
        sign * (sum(base) - sum(load))
        for base, load in zip(zip(*usual, strict=True), zip(*loads, strict=True), strict=True)
    ]
    total = Decimal(0)
    for first in range(0, len(came), 4):
        hour = came[first : first + 4]
        least = ratio * call.confirmed_mw * len(hour) / 4
        lacks = max(least - sum(hour, Decimal(0)), Decimal(0))
        total += lacks * call.price_per_mwh * multiplier
    return total


def _paid(total: Decimal, owed: Decimal, rules: EvaluationRules) -> Decimal:
    """MWh that are paid."""
    if not rules.bands:
        return total
    for start, end, factor, cap in rules.bands:
        if start <= total / owed and (end is None or total / owed < end):
            return factor * (total if cap is None else min(total, cap * owed))
    return Decimal(0)


def _below(loads: Sequence[Sequence[Decimal]], usual: Sequence[Sequence[Decimal]]) -> bool:
    """Whether the highest load and the mean load of all lie below the baseline."""
    load = [sum(column, Decimal(0)) for column in zip(*loads, strict=True)]
    base = [sum(column, Decimal(0)) for column in zip(*usual, strict=True)]
    return max(load) < max(base) and sum(load) < sum(base)


def _baseline(
    platform: LoadPlatform, name: str, event: Event, rules: EvaluationRules
) -> list[Decimal] | None:
    """The mean of the last days of the type, times the day's own correction."""
    today = platform.local_day(event.start)
    days: list[list[Decimal]] = []
    for back in range(1, rules.window_days + 1):
        day = today - back * DAY
        if _kind(day, name, rules) != _kind(today, name, rules) or len(days) == rules.days:
            continue
        if day in platform.called_days(name):
            continue
        if rules.no_holidays and day in rules.rest_days.get(name, frozenset()):
            continue
        begins, ends = platform.midnight(day), platform.midnight(day + DAY)
        if ends - begins != DAY:
            continue
        whole = platform.drawn_mwh(name, begins, ends)
        if whole is not None:
            days.append(whole)
    if rules.outlier is not None and days:
        mean = sum((sum(day, Decimal(0)) for day in days), Decimal(0)) / len(days)
        days = [day for day in days if abs(sum(day) - mean) <= rules.outlier * abs(mean)]
    if not days:
        return None
    course = [sum(column, Decimal(0)) / len(days) for column in zip(*days, strict=True)]
    first = (event.start - platform.midnight(today)) // QUARTER
    last = (event.end - platform.midnight(today)) // QUARTER
    ratio = _correction(platform, name, course, first, platform.midnight(today), rules)
    return [(mwh * ratio).quantize(Decimal("1e-9"), ROUND_HALF_EVEN) for mwh in course[first:last]]


def _correction(
    platform: LoadPlatform,
    name: str,
    course: Sequence[Decimal],
    first: int,
    midnight: datetime,
    rules: EvaluationRules,
) -> Decimal:
    if rules.correct_h is None:
        return Decimal(1)
    length, skip = rules.correct_h
    until = first - int(skip * 4)
    since = max(until - int(length * 4), 0)
    if until <= since:
        return Decimal(1)
    actual = platform.drawn_mwh(name, midnight + since * QUARTER, midnight + until * QUARTER)
    usual = sum(course[since:until], Decimal(0))
    if actual is None or not usual:
        return Decimal(1)
    least, most = rules.correct_within
    return min(max(sum(actual, Decimal(0)) / usual, least), most)


def _kind(day: date, name: str, rules: EvaluationRules) -> str:
    """Workday, Saturday or day of rest."""
    if day in rules.work_days.get(name, frozenset()):
        return "workday"
    if day in rules.rest_days.get(name, frozenset()) or day.weekday() == 6:
        return "rest"
    return "saturday" if day.weekday() == 5 else "workday"


def _price(bid: Mapping[str, Any]) -> Decimal:
    """What a bid of one quantity asks for, whatever it is paid by; nothing where a rule sets the price."""
    for key in ("price_per_mwh", "call_price_per_mw", "capacity_price_per_mw"):
        if bid["offer"].get(key) is not None:
            return Decimal(bid["offer"][key])
    return Decimal(0)


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
