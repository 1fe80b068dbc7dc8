"""The act cycle of a plant: who decides of a resource, who is left out, what is short, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest

from tests.commandsread import commands_of
from tests.service.conftest import NOW, QuietLink, Serving
from vpp.act.health import Fault
from vpp.act.results import Delivered, Refused, Result, Short, UnknownResult
from vpp.act.units import Kind
from vpp.errors import DataError
from vpp.model.command import Setpoint
from vpp.model.ids import ResourceId
from vpp.model.measurement import Unknown
from vpp.model.resource import Storage
from vpp.model.time import Interval, isoformat
from vpp.ports import Unsent
from vpp.service import cycle
from vpp.service.bids.biddable import biddable
from vpp.service.calls import limits
from vpp.service.kill import Scope
from vpp.service.planning import alone
from vpp.service.plant import Plant
from vpp.service.steering import overrides, setpoints
from vpp.service.steering import results as actingresults
from vpp.service.strategies.reading import parse_strategies
from vpp.wire import LimitRequest, TelemetryMessage, topic
from vpp.wirecontrol import OverrideRequest

EVENING = datetime(2025, 12, 3, 18, tzinfo=UTC)
"""Each of four batteries is planned to feed 500 kW, each fixed load to draw 100."""

STEEL, METAL, COLD, OFFICE = (
    ResourceId(f"{name}-battery") for name in ("steel", "metal", "cold", "office")
)
PLANNED = dict.fromkeys((STEEL, METAL, COLD, OFFICE), 500.0)
MINUTE = timedelta(minutes=1)


class Evening:
    """A plant that is heard and acts, minute by minute; nothing is owed."""

    def __init__(self, plant: Plant) -> None:
        assert plant.schedule is not None
        # What is planned is what is owed: nobody is moved.
        unit = plant.file.park.bidding_units[0]
        units = (replace(unit, trades_from=EVENING + timedelta(days=9)),)
        plant.file = replace(plant.file, park=replace(plant.file.park, bidding_units=units))
        plant.schedule = replace(plant.schedule, issued_at=EVENING)
        self.plant, self.now, self._seq = plant, EVENING, 10

    def hear(self, *silent: ResourceId, **power_kw: float) -> None:
        """Everybody but the silent ones; who is not named (`steel_battery=500`) does nothing, and obeys in word."""
        self._seq += 1
        plant, park = self.plant, self.plant.file.park
        kw = {ResourceId(name.replace("_", "-")): value for name, value in power_kw.items()}
        stores = {r.resource_id for r in park.resources if isinstance(r, Storage)}
        at_point = {
            p.meter_id: sum(kw.get(name, 0.0) for name in park.behind_point[p.connection_point_id])
            for p in park.connection_points
        }
        for device, (owner, site) in park.device_owner.items():
            if device in silent:
                continue
            sent = plant.setpoints.get(device)
            meter = device in at_point
            message = TelemetryMessage(
                ts=isoformat(self.now),
                seq=self._seq,
                power_kw=at_point[device] if meter else kw.get(device, 0.0),
                soc=0.5 if device in stores else None,
                setpoint_seq=None if meter or sent is None else sent.seq,
                import_wh=1000 if meter else None,
                export_wh=0 if meter else None,
            )
            plant.intake.accept(
                topic(owner, site, device, "telemetry"), msgspec.json.encode(message), self.now
            )

    def act(self) -> dict[ResourceId, float]:
        """One cycle; what it told, and a minute later."""
        link: Any = self.plant.sink
        before = len(link.sent)
        self.plant.clock.at = self.now  # type: ignore[attr-defined]
        asyncio.run(cycle.act(self.plant, self.now))
        self.now += MINUTE
        return {s.resource_id: s.power_kw for s in link.sent[before:]}

    def batteries(self) -> dict[ResourceId, float]:
        """What the batteries were told of the newest cycle."""
        return {name: kw for name, kw in self.act().items() if name in PLANNED}

    def take(self, name: ResourceId, **what: Any) -> None:
        """An operator takes a resource in hand for an hour."""
        request = OverrideRequest.model_validate(
            {"for_minutes": 60, "by": "Li", "reason": "a drill", **what}
        )
        asyncio.run(overrides.take(self.plant, name, request, now=self.now))

    def order(self, name: ResourceId, **limits_kw: float) -> None:
        """The grid narrows the connection point of a resource for the evening."""
        point = self.plant.file.park.resource_by_id[name].connection_point_id
        request = LimitRequest.model_validate(
            {
                "place": point,
                "start": "2025-12-03T17:00:00Z",
                "end": "2025-12-03T23:00:00Z",
                "source": "the grid",
                **limits_kw,
            }
        )
        asyncio.run(limits.put_order(self.plant, "o-1", request, now=self.now))

    def recorded(self, name: ResourceId) -> dict[str, Any]:
        """The newest command to a resource, as the journal has it."""
        every = self.plant.journal.entries(setpoints.SETPOINTS)
        told = [one for entry in every for one in commands_of(entry.body)]
        return next(one for one in reversed(told) if one["resource_id"] == name)

    def events(self, kind: str) -> list[str]:
        return [e.text for e in self.plant.events.recent() if e.kind == kind]


@pytest.fixture
def evening(plant: Plant) -> Evening:
    return Evening(plant)


# ---------------------------------------------------------------- who decides


def test_the_plan_decides_where_nobody_above_it_speaks_and_the_record_says_so(
    evening: Evening,
) -> None:
    evening.hear()

    assert evening.batteries() == PLANNED

    told = evening.recorded(STEEL)
    assert (told["won"], told["by"]) == ("strategy", "plan-1")
    assert told["left"]["protection"] == [None, None]
    assert told["left"]["strategy"] == [-2000, 2000]
    assert evening.events("arbitration") == []


def test_an_override_outranks_the_plan_and_is_told_once(evening: Evening) -> None:
    evening.take(STEEL, power_kw=-100.0)
    evening.hear()

    assert evening.batteries() == PLANNED | {STEEL: -100}
    evening.hear()
    evening.act()

    told = evening.recorded(STEEL)
    assert (told["won"], told["by"]) == ("operator", "Li: a drill")
    assert told["left"]["award"] == [-100, -100]
    assert evening.events("arbitration") == [f"operator decides {STEEL}: Li: a drill"]


def test_what_its_owner_has_in_maintenance_is_told_nothing_and_the_others_go_on(
    evening: Evening,
) -> None:
    """From 18:01 to 18:03; an operator cannot take it in hand meanwhile."""
    strategies = evening.plant.strategies
    text = strategies.text + (
        "\nmembers: {steel: {maintenance: [{resources: [steel-battery],"
        ' from: "2025-12-03T18:01:00Z", to: "2025-12-03T18:03:00Z", reason: new fans}]}}\n'
    )
    read = parse_strategies(text.encode(), strategies.ground, name="s.yaml")
    evening.plant.file = replace(evening.plant.file, strategies=read)
    evening.hear()
    assert evening.batteries() == PLANNED
    with pytest.raises(DataError, match="maintenance: new fans"):
        evening.take(STEEL, power_kw=-100.0)
    for _ in range(2):
        evening.hear(metal_battery=500, cold_battery=500, office_battery=500)
        assert STEEL not in evening.batteries()
    evening.hear(metal_battery=500, cold_battery=500, office_battery=500)
    assert evening.batteries()[STEEL] == 500


def test_a_veto_of_calls_alone_leaves_steering_as_it_is(evening: Evening) -> None:
    strategies = evening.plant.strategies
    text = (
        strategies.text + "\nmembers: {steel: {vetoes: [{covers: calls, reason: night shift}]}}\n"
    )
    read = parse_strategies(text.encode(), strategies.ground, name="s.yaml")
    evening.plant.file = replace(evening.plant.file, strategies=read)
    evening.hear()
    assert evening.batteries() == PLANNED


def test_the_plan_goes_on_inside_the_bounds_of_an_override(evening: Evening) -> None:
    evening.take(STEEL, low_kw=-50.0, high_kw=300.0)
    evening.take(OFFICE, low_kw=0.0)
    evening.hear()

    assert evening.batteries() == PLANNED | {STEEL: 300}
    assert evening.recorded(STEEL)["won"] == "strategy"


def test_an_order_of_the_grid_outranks_an_override(evening: Evening) -> None:
    evening.take(STEEL, power_kw=500.0)
    evening.order(STEEL, export_kw=200)
    evening.hear()

    assert evening.batteries()[STEEL] == pytest.approx(200)
    assert evening.recorded(STEEL)["won"] == "grid"


def test_what_an_order_leaves_to_an_override_is_on_record(evening: Evening) -> None:
    """Nothing else behind that point can feed: what it may draw is the most that the battery may."""
    evening.take(STEEL, power_kw=-500.0)
    evening.order(STEEL, import_kw=300)
    evening.hear()

    assert evening.batteries()[STEEL] == pytest.approx(-300)
    told = evening.recorded(STEEL)
    assert (told["won"], told["left"]["operator"]) == ("operator", [-300, 2000])


def test_an_empty_store_outranks_an_override(evening: Evening) -> None:
    evening.take(STEEL, power_kw=100.0)
    evening.hear(steel_battery=0.0)
    newest = evening.plant.intake.newest
    newest[STEEL] = replace(newest[STEEL], soc=0.0)

    assert evening.batteries()[STEEL] == 0
    assert evening.recorded(STEEL)["left"]["operator"] == [-2000, 0]


def test_an_override_holds_where_the_service_lets_go_and_not_where_it_is_killed(
    evening: Evening,
) -> None:
    evening.plant.schedule = None
    evening.hear()
    assert evening.act() == {}

    evening.take(STEEL, power_kw=-100.0)
    evening.hear()
    assert evening.act() == {STEEL: -100}

    evening.plant.kill.kill("a drill")
    evening.take(STEEL, power_kw=-300.0)
    evening.hear()
    assert evening.act() == {}


def test_after_a_kill_nobody_decides_any_more_and_nobody_is_told_its_old_power(
    evening: Evening, plant: Plant
) -> None:
    """Killed while three batteries wait to go from 500 kW to 100; given free they go there at once."""
    control = plant.file.control.model_copy(update={"spread_s": 240.0, "spread_above_kw": 100.0})
    plant.file = replace(plant.file, control=control)
    evening.hear()
    evening.act()
    planned(plant, 100.0)
    evening.hear(**told_to(plant))
    evening.act()
    assert plant.acting.spreading is not None
    plant.kill.kill("a drill")
    evening.hear(**told_to(plant))
    evening.act()
    assert plant.acting.steered is None
    assert plant.acting.winners == {}

    plant.kill.release()
    evening.hear()
    assert evening.batteries() == dict.fromkeys(PLANNED, 100.0)


def test_who_is_let_go_while_many_wait_is_not_told_its_old_power_when_it_returns(
    evening: Evening, plant: Plant
) -> None:
    control = plant.file.control.model_copy(update={"spread_s": 240.0, "spread_above_kw": 100.0})
    plant.file = replace(plant.file, control=control)
    evening.hear()
    evening.act()
    planned(plant, 100.0)
    evening.hear(**told_to(plant))
    evening.act()
    waiting = [name for name, kw in told_kw(plant).items() if name in PLANNED and kw == 500]
    gone = waiting[-1]
    usable = plant.acting.health.until_s.copy()
    usable[plant.units.index[gone]] = (evening.now + MINUTE).timestamp()
    plant.acting.health = replace(plant.acting.health, until_s=usable)
    evening.hear(**told_to(plant))
    assert gone not in evening.act()

    evening.hear(**(told_to(plant) | {gone.replace("-", "_"): 0.0}))
    assert evening.act()[gone] == 100


def test_a_kill_while_commands_are_put_on_record_keeps_them_from_leaving(
    evening: Evening, plant: Plant
) -> None:
    evening.hear()

    def reach(point: str) -> None:
        if point == "setpoint journalled":
            plant.kill.kill("a drill", Scope("enterprise", "steel"))

    plant.reach = reach

    told = evening.act()

    assert STEEL not in told
    assert METAL in told
    assert plant.lives.standing(STEEL).reason == "the kill switch was set meanwhile"


def test_what_one_in_hand_does_not_do_others_make_up_for(evening: Evening, plant: Plant) -> None:
    """As planned 2000 kW are owed; with one of four at 0 the others do its 500."""
    owed(plant, 2000.0)
    evening.take(STEEL, power_kw=0.0)
    evening.hear()

    told = evening.batteries()

    assert told[STEEL] == 0
    assert sum(told.values()) == pytest.approx(2000)
    assert evening.recorded(METAL)["won"] in ("award", "strategy")
    assert {evening.recorded(name)["won"] for name in (METAL, COLD, OFFICE)} >= {"award"}


def test_where_much_moves_at_once_each_waits_for_its_turn_by_lot(
    evening: Evening, plant: Plant
) -> None:
    """2000 kW stop within four minutes, one battery a minute."""
    control = plant.file.control.model_copy(update={"spread_s": 240.0, "spread_above_kw": 100.0})
    plant.file = replace(plant.file, control=control)
    evening.hear()
    assert evening.batteries() == PLANNED, "who was told nothing before waits for nobody"
    assert plant.schedule is not None
    still = replace(plant.schedule, power_kw=np.zeros_like(plant.schedule.power_kw))
    plant.schedule = replace(still, net_kw=np.zeros_like(still.net_kw))

    running_kw = []
    for _ in range(6):
        evening.hear(**told_to(plant))
        evening.act()
        running_kw.append(sum(told_kw(plant)[name] for name in PLANNED))

    assert running_kw == [2000, 1500, 1000, 500, 0, 0]


def test_who_is_taken_in_hand_while_many_wait_for_their_turn_does_not_wait(
    evening: Evening, plant: Plant
) -> None:
    control = plant.file.control.model_copy(update={"spread_s": 240.0, "spread_above_kw": 100.0})
    plant.file = replace(plant.file, control=control)
    evening.hear()
    evening.act()
    planned(plant, 0.0)
    evening.hear(**told_to(plant))
    evening.act()
    waiting = [name for name, kw in told_kw(plant).items() if name in PLANNED and kw == 500]
    assert len(waiting) >= 2
    evening.take(waiting[-1], power_kw=-100.0)
    evening.take(waiting[-2], high_kw=50.0)

    evening.hear(**told_to(plant))
    evening.act()
    assert told_kw(plant)[waiting[-1]] == -100
    assert told_kw(plant)[waiting[-2]] <= 50


# ---------------------------------------------------------------- who is left out


def test_who_refuses_is_left_out_for_twice_as_long_each_time_and_others_do_its_share(
    evening: Evening, plant: Plant
) -> None:
    owed(plant, 2000.0)
    evening.hear()
    evening.act()
    plant.acting.refused.add(STEEL)  # as `run.take_ack` notes it
    evening.hear(**told_to(plant))
    evening.act()
    assert evening.events("left_out") == [
        f"{STEEL} is left out for 120 s: it refuses its commands, or they do not reach it"
    ]

    evening.hear(**(told_to(plant) | {"steel_battery": 0.0}))
    assert STEEL not in evening.act()
    total = sum(kw for name, kw in told_kw(plant).items() if name != STEEL)
    assert total >= 2000, "and what the meters have not seen yet on top"

    evening.hear(**(told_to(plant) | {"steel_battery": 0.0}))
    assert STEEL in evening.act(), "its time is over: it is tried again"
    plant.acting.refused.add(STEEL)
    evening.hear(**told_to(plant))
    evening.act()
    assert "for 240 s" in evening.events("left_out")[-1]


def test_who_does_not_follow_is_left_out_of_plans_and_bids_and_a_new_plan_is_made(
    evening: Evening, plant: Plant
) -> None:
    plant.replan = None
    for _ in range(6):
        evening.hear(**(told_to(plant) | {"steel_battery": 0.0}))
        evening.act()
        if plant.replan:
            break

    assert evening.events("not_following")
    assert plant.replan == f"{STEEL} does not follow"
    owner = plant.file.park.resource_by_id[STEEL].enterprise_id
    assert alone.asked_about(plant) == {owner}
    at = plant.units.index[STEEL]
    assert plant.acting.health.fault[at] == Fault.NOT_FOLLOWED
    seen = biddable(plant, evening.now).resources[at]
    assert isinstance(seen, Unknown)
    assert seen.reason == "it does not follow its set-points"


def test_what_is_owed_and_finds_nobody_while_some_are_left_out_is_an_alarm_once(
    evening: Evening, plant: Plant
) -> None:
    """Four batteries can feed 4700 kW together; 20 000 are owed."""
    owed(plant, 20_000.0)
    evening.hear()
    evening.act()
    assert evening.events("award_short") == [], "it is too much, and nobody is left out"
    plant.acting.refused.add(STEEL)
    for _ in range(2):
        evening.hear(**told_to(plant))
        evening.act()

    (text,) = evening.events("award_short")
    assert text.endswith("kW of what is owed find nobody while 1 resources are left out")

    owed(plant, 0.0)
    evening.hear(**told_to(plant))
    evening.act()
    assert evening.events("award_short")[1:] == ["all that is owed finds somebody again"]


def test_a_device_that_somebody_else_changes_is_released_and_the_operator_is_told(
    evening: Evening, plant: Plant
) -> None:
    for _ in range(3):
        evening.hear(**told_to(plant))
        evening.act()
    before = plant.setpoints[STEEL].seq

    for _ in range(4):  # its local panel says -800
        evening.hear(**(told_to(plant) | {"steel_battery": -800.0}))
        evening.act()
        if evening.events("outside_change"):
            break

    (text,) = evening.events("outside_change")
    assert text.startswith(
        f"{STEEL} is changed by somebody else, and is left to him: asked for 500 kW"
    )
    evening.hear(**(told_to(plant) | {"steel_battery": -800.0}))
    assert STEEL not in evening.act()
    assert plant.setpoints[STEEL].seq <= before + 2


def test_a_link_that_is_down_is_nobodys_own_fault(
    evening: Evening, plant: Plant, a_link: Callable[..., QuietLink]
) -> None:
    evening.hear()
    evening.act()
    plant.source = a_link(connected=False)
    evening.now += timedelta(minutes=20)

    evening.act()

    assert plant.acting.health.usable(evening.now.timestamp()).all()


def test_an_unheard_battery_that_may_still_run_counts_at_its_worst(
    evening: Evening, plant: Plant
) -> None:
    """The works may feed 2100 kW; its battery can feed 2000 and nobody hears it: 100 are left for all others."""
    point = plant.file.park.resource_by_id[STEEL].connection_point_id
    assert [r.resource_id for r in plant.file.park.resources if r.connection_point_id == point][
        1:2
    ] == [STEEL]
    feeder = plant.file.park.point_by_id[point].feeder_id
    behind = [r for r in plant.file.park.behind_feeder[feeder] if r in PLANNED] if feeder else []
    request = LimitRequest.model_validate(
        {
            "place": feeder,
            "start": "2025-12-03T17:00:00Z",
            "end": "2025-12-03T23:00:00Z",
            "export_kw": 2100,
            "source": "the grid",
        }
    )
    asyncio.run(limits.put_order(plant, "o-1", request, now=evening.now))
    evening.hear(steel_battery=500.0)
    evening.act()

    for _ in range(6):  # longer than its newest reading may be old
        evening.hear(STEEL, **told_to(plant))
        evening.act()

    others_kw = sum(told_kw(plant)[name] for name in behind if name != STEEL)
    assert len(behind) >= 2, "somebody else is there to be cut"
    assert others_kw + 2000 <= 2100 + 1e-6


# ---------------------------------------------------------------- what came of it


def test_results_are_measured_and_a_part_that_fails_is_no_success(
    evening: Evening, plant: Plant
) -> None:
    """Of four that are to feed 500 kW one does, one does half, one is not heard, one refuses."""
    evening.hear()
    evening.act()
    newest = plant.acting.account.newest
    evening.hear(COLD, steel_battery=500.0, metal_battery=250.0)
    seq = plant.setpoints[OFFICE].seq
    plant.lives.acknowledge(OFFICE, seq, evening.now, accepted=False, reason="local")
    evening.act()
    refused = newest[OFFICE]
    evening.hear(COLD, steel_battery=500.0, metal_battery=250.0)
    evening.act()
    evening.now = EVENING + timedelta(minutes=15)
    evening.hear(COLD, steel_battery=500.0, metal_battery=250.0)
    evening.act()

    kinds: dict[ResourceId, type[Result]] = {STEEL: Delivered, METAL: Short, COLD: UnknownResult}
    assert {name: type(newest[name]) for name in kinds} == kinds
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.measured_kw) == ("local", 0)
    steel, metal = newest[STEEL], newest[METAL]
    assert steel.measured_kw == pytest.approx(500)
    assert metal.measured_kw == pytest.approx(250)


def test_an_instruction_that_gives_way_is_judged_by_what_was_measured_until_then(
    evening: Evening, plant: Plant
) -> None:
    """A new value every minute: the reading of the minute before is the old value's."""
    evening.hear()
    evening.act()
    planned(plant, 300.0)
    evening.hear(**told_to(plant))
    evening.act()

    steel = plant.acting.account.newest[STEEL]
    assert isinstance(steel, Delivered)
    assert steel.instruction.asked_kw == 500
    assert steel.measured_kw == pytest.approx(500)


