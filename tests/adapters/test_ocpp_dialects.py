"""What is said in OCPP 1.6J and 2.0.1, held against the schemas of the standard, and read by hand."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.ocpp16 import NOTED as NOTED_16
from adapters.ocpp16 import Ocpp16
from adapters.ocpp201 import NOTED as NOTED_201
from adapters.ocpp201 import Ocpp201
from adapters.ocpp_words import (
    Began,
    Booted,
    Dialect,
    Ended,
    Limit,
    Metered,
    Needs,
    Plug,
    Sample,
    Shown,
    Status,
    Went,
    WordError,
)
from tests.adapters.ocppschemas import anything, require_valid

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
OLD, NEW = Ocpp16(), Ocpp201()
DIALECTS: dict[str, Dialect] = {one.subprotocol: one for one in (OLD, NEW)}
HEARD = {
    "ocpp1.6": {
        *("BootNotification", "Heartbeat", "StatusNotification", "MeterValues", "Authorize"),
        *("StartTransaction", "StopTransaction"),
        *NOTED_16,
    },
    "ocpp2.0.1": {
        *("BootNotification", "Heartbeat", "StatusNotification", "MeterValues", "Authorize"),
        *("TransactionEvent", "NotifyEVChargingNeeds"),
        *NOTED_201,
    },
}
ACTIONS = [(version, action) for version, actions in HEARD.items() for action in sorted(actions)]


def raw(payload: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(payload))


@pytest.mark.parametrize(("version", "action"), ACTIONS)
def test_whatever_the_standard_allows_is_read_and_answered_as_the_standard_asks(
    version: str, action: str
) -> None:
    dialect = DIALECTS[version]
    states = ["Accepted", "Rejected"] if action == "BootNotification" else ["Accepted", "Invalid"]

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(payload=anything(version, action), status=st.sampled_from(states))
    def check(payload: Any, status: str) -> None:
        if action == "TransactionEvent" and not payload["transactionInfo"]["transactionId"]:
            return  # no name is none, whatever the schema says
        word = dialect.read(action, raw(payload))
        answer = dialect.answer(word, now=NOON, status=status, interval_s=60, transaction="7")
        require_valid(version, action, answer, answer=True)

    check()


def a_limit(most: float = 16.5, unit: Any = "A") -> Limit:
    return Limit(
        point=2,
        transaction="7",
        most=most,
        unit=unit,
        begins_at=NOON + timedelta(milliseconds=300),
        ends_at=NOON + timedelta(minutes=5),
    )


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS.keys())
def test_all_that_is_asked_of_a_station_is_as_the_standard_says(dialect: Dialect) -> None:
    asked = [
        dialect.limit(a_limit()),
        dialect.limit(a_limit(0.0)),
        dialect.limit(a_limit(7400.0, "W")),
        dialect.safe(6.0, "A", 3),
        dialect.clear(2),
        dialect.ask_limit(2, "W"),
        dialect.ask_status(),
        *dialect.settings(10),
    ]
    for action, payload in asked:
        require_valid(dialect.subprotocol, action, payload)


def test_a_limit_ends_by_itself_and_with_its_transaction() -> None:
    _, old = OLD.limit(a_limit())
    profile = old["csChargingProfiles"]
    assert old["connectorId"] == 2
    assert (profile["chargingProfilePurpose"], profile["transactionId"]) == ("TxProfile", 7)
    assert profile["validTo"] == "2025-12-03T12:05:00Z"
    assert profile["chargingSchedule"]["duration"] == 300
    _, new = NEW.limit(a_limit())
    profile = new["chargingProfile"]
    assert (profile["chargingProfilePurpose"], profile["transactionId"]) == ("TxProfile", "7")
    assert profile["validTo"] == "2025-12-03T12:05:00Z"
    assert profile["chargingSchedule"][0]["duration"] == 300


def test_the_default_that_holds_where_no_limit_does_never_ends() -> None:
    for dialect in DIALECTS.values():
        _, payload = dialect.safe(6.0, "A", 3)
        text = msgspec.json.encode(payload)
        assert b"TxDefaultProfile" in text
        assert b"validTo" not in text
        assert b"duration" not in text


def old_meter(*values: dict[str, Any]) -> Metered:
    payload = {
        "connectorId": 1,
        "transactionId": 7,
        "meterValue": [{"timestamp": "2025-12-03T12:00:00Z", "sampledValue": list(values)}],
    }
    word = OLD.read("MeterValues", raw(payload))
    assert isinstance(word, Metered)
    return word


def test_a_meter_of_1_6_is_read_in_its_own_units() -> None:
    power = {"value": "7.4", "measurand": "Power.Active.Import", "unit": "kW"}
    word = old_meter(power, {"value": "1500"}, {"value": "42", "measurand": "SoC"})
    assert word == Metered(1, "7", (Sample(NOON, 7.4, 1500.0, 0.42),))


def test_phases_are_added_where_no_value_stands_for_all() -> None:
    def phase(name: str | None, watts: str) -> dict[str, Any]:
        one = {"value": watts, "measurand": "Power.Active.Import", "unit": "W"}
        return one if name is None else one | {"phase": name}

    three = old_meter(phase("L1", "1000"), phase("L2", "2000"), phase("L3", "3000"))
    assert three.samples == (Sample(NOON, 6.0, None),)
    whole = old_meter(phase("L1", "1000"), phase(None, "6000"))
    assert whole.samples == (Sample(NOON, 6.0, None),)


def test_a_car_that_feeds_back_draws_less_than_nothing() -> None:
    word = old_meter({"value": "5000", "measurand": "Power.Active.Export", "unit": "W"})
    assert word.samples == (Sample(NOON, -5.0, None),)


@pytest.mark.parametrize(
    "value", ["nan", "inf", "1e400", "seven", ""], ids=["nan", "inf", "huge", "word", "nothing"]
)
def test_a_value_that_is_no_number_is_left_out(value: str) -> None:
    assert old_meter({"value": value}).samples == ()


def test_signed_data_is_no_value() -> None:
    assert old_meter({"value": "1500", "format": "SignedData"}).samples == ()


def test_a_multiplier_of_2_0_1_scales_its_value() -> None:
    power = {"value": 74, "measurand": "Power.Active.Import"}
    power |= {"unitOfMeasure": {"unit": "W", "multiplier": 2}}
    meter = [{"timestamp": "2025-12-03T20:00:00+08:00", "sampledValue": [power]}]
    word = NEW.read("MeterValues", raw({"evseId": 1, "meterValue": meter}))
    assert word == Metered(1, None, (Sample(NOON, 7.4, None),))


def an_event(kind: str, **more: Any) -> Any:
    info = {"transactionId": "t-1", "chargingState": "Charging"}
    said = {
        "eventType": kind,
        "timestamp": "2025-12-03T12:00:00Z",
        "triggerReason": "CablePluggedIn",
        "seqNo": 0,
        "transactionInfo": info,
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [{"timestamp": "2025-12-03T12:00:00Z", "sampledValue": [{"value": 900}]}],
    }
    return NEW.read("TransactionEvent", raw(said | more))


def test_a_transaction_of_2_0_1_begins_goes_on_and_ends() -> None:
    samples = (Sample(NOON, None, 900.0),)
    token = {"idToken": "04A1", "type": "ISO14443"}
    begun = an_event("Started", idToken=token)
    assert begun == Began(1, "t-1", "04A1", NOON, 900.0, samples, Plug.CHARGING)
    assert an_event("Updated") == Went(1, "t-1", NOON, samples, Plug.CHARGING, None)
    assert an_event("Ended") == Ended(1, "t-1", NOON, 900.0, samples)


def test_what_a_car_asks_for_is_read() -> None:
    ac = {"energyAmount": 20_000, "evMinCurrent": 6, "evMaxCurrent": 32, "evMaxVoltage": 400}
    needs = {
        "requestedEnergyTransfer": "AC_three_phase",
        "departureTime": "2025-12-03T17:00:00Z",
        "acChargingParameters": ac,
    }
    word = NEW.read("NotifyEVChargingNeeds", raw({"evseId": 1, "chargingNeeds": needs}))
    assert word == Needs(1, NOON + timedelta(hours=5), 20.0)


def test_the_limit_in_force_is_read() -> None:
    periods = [{"startPeriod": 0, "limit": 16.0}, {"startPeriod": 30, "limit": 6.0}]
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": periods}
    assert OLD.shown_limit(raw({"status": "Accepted", "chargingSchedule": schedule})) == Shown(
        16.0, "A"
    )
    assert NEW.shown_limit(raw({"status": "Accepted", "schedule": schedule})) == Shown(16.0, "A")
    assert OLD.shown_limit(raw({"status": "Rejected"})) is None
    empty = schedule | {"chargingSchedulePeriod": []}
    assert OLD.shown_limit(raw({"status": "Accepted", "chargingSchedule": empty})) == Shown(
        None, "A"
    )


def test_what_a_station_refuses_is_told_in_its_own_words() -> None:
    assert OLD.accepted(raw({"status": "Accepted"})) is None
    assert OLD.accepted(raw({"status": "RebootRequired"})) is None
    assert OLD.accepted(raw({"status": "NotSupported"})) == "NotSupported"
    results = {
        "setVariableResult": [
            {"attributeStatus": "Accepted"},
            {"attributeStatus": "UnknownVariable"},
        ]
    }
    assert NEW.accepted(raw(results)) == "UnknownVariable"
    assert NEW.accepted(raw({"status": "Rejected"})) == "Rejected"


def test_a_station_that_boots_says_who_made_it() -> None:
    word = OLD.read("BootNotification", raw({"chargePointVendor": "Ma", "chargePointModel": "X"}))
    assert word == Booted("Ma", "X", "", "")


def test_a_status_says_what_the_car_does() -> None:
    said = {"connectorId": 1, "errorCode": "GroundFailure", "status": "SuspendedEV", "info": "F7"}
    word = OLD.read("StatusNotification", raw(said))
    assert word == Status(1, Plug.SUSPENDED_EV, None, "GroundFailure F7")


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("Reset", {}, "NotImplemented"),
        ("MeterValues", {"connectorId": 1}, "TypeConstraintViolation"),
        ("MeterValues", {"connectorId": "1", "meterValue": []}, "TypeConstraintViolation"),
        (
            "StartTransaction",
            {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2025-12-03T12:00:00"},
            "PropertyConstraintViolation",
        ),
        (
            "StatusNotification",
            {"connectorId": 1, "errorCode": "NoError", "status": "Sleeping"},
            "PropertyConstraintViolation",
        ),
    ],
    ids=["unknown call", "nothing metered", "another type", "a time without a zone", "no status"],
)
def test_what_is_no_message_is_refused_with_its_reason(
    action: str, payload: Any, code: str
) -> None:
    with pytest.raises(WordError) as refused:
        OLD.read(action, raw(payload))
    assert refused.value.code == code


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(ACTIONS))
def test_no_bytes_break_the_reader(payload: bytes, said: tuple[str, str]) -> None:
    version, action = said
    with suppress(WordError):
        DIALECTS[version].read(action, msgspec.Raw(payload))
