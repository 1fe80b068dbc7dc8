"""Packets are cut out of any stream of bytes: whole, in order, however it is sliced; or the stream is broken."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.mqtt_frames import KEPT_BYTES, MOST_BYTES, BrokenStreamError, FrameReader

Message = tuple[str, bytes, bytes]


def packet(first: int, body: bytes) -> bytes:
    length, sizes = len(body), b""
    while True:
        length, byte = divmod(length, 128)
        sizes += bytes([byte | 128 * (length > 0)])
        if not length:
            return bytes([first]) + sizes + body


def publication(topic: str, payload: bytes, packet_id: int | None) -> bytes:
    name = topic.encode()
    head = len(name).to_bytes(2, "big") + name
    if packet_id is None:
        return packet(0x30, head + payload)
    return packet(0x32, head + packet_id.to_bytes(2, "big") + payload)


def read(pieces: list[bytes]) -> tuple[list[Message], bytes]:
    found: list[Message] = []
    reader = FrameReader(lambda *message: found.append(message))
    for piece in pieces:
        reader.feed(piece)
    return found, bytes(reader.rest)


topics = st.text(min_size=1, max_size=300).filter(lambda text: "\x00" not in text and _utf8(text))
messages = st.tuples(topics, st.binary(max_size=400), st.none() | st.integers(1, 65_535))


def _utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@given(
    some=st.lists(messages, max_size=8),
    others=st.lists(st.sampled_from([b"\xd0\x00", b"\x40\x02\x00\x07", b"\x20\x02\x00\x00"])),
    cuts=st.lists(st.integers(1, 90), min_size=1),
    order=st.randoms(use_true_random=False),
)
def test_however_the_stream_is_sliced_the_same_packets_come_out(
    some: list[tuple[str, bytes, int | None]],
    others: list[bytes],
    cuts: list[int],
    order: Random,
) -> None:
    parts: list[tuple[bytes, tuple[str, bytes, int | None] | None]] = []
    parts += [(publication(*one), one) for one in some]
    parts += [(other, None) for other in others]
    order.shuffle(parts)
    stream = b"".join(part for part, _ in parts)
    pieces: list[bytes] = []
    at = 0
    while at < len(stream):
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(stream[at : at + size])
        at += size

    found, rest = read(pieces)

    wanted = [one for _, one in parts if one is not None]
    assert found == [
        (topic, payload, b"" if n is None else n.to_bytes(2, "big")) for topic, payload, n in wanted
    ]
    assert rest == b"".join(part for part, one in parts if one is None)


@pytest.mark.parametrize("size", [126, 127, 128, 129, 16_383, 16_384, 16_385])
def test_lengths_of_one_two_and_three_bytes_meet_without_a_gap(size: int) -> None:
    head = len(b"\x00\x01t")
    stream = publication("t", b"x" * (size - head), None) + publication("u", b"y", None)

    assert read([stream])[0] == [("t", b"x" * (size - head), b""), ("u", b"y", b"")]


def test_a_message_too_large_to_gather_is_cut_and_the_next_one_is_whole() -> None:
    stream = publication("big", b"x" * (2 * MOST_BYTES), 7) + publication("small", b"{}", 8)
    found, rest = read([stream[at : at + 10_000] for at in range(0, len(stream), 10_000)])

    (big, cut, number), small = found
    assert (big, number, small) == ("big", b"\x00\x07", ("small", b"{}", b"\x00\x08"))
    assert KEPT_BYTES - 100 <= len(cut) < MOST_BYTES
    assert rest == b""


def test_a_topic_that_is_no_text_is_still_confirmed() -> None:
    found, _ = read([packet(0x32, b"\x00\x02\xff\xfe\x00\x09{}")])

    assert found == [("", b"{}", b"\x00\x09")]


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"\x30\xff\xff\xff\xff\x01", id="a length of five bytes"),
        pytest.param(packet(0x32, b"\x00\x09short"), id="shorter than its topic"),
        pytest.param(packet(0x32, b"\x00\x01a\x01"), id="no room for the packet id"),
        pytest.param(packet(0x30, b"\x00\x00{}"), id="no topic"),
        pytest.param(packet(0x30, b"\x00"), id="one byte"),
        pytest.param(b"\x20" + b"\xff\xff\xff\x7f" + b"x", id="an endless acknowledgement"),
    ],
)
def test_what_is_no_mqtt_breaks_the_stream(stream: bytes) -> None:
    with pytest.raises(BrokenStreamError):
        read([stream])


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_bytes_at_all_are_packets_or_a_broken_stream(pieces: list[bytes]) -> None:
    try:
        found, _ = read(pieces)
    except BrokenStreamError:
        return
    assert sum(len(payload) for _, payload, _ in found) <= sum(map(len, pieces))
