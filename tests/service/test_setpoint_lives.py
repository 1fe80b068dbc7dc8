"""The life of a set-point in the service: what the cycle, the devices and the kill switch make of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from tests.service.conftest import NOW
from vpp.act.lifetable import Stage
from vpp.model.ids import ResourceId
from vpp.service import cycle
from vpp.service.plant import Plant
from vpp.service.run import take_ack
from vpp.wire import AckMessage, topic

STORE = ResourceId("steel-battery")


def plan_to_feed(plant: Plant, kw: float) -> None:
    assert plant.schedule is not None
    power_kw = plant.schedule.power_kw.copy()
    power_kw[plant.units.index[STORE], :] = kw
    plant.schedule = replace(plant.schedule, power_kw=power_kw)


@pytest.fixture
def told(plant: Plant) -> Plant:
    """A battery is told to feed 300 kW."""
    plan_to_feed(plant, 300.0)
    asyncio.run(cycle.act(plant, NOW))
    return plant


def answer(plant: Plant, *, accepted: bool, reason: str | None = None) -> None:
    newest = plant.lives.standing(STORE).setpoint
    assert newest is not None
    ack = AckMessage(
        command_id=newest.command_id, seq=newest.seq, ts="2025-12-02T10:00:01Z",
        accepted=accepted, reason=reason,
    )  # fmt: skip
    where = topic(*plant.file.park.device_owner[STORE], STORE, "ack")
    take_ack(plant, where, msgspec.json.encode(ack))


def test_a_command_that_left_is_sent_and_a_device_that_says_yes_has_it(told: Plant) -> None:
    assert told.lives.standing(STORE).stage is Stage.SENT
    answer(told, accepted=True)
    assert told.lives.standing(STORE).stage is Stage.ACKNOWLEDGED


def test_a_device_that_says_no_is_refusing_with_its_reason(told: Plant) -> None:
    answer(told, accepted=False, reason="local control")
    stands = told.lives.standing(STORE)
    assert (stands.stage, stands.reason) == (Stage.REFUSED, "local control")


def test_a_kill_releases_every_set_point_at_once_and_says_why(told: Plant) -> None:
    told.kill.kill("a drill")
    asyncio.run(cycle.act(told, NOW + timedelta(seconds=60)))

    stands = told.lives.standing(STORE)
    assert stands.stage is Stage.RELEASED
    assert "a drill" in stands.reason


def test_the_guard_of_the_act_cycle_knows_what_was_allowed_before(plant: Plant) -> None:
    """1 kW a second, a command a minute: 60 kW from where it is, 120 from what it was told."""
    ramp_kw_per_s = plant.units.ramp_kw_per_s.copy()
    ramp_kw_per_s[plant.units.index[STORE]] = 1.0
    plant.units = replace(plant.units, ramp_kw_per_s=ramp_kw_per_s)
    was_kw = plant.intake.newest[STORE].power_kw
    plan_to_feed(plant, was_kw + 300)
    period = timedelta(seconds=plant.file.control.period_s)
    assert period == timedelta(seconds=60)
    allowed_kw = []
    for cycles in range(2):
        asyncio.run(cycle.act(plant, NOW + cycles * period))
        newest = plant.lives.standing(STORE).setpoint
        assert newest is not None
        allowed_kw.append(newest.power_kw - was_kw)

    assert allowed_kw == pytest.approx([60, 120])
