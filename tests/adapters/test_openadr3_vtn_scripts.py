"""Whatever is asked of a device in whatever order, a client that follows the list does what stands, over restarts too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.openadr3_reports import SiteReading
from adapters.openadr3_shelf import Owner, Shelf
from adapters.openadr3_site import SiteDevice, SiteLink
from adapters.openadr3_wire import read_event
from adapters.openadr3_written import event_object
from tests.contracts.ownvtn import NOON, a_setpoint
from vpp.model.ids import ResourceId
from vpp.model.programme import EventFault, EventList, Program, ProgrammeEvent
from vpp.trade.programme import Standing, reconcile

OWNER = Owner(name="steel", ven_name="steel", program="flex", resources=("bess",))
BESS = SiteDevice(device_id=ResourceId("bess"), enterprise_id="steel", site_id="mill")


@dataclass(frozen=True)
class Ask:
    """A set-point for so long."""

    power_kw: float
    life_s: int


@dataclass(frozen=True)
class Wait:
    seconds: int


@dataclass(frozen=True)
class Panel:
    """The device says what it holds; None: what it was asked for."""

    held_kw: float | None


@dataclass(frozen=True)
class Restart:
    """The service begins anew; the client does not know."""


Step = Ask | Wait | Panel | Restart
STEPS = st.one_of(
    st.builds(Ask, st.sampled_from([-40.0, 30.0]), st.sampled_from([60, 300])),
    st.builds(Wait, st.sampled_from([0, 40, 200])),
    st.builds(Panel, st.sampled_from([None, 5.0])),
    st.just(Restart()),
)


class World:
    """A server, a client that polls it, and a model of what should stand: a power and its end, or nothing."""

    def __init__(self) -> None:
        self.now, self.seq = NOON, 0
        self.asked: tuple[float, datetime] | None = None
        self.agreed = False
        self.stood: dict[str, Standing] = {}
        self.versions: dict[str, ProgrammeEvent] = {}
        self.link = self.begun()

    def begun(self) -> SiteLink:
        shelf = Shelf(OWNER, now=lambda: self.now)
        return SiteLink(shelf, [BESS], now=lambda: self.now, silent_after=timedelta(hours=1))

    async def play(self, step: Step) -> None:
        match step:
            case Ask():
                self.seq += 1
                setpoint = a_setpoint(step.power_kw, seq=self.seq, at=self.now, life_s=step.life_s)
                await self.link.send([setpoint])
                same = self.asked is not None and self.asked[0] == step.power_kw
                self.agreed = self.agreed and same
                self.asked = step.power_kw, setpoint.expires_at
            case Wait():
                self.now += timedelta(seconds=step.seconds)
            case Panel():
                self.look(step.held_kw)
            case Restart():
                self.link, self.asked, self.agreed = self.begun(), None, False
        if self.asked is not None and self.asked[1] <= self.now:
            self.asked, self.agreed = None, False
        self.link.end_what_is_over()

    def look(self, held_kw: float | None) -> None:
        if self.asked is None:
            return
        held = self.asked[0] if held_kw is None else held_kw
        self.link.tell(
            [SiteReading(resource_name="bess", at=self.now, quality="good", held_kw=held)]
        )
        if held == self.asked[0]:
            self.agreed = True
        elif self.agreed:
            self.asked, self.agreed = None, False

    def followed_kw(self) -> float | None:
        """Poll, and what the client does then, as net injection; None: nothing is asked."""
        read = [
            read_event(msgspec.json.encode(event_object(event, "3.1")))
            for event in self.link.shelf.events
        ]
        assert not any(isinstance(one, EventFault) for one in read)
        events = tuple(one for one in read if isinstance(one, ProgrammeEvent))
        program = Program(program_id=self.link.shelf.program.program_id, name="flex")
        polled = EventList(programs=(program,), events=events)
        self.stood, _ = reconcile(polled, self.stood, now=self.now, draw=lambda name: 0.0)
        found = [
            -float(payload.values[0])
            for one in self.stood.values()
            for payload in one.event.intervals[0].payloads
            if self.runs(one.event)
        ]
        assert len(found) <= 1
        return found[0] if found else None

    def listed_until(self) -> datetime | None:
        """When what is on the list ends; None where nothing is. Another content has a later time."""
        found = [event for event in self.link.shelf.events if not event.reports]
        assert len(found) <= 1
        for event in found:
            before = self.versions.get(event.event_id)
            assert before is None or before == event or before.version < event.version
            self.versions[event.event_id] = event
            assert event.period is not None
            assert event.period.start is not None
            assert event.period.duration is not None
            return event.period.start + event.period.duration
        return None

    def runs(self, event: ProgrammeEvent) -> bool:
        assert event.period is not None
        assert event.period.start is not None
        assert event.period.duration is not None
        return event.period.start <= self.now < event.period.start + event.period.duration


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=20))
def test_a_client_that_polls_does_what_stands_after_every_step(steps: Sequence[Step]) -> None:
    async def check() -> None:
        world = World()
        for step in steps:
            await world.play(step)
            wanted = None if world.asked is None else world.asked[0]
            assert world.followed_kw() == wanted, step
            assert world.listed_until() == (None if world.asked is None else world.asked[1]), step

    asyncio.run(check())
