"""Random scripts of a utility's events, and a slow and obvious model of what they come to.

The model knows nothing of the code it judges: it walks minute by minute over the utility's true list and looks
which interval is on, with integers for minutes. Scripts create, modify and cancel events that overlap, lose
polls, bring versions that are old and events that cannot be read, and restart the client.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

from vpp.model.programme import (
    OPEN_END,
    EventFault,
    EventInterval,
    EventList,
    EventPeriod,
    Payload,
    Program,
    ProgrammeEvent,
)
from vpp.model.time import QUARTER, Interval, latest_boundary
from vpp.trade.programme import (
    ProgrammeSchedule,
    Standing,
    reconcile,
    schedule,
    stood_from_record,
    stood_to_record,
)
from vpp.trade.programmeorders import (
    CallUse,
    CapacityOrder,
    ChangeOrder,
    Level,
    LimitUse,
    ProgrammeOrder,
    SeriesUse,
    SetpointOrder,
    SignalOrder,
    Use,
    slot_of,
)

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
PROGRAM = Program(program_id="p-1", name="flex")
USES: dict[str, dict[str, Use]] = {
    "p-1": {
        "PRICE": SeriesUse(series_id="price.retail", unit="EUR/MWh"),
        "GHG": SeriesUse(series_id="carbon.grid", unit="gCO2/kWh"),
        "IMPORT_CAPACITY_LIMIT": LimitUse(place="park"),
        "EXPORT_CAPACITY_LIMIT": LimitUse(place="park"),
        "DISPATCH_SETPOINT": CallUse(product_id="flex"),
        "DISPATCH_SETPOINT_RELATIVE": CallUse(product_id="flex"),
        "SIMPLE": CallUse(
            product_id="flex", levels={1: Level(kw=100), 2: Level(share=0.25), 3: Level(kw=500)}
        ),
    }
}
HOURS = 5
"""Of the schedule that is compared."""

_ENDLESS = 10**9
_SLOTS = {
    "PRICE": ("series", "price.retail"),
    "GHG": ("series", "carbon.grid"),
    "IMPORT_CAPACITY_LIMIT": ("limit", "park", "import"),
    "EXPORT_CAPACITY_LIMIT": ("limit", "park", "export"),
    "DISPATCH_SETPOINT": ("call", "flex", ""),
    "DISPATCH_SETPOINT_RELATIVE": ("call", "flex", ""),
    "SIMPLE": ("call", "flex", ""),
}
_SHARES = (-1.0, -0.6, -0.2, 0.0, 0.2, 0.6, 1.0)


@cache
def draw(name: str) -> float:
    """A fifth of something for a name, so that 5 or 10 minutes are moved by whole minutes."""
    return Random(name).choice(_SHARES)


# ---------------------------------------------------------------- scripts


@dataclass(slots=True)
class Utility:
    """What is true, and when each of it was first told."""

    rng: Random
    now: datetime = BEGIN
    events: dict[str, ProgrammeEvent] = field(default_factory=dict)
    older: dict[str, ProgrammeEvent] = field(default_factory=dict)
    told_at: dict[str, datetime] = field(default_factory=dict)
    born: int = 0

    def act(self) -> None:
        """Some minutes pass, and one thing happens."""
        self.now += timedelta(minutes=self.rng.randint(1, 40))
        what = self.rng.choices(["create", "modify", "cancel"], [5, 4, 2])[0]
        if what == "create" or not self.events:
            self.born += 1
            event_id = f"e-{self.born}"
            self.events[event_id] = self._event(event_id, created_at=self.now)
            return
        event_id = self.rng.choice(sorted(self.events))
        if what == "cancel":
            del self.events[event_id]
            self.older.pop(event_id, None)
            return
        before = self.older[event_id] = self.events[event_id]
        made = before.created_at or self.now
        self.events[event_id] = self._event(event_id, created_at=made)

    def told(self, *, honest: bool) -> EventList:
        """The list as it is told now; not `honest`: with old versions and illegible events in it."""
        events, faults = [], []
        for event_id, event in self.events.items():
            odd = 1.0 if honest else self.rng.random()
            if odd < 0.15 and event_id in self.told_at:
                faults.append(EventFault(event_id=event_id, what="no JSON", raw="{"))
                continue
            if odd < 0.3 and event_id in self.older and event_id in self.told_at:
                events.append(self.older[event_id])
                continue
            events.append(event)
            self.told_at.setdefault(event_id, self.now)
        self.told_at = {k: v for k, v in self.told_at.items() if k in self.events}
        self.rng.shuffle(events)
        return EventList(programs=(PROGRAM,), events=tuple(events), faults=tuple(faults))

    def _event(self, event_id: str, *, created_at: datetime) -> ProgrammeEvent:
        rng = self.rng
        start = self.now + timedelta(minutes=rng.randint(-60, 240))
        kinds = rng.sample(sorted(_SLOTS), rng.choice([1, 1, 2]))
        length = rng.choice([15, 30, 60, 60, 45, 7])
        count = rng.choice([1, 1, 2, 3, 4])
        intervals = [
            self._interval(n, kinds, length, start, alone=count == 1) for n in range(count)
        ]
        period = EventPeriod(
            start=None if rng.random() < 0.15 else start,
            duration=rng.choice([timedelta(minutes=length)] * 6 + [OPEN_END, timedelta(0)]),
            randomize=rng.choice([None, None, None, timedelta(minutes=5), timedelta(minutes=10)]),
        )
        return ProgrammeEvent(
            event_id=event_id,
            program_id="p-1",
            intervals=tuple(intervals),
            created_at=created_at,
            modified_at=self.now,
            priority=rng.choice([None, 0, 1, 1, 2]),
            period=period,
            duration=rng.choice([None] * 5 + [timedelta(minutes=50), timedelta(hours=5), OPEN_END]),
        )

    def _interval(
        self, number: int, kinds: list[str], length: int, start: datetime, *, alone: bool
    ) -> EventInterval:
        rng = self.rng
        own = None
        if number and rng.random() < 0.2:
            begins = start + timedelta(minutes=length * number + rng.choice([0, 0, 10, 30]))
            own = EventPeriod(
                start=rng.choice([None, begins]),
                duration=rng.choice([None, timedelta(minutes=20), OPEN_END]),
                randomize=rng.choice([None, None, timedelta(minutes=5)]),
            )
        payloads = []
        for kind in kinds:
            values: tuple[float, ...] = (rng.randint(0, 3),)
            if kind in ("PRICE", "GHG") and length == 30 and alone:
                values = tuple(rng.randint(0, 9) for _ in range(rng.choice([1, 2, 3])))
            payloads.append(Payload(payload_type=kind, values=values))
        return EventInterval(interval_id=number, payloads=tuple(payloads), period=own)


# ---------------------------------------------------------------- the model


def truth(utility: Utility) -> dict[datetime, dict[tuple[str, ...], Any]]:
    """From the list as it is: by quarter-hour and slot who is followed, and what it asks for."""
    first = utility.now.replace(minute=utility.now.minute // 15 * 15)
    found: dict[datetime, dict[tuple[str, ...], Any]] = {}
    lists = {
        event_id: _laid_out(event, utility.told_at[event_id])
        for event_id, event in utility.events.items()
    }
    for quarter in range(HOURS * 4):
        start = first + timedelta(minutes=15 * quarter)
        asked: dict[tuple[str, ...], dict[str, list[tuple[Any, ...]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for minute in range(15):
            at = _minute(start) + minute
            now: dict[tuple[str, ...], dict[str, list[tuple[Any, ...]]]] = defaultdict(
                lambda: defaultdict(list)
            )
            for event_id, laid in lists.items():
                for begins, kind, value in _on(utility.events[event_id], laid, at):
                    now[_SLOTS[kind]][event_id].append((begins, kind, value))
            for slot, by_event in now.items():
                highest = min(by_event, key=lambda name: _order(utility.events[name]))
                for event_id in [highest] if slot[0] == "limit" else by_event:
                    asked[slot][event_id] += by_event[event_id]
        if asked:
            found[start] = {
                slot: _followed(slot, by_event, utility.events) for slot, by_event in asked.items()
            }
    return found


def _minute(moment: datetime) -> int:
    return int((moment - BEGIN).total_seconds()) // 60


def _laid_out(event: ProgrammeEvent, told_at: datetime) -> list[tuple[int, int, EventInterval]]:
    """Begin and end of each interval in minutes."""
    period = event.period
    assert period is not None
    if period.start is None and period.duration == timedelta(0):
        return []

    def minutes(most: timedelta | None, name: str) -> int:
        return 0 if most is None else round(most.total_seconds() / 60 * draw(name))

    moved = minutes(period.randomize, event.event_id)
    at = _minute(period.start or told_at) + moved
    laid: list[tuple[int, int, EventInterval]] = []
    for interval in event.intervals:
        own = interval.period or EventPeriod()
        if own.randomize is not None:
            moved = minutes(own.randomize, f"{event.event_id}/{interval.interval_id}")
        if own.start is not None:
            at = _minute(own.start) + moved
            if laid and laid[-1][1] >= _ENDLESS:  # the one before lasts until here
                before = laid.pop()
                laid.append((before[0], max(at, before[0]), before[2]))
        length = period.duration if own.duration is None else own.duration
        assert length is not None
        ends = (
            _ENDLESS if length in (timedelta(0), OPEN_END) else at + length // timedelta(minutes=1)
        )
        ends = min(ends, _ENDLESS)
        laid.append((at, ends, interval))
        at = ends
    return [one for one in laid if one[0] < one[1]]


def _on(
    event: ProgrammeEvent, laid: list[tuple[int, int, EventInterval]], at: int
) -> list[tuple[int, str, float]]:
    """What is on in one minute: since when, type and value."""
    if not laid:
        return []
    begin, end = min(one[0] for one in laid), max(one[1] for one in laid)
    turn = 0
    if event.duration is not None:
        if at >= begin + event.duration // timedelta(minutes=1):
            return []
        if end < _ENDLESS and at >= begin:
            turn = (at - begin) // (end - begin) * (end - begin)
    found: list[tuple[int, str, float]] = []
    for first, last, interval in laid:
        if not first <= at - turn < last:
            continue
        for payload in interval.payloads:
            if len(payload.values) == 1:
                place, each = 0, 0
            elif last >= _ENDLESS:
                continue  # several values of an interval without end: nobody can tell
            else:
                each = (last - first) // len(payload.values)
                place = (at - turn - first) // each
            value = payload.values[place]
            assert isinstance(value, int)
            found.append((first + turn + place * each, payload.payload_type, value))
    return found


def _followed(
    slot: tuple[str, ...],
    by_event: dict[str, list[tuple[Any, ...]]],
    events: dict[str, ProgrammeEvent],
) -> tuple[str, float]:
    """Whose values count, and what they come to; of limits each minute has its own."""
    if slot[0] == "limit":
        least = {name: min(value for _, _, value in some) for name, some in by_event.items()}
        event_id = min(least, key=lambda name: (least[name], _order(events[name])))
        return event_id, least[event_id]
    event_id = min(by_event, key=lambda name: _order(events[name]))
    asked = by_event[event_id]
    if slot[0] == "series":
        mean = sum(value for _, _, value in asked) / len(asked)
        return event_id, round(mean * (1000 if slot[1] == "price.retail" else 1), 6)
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    for one in asked:
        counts[one] += 1
    _, kind, value = min(
        counts, key=lambda one: (-counts[one], one[0], one[1] != "DISPATCH_SETPOINT")
    )
    return event_id, _asks(kind, value)


def _order(event: ProgrammeEvent) -> tuple[Any, ...]:
    """What is lower is followed."""
    made = event.created_at or BEGIN
    return (99 if event.priority is None else event.priority, BEGIN - made, event.event_id)


def _asks(kind: str, value: float) -> float:
    """A number that tells one dispatch from another."""
    if kind == "SIMPLE":
        return {0: 0.0, 1: 100.0, 2: 0.25 * 1e6, 3: 500.0}[int(value)]
    return 1e9 - value if kind == "DISPATCH_SETPOINT" else -value


# ---------------------------------------------------------------- both


def in_its_words(
    orders: ProgrammeSchedule,
) -> dict[datetime, dict[tuple[str, ...], tuple[str, float]]]:
    """A schedule of ours in the model's words."""
    return {
        start: {slot_of(order): (order.event_id, _number(order)) for order in some}
        for start, some in orders.items()
    }