def test_what_is_told_as_a_quarter_hour_begins_is_not_judged_by_the_one_that_ended(
    evening: Evening, plant: Plant
) -> None:
    evening.now = EVENING + 13 * MINUTE
    for _ in range(2):
        evening.hear(**told_to(plant))
        evening.act()
    planned(plant, 300.0)
    evening.hear(**told_to(plant))
    evening.act()
    assert evening.now == EVENING + 16 * MINUTE

    steel = plant.acting.account.newest[STEEL]
    assert (type(steel), steel.instruction.asked_kw) == (Delivered, 500)


def test_what_was_delivered_stays_so_where_the_next_command_does_not_leave(
    evening: Evening, plant: Plant
) -> None:
    evening.hear()
    evening.act()
    planned(plant, 300.0)
    evening.hear(**told_to(plant))
    plant.sink = DeadLink()
    evening.act()
    assert type(plant.acting.account.newest[STEEL]) is Delivered

    evening.hear(**told_to(plant))
    evening.act()
    steel = plant.acting.account.newest[STEEL]
    assert isinstance(steel, Refused)
    assert (steel.reason, steel.instruction.asked_kw) == ("the cable is cut", 300)


@pytest.mark.parametrize(
    ("was_kw", "asked_kw", "does_kw", "result"),
    [
        (-100.0, -40.0, -20.0, Delivered),  # turned down: less than allowed is as it was told
        (-100.0, -40.0, -100.0, Short),
        (0.0, -40.0, -40.0, Delivered),
        (0.0, -40.0, 0.0, Short),  # it was to draw more, and nobody did
    ],
)
def test_cars_that_were_to_draw_more_and_do_not_delivered_nothing(
    plant: Plant, was_kw: float, asked_kw: float, does_kw: float, result: type[Result]
) -> None:
    account, units = plant.acting.account, plant.units
    (at, *_) = units.by_kind[Kind.EV_FLEET].tolist()
    account.from_kw[at], account.asked_kw[at], account.commands[at] = was_kw, asked_kw, "ev-1"
    account.kw_seconds[at], account.seconds[at] = 60 * does_kw, 60.0

    assert type(actingresults.running(plant, units, at)) is result


