"""What devices answer to commands: refusals are counted, and told once until they obey again."""

from __future__ import annotations

import msgspec
import pytest

from vpp.service.plant import Plant
from vpp.service.run import take_ack
from vpp.wire import AckMessage, topic


def an_ack(*, accepted: bool, seq: int = 7) -> bytes:
    return msgspec.json.encode(
        AckMessage(
            command_id=f"x-{seq}",
            seq=seq,
            ts="2025-12-03T00:00:00Z",
            accepted=accepted,
            reason=None if accepted else "expired",
        )
    )


def refusals(plant: Plant) -> list[str]:
    return [event.text for event in plant.events.recent() if event.kind == "setpoint_refused"]


@pytest.fixture
def ack_topic(plant: Plant) -> str:
    device = plant.file.park.resources[0].resource_id
    return topic(*plant.file.park.device_owner[device], device, "ack")


def test_a_refusal_is_told_once_until_the_device_obeys_again(plant: Plant, ack_topic: str) -> None:
    for accepted in (False, False, True, False):
        take_ack(plant, ack_topic, an_ack(accepted=accepted))

    assert len(refusals(plant)) == 2
    assert refusals(plant)[0].endswith("refuses x-7: expired")


@pytest.mark.parametrize("payload", [b"{", b"\xff", b"[]", b'{"seq":"one"}'])
def test_an_answer_that_cannot_be_read_changes_nothing(
    plant: Plant, ack_topic: str, payload: bytes
) -> None:
    take_ack(plant, ack_topic, payload)

    assert not refusals(plant)


def test_nobody_answers_for_a_device_of_another_enterprise(plant: Plant, ack_topic: str) -> None:
    parts = ack_topic.split("/")
    parts[2] = "stranger"

    take_ack(plant, "/".join(parts), an_ack(accepted=False))

    assert not refusals(plant)
