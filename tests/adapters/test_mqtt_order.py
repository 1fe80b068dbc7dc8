"""Messages are confirmed in the order in which they came."""

from __future__ import annotations

from random import Random

from adapters.mqtt_order import ConfirmationOrder

ONE, TWO, THREE = b"\0\1", b"\0\2", b"\0\3"


def pubacks(*packet_ids: bytes) -> bytes:
    return b"".join(b"\x40\x02" + packet_id for packet_id in packet_ids)


def test_what_was_read_before_its_turn_is_confirmed_when_those_before_it_were_read() -> None:
    order = ConfirmationOrder()
    for packet_id in (ONE, TWO, THREE):
        order.came(packet_id)

    assert order.read([THREE]) == b""
    assert order.read([ONE]) == pubacks(ONE)
    assert order.read([TWO]) == pubacks(TWO, THREE)


def test_a_packet_id_that_the_broker_uses_again_is_a_new_message() -> None:
    order = ConfirmationOrder()
    order.came(ONE)
    assert order.read([ONE]) == pubacks(ONE)
    order.came(TWO)
    order.came(ONE)

    assert order.read([ONE]) == b""
    assert order.read([TWO]) == pubacks(TWO, ONE)


def test_in_whatever_order_a_thousand_are_read_all_are_confirmed_as_they_came() -> None:
    ids = [number.to_bytes(2, "big") for number in range(1, 1001)]
    order, said, unread = ConfirmationOrder(), b"", list(ids)
    for packet_id in ids:
        order.came(packet_id)
    Random(1).shuffle(unread)
    while unread:
        said += order.read(unread[:7])
        del unread[:7]

    assert said == pubacks(*ids)
