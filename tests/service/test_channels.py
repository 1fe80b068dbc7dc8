"""Several links behind one source and one sink: what one of them suffers, the others do not feel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tests.patience import PATIENCE_S
from vpp.errors import DataError, UnavailableError
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.ports import Message, Unsent
from vpp.service.links.channels import WAITING, Channels, Patience

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
BESS, PUMP, METER = ResourceId("bess"), ResourceId("pump"), ResourceId("meter")
CARRIER = {BESS: "mqtt", PUMP: "gateway", METER: "mqtt"}


class Line:
    """A link in memory that stands, or does what a test asks of it."""

    def __init__(self) -> None:
        self.connected, self.since, self.reconnects = True, NOON, 0
        self.fault: str | None = None
        self.sent: list[ResourceId] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.breaks: Exception | None = None
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()

    def bring(self, *payloads: bytes) -> None:
        for payload in payloads:
            self._inbox.put_nowait(Message(topic="t", payload=payload))

    def end(self) -> None:
        self._inbox.put_nowait(None)

    @property
    def waiting(self) -> int:
        return self._inbox.qsize()

    async def messages(self) -> AsyncIterator[Message]:
        while (message := await self._inbox.get()) is not None:
            yield message

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        await self.answers.wait()
        if self.breaks is not None:
            raise self.breaks
        self.sent += [setpoint.resource_id for setpoint in setpoints]
        return ()


def a_setpoint(resource: ResourceId) -> Setpoint:
    return Setpoint(
        command_id=f"c-{resource}",
        seq=7,
        resource_id=resource,
        enterprise_id=EnterpriseId("steel"),
        issued_at=NOON,
        expires_at=NOON + timedelta(minutes=15),
        power_kw=-40.0,
        serves="plan-1",
    )


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


def test_each_command_goes_over_the_link_of_its_device() -> None:
    async def check() -> None:
        mqtt, gateway = Line(), Line()
        channels = Channels({"mqtt": mqtt, "gateway": gateway}, CARRIER)
        assert await channels.send([a_setpoint(BESS), a_setpoint(PUMP), a_setpoint(METER)]) == ()
        assert (mqtt.sent, gateway.sent) == ([BESS, METER], [PUMP])
        with pytest.raises(DataError, match="stranger: is no resource of steel"):
            await channels.send([a_setpoint(ResourceId("stranger"))])

    run(check())


def test_a_carrier_that_is_no_link_is_refused() -> None:
    async def check() -> None:
        with pytest.raises(DataError, match=r"\['gateway'\] are no links"):
            Channels({"mqtt": Line()}, CARRIER)

    run(check())


def test_a_link_that_fails_keeps_its_own_commands_alone() -> None:
    async def check() -> None:
        mqtt, gateway = Line(), Line()
        channels = Channels({"mqtt": mqtt, "gateway": gateway}, CARRIER)
        mqtt.breaks = UnavailableError("away", where="broker", fix="Start it")
        unsent = await channels.send([a_setpoint(BESS), a_setpoint(PUMP)])
        assert unsent == (Unsent(setpoint=a_setpoint(BESS), reason="broker: away -> Start it"),)
        assert gateway.sent == [PUMP]

    run(check())


def test_a_link_that_hangs_is_not_waited_for_and_gets_nothing_more_until_it_answers() -> None:
    async def check() -> None:
        mqtt, gateway = Line(), Line()
        quick = Patience(base_s=0.01, per_setpoint_s=0.0)
        channels = Channels({"mqtt": mqtt, "gateway": gateway}, CARRIER, patience=quick)
        mqtt.answers.clear()
        both = [a_setpoint(BESS), a_setpoint(PUMP)]
        for reason in ("did not confirm in time", "has not answered to earlier commands"):
            (unsent,) = await channels.send(both)
            assert unsent == Unsent(setpoint=a_setpoint(BESS), reason=f"mqtt {reason}")
        assert gateway.sent == [PUMP, PUMP]

        mqtt.answers.set()
        while not mqtt.sent:  # noqa: ASYNC110 - one turn of the loop lets the late answer come
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert await channels.send(both) == ()
        assert mqtt.sent == [BESS, BESS]
        await channels.close()

    run(check())


def test_a_bug_in_a_link_is_no_failure_of_the_outside_world() -> None:
    async def check() -> None:
        mqtt, gateway = Line(), Line()
        channels = Channels({"mqtt": mqtt, "gateway": gateway}, CARRIER)
        mqtt.breaks = RuntimeError("a bug")
        with pytest.raises(RuntimeError, match="a bug"):
            await channels.send([a_setpoint(BESS)])

    run(check())


def test_messages_of_all_links_come_in_turn_and_outlast_a_link_that_ends() -> None:
    async def check() -> None:
        mqtt, gateway = Line(), Line()
        channels = Channels({"mqtt": mqtt, "gateway": gateway}, CARRIER)
        messages = channels.messages()
        mqtt.bring(b"1")
        assert (await anext(messages)).payload == b"1"
        mqtt.end()
        gateway.bring(b"2", b"3")
        assert [(await anext(messages)).payload for _ in range(2)] == [b"2", b"3"]
        gateway.end()
        assert [message async for message in messages] == []

    run(check())


def test_a_flood_on_one_link_waits_in_its_own_inbox_and_starves_no_other() -> None:
    async def check() -> None:
        mqtt, gateway = Line(), Line()
        channels = Channels({"mqtt": mqtt, "gateway": gateway}, CARRIER)
        messages = channels.messages()
        mqtt.bring(*[b"flood"] * 10 * WAITING)
        assert (await anext(messages)).payload == b"flood"
        assert mqtt.waiting >= 8 * WAITING
        gateway.bring(b"quiet")
        seen = [(await anext(messages)).payload for _ in range(200)]
        assert b"quiet" in seen

    run(check())


@pytest.mark.parametrize(
    ("standing", "connected"),
    [
        pytest.param({"mqtt", "gateway"}, True, id="all stand"),
        pytest.param({"mqtt"}, True, id="two of three devices are heard"),
        pytest.param({"gateway"}, False, id="one of three devices is heard"),
        pytest.param(set[str](), False, id="none stands"),
    ],
)
def test_the_plant_is_connected_while_half_of_its_devices_can_be_heard(
    standing: set[str], connected: bool
) -> None:
    async def check() -> None:
        links = {"mqtt": Line(), "gateway": Line()}
        for minutes, (name, line) in enumerate(links.items()):
            line.connected = name in standing
            line.since = NOON + timedelta(minutes=minutes)
        channels = Channels(links, CARRIER)
        assert channels.connected is connected
        assert [(h.name, h.connected, h.devices) for h in channels.health()] == [
            ("mqtt", "mqtt" in standing, 2),
            ("gateway", "gateway" in standing, 1),
        ]
        went = [links[name].since for name in links if (name in standing) is connected]
        assert channels.since == max(went)

    run(check())
