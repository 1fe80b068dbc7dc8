"""Octets of IEC 60870-5-104: known ones by hand, round trips, any split of the stream, any garbage."""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.iec104_asdu import (
    FORMS,
    Cause,
    Element,
    Type,
    command,
    float_octets,
    moment_of,
    parsed,
    room_for,
    time_octets,
    told,
)
from adapters.iec104_frames import (
    LONGEST_ASDU,
    Acknowledgement,
    Frame,
    FrameReader,
    Numbered,
    Word,
    frame_bytes,
)
from vpp.errors import ForeignError
from vpp.model.telecontrol import Flaw, Shown

SHANGHAI, STOCKHOLM = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Stockholm")
NOON = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)

numbers = st.integers(0, 2**15 - 1)
A_DAY_AFTER, A_DAY_BEFORE = datetime(2000, 1, 2), datetime(2098, 12, 31)  # noqa: DTZ001
"""Of the century that two digits tell; the zone is drawn with the moment."""
frames: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Numbered, numbers, numbers, st.binary(min_size=6, max_size=LONGEST_ASDU)),
    st.builds(Acknowledgement, numbers),
    st.sampled_from(Word),
)


# ---------------------------------------------------------------- frames


def test_frames_are_the_octets_of_the_standard() -> None:
    assert frame_bytes(Word.START_ACT).hex(" ") == "68 04 07 00 00 00"
    assert frame_bytes(Acknowledgement(3)).hex(" ") == "68 04 01 00 06 00"
    assert frame_bytes(Numbered(1, 2, b"abcdef")).hex(" ") == "68 0a 02 00 04 00 61 62 63 64 65 66"


@given(st.lists(frames, max_size=8), st.data())
def test_any_split_of_a_stream_gives_the_same_frames(
    some: list[Frame], data: st.DataObject
) -> None:
    stream = b"".join(map(frame_bytes, some))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader, found = FrameReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += list(reader.feed(stream[start:end]))

    assert found == some


@given(st.lists(frames, max_size=3), st.binary(max_size=600))
def test_garbage_is_refused_or_waited_for_and_what_came_before_it_is_read(
    some: list[Frame], garbage: bytes
) -> None:
    reader, found = FrameReader(), list[Frame]()
    with suppress(ForeignError):
        found.extend(reader.feed(b"".join(map(frame_bytes, some)) + garbage))
    assert found[: len(some)] == some


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("00 04 07 00 00 00", id="another start"),
        pytest.param("68 03 07 00 00", id="too short"),
        pytest.param("68 fe", id="too long"),
        pytest.param("68 04 0f 00 00 00", id="two words at once"),
        pytest.param("68 04 07 00 00 01", id="a word with more behind it"),
        pytest.param("68 05 01 00 06 00 00", id="an acknowledgement with more behind it"),
        pytest.param("68 04 00 00 00 00", id="a numbered frame without an ASDU"),
    ],
)
def test_what_is_no_frame_is_refused(octets: str) -> None:
    with pytest.raises(ForeignError):
        list(FrameReader().feed(bytes.fromhex(octets)))


# ---------------------------------------------------------------- time


def test_a_time_is_told_as_the_clocks_of_the_zone_show_it() -> None:
    # 15.250 s are 15250 = 0x3b92 ms; 20:30 on Sunday (7), 1 March 2026.
    assert time_octets(NOON, SHANGHAI).hex(" ") == "92 3b 1e 14 e1 03 1a"
    # In Stockholm in July it is two hours later, and the flag of summer time (0x80) is set.
    july = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert time_octets(july, STOCKHOLM)[3] == 0x80 | 14
    assert time_octets(NOON, SHANGHAI, invalid=True)[2] == 0x80 | 30


@given(
    st.datetimes(A_DAY_AFTER, A_DAY_BEFORE, timezones=st.just(UTC)),
    st.sampled_from([SHANGHAI, STOCKHOLM, ZoneInfo("UTC")]),
)
def test_every_moment_comes_back_to_the_millisecond(moment: datetime, zone: ZoneInfo) -> None:
    exact = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert moment_of(time_octets(moment, zone), zone) == exact


def test_the_hour_that_comes_twice_in_autumn_is_told_apart() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 in summer time
    for moment in (first, first + timedelta(hours=1)):
        assert moment_of(time_octets(moment, STOCKHOLM), STOCKHOLM) == moment


@given(st.binary(min_size=7, max_size=7))
def test_any_seven_octets_are_a_time_or_none(octets: bytes) -> None:
    found = moment_of(octets, STOCKHOLM)
    assert found is None or found.tzinfo is UTC


# ---------------------------------------------------------------- objects


