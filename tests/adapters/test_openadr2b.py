"""Events of OpenADR 2.0b, as openleadr parses them, are the nouns that OpenADR 3 gives."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from adapters.openadr2b import OpenAdr2b, Vtn2b, read_event
from vpp.errors import ConfigError
from vpp.model.programme import (
    EventFault,
    EventInterval,
    EventPeriod,
    Payload,
    PayloadUnits,
    ProgrammeEvent,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LAST_EVENING = datetime.max.replace(tzinfo=timezone(-HOUR))
"""Of the calendar, west of Greenwich."""


def event(**changes: Any) -> dict[str, Any]:
    descriptor = {
        "event_id": "e-1",
        "modification_number": 2,
        "event_status": "far",
        "created_date_time": NOON - HOUR,
        "market_context": "oadr://flex",
        "priority": 0,
    }
    return {
        "event_descriptor": descriptor | changes.pop("descriptor", {}),
        "active_period": {"dtstart": NOON, "duration": 2 * HOUR},
        "event_signals": [
            {
                "signal_name": "SIMPLE",
                "signal_type": "level",
                "intervals": [
                    {"duration": HOUR, "uid": 0, "signal_payload": 1},
                    {"duration": HOUR, "uid": 1, "signal_payload": 2},
                ],
            }
        ],
    } | changes


def signal(name: str, kind: str, value: float) -> dict[str, Any]:
    intervals = [{"duration": HOUR, "uid": 0, "signal_payload": value}]
    return {"signal_name": name, "signal_type": kind, "intervals": intervals}


def test_levels_follow_one_another_and_the_number_is_the_version() -> None:
    read = read_event(event())

    assert isinstance(read, ProgrammeEvent)
    assert (read.event_id, read.program_id, read.modification) == ("e-1", "oadr://flex", 2)
    assert read.priority is None
    assert read.intervals == tuple(
        EventInterval(
            interval_id=n,
            period=EventPeriod(start=NOON + n * HOUR, duration=HOUR),
            payloads=(Payload(payload_type="SIMPLE", values=(n + 1.0,)),),
        )
        for n in (0, 1)
    )


@pytest.mark.parametrize(
    ("name", "kind", "payload", "units"),
    [
        ("ELECTRICITY_PRICE", "price", "PRICE", "KWH"),
        ("LOAD_DISPATCH", "setpoint", "DISPATCH_SETPOINT", "KW"),
        ("LOAD_DISPATCH", "delta", "DISPATCH_SETPOINT_RELATIVE", "KW"),
        ("x-lights", "level", "x-lights/level", None),
    ],
)
def test_signals_are_payloads_and_one_that_nobody_knows_is_kept_by_its_name(
    name: str, kind: str, payload: str, units: str | None
) -> None:
    read = read_event(event(event_signals=[signal(name, kind, 5)]))

    assert isinstance(read, ProgrammeEvent)
    assert read.intervals[0].payloads == (Payload(payload_type=payload, values=(5.0,)),)
    assert read.units == (PayloadUnits(payload_type=payload, units=units),)


@pytest.mark.parametrize("status", ["cancelled", "completed"])
def test_what_is_cancelled_or_over_is_in_no_list(status: str) -> None:
    assert read_event(event(descriptor={"event_status": status})) is None


@pytest.mark.parametrize(
    "odd",
    [
        {"descriptor": {"modification_number": "two"}},
        {"descriptor": {"created_date_time": NOON.replace(tzinfo=None)}},
        {"active_period": None},
        {"event_signals": [signal("SIMPLE", "level", 1) | {"intervals": 3}]},
        {"event_signals": [signal("SIMPLE", "level", float("nan"))]},
        {"event_signals": [signal("SIMPLE", "level", float("inf"))]},
        {"active_period": {"dtstart": LAST_EVENING, "duration": HOUR}},
        {"active_period": {"dtstart": datetime.max.replace(tzinfo=UTC), "duration": HOUR}},
    ],
)
def test_an_event_that_is_not_as_it_should_be_is_a_fault(odd: dict[str, Any]) -> None:
    fault = read_event(event(**odd))

    assert isinstance(fault, EventFault)
    assert fault.event_id == "e-1"


def test_without_openleadr_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openleadr", None)  # as where it is not installed
    with pytest.raises(ConfigError, match="openadr2b"):
        OpenAdr2b(Vtn2b(url="http://127.0.0.1:1/OpenADR2/Simple/2.0b", ven_name="park"))


def test_only_https_or_this_machine_is_asked() -> None:
    with pytest.raises(ConfigError, match="cannot be asked"):
        OpenAdr2b(Vtn2b(url="http://utility.example/OpenADR2/Simple/2.0b", ven_name="park"))