def test_what_a_device_does_after_it_was_released_is_no_answer(
    evening: Evening, plant: Plant
) -> None:
    evening.hear()
    evening.act()
    evening.hear(**told_to(plant))
    plant.kill.kill("a drill")
    evening.act()
    evening.hear()  # all are at 0 kW, their own default
    evening.act()

    steel = plant.acting.account.newest[STEEL]
    assert type(steel) is Delivered
    assert steel.measured_kw == pytest.approx(500)


def test_the_api_shows_life_winner_bounds_health_and_result(
    evening: Evening, plant: Plant, serving: Serving
) -> None:
    evening.take(STEEL, power_kw=-100.0)
    for _ in range(3):
        evening.hear(**told_to(plant))
        evening.act()
    plant.acting.refused.add(METAL)
    evening.hear(**told_to(plant))
    evening.act()

    async def ask() -> dict[str, Any]:
        async with serving(plant) as client:
            answer = await client.get("/v1/control")
            assert answer.status == 200
            view: dict[str, Any] = await answer.json()
            return view

    plant.clock.at = evening.now - MINUTE  # type: ignore[attr-defined]
    view = asyncio.run(ask())

    assert (view["rule"], view["period_s"], view["owed_kw"]) == ("merit_order", 60, None)
    by_name = {one["resource_id"]: one for one in view["resources"]}
    steel, metal = by_name[STEEL], by_name[METAL]
    assert (steel["stage"], steel["won_by"], steel["told_kw"]) == ("effective", "operator", -100)
    assert steel["running_result"]["result"] == "delivered"
    assert steel["override"]["by"] == "Li"
    assert [b["source"] for b in steel["bounds"] if b["wins"]] == ["operator"]
    assert metal["left_out_because"] == "failed_command"
    assert metal["left_out_until"] is not None


