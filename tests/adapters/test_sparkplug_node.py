"""Who of an edge node is alive, and what is believed of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from adapters.sparkplug_node import BD_SEQ, NODE, EdgeNode, Kind
from adapters.sparkplug_wire import DataType, Metric, Payload

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
POWER = Metric(name="P", alias=1, datatype=DataType.INT16, value=65_535)


def number(bd_seq: int) -> Metric:
    return Metric(name=BD_SEQ, datatype=DataType.INT64, value=bd_seq)


def born(bd_seq: int = 0) -> EdgeNode:
    node = EdgeNode()
    node.take(Kind.NBIRTH, NODE, Payload(seq=0, metrics=(number(bd_seq),)))
    node.take(Kind.DBIRTH, "bms", Payload(seq=1, metrics=(POWER,)))
    return node


def by_alias(seq: int, value: int = 5) -> Payload:
    return Payload(seq=seq, metrics=(Metric(alias=1, value=value),))


def test_an_alias_means_what_the_birth_of_its_device_said() -> None:
    node = born()
    (metric,) = node.take(Kind.DDATA, "bms", by_alias(2))
    assert (metric.name, metric.value, metric.datatype) == ("P", 5, DataType.INT16)
    assert node.take(Kind.DDATA, "bms", Payload(seq=3, metrics=(Metric(alias=9, value=1),))) == []


def test_integers_have_the_sign_of_their_birth() -> None:
    (metric,) = born().take(Kind.DDATA, "bms", by_alias(2, 65_536 - 4000))
    assert metric.value == -4000


def test_numbers_go_round_after_255() -> None:
    node = born()
    for seq in [*range(2, 256), 0, 1]:
        assert node.take(Kind.DDATA, "bms", by_alias(seq)), seq
    assert node.gaps == 0


def test_after_a_gap_nothing_is_believed_until_the_node_is_born_again() -> None:
    node = born()
    assert node.take(Kind.DDATA, "bms", by_alias(3)) == ()
    assert not node.alive("bms")
    assert node.take(Kind.DDATA, "bms", by_alias(4)) == ()
    assert (node.gaps, node.must_ask(NOON)) == (1, True)
    node.take(Kind.NBIRTH, NODE, Payload(seq=0, metrics=(number(0),)))
    assert node.take(Kind.DDATA, "bms", by_alias(1)) == ()  # the node was born, the device not
    assert node.why == "bms speaks before its birth"


def test_a_death_of_another_birth_is_the_will_of_a_line_that_was_replaced() -> None:
    node = born(bd_seq=4)
    node.take(Kind.NDEATH, NODE, Payload(metrics=(number(3),)))
    assert node.alive("bms")
    node.take(Kind.NDEATH, NODE, Payload(metrics=(number(4),)))
    assert not node.alive("bms")
    assert node.why == "has died"


def test_a_device_dies_alone() -> None:
    node = born()
    node.take(Kind.DBIRTH, "pv", Payload(seq=2, metrics=(POWER,)))
    node.take(Kind.DDEATH, "pv", Payload(seq=3))
    assert (node.alive("bms"), node.alive("pv")) == (True, False)
    assert node.must_ask(NOON) is False  # nothing is missing: it said so


def test_a_node_that_nobody_was_born_of_is_asked_ever_more_seldom() -> None:
    node = EdgeNode()
    asked = [second for second in range(300) if node.must_ask(NOON + timedelta(seconds=second))]
    assert asked == [0, 5, 15, 35, 75, 135, 195, 255]


@given(st.lists(st.integers(1, 7), min_size=50, max_size=50))
def test_a_node_that_loses_something_after_each_birth_is_asked_no_more_often(
    waits: list[int],
) -> None:
    node, asked, second = born(), [], 0
    for wait in waits:
        second += wait
        node.take(Kind.NBIRTH, NODE, Payload(seq=0))
        node.take(Kind.DDATA, "bms", by_alias(7))
        if node.must_ask(NOON + timedelta(seconds=second)):
            asked.append(second)
    assert all(later - earlier >= 5 for earlier, later in pairwise(asked))
    assert len(asked) <= 4 + second / 60
