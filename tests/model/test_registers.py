"""Numbers in registers: read as a data sheet says, written so that they read back."""

from __future__ import annotations

import struct
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpp.errors import DataError
from vpp.model.registers import Kind, Register, RegisterMap, Span, Table, What, Write, spans

HOLDING = Table.HOLDING


def image(*words: int, at: int = 0, table: Table = HOLDING) -> dict[tuple[Table, int], int]:
    return {(table, at + n): word for n, word in enumerate(words)}


@pytest.mark.parametrize(
    ("register", "words", "value"),
    [
        pytest.param(Register(at=0), [1500], 1500.0, id="unsigned"),
        pytest.param(Register(at=0, kind=Kind.INT16), [0xFFFF], -1.0, id="signed"),
        pytest.param(Register(at=0, scale=0.001), [1500], 1.5, id="watts to kW"),
        pytest.param(
            Register(at=0, scale=0.001, counts="draw"), [1500], -1.5, id="draw is negative"
        ),
        pytest.param(Register(at=0, kind=Kind.UINT32), [1, 0], 65536.0, id="high word first"),
        pytest.param(
            Register(at=0, kind=Kind.UINT32, word_order="little"),
            [0, 1],
            65536.0,
            id="low word first",
        ),
        pytest.param(Register(at=0, byte_order="little"), [0x0100], 1.0, id="low byte first"),
        pytest.param(
            Register(at=0, kind=Kind.INT32, word_order="little", byte_order="little"),
            [0xFEFF, 0xFFFF],
            -2.0,
            id="all turned round",
        ),
        pytest.param(Register(at=0, kind=Kind.FLOAT32), [0x3FC0, 0x0000], 1.5, id="float"),
        pytest.param(Register(at=0, kind=Kind.FLOAT32), [0x7FC0, 0x0000], None, id="no number"),
        pytest.param(Register(at=0, kind=Kind.FLOAT32), [0x7F80, 0x0000], None, id="infinite"),
        pytest.param(
            Register(at=0, kind=Kind.INT16, unknown=frozenset({0x8000})),
            [0x8000],
            None,
            id="not implemented, read without a sign",
        ),
        pytest.param(Register(at=0, kind=Kind.INT64), [0, 0, 0, 7], 7.0, id="four words"),
    ],
)
def test_a_register_reads_as_the_data_sheet_says(
    register: Register, words: list[int], value: float | None
) -> None:
    assert register.value(image(*words), {}) == value


@pytest.mark.parametrize(
    ("exponent", "value"),
    [(0, 12.0), (2, 1200.0), (0xFFFF, 1.2), (0xFFF6, 12e-10), (0x8000, None), (11, None)],
)
def test_a_scale_register_holds_a_power_of_ten_or_nothing(
    exponent: int, value: float | None
) -> None:
    register = Register(at=0, scale_at=1)
    found = register.value(image(12, exponent), {})
    assert found == pytest.approx(value) if value is not None else found is None


def test_a_share_is_of_a_size_that_the_device_or_the_park_file_tells() -> None:
    limit = Register(at=0, scale=0.01, of="rated_kw")
    the_map = RegisterMap(
        map_id="m",
        name="m",
        points={"power_kw": limit, "rated_kw": Register(at=1, scale=0.1)},
    )
    assert the_map.values(image(50, 400), {}) == {"power_kw": 20.0, "rated_kw": 40.0}
    assert the_map.values(image(50, 400), {"rated_kw": 10.0})["power_kw"] == 5.0
    assert limit.value(image(50), {}) is None


