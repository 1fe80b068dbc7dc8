"""Numbers, windows and timers of a 104 connection, by hand and with two machines against each other."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.iec104_frames import Acknowledgement, Frame, FrameReader, Numbered, Word, frame_bytes
from adapters.iec104_session import LinkDeadError, Session
from vpp.errors import ForeignError
from vpp.model.telecontrol import LinkTiming

ASDU = b"123456"


def station(**changes: float) -> Session:
    """A controlled side that has been started at 0 s; its answer is taken away."""
    found = Session(LinkTiming(**changes), controlling=False, now_s=0.0)  # type: ignore[arg-type]
    list(found.received(frame_bytes(Word.START_ACT), 0.0))
    assert sent(found) == [Word.START_CON]
    return found


def sent(session: Session) -> list[Frame]:
    return list(FrameReader().feed(session.take()))


def comes(session: Session, frame: Frame, now_s: float = 0.0) -> list[bytes]:
    return list(session.received(frame_bytes(frame), now_s))


def test_no_more_than_k_frames_are_on_their_way() -> None:
    one = station(k=3, w=2)
    for _ in range(3):
        one.send(ASDU, 0.0)
    assert one.room == 0

    comes(one, Acknowledgement(2))
    assert one.room == 2


def test_after_w_frames_it_acknowledges_at_once() -> None:
    one = station(w=2)
    comes(one, Numbered(0, 0, ASDU))
    assert sent(one) == []
    comes(one, Numbered(1, 0, ASDU))
    assert sent(one) == [Acknowledgement(2)]


def test_fewer_are_acknowledged_after_t2_or_with_what_is_sent() -> None:
    one = station()
    comes(one, Numbered(0, 0, ASDU), 1.0)
    assert one.due_s() == 11.0
    one.tick(10.9)
    assert sent(one) == []
    one.tick(11.0)
    assert sent(one) == [Acknowledgement(1)]

    comes(one, Numbered(1, 0, ASDU), 12.0)
    one.send(ASDU, 13.0)
    assert sent(one) == [Numbered(0, 2, ASDU)]
    one.tick(22.5)
    assert sent(one) == []


def test_who_acknowledges_nothing_within_t1_is_dead() -> None:
    one = station()
    one.send(ASDU, 5.0)
    comes(one, Word.TEST_CON, 19.0)  # that it speaks does not help
    one.tick(19.9)
    with pytest.raises(LinkDeadError, match="1 frames are not acknowledged for 15 s"):
        one.tick(20.0)


def test_after_t3_of_silence_it_tests_and_after_t1_more_it_is_dead() -> None:
    one = station()
    one.tick(20.0)
    assert sent(one) == [Word.TEST_ACT]
    comes(one, Word.TEST_CON, 21.0)
    one.tick(40.0)
    assert sent(one) == []
    one.tick(41.0)
    assert sent(one) == [Word.TEST_ACT]
    with pytest.raises(LinkDeadError, match="no answer to a test"):
        one.tick(56.0)


def test_a_stop_acknowledges_first_and_ends_the_data() -> None:
    one = station()
    comes(one, Numbered(0, 0, ASDU))
    comes(one, Word.STOP_ACT)
    assert sent(one) == [Acknowledgement(1), Word.STOP_CON]
    assert (one.started, one.room) == (False, 0)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(Numbered(1, 0, ASDU), id="a frame is missing"),
        pytest.param(Numbered(0, 1, ASDU), id="it acknowledges what was never sent"),
        pytest.param(Acknowledgement(1), id="the same alone"),
        pytest.param(Word.START_CON, id="an answer to a question of the other side"),
    ],
)
def test_numbers_and_words_that_cannot_be_are_refused(frame: Frame) -> None:
    with pytest.raises(ForeignError):
        comes(station(), frame)


def test_data_before_the_start_are_counted_and_left_aside() -> None:
    fresh = Session(LinkTiming(), controlling=False, now_s=0.0)
    assert comes(fresh, Numbered(0, 0, ASDU)) == []
    comes(fresh, Word.START_ACT)
    assert comes(fresh, Numbered(1, 0, ASDU)) == [ASDU]
    assert sent(fresh) == [Acknowledgement(1), Word.START_CON]


def test_numbers_go_round() -> None:
    one = station()
    for number in range(2**15 + 5):
        one.send(ASDU, 0.0)
        comes(one, Acknowledgement((number + 1) % 2**15))
    assert one.unacknowledged == 0


@given(st.integers(0, 2**32 - 1))
def test_two_sides_lose_and_repeat_nothing(seed: int) -> None:
    lot = Random(seed)
    ends = [Session(LinkTiming(k=4, w=2), controlling=c, now_s=0.0) for c in (True, False)]
    ends[0].ask(Word.START_ACT, 0.0)
    said: list[list[bytes]] = [[], []]
    heard: list[list[bytes]] = [[], []]
    for step in range(60):
        who = lot.randrange(2)
        one, other = ends[who], ends[1 - who]
        for _ in range(min(lot.randrange(5), max(one.room, 0))):
            said[who].append(b"%06d" % step)
            one.send(said[who][-1], float(step))
        heard[1 - who] += list(other.received(one.take(), float(step)))
    for who in (0, 1, 0):
        heard[1 - who] += list(ends[1 - who].received(ends[who].take(), 60.0))

    assert heard[1] == said[0]
    assert heard[0] == said[1]
