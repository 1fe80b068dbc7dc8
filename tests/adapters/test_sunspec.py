"""SunSpec against a stranger: we read what pysunspec2's own models lay down, and it scans what we read."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from random import Random
from typing import Any

import pytest
import sunspec2.modbus.client as peer
from sunspec2.device import Model as PeerModel

from adapters.modbus_device import ModbusDevice
from adapters.modbus_tcp import ModbusLink
from adapters.modbus_wire import GatewayAddress, ModbusLine
from adapters.sunspec import discover, scan
from tests.adapters.slaves import Slaves, slaves
from tests.adapters.test_modbus_tcp import QUICK, Time, Told, a_setpoint
from tests.patience import PATIENCE_S
from vpp.errors import RejectedError
from vpp.model.ids import ResourceId
from vpp.model.registers import Place, RegisterMap, Table, What
from vpp.model.sunspec import POINTS, Choices
from vpp.wire import AckMessage, TelemetryMessage

Values = Mapping[str, Any]

UNIT = 126
COMMON: Values = {
    "Mn": "Example Maker",
    "Md": "Model T",
    "Opt": "",
    "Vr": "1",
    "SN": "42",
    "DA": UNIT,
}
INVERTER: Values = {"W_SF": 1, "W": 250, "WH_SF": 3, "WH": 1234}
METER: Values = {"W_SF": 2, "W": -30, "TotWh_SF": 1, "TotWhExp": 500, "TotWhImp": 7000}
DER: Values = {"W_SF": 0, "W": -2500, "TotWh_SF": 0, "TotWhInj": 10, "TotWhAbs": 20}
CONTROLS_704: Values = {
    "WSet_SF": 1,
    "WSet": 0,
    "WSetEna": 0,
    "WSetMod": 0,
    "WSetEnaRvrt": 1,
    "WSetRvrtTms": 0,
}


def laid_down(models: Iterable[tuple[int, Values]], *, base: int = 40000) -> dict[int, int]:
    """The words of a device as pysunspec2 makes them; points that are not given are not implemented."""
    data = b"SunS"
    for model_id, values in models:
        model = PeerModel(model_id)
        for name, value in values.items():
            model.points[name].value = value
        model.points["L"].value = len(model.get_mb()) // 2 - 2
        data += model.get_mb()
    data += b"\xff\xff\x00\x00"
    words = [int.from_bytes(data[n : n + 2], "big") for n in range(0, len(data), 2)]
    return {base + n: word for n, word in enumerate(words)}


def run(check: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(check, PATIENCE_S))


async def found(there: Slaves, choices: Choices | None = None) -> RegisterMap:
    line = ModbusLine(
        GatewayAddress(host="127.0.0.1", port=there.port),
        writable=(),
        connect_timeout_s=1,
        timeout_s=1,
    )
    await line.open()
    try:
        return await discover(line, UNIT, choices or Choices())
    finally:
        line.close()


def values_of(found: RegisterMap, words: Mapping[int, int]) -> dict[str, float | None]:
    image: dict[Place, int] = {(Table.HOLDING, at): word for at, word in words.items()}
    return found.values(image, {})


@pytest.mark.parametrize("model_id", sorted(POINTS))
def test_our_points_stand_where_the_public_definitions_have_them(model_id: int) -> None:
    model = PeerModel(model_id)
    for name, point in POINTS[model_id].items():
        theirs = model.points[name]
        assert theirs.offset == point.at, name
        words = {"16": 1, "32": 2, "64": 4}[point.kind.value[-2:]]
        assert theirs.len == words, name
        kind = theirs.pdef["type"]
        assert point.kind.value == {
            "acc32": "uint32",
            "enum16": "uint16",
            "bitfield16": "uint16",
        }.get(kind, kind)
        scale = theirs.pdef.get("sf")
        assert (scale is None) == (point.scale_at is None), name
        if scale is not None:
            assert model.points[scale].offset == point.scale_at, name


@pytest.mark.parametrize("base", [40000, 50000, 0])
def test_an_inverter_is_found_wherever_its_mark_stands(base: int) -> None:
    words = laid_down([(1, COMMON), (103, INVERTER)], base=base)

    async def check() -> None:
        async with slaves({UNIT: words}) as there:
            inverter = await found(there)
        assert inverter.name == "Example Maker Model T"
        assert values_of(inverter, words) == {
            "power_kw": pytest.approx(2.5),
            "energy_kwh": pytest.approx(1234.0),
        }
        assert not inverter.takes_setpoints

    run(check())


@pytest.mark.parametrize("model_id", [101, 102, 103, 111, 112, 113])
def test_inverters_tell_what_they_feed(model_id: int) -> None:
    scaled = model_id < 110
    given = INVERTER if scaled else {"W": 2500.0, "WH": 1234000.0}
    words = laid_down([(1, COMMON), (model_id, given)])

    async def check() -> None:
        async with slaves({UNIT: words}) as there:
            assert values_of(await found(there), words) == {
                "power_kw": pytest.approx(2.5),
                "energy_kwh": pytest.approx(1234.0),
            }

    run(check())


@pytest.mark.parametrize(("counts", "power_kw"), [("draw", 3.0), ("feed", -3.0)])
def test_a_meter_tells_both_registers_and_counts_as_the_park_file_says(
    counts: Any, power_kw: float
) -> None:
    words = laid_down([(1, COMMON), (203, METER)])

    async def check() -> None:
        async with slaves({UNIT: words}) as there:
            meter = await found(there, Choices(meter_counts=counts))
        assert values_of(meter, words) == {
            "power_kw": pytest.approx(power_kw),
            "export_wh": pytest.approx(5000),
            "import_wh": pytest.approx(70000),
        }

    run(check())


def test_a_battery_of_the_700_models_tells_charge_and_takes_watts() -> None:
    words = laid_down(
        [
            (1, COMMON),
            (701, DER),
            (704, CONTROLS_704),
            (713, {"Pct_SF": -1, "SoC": 555, "WH_SF": 3, "WHRtg": 100}),
        ]
    )

    async def check() -> None:
        async with slaves({UNIT: words}) as there:
            battery = await found(there)
        assert values_of(battery, words) == {
            "power_kw": pytest.approx(-2.5),
            "export_wh": 10,
            "import_wh": 20,
            "soc": pytest.approx(0.555),
        }
        assert battery.revert_s == 60
        assert [write.what for write in battery.writes] == [
            What.FIXED,
            What.POWER,
            What.FIXED,
            What.REVERT,
            What.ENABLE,
        ]

    run(check())


def test_a_charge_that_is_not_implemented_is_taken_from_the_battery_model() -> None:
    words = laid_down(
        [
            (1, COMMON),
            (103, INVERTER),
            (713, {"Pct_SF": -1}),
            (802, {"SoC_SF": -1, "SoC": 555}),
        ]
    )

    async def check() -> None:
        async with slaves({UNIT: words}) as there:
            assert values_of(await found(there), words)["soc"] == pytest.approx(0.555)

    run(check())


def test_a_stranger_scans_what_we_read_and_reads_the_same() -> None:
    models: list[tuple[int, Values]] = [
        (1, COMMON),
        (103, INVERTER),
        (203, METER),
        (701, DER),
        (802, {"SoC_SF": -1, "SoC": 555}),
    ]
    words = laid_down(models)

    def scanned(port: int) -> dict[str, float]:
        device = peer.SunSpecModbusClientDeviceTCP(
            slave_id=UNIT, ipaddr="127.0.0.1", ipport=port, timeout=5
        )
        device.scan()
        try:
            return {
                "power_kw": device.models[701][0].W.cvalue / 1000,
                "export_wh": device.models[203][0].TotWhExp.cvalue,
                "import_wh": device.models[203][0].TotWhImp.cvalue,
                "energy_kwh": device.models[103][0].WH.cvalue / 1000,
                "soc": device.models[802][0].SoC.cvalue / 100,
            }
        finally:
            device.close()

    async def check() -> None:
        async with slaves({UNIT: words}) as there:
            theirs = await asyncio.to_thread(scanned, there.port)
            ours = values_of(await found(there), words)
        assert ours == pytest.approx(theirs)

    run(check())


async def commanded(
    there: Slaves, power_kw: float, *, rated_kw: float | None = None
) -> tuple[AckMessage, TelemetryMessage]:
    """Find the device by its models, command it, and take its answer and what it shows afterwards."""
    device = ModbusDevice(
        device_id=ResourceId("bess-1"),
        enterprise_id="steel",
        site_id="mill",
        unit=UNIT,
        map=None,
        poll_s=0.02,
        read_only=False,
        rated_kw=rated_kw,
    )
    address = GatewayAddress(host="127.0.0.1", port=there.port)
    link = ModbusLink(address, [device], now=Time(), jitter=Random(1), timing=QUICK)
    async with link:
        told = Told(link)
        await told.next(TelemetryMessage)
        assert await link.send([a_setpoint(power_kw)]) == ()
        answer = await told.next(AckMessage)
        return answer, await told.next(TelemetryMessage)


def test_watts_are_set_with_their_timer_and_enabled_last() -> None:
    words = laid_down([(1, COMMON), (701, DER), (704, CONTROLS_704)])

    async def check() -> None:
        async with slaves({UNIT: words}) as there:
            answer, shown = await commanded(there, -20.0)
            assert answer.accepted
            assert shown.setpoint_seq == 7
            model = PeerModel(704)
            start = next(at for at, word in words.items() if word == 704)
            for point in model.points.values():
                held = [there.words[UNIT][start + point.offset + n] for n in range(point.len)]
                point.set_mb(b"".join(word.to_bytes(2, "big") for word in held))
            assert model.points["WSet"].cvalue == -20_000
            read = {name: model.points[name].value for name in CONTROLS_704}
            assert read == {
                "WSet_SF": 1,
                "WSet": -2000,
                "WSetEna": 1,
                "WSetMod": 1,
                "WSetEnaRvrt": 0,
                "WSetRvrtTms": 60,
            }
            assert there.written()[-1][1] == start + 22

    run(check())


def test_shares_of_a_storage_are_a_power_out_and_its_negative_in() -> None:
    storage: Values = {
        "WChaMax_SF": 1,
        "WChaMax": 500,
        "StorCtl_Mod": 0,
        "ChaState_SF": 0,
        "ChaState": 40,
        "InOutWRte_SF": -1,
        "OutWRte": 1000,
        "InWRte": 1000,
    }
    words = laid_down([(1, COMMON), (103, INVERTER), (124, storage)])

    async def check() -> None:
        async with slaves({UNIT: words}) as there:
            answer, shown = await commanded(there, -2.5)
            assert answer.accepted
            assert shown.setpoint_seq == 7
            assert shown.soc == pytest.approx(0.4)
            start = next(at for at, word in words.items() if word == 124)
            writes = [(at - start, words) for _, at, words in there.written()]
            assert writes[:3] == [(12, (65536 - 500,)), (13, (500,)), (5, (3,))]
            assert writes[3:] == [(5, (0,))], "it has no timer, so it is let go at the end"

    run(check())


def test_a_limit_is_a_share_of_what_the_inverter_or_the_park_file_says() -> None:
    limit: Values = {
        "WMaxLimPct_SF": -2,
        "WMaxLimPct": 10000,
        "WMaxLim_Ena": 0,
        "WMaxLimPct_RvrtTms": 0,
    }
    told = [(1, COMMON), (103, INVERTER), (121, {"WMax_SF": 1, "WMax": 1000}), (123, limit)]
    untold = [(1, COMMON), (103, INVERTER), (123, limit)]

    async def check() -> None:
        for models, rated_kw in ((told, None), (untold, 10.0)):
            words = laid_down(models)
            async with slaves({UNIT: words}) as there:
                answer, _ = await commanded(there, 4.0, rated_kw=rated_kw)
                assert answer.accepted, answer
                start = next(at for at, word in words.items() if word == 123)
                writes = [(at - start, words) for _, at, words in there.written()]
                assert writes == [(5, (4000,)), (7, (60,)), (9, (1,))]
        async with slaves({UNIT: laid_down(untold)}) as there:
            answer, _ = await commanded(there, 4.0)
            assert answer.reason == "rated_kw is unknown"

    run(check())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param({0: 1, 1: 2}, "no SunSpec at any of", id="something else"),
        pytest.param(
            laid_down([(1, COMMON)]), r"SunSpec models \[1\] tell no power", id="no power"
        ),
        pytest.param(
            {40000: 0x5375, 40001: 0x6E53} | dict.fromkeys(range(40002, 40402), 0),
            "a chain of 128 SunSpec models has no end",
            id="no end",
        ),
        pytest.param(
            {40000: 0x5375, 40001: 0x6E53, 40002: 103, 40003: 65000},
            "a chain of 1 SunSpec models has no end",
            id="a model beyond the last register",
        ),
    ],
)
def test_what_is_no_sunspec_device_is_said_to_be_none(words: dict[int, int], said: str) -> None:
    async def check() -> None:
        async with slaves({UNIT: words}) as there:
            with pytest.raises(RejectedError, match=said):
                await found(there)

    run(check())


def test_models_we_do_not_know_are_passed_over() -> None:
    words = laid_down([(1, COMMON), (126, {}), (103, INVERTER)])

    async def check() -> None:
        async with slaves({UNIT: words}) as there:
            line = ModbusLine(
                GatewayAddress(host="127.0.0.1", port=there.port),
                writable=(),
                connect_timeout_s=1,
                timeout_s=1,
            )
            await line.open()
            assert [model.id for model in await scan(line, UNIT)] == [1, 126, 103]
            line.close()
            assert values_of(await found(there), words)["power_kw"] == pytest.approx(2.5)

    run(check())


def test_a_model_of_names_too_short_for_them_at_the_last_registers_breaks_nothing() -> None:
    """Asking for the names would ask beyond the last address there is, and end the link."""
    words = laid_down([(103, INVERTER)], base=50000)
    end = max(words) - 1
    words |= {end: 9999, end + 1: 65520 - end - 2}  # unknown, and as long as it takes
    words |= dict.fromkeys(range(end + 2, 65520), 0)
    words |= {65520: 1, 65521: 2, 65522: 0, 65523: 0, 65524: 0xFFFF, 65525: 0}

    async def check() -> None:
        async with slaves({UNIT: words}) as there:
            assert (await found(there)).name == "SunSpec device"

    run(check())