# ---------------------------------------------------------------- hands


def owed(plant: Plant, kw: float) -> None:
    """As if so much were sold for every quarter-hour: the plan of the evening, and its loads as measured."""
    assert plant.schedule is not None
    unit = plant.file.park.bidding_units[0]
    units = (replace(unit, trades_from=NOW),)
    plant.file = replace(plant.file, park=replace(plant.file.park, bidding_units=units))
    plant.__class__ = _Sold
    plant.sold_kw = kw  # type: ignore[attr-defined]


def planned(plant: Plant, kw: float) -> None:
    """Another plan for the evening: each battery feeds `kw`."""
    assert plant.schedule is not None
    power_kw = plant.schedule.power_kw.copy()
    for name in PLANNED:
        power_kw[plant.units.index[name]] = kw
    plant.schedule = replace(
        plant.schedule, power_kw=power_kw, net_kw=power_kw.sum(axis=0, dtype=np.float64)
    )


class DeadLink(QuietLink):
    """A link over which nothing leaves."""

    async def send(self, setpoints: Sequence[Setpoint]) -> tuple[Unsent, ...]:
        return tuple(Unsent(setpoint=one, reason="the cable is cut") for one in setpoints)


class _Sold(Plant):
    """A plant that has sold `sold_kw` of every interval."""

    sold_kw: float

    def sold_mw(self, interval: Interval) -> Decimal:
        return Decimal(str(self.sold_kw / 1000))


def told_kw(plant: Plant) -> Mapping[ResourceId, float]:
    return plant.units.by_name(plant.lives.told_kw)


def told_to(plant: Plant) -> dict[str, float]:
    """Everybody does what it was told."""
    return {name.replace("-", "_"): kw for name, kw in told_kw(plant).items()}
