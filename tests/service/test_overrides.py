"""An operator takes a resource in hand: on record, within what it can, over by itself, there after a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.memory_journal import MemoryJournal
from tests.service.conftest import NOW, Serving
from vpp.clock import SimulatedClock
from vpp.errors import DataError, UnavailableError
from vpp.model.ids import ResourceId
from vpp.service.plant import Plant
from vpp.service.steering import overrides
from vpp.wirecontrol import OverrideRequest

BATTERY = ResourceId("office-battery")
MINUTE = timedelta(minutes=1)
ORDER: dict[str, Any] = {
    "power_kw": -100.0,
    "for_minutes": 30,
    "by": "Li",
    "reason": "works at the crane",
}
PATH = f"/v1/resources/{BATTERY}/override"


def take(plant: Plant, name: str = BATTERY, **changes: Any) -> None:
    request = OverrideRequest.model_validate(ORDER | changes)
    asyncio.run(overrides.take(plant, name, request, now=NOW))


def test_it_holds_until_its_time_and_ends_by_itself(plant: Plant) -> None:
    take(plant)
    held = plant.acting.overrides[BATTERY]

    assert (held.low_kw, held.high_kw) == (-100, -100)
    assert held.holds(NOW)
    assert held.holds(NOW + 30 * MINUTE - timedelta.resolution)
    assert not held.holds(NOW + 30 * MINUTE)
    overrides.tell_expired(plant, NOW + 30 * MINUTE)
    overrides.tell_expired(plant, NOW + 31 * MINUTE)
    texts = [e.text for e in plant.events.recent() if e.kind == "override"]
    assert len(texts) == 2
    assert texts[-1] == f"the override of {BATTERY} by Li is over: it is steered as before"


def test_bounds_may_be_given_by_one_side_alone(plant: Plant) -> None:
    take(plant, power_kw=None, high_kw=0.0)

    held = plant.acting.overrides[BATTERY]
    assert (held.low_kw, held.high_kw) == (-500, 0)


@pytest.mark.parametrize(
    ("name", "changes", "what"),
    [
        ("nobody", {}, "there is no such resource"),
        ("steel-furnaces", {}, "a fixed load cannot be steered"),
        (BATTERY, {"power_kw": 501.0}, "501 to 501 kW is not within -500 to 500 kW"),
        (BATTERY, {"power_kw": -501.0}, "not within"),
        (
            BATTERY,
            {"for_minutes": None, "end": "2025-12-02T10:00:00Z"},
            "ended at 2025-12-02T10:00:00Z",
        ),
        (
            BATTERY,
            {"for_minutes": None, "end": "2199-12-02T10:00:00Z"},
            "more than 31 days away",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_holds_nowhere(
    plant: Plant, name: str, changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(DataError, match=what):
        take(plant, name, **changes)
    assert plant.acting.overrides == {}
    assert not list(plant.journal.entries(overrides.OVERRIDE))


def test_it_is_on_record_before_it_holds_and_there_after_a_restart(plant: Plant) -> None:
    take(plant)
    take(plant, power_kw=50.0)
    (_, entry) = plant.journal.entries(overrides.OVERRIDE)
    assert json.loads(entry.body)["low_kw"] == 50

    before = plant.acting.overrides[BATTERY]
    plant.acting.overrides.clear()
    plant.acting.overrides_made = 0
    overrides.recover(plant)

    assert plant.acting.overrides == {BATTERY: before}
    assert plant.acting.overrides_made == 2


def test_what_was_given_back_stays_so_after_a_restart(plant: Plant) -> None:
    take(plant)
    for reason in ("done", "again changes nothing"):
        asyncio.run(overrides.end(plant, BATTERY, by="Wu", reason=reason, now=NOW + MINUTE))
    (entry,) = plant.journal.entries(overrides.OVERRIDE_END)
    assert json.loads(entry.body) == {"by": "Wu", "reason": "done"}

    plant.acting.overrides.clear()
    overrides.recover(plant)

    assert plant.acting.overrides[BATTERY].ended


def test_what_was_over_before_a_restart_is_not_told_again(plant: Plant) -> None:
    take(plant)
    plant.clock = SimulatedClock(NOW + 90 * MINUTE)
    plant.acting.overrides.clear()
    overrides.recover(plant)
    overrides.tell_expired(plant, NOW + 90 * MINUTE)

    texts = [e.text for e in plant.events.recent() if e.kind == "override"]
    assert len(texts) == 1
    assert "takes" in texts[0]


class PatientJournal(MemoryJournal):
    """Takes an entry when both are there."""

    def __init__(self) -> None:
        super().__init__()
        self.both = asyncio.Event()
        self.waiting = 0

    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        self.waiting += 1
        if self.waiting == 2:
            self.both.set()
        await self.both.wait()
        await super().append_all(entries, now=now)


def test_of_two_who_take_it_at_once_both_are_on_record_and_the_later_one_holds(
    plant: Plant,
) -> None:
    plant.journal = PatientJournal()

    async def both() -> None:
        await asyncio.gather(
            *(
                overrides.take(
                    plant,
                    BATTERY,
                    OverrideRequest.model_validate(ORDER | {"power_kw": kw}),
                    now=NOW,
                )
                for kw in (10.0, 20.0)
            )
        )

    asyncio.run(both())
    assert len(list(plant.journal.entries(overrides.OVERRIDE))) == 2
    assert plant.acting.overrides[BATTERY].low_kw == 20
    before = plant.acting.overrides[BATTERY]
    plant.acting.overrides.clear()
    overrides.recover(plant)
    assert plant.acting.overrides == {BATTERY: before}


class FullDisk(MemoryJournal):
    async def append_all(self, entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        raise UnavailableError("the disk is full", where="journal", fix="Free some")


def test_a_journal_that_refuses_keeps_it_from_holding(plant: Plant) -> None:
    plant.journal = FullDisk()
    with pytest.raises(UnavailableError):
        take(plant)
    assert plant.acting.overrides == {}


def test_operators_take_and_give_back_over_http(plant: Plant, serving: Serving) -> None:
    async def play() -> None:
        async with serving(plant) as client:
            unknown = await client.get(PATH)
            taken = await client.post(PATH, json=ORDER)
            shown = await client.get(PATH)
            nobody = await client.delete(PATH)
            still = await (await client.get(PATH)).json()
            ended = await client.delete(PATH, params={"by": "Wu", "reason": "the crane is done"})
            twofold = await client.post(PATH, json=ORDER | {"end": "2025-12-03T10:00:00Z"})
            assert (unknown.status, (await unknown.json())["code"]) == (404, "unknown_override")
            assert (taken.status, (await taken.json())["state"]) == (200, "in_force")
            assert await shown.json() == await taken.json()
            assert (nobody.status, still["state"]) == (422, "in_force")
            assert (ended.status, (await ended.json())["state"]) == (200, "ended")
            assert twofold.status == 422

    asyncio.run(play())
