"""A simulated battery and its meter behind a Modbus gateway of ours, by the maps that are shipped."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from adapters.modbus_device import ModbusDevice
from adapters.modbus_tcp import ModbusLink
from adapters.modbus_wire import GatewayAddress
from tests.patience import PATIENCE_S
from vpp.model.command import Setpoint
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.registers import Place, Table
from vpp.model.resource import FixedLoad, Storage
from vpp.service.links.registermaps import load_map, shipped_maps
from vpp.simulate.devicefaults import Fault, FaultPlan, Panel, Refuse, Silence, What
from vpp.simulate.fleet import Fleet
from vpp.simulate.modbusface import ModbusFace
from vpp.simulate.modbusunit import NO_SUCH_REGISTER, NOT_THIS_VALUE, ModbusUnit, RefusedError
from vpp.wire import AckMessage, TelemetryMessage

START = datetime(2025, 12, 1, tzinfo=UTC)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
BESS, HALL, METER = ResourceId("bess"), ResourceId("hall"), ResourceId("meter-gate-1")
ACME = EnterpriseId("acme")
TinyPark = Callable[..., Any]
POWER, ENABLE, MODE, REVERT = 102, 101, 100, 104


class Yard:
    """The fleet, and the two units that it shows."""

    def __init__(self, tiny: TinyPark, *whats: What, **when: Any) -> None:
        owned: dict[str, Any] = {
            "enterprise_id": ACME,
            "connection_point_id": ConnectionPointId("gate-1"),
        }
        size: dict[str, Any] = {"max_charge_kw": 100, "max_discharge_kw": 100}
        built = tiny(
            resources=[
                Storage(resource_id=BESS, capacity_kwh=200, **size, **owned),
                FixedLoad(resource_id=HALL, max_draw_kw=100, **owned),
            ],
            level_kw={"hall": -30.0},
        )
        faults = tuple(Fault(whats=(w,), devices=frozenset({BESS}), **when) for w in whats)
        plan = FaultPlan(faults=faults)
        self.fleet = Fleet(built.park, built.scenario, opened_at=START, step=SECOND, faults=plan)
        self.units = {
            1: self._unit(BESS, "battery-inverter"),
            2: self._unit(METER, "generic-meter"),
        }
        self.face = ModbusFace(self.units, port=0)

    def now(self) -> datetime:
        return self.fleet.now

    def _unit(self, name: ResourceId, described: str) -> ModbusUnit:
        return ModbusUnit(
            name,
            load_map(described, Path()),
            rated_kw=100.0,
            receive=self.fleet.receive,
            local=self.fleet.in_local_mode,
            now=self.now,
        )

    def live(self, seconds: float = 1) -> None:
        self.fleet.step(self.fleet.now + seconds * SECOND)
        decode = msgspec.json.Decoder(TelemetryMessage).decode
        self.face.tell((m.device_id, decode(m.payload)) for m in self.fleet.messages())

    def values(self, unit: int = 1) -> dict[str, float | None]:
        described = load_map("battery-inverter" if unit == 1 else "generic-meter", Path())
        image: dict[Place, int] = {}
        for span in described.reads:
            words = self.units[unit].read(span.table, span.at, span.count)
            image |= {(span.table, span.at + n): word for n, word in enumerate(words)}
        return described.values(image, {})

    def command(self, kw: float, revert_s: int = 60) -> None:
        """As the map says: mode, power, timer, and the flag at last."""
        battery = self.units[1]
        battery.write(MODE, [2])
        battery.write(POWER, struct.unpack(">2H", struct.pack(">i", round(kw * 1000))))
        battery.write(REVERT, [revert_s])
        battery.write(ENABLE, [1])

    def flag(self) -> int:
        return self.units[1].read(Table.HOLDING, ENABLE, 1)[0]


def test_what_a_device_tells_stands_in_its_registers(tiny: TinyPark) -> None:
    yard = Yard(tiny)
    yard.live(3600)
    battery, meter = yard.values(1), yard.values(2)
    assert (battery["power_kw"], battery["soc"], battery["energy_kwh"]) == (0, 0.5, 0)
    assert battery["temperature_degc"] is None  # it tells none
    assert [meter["power_kw"], meter["import_wh"], meter["export_wh"]] == pytest.approx(
        [-30, 30_000, 0], abs=1
    )


def test_nothing_moves_before_the_flag_and_the_timer_lets_it_go(tiny: TinyPark) -> None:
    yard = Yard(tiny)
    yard.live()
    yard.units[1].write(POWER, struct.unpack(">2H", struct.pack(">i", 50_000)))
    yard.live()
    assert yard.values()["power_kw"] == 0
    yard.command(50, revert_s=10)
    yard.live(4)
    assert yard.values()["power_kw"] == 50
    assert (yard.flag(), yard.units[1].read(Table.HOLDING, REVERT, 1)) == (1, [6])
    yard.live(8)
    assert (yard.values()["power_kw"], yard.flag()) == (0, 0)


def test_clearing_the_flag_lets_it_go_at_once(tiny: TinyPark) -> None:
    yard = Yard(tiny)
    yard.command(-40)
    yard.live(2)
    assert yard.values()["power_kw"] == -40
    yard.units[1].write(ENABLE, [0])
    yard.live(2)
    assert yard.values()["power_kw"] == 0


def test_writing_again_prolongs_what_is_in_force(tiny: TinyPark) -> None:
    yard = Yard(tiny)
    for _ in range(4):
        yard.command(30, revert_s=10)
        yard.live(8)
        assert yard.values()["power_kw"] == 30


def test_a_device_that_refuses_answers_with_an_exception_and_keeps_its_registers(
    tiny: TinyPark,
) -> None:
    yard = Yard(tiny, Refuse())
    yard.live()
    with pytest.raises(RefusedError) as refused:
        yard.command(50)
    assert refused.value.code == NOT_THIS_VALUE
    assert yard.flag() == 0


def test_registers_that_are_not_there_are_refused(tiny: TinyPark) -> None:
    yard = Yard(tiny)
    yard.live()
    for touch in (
        lambda: yard.units[1].read(Table.HOLDING, 50, 1),
        lambda: yard.units[1].write(0, [1]),
        lambda: yard.units[2].write(52, [1]),
    ):
        with pytest.raises(RefusedError) as refused:
            touch()
        assert refused.value.code == NO_SUCH_REGISTER


@pytest.mark.parametrize("name", shipped_maps())
def test_every_shipped_map_can_be_answered_by(tiny: TinyPark, name: str) -> None:
    described = load_map(name, Path())
    unit = ModbusUnit(
        BESS,
        described,
        rated_kw=100.0,
        receive=lambda device_id, command, now: None,
        local=lambda device_id: False,
        now=lambda: START,
    )
    told = TelemetryMessage(
        ts="", seq=1, power_kw=-12.0, energy_kwh=-5.0, soc=0.5, import_wh=7000, export_wh=0
    )
    unit.tell(told)
    image: dict[Place, int] = {}
    for span in described.reads:
        words = unit.read(span.table, span.at, span.count)
        image |= {(span.table, span.at + n): word for n, word in enumerate(words)}
    values = described.values(image, {})
    assert values["power_kw"] == pytest.approx(-12)
    if "energy_kwh" in values:
        assert values["energy_kwh"] == pytest.approx(-5)
    if "rated_kw" in values:
        assert values["rated_kw"] == pytest.approx(100)


# ---------------------------------------------------------------- over the line


async def over_the_line(yard: Yard, play: Callable[[ModbusLink, Callable[[], Any]], Any]) -> None:
    """Our own client at the face; `play` lets a second pass by calling what it is given."""
    await yard.face.start()
    devices = [
        ModbusDevice(
            device_id=BESS,
            enterprise_id=ACME,
            site_id="gate-1",
            unit=1,
            map=load_map("battery-inverter", Path()),
            poll_s=0.1,
            read_only=False,
            write_s=0.05,
        )
    ]
    address = GatewayAddress(host="127.0.0.1", port=yard.face.port)
    try:
        async with (
            asyncio.timeout(PATIENCE_S),
            ModbusLink(address, devices, now=yard.now, jitter=Random(1)) as link,
        ):
            await play(link, yard.live)
    finally:
        await yard.face.stop()


def a_setpoint(yard: Yard, kw: float, seq: int = 1) -> Setpoint:
    return Setpoint(
        command_id=f"c-{seq}",
        seq=seq,
        resource_id=BESS,
        enterprise_id=ACME,
        issued_at=yard.now(),
        expires_at=yard.now() + 10 * MINUTE,
        power_kw=kw,
        serves="a test",
    )


def test_our_own_client_reads_and_commands_it_and_sees_who_is_at_its_panel(tiny: TinyPark) -> None:
    """Reliability C11: the device's own panel takes over; the command is told as refused and given up."""
    yard = Yard(tiny, Panel(share=-0.2), begins_after=5 * SECOND)

    async def play(link: ModbusLink, live: Callable[[], None]) -> None:
        live()
        messages = link.messages()

        async def until(true: Callable[[TelemetryMessage | AckMessage], bool]) -> Any:
            async for message in messages:
                told: TelemetryMessage | AckMessage
                if message.topic.endswith("/ack"):
                    told = msgspec.json.decode(message.payload, type=AckMessage)
                else:
                    told = msgspec.json.decode(message.payload, type=TelemetryMessage)
                if true(told):
                    return told
            raise AssertionError("the link has ended")

        await until(lambda told: isinstance(told, TelemetryMessage))
        assert await link.send([a_setpoint(yard, 50)]) == ()
        taken = await until(lambda told: isinstance(told, AckMessage))
        assert taken.accepted
        live()
        await until(lambda told: isinstance(told, TelemetryMessage) and told.power_kw == 50)
        for _ in range(4):
            live()
        refused = await until(lambda told: isinstance(told, AckMessage))
        assert not refused.accepted
        assert "somebody else changed it" in refused.reason
        await until(lambda told: isinstance(told, TelemetryMessage) and told.power_kw == -20)

    asyncio.run(over_the_line(yard, play))


