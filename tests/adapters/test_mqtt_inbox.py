"""Who waits behind whom, and what gives way: a chatty device delays nobody (A11), a late reader is bounded (B5)."""

from __future__ import annotations

import tracemalloc
from collections import defaultdict
from collections.abc import Iterable

import pytest

from adapters.mqtt_inbox import MOST_TOPICS, Inbox, Quota


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Broker:
    """Notes what was confirmed."""

    def __init__(self) -> None:
        self.confirmed: list[bytes] = []

    def confirm(self, packet_ids: Iterable[bytes]) -> None:
        self.confirmed += packet_ids


def delays_ms(*, chatty: int) -> tuple[list[float], int]:
    """Delays of 99 devices that all send on the second, for 20 s, beside one that sends `chatty` a second.

    Reading a message takes 5 ms, so that the last of them waits for half a second.
    """
    clock, broker = Clock(), Broker()
    inbox = Inbox(1000, Quota(per_s=2.0, burst=4), clock=clock)
    due = sorted(
        [(float(second), f"d/{device}") for second in range(20) for device in range(99)]
        + [(second + place / chatty, "chatty") for second in range(20) for place in range(chatty)]
    )
    sent: dict[str, list[float]] = defaultdict(list)
    delays, at = [], 0
    while at < len(due) or len(inbox):
        while at < len(due) and due[at][0] <= clock.now:
            moment, topic = due[at]
            sent[topic].append(moment)
            inbox.put(broker, topic, b"", b"\x00\x01")
            at += 1
        entry = inbox.pop()
        if entry is None:
            clock.now = due[at][0]
            continue
        clock.now += 0.005
        moment = sent[entry.message.topic].pop(0)
        if entry.message.topic != "chatty":
            delays.append(1000 * (clock.now - moment))
    return sorted(delays), inbox.over_quota


def test_a_device_at_fifty_times_its_rate_delays_the_others_by_less_than_a_fifth() -> None:
    ordinary, none_over = delays_ms(chatty=1)
    beside_a_flood, over = delays_ms(chatty=50)

    assert len(ordinary) == len(beside_a_flood) == 99 * 20
    assert (none_over, over) == (
        0,
        957,
    )  # 50 a second less the 2 of its quota and the 3 of its burst
    at = int(0.99 * len(ordinary))
    assert ordinary[at] == pytest.approx(495, abs=6)
    assert beside_a_flood[at] <= 1.2 * ordinary[at]


def test_what_is_beyond_the_quota_gives_way_first_and_is_confirmed_at_once() -> None:
    clock, broker = Clock(), Broker()
    inbox = Inbox(10, Quota(per_s=1.0, burst=5), clock=clock)
    for number in range(30):
        inbox.put(broker, "chatty", b"%d" % number, number.to_bytes(2, "big"))
    for number in range(5):
        inbox.put(broker, f"quiet/{number}", b"", b"\x01\x00")

    read = []
    while (entry := inbox.pop()) is not None:
        read.append((entry.message.topic, entry.message.payload))
    # Five within the quota, then the others, then the newest ten of what was beyond it.
    assert [payload for _, payload in read[:5]] == [b"0", b"1", b"2", b"3", b"4"]
    assert [topic for topic, _ in read[5:10]] == [f"quiet/{number}" for number in range(5)]
    assert [payload for _, payload in read[10:]] == [b"%d" % number for number in range(20, 30)]
    assert (inbox.received, inbox.over_quota, inbox.lost, inbox.lost_over_quota) == (35, 25, 15, 15)
    assert broker.confirmed == [number.to_bytes(2, "big") for number in range(5, 30)]


def test_a_silence_gives_the_burst_back() -> None:
    clock, broker = Clock(), Broker()
    inbox = Inbox(100, Quota(per_s=2.0, burst=3), clock=clock)
    over = []
    for at in (0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 10.0, 10.0, 10.0, 10.0):
        clock.now = at
        inbox.put(broker, "one", b"", b"")
        over.append(inbox.over_quota)

    assert over == [0, 0, 0, 1, 1, 2, 2, 2, 2, 3]


def test_a_reader_that_stalls_for_a_minute_at_load_costs_bounded_room_and_every_loss_is_counted() -> (
    None
):
    clock, broker = Clock(), Broker()
    inbox = Inbox(2000, Quota(per_s=20.0, burst=200), clock=clock)
    for second in range(60):  # 1,000 devices once a second, and nobody reads
        for device in range(1000):
            clock.now = second + device / 1000
            inbox.put(broker, f"d/{device}", b"", b"\x00\x01")
            assert len(inbox) <= 2000

    assert (inbox.received, inbox.lost, len(inbox)) == (60_000, 58_000, 2000)
    assert inbox.overflowing
    assert not inbox.has_room
    assert len(broker.confirmed) == 58_000  # what gave way need not come again

    for _ in range(2000):
        assert inbox.pop() is not None
    inbox.caught_up()
    assert (inbox.overflowing, inbox.has_room, len(inbox)) == (False, True, 0)


def test_made_up_topics_do_not_fill_the_memory() -> None:
    inbox = Inbox(10, clock=Clock())
    for number in range(MOST_TOPICS + 10):
        inbox.put(Broker(), f"made/up/{number}", b"", b"")

    assert len(inbox._due) <= MOST_TOPICS


def test_topics_as_long_as_mqtt_allows_fill_no_memory() -> None:
    inbox, broker = Inbox(10), Broker()
    tracemalloc.start()
    try:
        for n in range(300):
            inbox.put(broker, f"{'a' * 60_000}/{n}", b"", b"")
            inbox.pop()
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 1_000_000  # 300 of them whole are 18 MB
