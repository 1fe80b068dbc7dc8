"""Payloads of Sparkplug B: the octets of the specification, and whatever else may come."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.sparkplug_wire import (
    BITS,
    MAX_BYTES,
    SIGNED,
    DataType,
    Metric,
    Payload,
    as_written,
    decode,
    encode,
    signed,
)
from vpp.errors import DataError

OCTETS = bytes.fromhex(
    "0801"  # timestamp 1
    "1210"  # a metric of 16 octets
    "0a0150"  # name P
    "1001"  # alias 1
    "200a"  # type double
    "690000000000000040"  # 2.0
    "1805"  # seq 5
)
SAID = Payload(
    timestamp_ms=1,
    seq=5,
    metrics=(Metric(name="P", alias=1, datatype=DataType.DOUBLE, value=2.0),),
)


def test_a_payload_is_the_octets_of_the_specification() -> None:
    assert encode(SAID) == OCTETS
    assert decode(OCTETS) == SAID


def test_a_command_carries_no_number() -> None:
    assert encode(SAID, numbered=False) == OCTETS[:-2]


def test_a_writer_that_leaves_out_zeros_has_said_zero() -> None:
    assert decode(OCTETS[:-2]).seq == 0


@pytest.mark.parametrize(
    ("datatype", "value", "octets"),
    [
        (DataType.INT8, -1, "50ffffffff0f"),  # two's complement in 32 bits
        (DataType.INT32, -4000, "50e0e0ffff0f"),
        (DataType.INT64, -1, "58ffffffffffffffffff01"),
        (DataType.UINT16, 65535, "50ffff03"),
        (DataType.FLOAT, -4.5, "65000090c0"),
        (DataType.BOOLEAN, True, "7001"),
        (DataType.STRING, "on", "7a026f6e"),
    ],
)
def test_each_type_travels_as_the_specification_has_it(
    datatype: DataType, value: float | str, octets: str
) -> None:
    raw = encode(Payload(metrics=(Metric(datatype=datatype, value=value),)), numbered=False)
    assert raw[4:].hex() == octets
    (read,) = decode(raw).metrics
    assert read.value is not None
    assert signed(read.value, datatype) == value


def fits(value: float, datatype: DataType) -> bool:
    """Whether a number is one of an integer type's; others hold all that is tried here."""
    if datatype not in BITS:
        return True
    bits, least = BITS[datatype], 0
    if datatype in SIGNED:
        bits, least = bits - 1, -(1 << (bits - 1))
    return least <= as_written(value, datatype) < 1 << bits


def test_whole_types_are_told_towards_zero_so_that_no_limit_is_passed() -> None:
    for value, whole in ((10.6, 10), (-10.6, -10), (3.9999999, 4), (2**63 - 1, 2**63 - 1)):
        assert as_written(value, DataType.INT64) == whole
        (read,) = decode(
            encode(Payload(metrics=(Metric(name="P", datatype=DataType.INT64, value=value),)))
        ).metrics
        assert read.value is not None
        assert signed(read.value, DataType.INT64) == whole
    assert as_written(10.6, DataType.DOUBLE) == 10.6


@given(
    st.sampled_from([*DataType]),
    st.integers(-128, 127) | st.floats(-1e6, 1e6),
    st.integers(0, 2**63),
    st.booleans(),
)
def test_whatever_fits_its_type_comes_back(
    datatype: DataType, value: float, alias: int, historical: bool
) -> None:
    metric = Metric(alias=alias, datatype=datatype, value=value, historical=historical)
    if not fits(value, datatype):
        with pytest.raises(DataError, match="does not fit"):
            encode(Payload(metrics=(metric,)))
        return
    (read,) = decode(encode(Payload(metrics=(metric,)))).metrics
    assert (read.alias, read.historical) == (alias, historical)
    assert read.value is not None
    back = signed(read.value, datatype)
    if datatype in (DataType.STRING, DataType.TEXT):
        assert back == str(value)
    elif datatype is DataType.BOOLEAN:
        assert back == bool(value)
    else:
        assert math.isclose(float(back), as_written(value, datatype), rel_tol=1e-6, abs_tol=1e-30)


@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda tail: OCTETS[:8] + tail))
def test_any_octets_are_a_payload_or_are_refused(raw: bytes) -> None:
    with suppress(DataError):
        decode(raw)


def test_a_null_has_no_value_and_what_is_not_read_is_passed_over() -> None:
    (null,) = decode(encode(Payload(metrics=(Metric(name="P", datatype=10),)))).metrics
    assert null.value is None
    data_set = bytes.fromhex("1208" + "0a0150" + "8a01023132")  # field 17 in a metric called P
    (other,) = decode(data_set).metrics
    assert (other.name, other.value) == ("P", None)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"\x12\xff", "index out of range"),
        (b"\x12\x05ab", "ends within a field"),
        (b"\x08" + b"\xff" * 11, "a number without an end"),
        (b"\x0b", "a field of kind 3"),
        (b"\x12\x03\x0a\x01\xff", "codec"),
        (bytes(MAX_BYTES + 1), f"{MAX_BYTES + 1} bytes"),
        (b"\x12\x00" * 20_001, "too many metrics"),
    ],
)
def test_what_is_no_payload_is_refused_with_the_reason(raw: bytes, told: str) -> None:
    with pytest.raises(DataError, match="is no payload of Sparkplug B") as refused:
        decode(raw)
    assert told in refused.value.what


@pytest.mark.parametrize(
    ("datatype", "value"), [(DataType.INT16, 40_000), (DataType.UINT8, -1), (DataType.UINT32, -4.0)]
)
def test_a_value_that_does_not_fit_its_type_is_not_written(
    datatype: DataType, value: float
) -> None:
    with pytest.raises(DataError, match="does not fit"):
        encode(Payload(metrics=(Metric(name="Pset", datatype=datatype, value=value),)))
