"""Foreign payloads by the shipped maps, as such gateways send them; and whatever else may come."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.payload_mapping import ForeignDevice, PayloadTranslator
from adapters.payload_values import Nonsense
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.payloads import JsonPath, TopicPattern
from vpp.ports import Message
from vpp.service.links.payloadmaps import FOLDERS, load_payload_map, shipped_payload_maps
from vpp.service.park.config import shipped
from vpp.wire import AckMessage, TelemetryMessage

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
NO_FOLDER = Path()


def device(
    device_id: str, /, *, is_meter: bool = False, read_only: bool = True, **names: str
) -> ForeignDevice:
    return ForeignDevice(
        device_id=ResourceId(device_id),
        enterprise_id=EnterpriseId("mill"),
        site_id="gate",
        names=names,
        is_meter=is_meter,
        read_only=read_only,
    )


def meters() -> PayloadTranslator:
    return PayloadTranslator(
        load_payload_map("dlt645-gateway", NO_FOLDER),
        [
            device("gate-meter", is_meter=True, collector="c1", meter="000012345678"),
            device("saw", collector="c1", meter="000012345679"),
        ],
    )


def building() -> PayloadTranslator:
    return PayloadTranslator(
        load_payload_map("neuron", NO_FOLDER),
        [device("chiller", read_only=False, node="bacnet-1", group="chiller")],
    )


def house() -> PayloadTranslator:
    return PayloadTranslator(
        load_payload_map("heat-and-plugs", NO_FOLDER),
        [
            device("boiler", read_only=False, name="boiler_plug"),
            device("hall-heat", name="hm-7"),
        ],
    )


def say(
    translator: PayloadTranslator, topic: str, body: object, at: datetime = NOON
) -> list[Message]:
    return translator.read(topic, json.dumps(body).encode(), at)


def telemetry(messages: list[Message]) -> list[TelemetryMessage]:
    return [msgspec.json.decode(m.payload, type=TelemetryMessage) for m in messages]


def acks(messages: list[Message]) -> list[AckMessage]:
    found = [m.payload for m in messages if m.topic.endswith("/ack")]
    return [msgspec.json.decode(payload, type=AckMessage) for payload in found]


def a_setpoint(name: str, power_kw: float, seq: int = 1) -> Setpoint:
    return Setpoint(
        command_id=f"cmd-{seq}",
        seq=seq,
        resource_id=ResourceId(name),
        enterprise_id=EnterpriseId("mill"),
        issued_at=NOON,
        expires_at=NOON + timedelta(minutes=2),
        power_kw=power_kw,
        serves="plan-1",
    )


# ---------------------------------------------------------------- a datum a message: DL/T 645


def test_data_of_a_meter_that_come_one_by_one_make_one_message_of_ours() -> None:
    gateway = meters()
    meter = "meters/c1/000012345678"

    assert say(gateway, f"{meter}/02030000", {"v": "12.5", "t": "251203200000", "ok": 1}) == []
    assert say(gateway, f"{meter}/00010000", {"v": 1234.56, "t": "251203200001", "ok": 1}) == []
    [whole] = say(gateway, f"{meter}/00020000", {"v": 0.25, "t": "251203200002", "ok": 1})

    assert whole.topic == "vpp/v1/mill/gate/gate-meter/telemetry"
    # 20:00:02 in Shanghai is noon in UTC; what the meter draws is below 0 here; 1 kWh is 1000 Wh.
    assert telemetry([whole]) == [
        TelemetryMessage(
            ts="2025-12-03T12:00:02Z", seq=1, power_kw=-12.5, import_wh=1_234_560, export_wh=250
        )
    ]
    assert gateway.refused.total() == 0


def test_registers_of_before_an_outage_are_not_told_as_those_of_after_it() -> None:
    gateway = meters()
    meter = "meters/c1/000012345678"

    say(gateway, f"{meter}/00010000", {"v": 100, "t": "251203190000", "ok": 1})
    say(gateway, f"{meter}/00020000", {"v": 0, "t": "251203190000", "ok": 1})
    assert say(gateway, f"{meter}/02030000", {"v": 9, "t": "251203200000", "ok": 1}) == []
    assert say(gateway, f"{meter}/00010000", {"v": 109, "t": "251203200001", "ok": 1}) == []
    [whole] = telemetry(say(gateway, f"{meter}/00020000", {"v": 0, "t": "251203200001", "ok": 1}))
    assert (whole.power_kw, whole.import_wh) == (-9.0, 109_000)


def test_a_message_of_several_data_is_as_good_as_the_worst_of_them() -> None:
    gateway = meters()
    meter = "meters/c1/000012345678"

    say(gateway, f"{meter}/02030000", {"v": 9, "t": "251203200000", "ok": 0})
    say(gateway, f"{meter}/00010000", {"v": 109, "t": "251203200001", "ok": 1})
    [whole] = telemetry(say(gateway, f"{meter}/00020000", {"v": 0, "t": "251203200001", "ok": 1}))
    assert whole.quality == "bad"


def test_a_time_that_is_still_to_come_is_refused_and_does_not_outlive_its_clock() -> None:
    gateway = PayloadTranslator(load_payload_map("push-json", NO_FOLDER), [device("b", device="b")])
    told = {"power_kw": 1, "soc": 0.5}

    assert say(gateway, "devices/b", told | {"time": "2199-01-01T00:00:00Z"}) == []
    assert gateway.refused == {Nonsense.BAD_TIME: 1}
    [now] = telemetry(say(gateway, "devices/b", told | {"time": "2025-12-03T12:00:05Z"}))
    assert (now.seq, now.soc) == (1, 0.5)


def test_a_load_behind_the_same_collector_needs_its_power_alone() -> None:
    gateway = meters()
    body = {"v": "3", "t": "251203200000", "ok": 2}
    [message] = say(gateway, "meters/c1/000012345679/02030000", body)

    assert telemetry([message]) == [
        TelemetryMessage(ts="2025-12-03T12:00:00Z", seq=1, power_kw=-3.0, quality="uncertain")
    ]


def test_a_quality_that_the_map_does_not_name_is_bad() -> None:
    body = {"v": "3", "t": "251203200000", "ok": 0}
    [message] = say(meters(), "meters/c1/000012345679/02030000", body)

    assert telemetry([message])[0].quality == "bad"


@pytest.mark.parametrize(
    ("given", "told"),
    [(1, "good"), (1.0, "good"), (True, "good"), (2, "uncertain"), (False, "bad"), ("1", "bad")],
)
def test_a_word_of_quality_is_compared_by_value_and_truth_is_no_number(
    given: object, told: str
) -> None:
    body = {"v": "3", "t": "251203200000", "ok": given}
    [message] = say(meters(), "meters/c1/000012345679/02030000", body)

    assert telemetry([message])[0].quality == told


# ---------------------------------------------------------------- several points a message: Neuron


def upload(at_ms: int, **values: object) -> dict[str, Any]:
    return {"timestamp": at_ms, "node": "bacnet-1", "group": "chiller", "values": values}


NOON_MS = 1_764_763_200_000


def test_several_points_of_one_message_come_in_our_units() -> None:
    body = upload(NOON_MS, active_power=40_500, energy=100.5, supply_temperature=6.5, other=True)

    assert telemetry(say(building(), "neuron/app/upload", body)) == [
        TelemetryMessage(
            ts="2025-12-03T12:00:00Z",
            seq=1,
            power_kw=-40.5,
            energy_kwh=-100.5,
            temperature_degc=6.5,
        )
    ]


def test_a_repetition_is_counted_and_a_buffer_sent_late_is_told_as_late() -> None:
    gateway = building()
    bodies = [
        upload(NOON_MS, active_power=1000),
        upload(NOON_MS + 1000, active_power=1000),
        upload(NOON_MS + 1000, active_power=1000),
        upload(NOON_MS - 1000, active_power=3000),
        upload(NOON_MS + 2000, active_power=1000),
    ]
    told = [m for body in bodies for m in telemetry(say(gateway, "neuron/app/upload", body))]

    assert [(one.ts[14:19], one.seq, one.power_kw) for one in told] == [
        ("00:00", 1, -1.0),
        ("00:01", 2, -1.0),
        ("59:59", 0, -3.0),
        ("00:02", 3, -1.0),
    ]
    assert gateway.repeated == 1


def test_a_command_goes_out_as_the_gateway_wants_it_and_its_answer_comes_back() -> None:
    gateway = building()
    topic, payload = gateway.command(a_setpoint("chiller", -30.5), NOON)

    assert topic == "neuron/vpp/write/req"
    assert json.loads(payload) == {
        "uuid": "cmd-1",
        "node": "bacnet-1",
        "group": "chiller",
        "tag": "power_limit",
        "value": 30_500,
    }
    echo = {"uuid": "cmd-1", "node": "bacnet-1", "group": "chiller"}
    [taken] = say(gateway, "neuron/vpp/write/resp", echo | {"error": 0})
    assert taken.topic == "vpp/v1/mill/gate/chiller/ack"
    assert msgspec.json.decode(taken.payload, type=AckMessage) == AckMessage(
        command_id="cmd-1", seq=1, ts="2025-12-03T12:00:00Z", accepted=True
    )
    shows = upload(NOON_MS, active_power=1, power_limit=30_500)
    [after] = telemetry(say(gateway, "neuron/app/upload", shows))
    assert after.setpoint_seq == 1

    [refused] = say(gateway, "neuron/vpp/write/resp", echo | {"error": 2006})
    assert msgspec.json.decode(refused.payload, type=AckMessage) == AckMessage(
        command_id="cmd-1", seq=1, ts="2025-12-03T12:00:00Z", accepted=False, reason="2006"
    )
    assert say(gateway, "neuron/vpp/write/resp", echo | {"uuid": "of others", "error": 0}) == []
    assert (gateway.unasked, gateway.refused.total()) == (1, 0)


def test_a_set_point_that_is_read_back_confirms_the_newest_command() -> None:
    gateway = building()
    gateway.command(a_setpoint("chiller", -30.0, seq=7), NOON)
    seen = []
    for place, limit in enumerate((50_000, 30_000, 30_400)):
        body = upload(NOON_MS + place, active_power=place, power_limit=limit)
        seen += [m.setpoint_seq for m in telemetry(say(gateway, "neuron/app/upload", body))]

    assert seen == [None, 7, 7]


def test_a_set_point_that_somebody_else_has_changed_is_told_as_refused_once_and_the_device_let_go() -> (
    None
):
    gateway = building()
    gateway.command(a_setpoint("chiller", -30.0, seq=7), NOON)
    told = []
    for place, limit in ((1, 30_000), (0, 50_000), (2, 50_000), (3, 50_000)):
        body = upload(NOON_MS + 1000 * place, active_power=place, power_limit=limit)
        told.append(acks(say(gateway, "neuron/app/upload", body)))

    refused = AckMessage(
        command_id="cmd-7",
        seq=7,
        ts="2025-12-03T12:00:02Z",
        accepted=False,
        reason="somebody else has set it to -50 kW",
    )
    assert told == [[], [], [refused], []]  # the second was measured before the first
    assert gateway.taken_over() == (ResourceId("chiller"),)
    assert gateway.taken_over() == ()


def test_what_lets_a_device_go_is_said_where_it_has_no_timer_of_its_own() -> None:
    released = building().release(ResourceId("chiller"))

    assert released is not None
    assert json.loads(released[1])["tag"] == "power_limit_enable"
    assert house().release(ResourceId("boiler")) is None


def test_a_device_that_is_read_alone_gets_no_command() -> None:
    with pytest.raises(DataError, match="hall-heat: is only read behind this gateway"):
        house().command(a_setpoint("hall-heat", 1.0), NOON)
    with pytest.raises(DataError, match="saw: is no resource of mill"):
        house().command(a_setpoint("saw", 1.0), NOON)


# ---------------------------------------------------------------- flat JSON, arrays: plugs and CJ/T 188


def test_a_plug_says_watts_and_takes_an_expiry() -> None:
    gateway = house()
    body = {"power": 1500, "energy": 12.25, "linkquality": 90, "state": "ON"}

    assert telemetry(say(gateway, "zigbee2mqtt/boiler_plug", body)) == [
        TelemetryMessage(ts="2025-12-03T12:00:00Z", seq=1, power_kw=-1.5, energy_kwh=-12.25)
    ]
    topic, payload = gateway.command(a_setpoint("boiler", -0.75), NOON + timedelta(seconds=30))
    assert topic == "zigbee2mqtt/boiler_plug/set"
    assert json.loads(payload) == {"power_limit": 750.0, "countdown": 90}


def test_an_array_of_heat_meters_is_read_element_by_element() -> None:
    def record(name: str, power: object) -> dict[str, object]:
        items = [{"id": "power", "value": power}, {"id": "heat", "value": 5000}]
        return {"meter": name, "status": "00", "time": "2025-12-03 20:00:00", "items": items}

    gateway = house()
    body = {"records": [record("a", 40.5), record("b", "no number"), record("c", 42)]}
    told = telemetry(say(gateway, "cjt188/hm-7/data", body))

    # The map takes the name from the topic: both good records are of the same meter at the same time.
    assert [(one.power_kw, one.energy_kwh) for one in told] == [(-40.5, -5000.0), (-42.0, -5000.0)]
    assert gateway.refused == {Nonsense.NOT_A_NUMBER: 1}


def test_the_same_payload_again_and_again_without_a_time_is_bad_until_it_moves() -> None:
    gateway = house()
    powers = [1500, 1500, 1500, 1500, 1501, 1501, 0, 0, 0, 0]
    told = []
    for seconds, power in enumerate(powers):
        at = NOON + timedelta(seconds=seconds)
        told += telemetry(say(gateway, "zigbee2mqtt/boiler_plug", {"power": power}, at))

    good = [one.quality == "good" for one in told]
    assert good == [True, True, False, False, True, True, True, True, True, True]
    assert [one.seq for one in told] == list(range(1, 11))


# ---------------------------------------------------------------- nonsense


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        pytest.param("neuron/app/upload", b"{", Nonsense.NOT_JSON, id="truncated"),
        pytest.param("neuron/app/upload", b"\xff\x00\x80", Nonsense.NOT_JSON, id="binary"),
        pytest.param("neuron/app/upload", b"[" * 200_000, Nonsense.NOT_JSON, id="nested"),
        pytest.param("neuron/app/upload", b" " * 300_000, Nonsense.TOO_LARGE, id="oversized"),
        pytest.param("neuron/app/upload", b"17", Nonsense.UNKNOWN_DEVICE, id="a number"),
        pytest.param("neuron/app/other", b"{}", Nonsense.TOPIC, id="another topic"),
        pytest.param(
            "neuron/app/upload",
            json.dumps(upload(NOON_MS, active_power="NaN")).encode(),
            Nonsense.NOT_A_NUMBER,
            id="no number as text",
        ),
        pytest.param(
            "neuron/app/upload",
            json.dumps(upload(NOON_MS, active_power=True)).encode(),
            Nonsense.NOT_A_NUMBER,
            id="true",
        ),
        pytest.param(
            "neuron/app/upload",
            json.dumps(upload(NOON_MS, active_power=[[1]])).encode(),
            Nonsense.NOT_A_NUMBER,
            id="an array",
        ),
        pytest.param(
            "neuron/app/upload",
            json.dumps(upload(10**15, active_power=1)).encode(),
            Nonsense.BAD_TIME,
            id="a time beyond the calendar",
        ),
        pytest.param(
            "neuron/app/upload",
            b'{"timestamp":1e999,"node":"bacnet-1","group":"chiller","values":{"active_power":1}}',
            Nonsense.NOT_JSON,
            id="a number beyond all numbers",
        ),
    ],
)
def test_nonsense_is_refused_with_its_reason(topic: str, payload: bytes, reason: Nonsense) -> None:
    gateway = building()

    assert gateway.read(topic, payload, NOON) == []
    assert gateway.refused == {reason: 1}


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
keys = st.sampled_from(
    [
        "v",
        "t",
        "ok",
        "values",
        "active_power",
        "timestamp",
        "node",
        "group",
        "power",
        "records",
        "items",
        "id",
        "value",
        "uuid",
        "error",
        "status",
        "time",
        "energy",
    ]
)
foreign = st.dictionaries(keys, json_values | st.sampled_from(["bacnet-1", "chiller", NOON_MS]))
topics = st.sampled_from(
    [
        "meters/c1/000012345678/00010000",
        "meters/c1/000012345679/02030000",
        "meters/c1/x/02030000",
        "neuron/app/upload",
        "neuron/vpp/write/resp",
        "zigbee2mqtt/boiler_plug",
        "cjt188/hm-7/data",
    ]
)


@given(topic=topics, body=foreign, raw=st.binary(max_size=40), whole=st.booleans())
def test_whatever_a_gateway_sends_nothing_is_raised_and_what_passes_is_our_message(
    topic: str, body: dict[str, object], raw: bytes, whole: bool
) -> None:
    payload = json.dumps(body).encode() if whole else raw
    for gateway in (meters(), building(), house()):
        for message in gateway.read(topic, payload, NOON):
            [said] = telemetry([message])
            assert json.loads(message.payload.decode())  # strict JSON
            assert abs(said.power_kw) < float("inf")


# ---------------------------------------------------------------- paths and topics


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b[1]", 2),
        ('["odd key"]', 3),
        ("items[name=P].value", 4),
        ("items[no=7].value", 5),
        ("[0]", None),
        ("a.x", None),
        ("a.b[9]", None),
    ],
)
def test_a_path_finds_its_place_or_nothing(path: str, found: object) -> None:
    document = {
        "a": {"b": [1, 2]},
        "odd key": 3,
        "items": [{"name": "Q"}, {"name": "P", "value": 4}, {"no": 7, "value": 5}],
    }
    place = JsonPath(text=path).find(document, {})

    assert (place if isinstance(place, int) else None) == found


@pytest.mark.parametrize("path", ["a..b", "a[", "a[x", "a[=1]", " a", "a.[b]."])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(DataError, match="is no path"):
        JsonPath(text=path)


def test_a_topic_pattern_captures_levels() -> None:
    pattern = TopicPattern(text="site/{gateway}/+/{meter}/#")

    assert pattern.filter == "site/+/+/+/#"
    assert pattern.match("site/g1/x/m1/a/b") == {"gateway": "g1", "meter": "m1"}
    assert pattern.match("site/g1/x") is None
    assert pattern.match("hall/g1/x/m1/a") is None
    for bad in ("", "a/#/b", "a/{b}c", "{a}/{a}"):
        with pytest.raises(DataError, match="is no topic pattern"):
            TopicPattern(text=bad)


def test_maps_are_shipped_for_each_carrier_and_a_name_is_in_one_of_them_alone() -> None:
    assert shipped_payload_maps() == [
        "dlt645-gateway",
        "heat-and-plugs",
        "neuron",
        "openems-rest",
        "push-json",
        "recorded",
        "shelly-em",
    ]
    files = [file.stem for folder in FOLDERS for file in shipped(folder).glob("*.yaml")]
    assert len(files) == len(set(files))