def _number(order: ProgrammeOrder) -> float:
    match order:
        case SignalOrder(value=value):
            return round(value, 6)
        case CapacityOrder(most_kw=kw):
            return kw
        case SetpointOrder(net_kw=kw):
            return 1e9 + kw
        case ChangeOrder(change_kw=kw, change_share=share):
            return kw + share * 1e6
        case _:
            raise AssertionError(order)


def play(seed: int, *, steps: int = 25) -> tuple[Any, Any, Counter[str]]:
    """One script: our schedule at its end, the model's, and what happened on the way."""
    rng = Random(seed)
    utility = Utility(rng)
    stood: dict[str, Standing] = {}
    happened: Counter[str] = Counter()
    for _ in range(steps):
        utility.act()
        if rng.random() < 0.2:
            happened["lost poll"] += 1
            continue
        stood, changes = reconcile(utility.told(honest=False), stood, now=utility.now, draw=draw)
        happened.update(change.kind.value for change in changes)
        if rng.random() < 0.2:
            happened["restart"] += 1
            stood = stood_from_record(stood_to_record(stood))
    honest = utility.told(honest=True)
    stood, changes = reconcile(honest, stood, now=utility.now, draw=draw)
    happened.update(change.kind.value for change in changes)
    first = latest_boundary(utility.now, QUARTER)
    window = Interval(first, first + timedelta(hours=HOURS))
    ours, _ = schedule(stood, USES, {}, window, draw)
    return in_its_words(ours), truth(utility), happened
