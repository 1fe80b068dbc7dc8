"""Whatever a device sends: a checked measurement comes out, or a refusal that names its reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.measurement import Measurement, MeterReading, Reading
from vpp.sense.decode import MAX_BYTES, Refusal, RefusalReason, decode
from vpp.wire import TelemetryMessage

NOW = datetime(2025, 12, 3, 8, tzinfo=UTC)
BESS, PV, METER = ResourceId("bess-1"), ResourceId("pv-1"), ResourceId("meter-1")
OWNER = (EnterpriseId("steel"), ConnectionPointId("cp-1"))
TOPIC = "vpp/v1/steel/cp-1/bess-1/telemetry"
METER_TOPIC = "vpp/v1/steel/cp-1/meter-1/telemetry"


def read(payload: bytes, topic: str = TOPIC) -> Measurement:
    return decode(
        topic,
        payload,
        {BESS: OWNER, PV: OWNER, METER: OWNER},
        {BESS: (-250.0, 250.0), PV: (-10.0, 500.0), METER: (-900.0, 800.0)},
        {METER},
        NOW,
    )


def a_payload(**changes: Any) -> bytes:
    body = {"ts": "2025-12-03T07:59:30Z", "seq": 7, "power_kw": -120.5, "soc": 0.5} | changes
    return json.dumps(body).encode()


def test_a_good_message_becomes_a_reading_of_its_owner() -> None:
    reading = read(a_payload(setpoint_seq=3, energy_kwh=-12.5))

    assert isinstance(reading, Reading)
    assert (reading.resource_id, reading.enterprise_id) == (BESS, "steel")
    assert reading.measured_at == NOW - timedelta(seconds=30)
    assert (reading.power_kw, reading.soc, reading.setpoint_seq) == (-120.5, 0.5, 3)


def test_a_time_in_another_zone_is_read_as_utc() -> None:
    assert read(a_payload(ts="2025-12-03T15:59:00+08:00")).measured_at == NOW - timedelta(minutes=1)


def test_a_main_meter_gives_its_registers() -> None:
    reading = read(a_payload(import_wh=10, export_wh=0), METER_TOPIC)

    assert isinstance(reading, MeterReading)
    assert (reading.import_wh, reading.export_wh) == (10, 0)


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        pytest.param("a/b", a_payload(), RefusalReason.TOPIC, id="not our tree"),
        pytest.param(TOPIC[:-9] + "cmd", a_payload(), RefusalReason.TOPIC, id="not telemetry"),
        pytest.param(TOPIC + "/x", a_payload(), RefusalReason.TOPIC, id="one level too deep"),
        pytest.param(
            TOPIC.replace("bess-1", "bess-9"),
            a_payload(),
            RefusalReason.UNKNOWN_DEVICE,
            id="no such device",
        ),
        pytest.param(
            TOPIC.replace("steel", "school"),
            a_payload(),
            RefusalReason.FOREIGN_DEVICE,
            id="another enterprise speaks for the device",
        ),
        pytest.param(
            TOPIC.replace("cp-1", "cp-2"),
            a_payload(),
            RefusalReason.FOREIGN_DEVICE,
            id="another site speaks for the device",
        ),
        pytest.param(TOPIC, b" " * (MAX_BYTES + 1), RefusalReason.TOO_LARGE, id="too large"),
        pytest.param(TOPIC, b"", RefusalReason.NOT_JSON, id="empty"),
        pytest.param(TOPIC, a_payload()[:-5], RefusalReason.NOT_JSON, id="cut off"),
        pytest.param(TOPIC, b"\xff\xfe\x00", RefusalReason.NOT_JSON, id="binary"),
        pytest.param(
            TOPIC, b'{"ts":"\xff","seq":1,"power_kw":1}', RefusalReason.NOT_JSON, id="not UTF-8"
        ),
        pytest.param(TOPIC, b"[" * 16_000, RefusalReason.SCHEMA, id="16000 brackets"),
        pytest.param(
            TOPIC,
            b'{"a":' + b"[" * 8000 + b"]" * 8000 + b"}",
            RefusalReason.SCHEMA,
            id="brackets in an unknown field",
        ),
        pytest.param(TOPIC, b'{"seq":1,"power_kw":1}', RefusalReason.SCHEMA, id="no time"),
        pytest.param(TOPIC, a_payload(power_kw=None), RefusalReason.SCHEMA, id="null power"),
        pytest.param(TOPIC, a_payload(power_kw="1"), RefusalReason.SCHEMA, id="power as text"),
        pytest.param(TOPIC, a_payload(seq=True), RefusalReason.SCHEMA, id="seq as boolean"),
        pytest.param(TOPIC, a_payload(quality="fine"), RefusalReason.SCHEMA, id="new quality"),
        pytest.param(
            TOPIC, a_payload(power_kw=float("nan")), RefusalReason.NOT_FINITE, id="NaN literal"
        ),
        pytest.param(
            TOPIC, a_payload(soc=float("inf")), RefusalReason.NOT_FINITE, id="Infinity literal"
        ),
        pytest.param(
            TOPIC,
            a_payload().replace(b"-120.5", b"1e999"),
            RefusalReason.NOT_FINITE,
            id="1e999",
        ),
        pytest.param(
            TOPIC,
            a_payload().replace(b"-120.5", b"9" * 400),
            RefusalReason.NOT_FINITE,
            id="400 digits",
        ),
        pytest.param(TOPIC, a_payload(ts="soon"), RefusalReason.BAD_TIME, id="no time at all"),
        pytest.param(
            TOPIC,
            a_payload(ts="0001-01-01T00:00:00+23:00"),
            RefusalReason.BAD_TIME,
            id="before the calendar",
        ),
        pytest.param(
            TOPIC, a_payload(ts="2025-12-03T07:59:30"), RefusalReason.NAIVE_TIME, id="naive time"
        ),
        pytest.param(
            TOPIC,
            a_payload(ts="2025-12-03T08:00:06Z"),
            RefusalReason.FROM_FUTURE,
            id="6 s ahead of us",
        ),
        pytest.param(
            TOPIC, a_payload(ts="2026-12-03T08:00:00Z"), RefusalReason.FROM_FUTURE, id="next year"
        ),
        pytest.param(
            TOPIC, a_payload(ts="2024-12-03T08:00:00Z"), RefusalReason.TOO_OLD, id="last year"
        ),
        pytest.param(TOPIC, a_payload(power_kw=-120_500), RefusalReason.WRONG_UNIT, id="W for kW"),
        pytest.param(
            TOPIC.replace("bess", "pv"),
            a_payload(power_kw=-300),
            RefusalReason.WRONG_SIGN,
            id="PV with the sign turned",
        ),
        pytest.param(TOPIC, a_payload(soc=50), RefusalReason.IMPLAUSIBLE, id="soc in per cent"),
        pytest.param(TOPIC, a_payload(soc=-0.01), RefusalReason.IMPLAUSIBLE, id="soc below 0"),
        pytest.param(TOPIC, a_payload(seq=-1), RefusalReason.IMPLAUSIBLE, id="negative seq"),
        pytest.param(
            TOPIC,
            a_payload().replace(b"7,", b"9" * 3000 + b","),
            RefusalReason.IMPLAUSIBLE,
            id="seq of 3000 digits",
        ),
        pytest.param(
            TOPIC,
            a_payload(
                sessions=[
                    {"session_id": "a", "departs_at": "2025-12-03T17:00:00Z", "wanted_kwh": -1}
                ]
            ),
            RefusalReason.IMPLAUSIBLE,
            id="a car that wants less than nothing",
        ),
        pytest.param(
            TOPIC,
            a_payload(
                sessions=[{"session_id": "a", "departs_at": "2025-12-03T17:00:00", "wanted_kwh": 1}]
            ),
            RefusalReason.NAIVE_TIME,
            id="a car that leaves in no zone",
        ),
        pytest.param(METER_TOPIC, a_payload(), RefusalReason.SCHEMA, id="meter without registers"),
        pytest.param(
            METER_TOPIC,
            a_payload(import_wh=-1, export_wh=0),
            RefusalReason.IMPLAUSIBLE,
            id="negative register",
        ),
    ],
)
def test_a_bad_message_is_refused_by_name(
    topic: str, payload: bytes, reason: RefusalReason
) -> None:
    with pytest.raises(Refusal) as caught:
        read(payload, topic)

    assert caught.value.reason is reason


def test_a_clock_five_seconds_ahead_is_forgiven() -> None:
    assert read(a_payload(ts="2025-12-03T08:00:05Z")).measured_at > NOW


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FIELDS = list(TelemetryMessage.__struct_fields__)
NEARLY_RIGHT = st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES).map(
    lambda changes: a_payload(**{"import_wh": 1, "export_wh": 2, **changes})
)


@given(
    payload=st.binary(max_size=200) | NEARLY_RIGHT,
    topic=st.sampled_from([TOPIC, METER_TOPIC]) | st.text(max_size=60),
)
def test_no_bytes_bring_down_the_reader_and_nothing_passes_that_is_not_finite(
    payload: bytes, topic: str
) -> None:
    try:
        measurement = read(payload, topic)
    except Refusal:
        return
    numbers = [
        getattr(measurement, name, None)
        for name in ("power_kw", "energy_kwh", "soc", "temperature_degc", "available_kw")
    ]
    assert all(isfinite(number) for number in numbers if number is not None)
    assert measurement.measured_at <= NOW + timedelta(seconds=5)


@given(at=st.integers(0, 200), byte=st.integers(0, 255))
def test_one_byte_flipped_anywhere_is_read_or_refused(at: int, byte: int) -> None:
    payload = bytearray(a_payload(sessions=[], phase="waiting", temperature_degc=-18.5))
    payload[at % len(payload)] = byte
    try:
        read(bytes(payload))
    except Refusal:
        return