@given(
    kind=st.sampled_from(list(Kind)),
    scale=st.sampled_from([1.0, 0.001, 0.1, 10.0]),
    counts=st.sampled_from(["feed", "draw"]),
    orders=st.tuples(st.sampled_from(["big", "little"]), st.sampled_from(["big", "little"])),
    count=st.integers(-100, 100),
)
def test_what_is_written_reads_back(
    kind: Kind, scale: float, counts: str, orders: tuple[str, str], count: int
) -> None:
    if kind.value.startswith("uint"):
        count = abs(count)
    value = count * scale * (-1 if counts == "draw" else 1)
    register = Register(
        at=0,
        kind=kind,
        scale=scale,
        counts=counts,  # type: ignore[arg-type]
        word_order=orders[0],  # type: ignore[arg-type]
        byte_order=orders[1],  # type: ignore[arg-type]
    )
    words = register.laid_down(value, scale)
    assert len(words) == register.words
    assert register.value(image(*words), {}) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("value", [nan, inf, -inf, 1e308, 65536.0, -1.0, 65535.0])
def test_what_does_not_fit_is_not_written(value: float) -> None:
    register = Register(at=7, unknown=frozenset({0xFFFF}))
    with pytest.raises(DataError, match="register 7"):
        register.laid_down(value, 1.0)


def test_a_factor_of_nothing_writes_nothing() -> None:
    with pytest.raises(DataError, match="register 7"):
        Register(at=7).laid_down(1.0, 0.0)


@pytest.mark.parametrize("at", [-1, 65535, 65536])
def test_an_address_outside_the_table_is_refused(at: int) -> None:
    with pytest.raises(DataError, match="lies outside"):
        Register(at=at, kind=Kind.INT32)


def test_reads_are_few_and_no_number_is_read_in_halves() -> None:
    def runs(*starts: tuple[int, int]) -> list[tuple[tuple[Table, int], ...]]:
        return [tuple((HOLDING, at + n) for n in range(words)) for at, words in starts]

    def found(*starts: tuple[int, int], most: int = 10, gap: int = 0) -> list[tuple[int, int]]:
        listed = runs(*starts)
        places = [place for run in listed for place in run]
        return [(s.at, s.count) for s in spans(places, listed, max_words=most, gap=gap)]

    assert found((0, 2), (2, 2), (4, 1)) == [(0, 5)]
    assert found((0, 2), (3, 2)) == [(0, 2), (3, 2)]
    assert found((0, 2), (3, 2), gap=1) == [(0, 5)]
    assert found((0, 2), (2, 2), (4, 2), most=5) == [(0, 4), (4, 2)]
    assert found((0, 4), (2, 2)) == [(0, 4)]


@given(
    starts=st.lists(st.tuples(st.integers(0, 400), st.sampled_from([1, 2, 4])), max_size=40),
    most=st.integers(4, 125),
    gap=st.integers(0, 20),
)
def test_every_word_is_read_and_each_number_at_one_moment(
    starts: list[tuple[int, int]], most: int, gap: int
) -> None:
    runs = [tuple((HOLDING, at + n) for n in range(words)) for at, words in starts]
    # numbers that begin at one place are one number: the longest counts
    longest = {run[0]: run for run in sorted(runs, key=len)}
    listed = list(longest.values())
    places = {place for run in listed for place in run}
    found = spans(places, listed, max_words=most, gap=gap)
    for run in listed:
        assert any(s.at <= run[0][1] and run[-1][1] < s.at + s.count for s in found), run
    assert all(s.count <= most for s in found)
    apart = pairwise(found)
    assert all(one.at < other.at for one, other in apart)


def test_two_tables_are_two_requests() -> None:
    the_map = RegisterMap(
        map_id="m",
        name="m",
        points={"power_kw": Register(at=0, table=Table.INPUT), "soc": Register(at=0)},
        writes=(Write(register=Register(at=5, scale_at=6), what=What.POWER),),
    )
    assert the_map.reads == (
        Span(HOLDING, 0, 1),
        Span(HOLDING, 6, 1),
        Span(Table.INPUT, 0, 1),
    )
    assert the_map.takes_setpoints


def test_floats_are_written_as_the_protocol_has_them() -> None:
    assert Register(at=0, kind=Kind.FLOAT32).laid_down(1.5, 1.0) == struct.unpack(
        ">2H", struct.pack(">f", 1.5)
    )
