"""Demand response whole: invited, answered from the plan, confirmed, prepared for, delivered, evaluated, paid."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.service.drpark import (
    DRAW_KW,
    FIRST,
    NOW,
    PATH,
    PRODUCT,
    TEN_TIMES,
    WINDOW,
    a_plant,
    an_invitation,
    meter,
    planned,
    write_park,
)
from vpp.account.meters import MeterBook
from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.demandresponse import Stage
from vpp.model.horizon import Floats
from vpp.model.ids import ConnectionPointId, EnterpriseId, ResourceId
from vpp.model.time import Interval, isoformat, local_day
from vpp.plan.terms import EnergyTarget
from vpp.service import accounting, control, cycle
from vpp.service.calls import activations, limits
from vpp.service.demandresponse import baseline as drbaseline
from vpp.service.demandresponse import demandresponse
from vpp.service.demandresponse import money as drmoney
from vpp.service.demandresponse import plan as drplan
from vpp.service.demandresponse import reply as drreply
from vpp.service.kill import Scope
from vpp.service.park.parkfile import load_park
from vpp.service.plant import Plant
from vpp.service.trading import awarding, byhand
from vpp.service.trading import log as tradelog
from vpp.trade.book import BidBook
from vpp.trade.calendar import TradeRefusal
from vpp.trade.invitations import InvitationBook, Story
from vpp.wire import ActivationRequest, AwardRequest, LimitRequest
from vpp.wiredr import InvitationRequest, ReplyRequest

D = Decimal
MILL, DAIRY = EnterpriseId("mill"), EnterpriseId("dairy")
REPLY_AT = NOW + timedelta(minutes=90)
Making = Callable[..., Plant]


@pytest.fixture
def making(tmp_path: Path) -> Making:
    def make(**changes: Any) -> Plant:
        return a_plant(write_park(tmp_path, **changes), tmp_path)

    return make


def story(plant: Plant) -> Story:
    found = plant.dr.book.find("peak-1")
    assert found is not None
    return found


async def invite(plant: Plant, now: datetime = NOW, **changes: Any) -> None:
    request = InvitationRequest.model_validate(an_invitation(**changes))
    await demandresponse.take(plant, PRODUCT, request, now=now)


async def award(plant: Plant, quantity: str, price: str = "3000", *, revision: int = 1) -> None:
    """The platform confirms so much of each quarter-hour of the nomination."""
    nomination = story(plant).nomination
    assert nomination is not None
    bids = plant.book.answer(nomination.bid_set_id).bid_set.bids
    cleared = [
        {"bid_id": b.bid_id, "start": b.interval.start, "end": b.interval.end}
        | {"quantity_mw": quantity, "price_per_mwh": price}
        for b in bids
    ]
    body = {"award_id": "a", "revision": revision, "final": True}
    body |= {"bid_set_id": nomination.bid_set_id, "cleared": cleared if D(quantity) else []}
    request = AwardRequest.model_validate(body)
    await awarding.book_award(plant, PRODUCT, request, now=REPLY_AT)


async def nominated(plant: Plant, **changes: Any) -> None:
    await invite(plant, **changes)
    await planned(plant)
    await demandresponse.advance(plant, REPLY_AT)
    assert story(plant).stage is Stage.NOMINATED


async def confirmed(plant: Plant, quantity: str = "1.0", **changes: Any) -> None:
    await nominated(plant, **changes)
    await award(plant, quantity)
    await demandresponse.advance(plant, REPLY_AT)
    assert story(plant).stage is Stage.CONFIRMED


async def through_the_window(plant: Plant, **draw_kw: float) -> None:
    """Time passes: reminded, begun, metered with these draws in the window, evaluated."""
    await demandresponse.advance(plant, WINDOW.start - timedelta(hours=1))
    await demandresponse.advance(plant, WINDOW.start)
    assert story(plant).stage is Stage.UNDER_WAY
    meter(plant, NOW, WINDOW.start)
    meter(plant, WINDOW.start, WINDOW.end, **draw_kw)
    await demandresponse.advance(plant, WINDOW.end)


def of_window(plant: Plant, values: Floats, before: int = 0, after: int = 0) -> Floats:
    assert plant.schedule is not None
    inside = plant.schedule.horizon.slice(WINDOW)
    return values[inside.start - before : inside.stop + after]


# ---------------------------------------------------------------- the whole of it


def test_an_invitation_becomes_money_for_those_who_brought_something(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await confirmed(plant)
        nomination = story(plant).nomination
        assert nomination is not None
        # Against 2000 and 800 kW of the days before: the battery's 1400 kWh of room, and the cold store.
        assert nomination.quantity_mw == 1
        assert set(nomination.shares_mw) == {MILL, DAIRY}
        assert sum(nomination.shares_mw.values()) == 1
        assert nomination.price_per_mwh == 3000
        await through_the_window(plant, mill=1300, dairy=600)

    asyncio.run(run())
    found = story(plant)
    assert found.stage is Stage.SETTLED
    evaluation = found.evaluation
    assert evaluation is not None
    # 700 + 200 kW of 1 MW for two hours, at 3 CNY a kWh: completion 0.9.
    assert evaluation.completion == D("0.9")
    assert evaluation.amount == 5400
    assert {name: m.amount for name, m in evaluation.members.items()} == {MILL: 4200, DAIRY: 1200}
    lines = drmoney.statement_lines(plant, WINDOW)
    assert [(line.item, line.energy_kwh, line.amount) for line in lines[MILL]] == [
        ("demand_response", D(1400), D(4200))
    ]
    assert drmoney.paid(plant) == 5400
    assert [s.happening.value for s in found.steps] == [
        *("nominate", "confirm", "remind", "begin", "evaluate", "settle")
    ]
    events = [event.kind for event in plant.events.recent()]
    assert events.count("demand_response_reminder") == 2


def test_statements_hold_what_was_paid_and_add_up(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await confirmed(plant)
        await through_the_window(plant, mill=1300, dairy=600)

    asyncio.run(run())
    found = accounting.statements_of(plant, Interval(NOW, WINDOW.end))
    paid = [line for one in found for line in one.lines if line.item == "demand_response"]
    assert sum(line.amount for line in paid) == 5400


@pytest.mark.parametrize(
    ("actual_mw", "amount"), [(14, 36_000), (13, 36_000), (D("16.5"), 12_600), (18, 0)]
)
def test_the_golden_call_of_5_mw_through_the_whole_path(
    making: Making, actual_mw: Decimal, amount: int
) -> None:
    plant = making(changes=TEN_TIMES)
    again_metered(plant, mill=15_000, dairy=5_000)

    async def run() -> None:
        await invite(plant, wanted_mw="5")
        await planned(plant)
        await demandresponse.reply(plant, PRODUCT, "peak-1", by_hand(mill="4", dairy="1"), now=NOW)
        await award(plant, "5")
        await demandresponse.advance(plant, REPLY_AT)
        await demandresponse.advance(plant, WINDOW.start)
        again_metered(plant, until=WINDOW.start, mill=15_000, dairy=5_000)
        cut = 20 - D(actual_mw)
        draws = {"mill": float(15 - cut) * 1000, "dairy": 5000.0}
        meter(plant, WINDOW.start, WINDOW.end, **draws)
        await demandresponse.advance(plant, WINDOW.end)

    asyncio.run(run())
    evaluation = story(plant).evaluation
    assert evaluation is not None
    assert evaluation.amount == amount
    assert evaluation.members[MILL].amount == amount


def test_the_golden_shortfall_costs_1500_by_the_shares_that_were_nominated(
    tmp_path: Path,
) -> None:
    write_park(tmp_path, changes=TEN_TIMES)
    rules = (tmp_path / "dr.yaml").read_text()
    old = "settlement: {formula: baseline_energy}"
    assert old in rules
    penalty = "penalties: [{rule: shortfall, ratio: 0.5, multiplier: 0.5}]"
    source = "baseline.select.k, baseline.adjustment]"
    assert source in rules
    rules = rules.replace(source, source.replace("]", ", settlement.penalties]"))
    rules = rules.replace("unverified:\n", "unverified:\n  - settlement.penalties\n")
    (tmp_path / "dr.yaml").write_text(
        rules.replace(old, f"settlement: {{formula: baseline_energy, {penalty}}}")
    )
    plant = a_plant(load_park(tmp_path / "park.yaml"), tmp_path)
    again_metered(plant, mill=15_000, dairy=5_000)

    async def run() -> None:
        await invite(plant, wanted_mw="5")
        await planned(plant)
        await demandresponse.reply(plant, PRODUCT, "peak-1", by_hand(mill="4", dairy="1"), now=NOW)
        await award(plant, "5")
        await demandresponse.advance(plant, REPLY_AT)
        await demandresponse.advance(plant, WINDOW.start)
        again_metered(plant, until=WINDOW.start, mill=15_000, dairy=5_000)
        meter(plant, WINDOW.start, WINDOW.end, mill=13_000, dairy=5_000)
        await demandresponse.advance(plant, WINDOW.end)

    asyncio.run(run())
    evaluation = story(plant).evaluation
    assert evaluation is not None
    assert (evaluation.amount, evaluation.penalty) == (D(0), D(1500))
    assert {name: m.penalty for name, m in evaluation.members.items()} == {MILL: 1200, DAIRY: 300}
    lines = drmoney.statement_lines(plant, WINDOW)
    assert [line.amount for line in lines[DAIRY]] == [0, -300]


def by_hand(**shares_mw: str) -> ReplyRequest:
    return ReplyRequest.model_validate(
        {"decision": "nominate", "shares_mw": shares_mw, "by": "ada", "reason": "agreed by phone"}
    )


def again_metered(plant: Plant, *, until: datetime = NOW, **draw_kw: float) -> None:
    """All days before at other draws, from a new record of the meters on."""
    plant.meters, plant.dr.days = MeterBook(), {}
    meter(plant, FIRST, until, **draw_kw)


def test_the_golden_baseline_of_five_days_through_the_meters(making: Making) -> None:
    plant = making(changes=TEN_TIMES)
    plant.meters, plant.dr.days = MeterBook(), {}
    zone = plant.file.park.timezone
    days_mwh = {7: 10.0, 8: 10.5, 9: 9.8, 10: 10.2, 13: 16.0}  # five workdays of July
    start = local_day(date(2026, 7, 7), zone).start
    for day in range(7, 14):
        span = local_day(date(2026, 7, day), zone)
        kw = days_mwh.get(day, 3.0) * 1000 / 24
        meter(plant, span.start, span.end, mill=kw, dairy=0)
    assert start < NOW
    # Tuesday itself: as the mean of the four, times 10.6 / 10.1 in the hours that correct it.
    usual_kw = 10.125 * 1000 / 24
    window = Interval(NOW, NOW + timedelta(hours=2))
    begins = local_day(date(2026, 7, 14), zone).start
    meter(plant, begins, window.start, mill=usual_kw * 10.6 / 10.1, dairy=0)
    pack = activations.listed(plant, PRODUCT)
    known = drbaseline.expected_mwh(plant, pack, [MILL], window, now=window.end)[MILL]
    before = drbaseline.expected_mwh(plant, pack, [MILL], window, now=begins)[MILL]
    assert float(sum(before)) * 12 == pytest.approx(10.125, rel=1e-5)
    assert float(sum(known)) * 12 == pytest.approx(10.62624, rel=1e-5)


# ---------------------------------------------------------------- the plan


def test_the_plan_prepares_before_the_window_and_lets_go_after_it(making: Making) -> None:
    plant = making(changes={"discomfort_cost_per_degc_h: 20": "discomfort_cost_per_degc_h: 200"})

    async def run() -> None:
        await planned(plant, NOW - timedelta(hours=1), seq=1)
        before = plant.schedule
        assert before is not None
        await confirmed(plant)
        await planned(plant, REPLY_AT, seq=3)
        after = plant.schedule
        assert after is not None
        first = after.horizon.index(WINDOW.start)
        # Without it the cold store keeps its target; with it, it is colder when the window begins.
        assert after.temperature_degc[ResourceId("cold")][first - 1] < -20.2
        assert before.temperature_degc[ResourceId("cold")].min() > -20.05
        full = 0.5 * 2000 + 300  # more than it has: charged before
        assert after.stored_kwh[ResourceId("battery")][first - 1] > full
        net = -sum(DRAW_KW.values())
        inside = of_window(plant, after.net_kw)
        assert (inside >= net + 1000 - 1e-6).all()
        cold = after.power_kw[after.resource_ids.index("cold")]
        rebound = of_window(plant, cold, after=4)[-4:]
        assert (rebound < of_window(plant, cold).mean() - 50).all()

    asyncio.run(run())


def test_a_nomination_that_is_not_confirmed_holds_its_headroom(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await nominated(plant)
        (cap,) = drplan.terms(plant, plant.schedule.horizon, NOW)  # type: ignore[union-attr]
        assert cap.excess_per_kwh == 10
        assert cap.import_kw is not None
        assert (of_window(plant, cap.import_kw) == 2800 - 1000).all()
        await award(plant, "0")
        await demandresponse.advance(plant, REPLY_AT)
        assert story(plant).stage is Stage.NOT_CHOSEN
        assert drplan.terms(plant, plant.schedule.horizon, NOW) == ()  # type: ignore[union-attr]

    asyncio.run(run())


def test_an_open_invitation_is_planned_for_at_the_price_that_will_be_offered(
    making: Making,
) -> None:
    plant = making(more="demand_response: {price_share: 0.5}\n")

    async def run() -> None:
        await invite(plant)
        await planned(plant)
        (cap,) = drplan.terms(plant, plant.schedule.horizon, NOW)  # type: ignore[union-attr]
        assert cap.excess_per_kwh == 1.5
        await demandresponse.advance(plant, REPLY_AT)
        assert story(plant).nomination.price_per_mwh == 1500  # type: ignore[union-attr]

    asyncio.run(run())


def test_the_horizon_reaches_beyond_the_window(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await invite(plant)
        await planned(plant)

    asyncio.run(run())
    assert plant.schedule is not None
    assert plant.schedule.horizon.end == WINDOW.end + timedelta(hours=2)


def test_storage_makes_up_in_the_window_for_what_the_plan_got_wrong(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await confirmed(plant)
        await demandresponse.advance(plant, WINDOW.start)
        quarter = Interval(WINDOW.start, WINDOW.start + timedelta(minutes=15))
        assert drplan.owed_kw(plant, quarter, -2900.0) == -2800 + 1000
        assert drplan.owed_kw(plant, quarter, None) == -1800
        # Before it, and after it for a while, what the plan does beside the position is meant.
        for shift, owed in ((-1, True), (9, True), (20, False)):
            moment = WINDOW.start + timedelta(minutes=15) * shift
            part = Interval(moment, moment + timedelta(minutes=15))
            at = plant.schedule.horizon.index(moment)  # type: ignore[union-attr]
            found = drplan.owed_kw(plant, part, -5000.0)
            meant = plant.schedule.net_kw[at] if owed else -5000  # type: ignore[union-attr]
            assert found == meant

    asyncio.run(run())


# ---------------------------------------------------------------- who takes part


def members_of(plant: Plant) -> dict[str, str]:
    return {str(k): v for k, v in drreply.able(plant, story(plant).invitation)[1].items()}


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("takes_part: false", "takes no part"),
        (
            'vetoes: [{schedule: {hours: ["18:45-20:00"]}, reason: shift change}]',
            "veto: shift change",
        ),
        (
            'vetoes: [{covers: calls, schedule: {hours: ["18:45-20:00"]}, reason: shift change}]',
            "veto: shift change",
        ),
        (
            'maintenance: [{from: "2026-07-01T00:00+08:00", to: "2026-08-01T00:00+08:00", reason: new chiller}]',
            "maintenance: new chiller",
        ),
        ("call_caps: {per_day: 0}", "no call left this day"),
        ("call_caps: {per_month: 2, called_before: 2}", "no call left this month"),
        (
            "call_caps: {hours_per_month: 4, hours_before: 2.5}",
            "the call would be 0.5 h too long for its hours of this month",
        ),
    ],
)
def test_a_member_that_has_not_agreed_takes_no_part_and_its_meter_does_not_count(
    making: Making, rule: str, why: str
) -> None:
    plant = making(asks=f"members: {{dairy: {{{rule}}}}}\n")

    async def run() -> None:
        await nominated(plant)
        assert members_of(plant) == {"dairy": why}
        nomination = story(plant).nomination
        assert nomination is not None
        assert set(nomination.shares_mw) == {MILL}
        (cap,) = drplan.terms(plant, plant.schedule.horizon, NOW)  # type: ignore[union-attr]
        assert (cap.place, cap.also) == ("mill", ())

    asyncio.run(run())


CALLS = "  - {name: calls, use: demand_response_event%s, with: {%s}}\n"


@pytest.mark.parametrize(
    ("asks", "refused"),
    [
        (
            CALLS % ("", "least_price_per_mwh: 3001"),
            dict.fromkeys(("mill", "dairy"), "3000 per MWh is less than 3001, the least of calls"),
        ),
        (CALLS % ("", "least_price_per_mwh: 3000"), {}),
        (
            CALLS % (", scope: {enterprises: [dairy]}", ""),
            {"mill": "no strategy answers calls then for anything of it"},
        ),
        (
            CALLS % (", schedule: {hours: ['08:00-12:00']}", ""),
            dict.fromkeys(("mill", "dairy"), "no strategy answers calls then for anything of it"),
        ),
    ],
)
def test_a_strategy_says_which_calls_are_answered_and_for_whom(
    making: Making, asks: str, refused: dict[str, str]
) -> None:
    plant = making(asks=asks)
    asyncio.run(invite(plant))
    assert members_of(plant) == refused


def test_a_strategy_says_what_share_of_what_could_be_brought_is_offered(making: Making) -> None:
    plant = making(asks=CALLS % ("", "most_share: 0.5"))

    async def run() -> None:
        await nominated(plant)
        nomination = story(plant).nomination
        assert nomination is not None
        assert nomination.quantity_mw == D("0.5")  # 1 MW without it

    asyncio.run(run())


def test_a_plan_knows_the_call_and_fills_the_battery_for_it(making: Making) -> None:
    plant = making(asks=CALLS % ("", "prepared_soc: 0.95, shortfall_per_kwh: 100"))

    async def run() -> None:
        await nominated(plant)

    asyncio.run(run())
    assert plant.view is not None
    (call,) = plant.view.calls
    assert (call.name, call.up) == ("peak-1", True)
    targets = [term for term in plant.terms if isinstance(term, EnergyTarget)]
    assert [(t.resource_id, t.step, t.stored_kwh) for t in targets] == [
        ("battery", call.first_step - 1, 1900)
    ]


def test_a_veto_at_another_time_is_none(making: Making) -> None:
    rule = 'vetoes: [{schedule: {hours: ["19:00-20:00"]}, reason: shift change}]'
    plant = making(asks=f"members: {{dairy: {{{rule}}}}}\n")
    asyncio.run(invite(plant))
    assert members_of(plant) == {}


def test_calls_of_the_day_are_counted_and_the_products_own_limit_holds(making: Making) -> None:
    plant = making(asks="members: {dairy: {call_caps: {per_day: 1}}}\n")

    async def run() -> None:
        await confirmed(plant)
        later: dict[str, Any] = {"start": "2026-07-15T12:00:00Z", "end": "2026-07-15T13:00:00Z"}
        await invite(plant, **{"invitation_id": "second"} | later)
        second = plant.dr.book.find("second")
        assert second is not None
        assert drreply.able(plant, second.invitation)[1] == {DAIRY: "no call left this day"}
        drreply.require_room(plant, second.invitation)
        too_long: dict[str, Any] = (
            {"invitation_id": "long"} | later | {"end": "2026-07-15T14:30:00Z"}
        )
        await invite(plant, revision=1, **too_long | {"start": "2026-07-15T13:00:00Z"})
        third = plant.dr.book.find("long")
        assert third is not None
        with pytest.raises(DataError, match=r"3\.5 h in a day"):
            drreply.require_room(plant, third.invitation)

    asyncio.run(run())


def test_what_was_delivered_lately_discounts_what_is_offered(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await confirmed(plant)
        await through_the_window(plant, mill=1500, dairy=700)  # 600 of 1000 kW
        request = an_invitation(
            invitation_id="next",
            start="2026-07-16T09:00:00Z",
            end="2026-07-16T11:00:00Z",
            reply_by="2026-07-15T14:00:00Z",
        )
        await demandresponse.take(
            plant, PRODUCT, InvitationRequest.model_validate(request), now=WINDOW.end
        )
        found = plant.dr.book.find("next")
        assert found is not None
        assert drreply.reliability(plant, found.invitation) == D("0.6")

    asyncio.run(run())


def test_a_park_that_brings_too_little_declines_and_says_why(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await invite(plant, price_cap_per_mwh="10")
        await planned(plant)
        await demandresponse.advance(plant, REPLY_AT)

    asyncio.run(run())
    assert story(plant).stage is Stage.DECLINED
    assert "too little: -0.150 MW by the plan" in story(plant).steps[-1].words


def test_without_a_like_day_nobody_takes_part_and_the_reason_is_said(making: Making) -> None:
    plant = making()
    plant.meters, plant.dr.days = MeterBook(), {}

    async def run() -> None:
        await invite(plant)
        await planned(plant)
        await demandresponse.advance(plant, REPLY_AT)

    asyncio.run(run())
    assert story(plant).stage is Stage.DECLINED
    assert "0 like days within 45 days" in story(plant).steps[-1].words


# ---------------------------------------------------------------- the reply


def test_a_reply_on_hold_waits_for_a_person_and_is_declined_when_nobody_comes(
    making: Making,
) -> None:
    plant = making(more="demand_response: {reply: hold}\n")

    async def run() -> None:
        await invite(plant)
        await planned(plant)
        await demandresponse.advance(plant, REPLY_AT)
        assert story(plant).stage is Stage.INVITED
        await demandresponse.advance(plant, NOW + timedelta(hours=2))
        assert story(plant).stage is Stage.DECLINED
        assert story(plant).steps[-1].words == "nobody sent a reply in time"

    asyncio.run(run())


def test_a_person_alters_a_nomination_and_the_newer_bids_take_the_place_of_the_older(
    making: Making,
) -> None:
    plant = making()

    async def run() -> None:
        await nominated(plant)
        first = story(plant).nomination
        assert first is not None
        await demandresponse.reply(plant, PRODUCT, "peak-1", by_hand(mill="0.4"), now=REPLY_AT)
        second = story(plant).nomination
        assert second is not None
        assert (second.quantity_mw, second.by) == (D("0.4"), "ada: agreed by phone")
        assert plant.book.status(first.bid_set_id) == "superseded"
        assert plant.book.status(second.bid_set_id) == "open"
        with pytest.raises(DataError, match="cannot be offered"):
            await demandresponse.reply(plant, PRODUCT, "peak-1", by_hand(mill="0.45"), now=REPLY_AT)
        with pytest.raises(DataError, match="no member that has something"):
            await demandresponse.reply(plant, PRODUCT, "peak-1", by_hand(bank="0.4"), now=REPLY_AT)
        late = NOW + timedelta(hours=2)
        with pytest.raises(TradeRefusal, match="the reply was due"):
            await demandresponse.reply(plant, PRODUCT, "peak-1", by_hand(mill="0.4"), now=late)

    asyncio.run(run())


def test_a_person_declines_and_the_bids_are_withdrawn(making: Making) -> None:
    plant = making()
    no = ReplyRequest.model_validate({"decision": "decline", "by": "ada", "reason": "furnace"})

    async def run() -> None:
        await nominated(plant)
        name = story(plant).nomination.bid_set_id  # type: ignore[union-attr]
        await demandresponse.reply(plant, PRODUCT, "peak-1", no, now=REPLY_AT)
        assert story(plant).stage is Stage.DECLINED
        assert plant.book.status(name) == "withdrawn"

    asyncio.run(run())


def test_a_reply_in_the_shadow_is_made_and_shown_and_nothing_is_nominated(making: Making) -> None:
    plant = making(changes={"mode: simulated": "mode: shadow"})

    async def run() -> None:
        await invite(plant)
        await planned(plant)
        await demandresponse.advance(plant, REPLY_AT)

    asyncio.run(run())
    assert story(plant).stage is Stage.DECLINED
    assert "shadow" in story(plant).steps[-1].words
    (bid_set,) = plant.book.newest_sets(plant.file.products[1].product_id, 9)
    assert plant.book.status(bid_set.bid_set_id) == "shadow"


def test_a_set_kill_switch_lets_no_nomination_leave(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await invite(plant)
        await planned(plant)
        control.latch(plant, Scope("market", PRODUCT), "a drill", now=NOW, by="ada")
        await demandresponse.advance(plant, REPLY_AT)
        assert story(plant).stage is Stage.INVITED
        assert "kill switch" in plant.dr.told["peak-1"]

    asyncio.run(run())


# ---------------------------------------------------------------- the platform changes its mind


def test_an_invitation_taken_back_after_it_was_confirmed_is_owed_no_more(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await confirmed(plant)
        name = plant.file.products[1].product_id
        assert plant.book.position().sold_mw(name, WINDOW) == 1
        await invite(plant, now=REPLY_AT, revision=2, wanted_mw="0")
        assert story(plant).stage is Stage.WITHDRAWN
        assert plant.book.position().sold_mw(name, WINDOW) == 0
        assert drplan.terms(plant, plant.schedule.horizon, NOW) == ()  # type: ignore[union-attr]

    asyncio.run(run())


def test_a_corrected_award_is_what_is_owed(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await confirmed(plant)
        await award(plant, "0.6", revision=2)
        await demandresponse.advance(plant, REPLY_AT)
        assert story(plant).owed_mw == D("0.6")
        assert story(plant).stage is Stage.CONFIRMED

    asyncio.run(run())


def test_a_call_of_less_than_was_confirmed_is_what_is_kept_to_and_counts_once(
    making: Making,
) -> None:
    plant = making()
    call = ActivationRequest.model_validate(
        {"activation_id": "call", "revision": 1, "direction": "up", "quantity_mw": "0.7"}
        | {"start": WINDOW.start, "end": WINDOW.end, "source": "platform"}
    )

    async def run() -> None:
        await confirmed(plant)
        await activations.take(plant, PRODUCT, call, now=REPLY_AT)
        assert drplan.called_mw(plant, story(plant)) == D("0.7")
        horizon = plant.schedule.horizon  # type: ignore[union-attr]
        assert activations.terms(plant, horizon) == ()
        assert not plant.book.position().activated_kw(horizon).any()
        (cap,) = drplan.terms(plant, horizon, NOW)
        assert cap.import_kw is not None
        assert (of_window(plant, cap.import_kw) == 2100).all()

    asyncio.run(run())


def test_what_is_nominated_is_held_until_the_window_begins_however_late_the_platform_is(
    making: Making,
) -> None:
    plant = making()

    async def run() -> None:
        await nominated(plant)
        late = REPLY_AT + timedelta(hours=12)
        await awarding.ask_about_doubts(plant, late)
        await demandresponse.advance(plant, late)
        assert story(plant).stage is Stage.NOMINATED
        await awarding.ask_about_doubts(plant, WINDOW.start)
        await demandresponse.advance(plant, WINDOW.start)
        assert story(plant).stage is Stage.NOT_CHOSEN
        await award(plant, "1.0")  # later still: it is owed, and will be paid
        await demandresponse.advance(plant, WINDOW.start)
        assert story(plant).stage is Stage.CONFIRMED

    asyncio.run(run())


def test_what_does_not_fit_is_refused(making: Making) -> None:
    plant = making()

    async def run() -> None:
        with pytest.raises(TradeRefusal, match="no span of quarter-hours"):
            await invite(plant, start="2026-07-15T09:05:00Z")
        request = InvitationRequest.model_validate(an_invitation())
        with pytest.raises(TradeRefusal, match="not called by invitation"):
            await demandresponse.take(plant, "da", request, now=NOW)
        with pytest.raises(TradeRefusal, match="the reply was due"):
            await invite(plant, reply_by=isoformat(NOW))
        with pytest.raises(DataError, match="direction down"):
            await invite(plant, direction="down")
        await invite(plant)
        with pytest.raises(DataError, match="overlaps that of peak-1"):
            await invite(plant, invitation_id="other")
        with pytest.raises(ConflictError, match="other content"):
            await invite(plant, wanted_mw="2")

    asyncio.run(run())


# ---------------------------------------------------------------- orderly use


def test_orderly_use_outranks_a_call_marks_the_day_and_is_told_to_members(making: Making) -> None:
    plant = making()
    order = LimitRequest.model_validate(
        {"place": "mill", "start": WINDOW.start, "end": WINDOW.end, "import_kw": 900}
        | {"source": "the authority", "orderly_use": True}
    )

    async def run() -> None:
        await confirmed(plant)
        await limits.put_order(plant, "o-1", order, now=REPLY_AT)
        await planned(plant, REPLY_AT, seq=3)
        assert plant.schedule is not None
        mill = of_window(plant, plant.schedule.connection_point_kw[ConnectionPointId("mill-gate")])
        # 1100 kW below its 2000: the battery has less than that for two hours, so it is nearly all it does.
        assert -mill.mean() < 1250
        (held,) = plant.limits.values()
        assert held.order.priority == limits.ORDERLY_USE_PRIORITY

    asyncio.run(run())
    told = [
        event.data["enterprise_id"]
        for event in plant.events.recent()
        if event.kind == "orderly_use"
    ]
    assert told == ["mill"]
    assert limits.under_orderly_use(plant, MILL, WINDOW) == "o-1"
    assert limits.under_orderly_use(plant, DAIRY, WINDOW) is None
    # The day of the order counts for nobody's baseline who was under it.
    day = date(2026, 7, 15)
    assert "orderly_use" in drbaseline._flags(plant, MILL, day)
    assert "orderly_use" not in drbaseline._flags(plant, DAIRY, day)
    assert "event" in drbaseline._flags(plant, DAIRY, day)


def test_a_member_under_an_order_of_orderly_use_is_not_nominated(making: Making) -> None:
    plant = making()
    order = LimitRequest.model_validate(
        {"place": "dairy", "start": WINDOW.start, "end": WINDOW.end, "import_kw": 500}
        | {"source": "the authority", "orderly_use": True}
    )

    async def run() -> None:
        await invite(plant)
        await limits.put_order(plant, "o-1", order, now=NOW)
        assert members_of(plant) == {"dairy": "under order o-1 of orderly use"}

    asyncio.run(run())


def test_later_baselines_leave_out_the_day_of_a_call(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await confirmed(plant)
        await through_the_window(plant, mill=1000, dairy=300)
        meter(plant, WINDOW.end, WINDOW.end + timedelta(hours=12))

    asyncio.run(run())
    window = Interval(WINDOW.start + timedelta(days=1), WINDOW.end + timedelta(days=1))
    pack = activations.listed(plant, PRODUCT)
    courses = drbaseline.expected_mwh(plant, pack, [MILL], window, now=WINDOW.end)
    assert float(sum(courses[MILL])) == pytest.approx(
        4.0
    )  # 2 MW for two hours, as on all days but that


# ---------------------------------------------------------------- the record and the door


def test_a_restart_goes_on_where_the_story_stood(making: Making, tmp_path: Path) -> None:
    plant = making()

    async def run() -> None:
        await confirmed(plant)
        before = story(plant)
        plant.dr.book, plant.book = InvitationBook(), BidBook()
        tradelog.recover(plant)
        assert story(plant) == before
        await through_the_window(plant, mill=1300, dairy=600)
        assert story(plant).stage is Stage.SETTLED

    asyncio.run(run())


def test_what_is_not_on_disk_did_not_happen(making: Making) -> None:
    plant = making()
    works = plant.journal.append_all

    async def run() -> None:
        await nominated(plant)
        await award(plant, "1.0")

        async def full(entries: Any, *, now: Any) -> None:
            raise UnavailableError("disk full", where="journal", fix="free it")

        plant.journal.append_all = full  # type: ignore[method-assign]
        await demandresponse.advance(plant, REPLY_AT)
        assert story(plant).stage is Stage.NOMINATED
        plant.journal.append_all = works  # type: ignore[method-assign]
        await demandresponse.advance(plant, REPLY_AT)
        assert story(plant).stage is Stage.CONFIRMED

    asyncio.run(run())


def test_the_whole_story_is_shown_at_one_address(making: Making, serving: Any) -> None:
    plant = making()

    async def run() -> None:
        async with serving(plant) as client:
            answer = await client.post(PATH, json=an_invitation())
            assert answer.status == 200
            await planned(plant)
            shown = await (await client.get(f"{PATH}/peak-1")).json()
            assert shown["stage"] == "invited"
            assert shown["capability"]["quantity_mw"] == "1.0"
            assert shown["capability"]["response_kw"]["mill"] > 600
            body = {"decision": "nominate", "by": "ada", "reason": "early"}
            answer = await client.put(f"{PATH}/peak-1/reply", json=body)
            assert (await answer.json())["nomination"]["quantity_mw"] == "1.0"
            await award(plant, "1.0")
            await demandresponse.advance(plant, REPLY_AT)
            await through_the_window(plant, mill=1300, dairy=600)
            shown = await (await client.get(f"{PATH}/peak-1")).json()
            assert shown["stage"] == "settled"
            assert shown["evaluation"]["amount"] == "5400.00"
            assert [s["happening"] for s in shown["steps"]][:2] == ["nominate", "confirm"]
            listed = (await (await client.get(PATH)).json())["invitations"]
            assert [one["invitation_id"] for one in listed] == ["peak-1"]
            missing = await client.get(f"{PATH}/nobody")
            assert (missing.status, (await missing.json())["code"]) == (404, "unknown_invitation")

    asyncio.run(run())


def test_the_cycle_moves_a_story_on_and_counts_its_money(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await invite(plant)
        await planned(plant)
        await cycle.trade(plant, REPLY_AT)
        assert story(plant).stage is Stage.NOMINATED
        missed = [event for event in plant.events.recent() if event.kind == "gate_missed"]
        assert not [event for event in missed if PRODUCT in event.text]

    asyncio.run(run())
    assert np.isfinite(float(drmoney.paid(plant)))


def test_nothing_is_nominated_for_a_window_that_a_person_locked(making: Making) -> None:
    plant = making()

    async def run() -> None:
        await invite(plant)
        await planned(plant)
        said = {"by": "Li", "reason": "agreed by telephone"}
        await byhand.lock(plant, PRODUCT, WINDOW, locked=True, **said, now=NOW)
        await demandresponse.advance(plant, REPLY_AT)

    asyncio.run(run())
    assert story(plant).stage is Stage.INVITED
    assert not plant.book.all_bids()
