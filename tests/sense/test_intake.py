"""The order of a device's messages, and the counters people look at when something is odd."""

from __future__ import annotations

import json
import random
import time
from datetime import UTC, datetime, timedelta

from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.measurement import Measurement, Reading
from vpp.sense.decode import Refusal, RefusalReason
from vpp.sense.intake import MAX_GAP, Intake

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
BESS = ResourceId("bess-1")
TOPIC = "vpp/v1/steel/cp-1/bess-1/telemetry"


def an_intake() -> Intake:
    owners = {BESS: (EnterpriseId("steel"), ConnectionPointId("cp-1"))}
    return Intake(owners, {BESS: (-250.0, 250.0)}, set())


def a_payload(seq: int, *, minute: float | None = None, power_kw: float | None = None) -> bytes:
    ts = NOON + timedelta(minutes=seq if minute is None else minute)
    return json.dumps(
        {"ts": ts.isoformat(), "seq": seq, "power_kw": seq if power_kw is None else power_kw}
    ).encode()


def take(intake: Intake, payload: bytes) -> Measurement | Refusal | None:
    return intake.accept(TOPIC, payload, NOON + timedelta(hours=10))


def test_every_message_sent_up_to_five_times_counts_once() -> None:
    intake, taken = an_intake(), []
    chance = random.Random(1)
    for seq in range(50):
        taken += [take(intake, a_payload(seq)) for _ in range(chance.randint(1, 5))]

    assert [m.seq for m in taken if isinstance(m, Reading)] == list(range(50))
    assert (intake.accepted, intake.duplicates) == (50, intake.received - 50)
    assert intake.lost == 0


def test_a_buffer_sent_late_in_any_order_is_returned_once_and_never_the_newest() -> None:
    intake = an_intake()
    take(intake, a_payload(0))
    take(intake, a_payload(60))
    assert intake.lost == 59

    buffer = [*range(1, 60), *range(1, 60)]
    random.Random(2).shuffle(buffer)
    taken = [take(intake, a_payload(seq)) for seq in buffer]

    assert sorted(m.seq for m in taken if isinstance(m, Reading)) == list(range(1, 60))
    assert intake.newest[BESS].seq == 60
    assert (intake.late, intake.duplicates, intake.lost) == (59, 59, 0)


def test_a_buffer_from_before_our_own_start_counts_once_too() -> None:
    intake = an_intake()
    take(intake, a_payload(100))

    first, again = take(intake, a_payload(40)), take(intake, a_payload(40))

    assert isinstance(first, Reading)
    assert again is None


def test_a_device_that_counts_anew_loses_nothing() -> None:
    intake = an_intake()
    take(intake, a_payload(500, minute=1, power_kw=0))
    take(intake, a_payload(0, minute=2))
    take(intake, a_payload(1, minute=3))

    assert (intake.restarts, intake.lost, intake.newest_seq(BESS)) == (1, 0, 1)


def test_a_sequence_number_far_off_is_a_restart_not_a_billion_losses() -> None:
    intake = an_intake()
    take(intake, a_payload(0, minute=1, power_kw=0))
    take(intake, a_payload(2**52, minute=2, power_kw=0))

    assert (intake.restarts, intake.lost) == (1, 0)


def test_a_clock_that_runs_backwards_is_refused() -> None:
    intake = an_intake()
    take(intake, a_payload(5))

    answer = take(intake, a_payload(6, minute=1))

    assert isinstance(answer, Refusal)
    assert answer.reason is RefusalReason.REGRESS
    assert intake.newest[BESS].seq == 5


def test_a_bad_source_is_told_of_every_ten_minutes_however_it_changes() -> None:
    intake = an_intake()
    said = []
    for minute in range(25):
        at = NOON + timedelta(minutes=minute)
        answers = [intake.accept(TOPIC, b"{", at), intake.accept(TOPIC, a_payload(minute), at)]
        said += [a.first for a in answers if isinstance(a, Refusal)]

    assert [minute for minute, first in enumerate(said) if first] == [0, 10, 20]
    assert intake.refused == {RefusalReason.NOT_JSON: 25}
    assert intake.accepted == 25


def test_a_flood_of_bad_topics_is_counted_and_told_of_twenty_times_a_minute() -> None:
    intake = an_intake()
    answers = [
        intake.accept(f"flood/{i}", b"", NOON + timedelta(milliseconds=40 * i)) for i in range(3000)
    ]

    assert sum(a.first for a in answers if isinstance(a, Refusal)) == 2 * 20
    assert intake.refused[RefusalReason.TOPIC] == 3000


def test_bad_traffic_beside_it_leaves_good_traffic_whole() -> None:
    intake = an_intake()
    for seq in range(100):
        take(intake, a_payload(seq))
        take(intake, b"\x00")
        intake.accept("vpp/v1/steel/cp-1/ghost/telemetry", a_payload(seq), NOON)

    assert (intake.accepted, intake.lost) == (100, 0)
    assert intake.received == 300 == intake.accepted + sum(intake.refused.values())


def test_a_device_that_skips_thousands_of_numbers_each_time_costs_little_and_its_newest_gaps_are_kept() -> (
    None
):
    """The oldest were given up one by one: two seconds of the whole service for each such message."""
    intake, began_s = an_intake(), time.process_time()
    for n in range(30):
        take(intake, a_payload(n * MAX_GAP, minute=n, power_kw=1.0))

    assert time.process_time() - began_s < 5
    newest = 29 * MAX_GAP
    assert intake.gaps() == {
        BESS: [(newest - MAX_GAP - 1, newest - MAX_GAP - 1), (newest - MAX_GAP + 1, newest - 1)]
    }