def test_a_measurement_with_time_is_the_octets_of_the_standard() -> None:
    octets = told(
        [(0x4001, Shown(1.5, Flaw.NOT_TOPICAL, NOON))],
        is_state=False,
        timed=True,
        cause=Cause.SPONTANEOUS,
        common_address=5,
        zone=SHANGHAI,
    )
    assert octets.hex(" ") == "24 01 03 00 05 00 01 40 00 00 00 c0 3f 40 92 3b 1e 14 e1 03 1a"


def test_a_setpoint_that_selects_is_the_octets_of_the_standard() -> None:
    order = command(
        Type.C_SE_NC_1, Element(0x6001, -2.0, select=True), common_address=1, zone=SHANGHAI
    )
    assert order.octets().hex(" ") == "32 01 06 00 01 00 01 60 00 00 00 00 c0 80"


floats = st.floats(width=32, allow_nan=False)
flaws = st.sampled_from(
    [Flaw.NONE, Flaw.INVALID, Flaw.NOT_TOPICAL | Flaw.BLOCKED, Flaw.SUBSTITUTED]
)
moments = st.datetimes(A_DAY_AFTER, A_DAY_BEFORE, timezones=st.just(UTC)).map(
    lambda m: m.replace(microsecond=m.microsecond // 1000 * 1000)
)
addresses = st.integers(1, 2**24 - 1)


@given(
    st.booleans(),
    st.booleans(),
    st.dictionaries(addresses, st.builds(Shown, floats, flaws, moments), min_size=1, max_size=16),
)
def test_what_is_told_is_what_is_read(
    is_state: bool, timed: bool, points: dict[int, Shown]
) -> None:
    octets = told(
        list(points.items()),
        is_state=is_state,
        timed=timed,
        cause=Cause.INTERROGATED,
        common_address=9,
        zone=SHANGHAI,
    )
    asdu = parsed(octets, SHANGHAI)

    assert (asdu.cause, asdu.common_address, asdu.count) == (20, 9, len(points))
    assert asdu.octets() == octets
    for element in asdu.elements:
        shown = points[element.address]
        assert element.value == (shown.value != 0 if is_state else shown.value)
        assert element.flaw == shown.flaw
        assert element.at == (shown.at if timed else None)


@given(
    st.sampled_from([Type.C_SC_NA_1, Type.C_SE_NC_1, Type.C_IC_NA_1, Type.C_CS_NA_1]),
    addresses,
    floats,
    st.booleans(),
    moments,
)
def test_what_is_commanded_is_what_is_read(
    kind: Type, address: int, value: float, select: bool, at: datetime
) -> None:
    sent = command(
        kind, Element(address, value, select=select, at=at), common_address=1, zone=STOCKHOLM
    )
    (element,) = parsed(sent.octets(), STOCKHOLM).elements

    assert element.address == address
    if kind is Type.C_SE_NC_1:
        assert (element.value, element.select) == (value, select)
    elif kind is Type.C_SC_NA_1:
        assert (element.value, element.select) == (value != 0, select)
    elif kind is Type.C_CS_NA_1:
        assert element.at == at


def test_a_run_of_addresses_is_read() -> None:
    body = struct.pack("<BBBBH", 13, 0x80 | 2, 20, 0, 1) + b"\x10\0\0"
    octets = body + float_octets(1.0, 0) + float_octets(2.0, 0x80)
    assert [(e.address, e.value, e.flaw) for e in parsed(octets, SHANGHAI).elements] == [
        (16, 1.0, Flaw.NONE),
        (17, 2.0, Flaw.INVALID),
    ]


heads = st.builds(
    lambda kind, count, rest: bytes((kind, count)) + rest,
    st.sampled_from([*Type, 2, 102, 255]),
    st.integers(0, 255),
    st.binary(max_size=LONGEST_ASDU - 2),
)


@given(st.binary(max_size=LONGEST_ASDU) | heads)
def test_any_octets_are_an_asdu_or_refused(octets: bytes) -> None:
    try:
        asdu = parsed(octets, STOCKHOLM)
    except ForeignError:
        return
    assert asdu.octets() == octets
    assert len(asdu.elements) == (asdu.count if asdu.type in FORMS else 0)


@pytest.mark.parametrize("kind", list(Type))
def test_a_full_asdu_fits_into_a_frame(kind: Type) -> None:
    assert 6 + room_for(kind) * (3 + FORMS[kind].width) <= LONGEST_ASDU


def test_a_number_that_no_short_float_holds_is_told_as_overflow() -> None:
    value, word = struct.unpack("<fB", float_octets(-1e300, 0))
    assert math.isclose(value, -3.4028234663852886e38)
    assert word == Flaw.OVERFLOW