def test_a_silent_device_does_not_answer_and_its_gateway_does(tiny: TinyPark) -> None:
    yard = Yard(tiny, Silence())
    yard.live()
    assert yard.face._answer(1, struct.pack(">BHH", 3, 0, 2)) is None
    assert yard.face._answer(9, struct.pack(">BHH", 3, 0, 2)) is None
    answer = yard.face._answer(2, struct.pack(">BHH", 4, 52, 2))
    assert answer is not None
    assert struct.unpack(">f", answer[2:6])[0] == 30_000  # W drawn
    assert yard.face.asked == {3: 2, 4: 1}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        pytest.param(struct.pack(">BHH", 1, 0, 2), 1, id="coils"),
        pytest.param(struct.pack(">BHH", 3, 0, 126), 3, id="more than the protocol lets"),
        pytest.param(struct.pack(">BH", 3, 0), 3, id="cut short"),
        pytest.param(struct.pack(">BHHB", 16, 100, 2, 3), 3, id="a count that is not its own"),
        pytest.param(struct.pack(">BHH", 3, 7000, 1), 2, id="a register that is not there"),
    ],
)
def test_nonsense_is_answered_with_the_exception_of_the_protocol(
    tiny: TinyPark, asked: bytes, code: int
) -> None:
    yard = Yard(tiny)
    yard.live()
    assert yard.face._answer(1, asked) == bytes([asked[0] | 0x80, code])
