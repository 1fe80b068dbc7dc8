"""Who sends what cannot be read is shut out, and comes back; valid traffic beside it is whole (A10)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.measurement import Reading
from vpp.sense.decode import Refusal, RefusalReason
from vpp.sense.intake import Intake
from vpp.sense.quarantine import MAX_SOURCES, Quarantine

NOON = datetime(2025, 12, 3, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def topic(name: str) -> str:
    return f"vpp/v1/steel/cp-1/{name}/telemetry"


def an_intake(*names: str) -> Intake:
    home = (EnterpriseId("steel"), ConnectionPointId("cp-1"))
    devices = [ResourceId(name) for name in names]
    return Intake(dict.fromkeys(devices, home), dict.fromkeys(devices, (-250.0, 250.0)), set())


def good(seq: int, at: datetime) -> bytes:
    return json.dumps({"ts": at.isoformat(), "seq": seq, "power_kw": 1.0}).encode()


def test_after_twenty_unreadable_messages_in_a_row_a_topic_is_not_read_for_a_minute() -> None:
    intake, told = an_intake("bess"), []
    for number in range(30):
        answer = intake.accept(topic("bess"), b"{", NOON + number * SECOND)
        assert isinstance(answer, Refusal)
        told.append((answer.reason, answer.first))

    assert intake.refused == {RefusalReason.NOT_JSON: 20, RefusalReason.QUARANTINED: 10}
    # Told at its first, and when it was shut out.
    assert [number for number, (_, first) in enumerate(told) if first] == [0, 19]
    assert intake.quarantine.shut_out(NOON + 29 * SECOND) == (topic("bess"),)

    during = NOON + 78 * SECOND
    assert isinstance(intake.accept(topic("bess"), good(1, during), during), Refusal)
    after = NOON + 79 * SECOND
    assert isinstance(intake.accept(topic("bess"), good(2, after), after), Reading)
    assert intake.quarantine.shut_out(after) == ()


def test_one_that_is_tried_again_and_still_bad_is_shut_out_for_twice_as_long_up_to_a_quarter() -> (
    None
):
    quarantine, now = Quarantine(), NOON
    for _ in range(20):
        quarantine.refused("a", RefusalReason.TOO_LARGE, now)
    lengths = []
    for _ in range(6):
        until = quarantine.until("a", now)
        assert until is not None
        lengths.append(until - now)
        now = until
        assert quarantine.until("a", now) is None
        quarantine.refused("a", RefusalReason.TOO_LARGE, now)

    assert [one / timedelta(minutes=1) for one in lengths] == [1, 2, 4, 8, 15, 15]


def test_a_wrong_clock_or_value_shuts_nobody_out() -> None:
    intake = an_intake("bess")
    for number in range(100):
        at = NOON + number * SECOND
        assert isinstance(
            intake.accept(topic("bess"), good(1, at + timedelta(days=1)), at), Refusal
        )

    assert intake.refused == {RefusalReason.FROM_FUTURE: 100}
    assert isinstance(intake.accept(topic("bess"), good(2, NOON), NOON + 100 * SECOND), Reading)


def test_only_the_newest_bad_topics_are_remembered() -> None:
    quarantine = Quarantine()
    for number in range(3 * MAX_SOURCES):
        for _ in range(20):
            quarantine.refused(f"t/{number}", RefusalReason.NOT_JSON, NOON)

    assert len(quarantine.shut_out(NOON)) == MAX_SOURCES


nonsense = st.one_of(
    st.binary(max_size=64),
    st.just(b"[" * 10_000),
    st.just(b'{"a":' * 9_000),
    st.just(b" " * 20_000),
    st.builds(lambda cut: good(1, NOON)[:cut], st.integers(0, 40)),
    st.sampled_from([b'{"ts":"x","seq":1,"power_kw":NaN}', b"null", b"\xff\xfe\x00", b"1e999"]),
)


@given(bad=st.lists(nonsense, min_size=1, max_size=60))
def test_oversized_truncated_nested_and_binary_payloads_leave_the_others_whole(
    bad: list[bytes],
) -> None:
    intake = an_intake("bess", "pump")
    for number, payload in enumerate(bad):
        at = NOON + number * SECOND
        answer = intake.accept(topic("pump"), payload, at)
        assert isinstance(answer, Refusal)
        assert isinstance(intake.accept(topic("bess"), good(number, at), at), Reading)

    assert (intake.accepted, intake.lost) == (len(bad), 0)
    assert intake.refused.total() == len(bad)
