"""What people say about bids: written by hand, given back, locked; on record, and kept to by every bid."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.service.rebuilt import MINUTE, Bench, HandClock, bench_of
from tests.service.rebuilt import PRODUCT as QUARTER_HOUR
from tests.service.test_presubmit import limit
from tests.service.venuebench import FIRST, FIRST_GATE, SECOND, Floor, floor_of
from vpp.errors import UnavailableError
from vpp.service.plant import Plant
from vpp.service.trading import byhand, hands
from vpp.service.trading import log as tradelog
from vpp.service.trading.trading import forget_offers
from vpp.trade.book import BidSetStatus
from vpp.wirehand import HandRequest

PRODUCT = "se3-day-ahead"
PATH = f"/v1/markets/{PRODUCT}"
DAY = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}
SIX = {"start": "2025-12-03T18:00:00Z", "end": "2025-12-03T18:15:00Z"}
LI = {"by": "Li", "reason": "the crane stands still"}


def sell(mw: str, price: str = "90.00", **changes: Any) -> dict[str, Any]:
    offer = {"form": "curve_step", "steps": [{"quantity_mw": mw, "price_per_mwh": price}]}
    return SIX | {"side": "sell", "offer": offer} | changes


def written(*bids: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"delivery": DAY, "bids": list(bids), "based_on": None} | LI | changes


def asked(name: str, **changes: Any) -> dict[str, Any]:
    return {"request_id": name, "delivery": DAY} | changes


Do = Callable[..., dict[str, Any]]


@pytest.fixture
def do(plant: Plant, serving: Any) -> Iterator[Do]:
    """`do("PUT", "/by-hand", body)`: the answer, its status beside it; one server for all of a test."""
    limit(plant)
    with asyncio.Runner() as runner:
        served = serving(plant)
        client = runner.run(served.__aenter__())

        async def ask(method: str, path: str, body: Any) -> dict[str, Any]:
            answer = await client.request(method, PATH + path, json=body)
            told: dict[str, Any] = await answer.json(content_type=None)
            return {"http": answer.status} | told

        yield lambda method, path, body=None: runner.run(ask(method, path, body))
        runner.run(served.__aexit__(None, None, None))


def kinds(plant: Plant) -> list[str]:
    entries = plant.journal.entries(hands.HAND, hands.HAND_END, hands.LOCK, tradelog.BID_SET)
    return [entry.kind for entry in entries]


# ---------------------------------------------------------------- by hand


def test_what_a_person_writes_leaves_in_place_of_what_the_plan_would_offer(
    plant: Plant, do: Do
) -> None:
    own = do("POST", "/bids", asked("r1"))
    made = do("PUT", "/by-hand", written(sell("0.5"), based_on=own["bid_set_id"]))
    assert (made["http"], made["state"], made["by"]) == (200, "waits", "Li")
    assert any(w.startswith("uncovered: ") for w in made["warnings"])

    given = do("POST", "/bids", asked("r2"))

    assert given["revision"] == own["revision"] + 1
    (only,) = given["bids"]
    assert only["bid_id"] == f"{PRODUCT}/park-se3/20251203T1800Z/sell/{given['revision']}"
    assert only["offer"]["steps"] == [{"quantity_mw": "0.5", "price_per_mwh": "90.00"}]
    shown = do("GET", f"/bids/{given['bid_set_id']}")
    assert shown["reasons"]["note"] == "Li wrote them: the crane stands still"
    (listed,) = do("GET", "/by-hand")["by_hand"]
    assert (listed["state"], listed["bid_set_id"]) == ("given", given["bid_set_id"])
    assert kinds(plant) == ["bid_set", "bid_by_hand", "bid_set"]


def test_they_name_the_strategies_of_the_plan_that_they_are_looked_at_by_not_those_taken_since(
    plant: Plant, do: Do
) -> None:
    do("PUT", "/by-hand", written(sell("0.5")))
    assert plant.schedule is not None
    plant.schedule = replace(plant.schedule, strategy_version="of-the-plan")

    (hand,) = plant.trade.by_hand.values()
    looked_at, given = hands.as_set(hand, plant), do("POST", "/bids", asked("r1"))

    assert plant.strategy_version != "of-the-plan"
    assert (looked_at.plan_id, looked_at.strategy_version) == (
        plant.schedule.plan_id,
        "of-the-plan",
    )
    assert given["strategy_version"] == "of-the-plan"


def test_given_back_the_plan_offers_again_and_who_and_why_is_on_record(
    plant: Plant, do: Do
) -> None:
    own = do("POST", "/bids", asked("r1"))
    do("PUT", "/by-hand", written(sell("0.5"), based_on=own["bid_set_id"]))
    wang = {"delivery": DAY, "by": "Wang", "reason": "the crane works again"}

    ended = do("POST", "/by-hand/end", wang)
    again = do("POST", "/by-hand/end", wang)

    assert ended == again
    assert (ended["state"], ended["ended_by"]) == ("ended", "Wang")
    offers = [bid["offer"] for bid in do("POST", "/bids", asked("r2"))["bids"]]
    assert offers == [bid["offer"] for bid in own["bids"]]
    assert kinds(plant) == ["bid_set", "bid_by_hand", "bid_by_hand_end", "bid_set"]
    assert [e.text for e in plant.events.recent() if e.kind == "bid_by_hand"] == [
        f"Li writes 1 bids of {PRODUCT} for 2025-12-02T23:00:00Z: the crane stands still",
        f"Wang gives the bids of {PRODUCT} for {DAY['start']} back to the plan: the crane works again",
    ]


def test_what_breaks_a_rule_of_the_product_is_refused_and_counts_for_no_fault(
    plant: Plant, do: Do
) -> None:
    wrong = [
        (sell("0.55"), "not in lots of 0.1"),
        (sell("0.5", "90.001"), "not on the tick"),
        (sell("0.5", "9000"), "out of bounds"),
        (sell("900"), "is more than"),
        (sell("0.5", end="2025-12-03T19:00:00Z"), "is no interval of it"),
        (sell("0.5", offer={"form": "self_schedule", "quantity_mw": "0.5"}), "not curve_step"),
    ]
    for bid, told in wrong:
        refused = do("PUT", "/by-hand", written(bid))
        assert (refused["http"], refused["code"]) == (503, "limits_breached")
        assert told in refused["detail"]
    assert kinds(plant) == []
    assert not plant.trade.refusals


def test_what_cannot_be_delivered_is_refused_with_what_could_be(plant: Plant, do: Do) -> None:
    """Stores hold half of what they can, and loads draw 100 kW each: 8 MW for an hour is not there."""
    quarters = [
        sell("8.0", start=f"2025-12-03T18:{m:02}:00Z", end=f"2025-12-03T18:{m + 15:02}:00Z")
        for m in (0, 15, 30)
    ]

    refused = do("PUT", "/by-hand", written(*quarters))

    assert (refused["http"], refused["code"]) == (503, "limits_breached")
    assert "MW can be delivered" in refused["detail"]
    assert "by plan-1" in refused["detail"]


def test_it_is_looked_at_again_by_the_plan_from_which_it_leaves(plant: Plant, do: Do) -> None:
    do("PUT", "/by-hand", written(sell("1.0")))
    assert plant.schedule is not None
    stored = {name: kwh * 0 for name, kwh in plant.schedule.stored_kwh.items()}
    power = plant.schedule.power_kw.copy()
    power[power > 0] = 0
    plant.schedule = replace(plant.schedule, stored_kwh=stored, power_kw=power, plan_id="plan-2")

    refused = do("POST", "/bids", asked("r1"))

    assert (refused["code"], kinds(plant)) == ("limits_breached", ["bid_by_hand"])
    assert "by plan-2" in refused["detail"]


def test_whoever_writes_on_a_bid_set_that_is_not_the_newest_is_told(plant: Plant, do: Do) -> None:
    first = do("POST", "/bids", asked("r1"))
    newest = do("POST", "/bids", asked("r2"))

    refused = do("PUT", "/by-hand", written(sell("0.5"), based_on=first["bid_set_id"]))

    assert (refused["http"], refused["code"]) == (409, "conflict")
    assert newest["bid_set_id"] in refused["detail"]


def test_a_dry_run_checks_all_of_it_and_keeps_nothing(plant: Plant, do: Do) -> None:
    tried = do("PUT", "/by-hand", written(sell("0.5"), dry_run=True))
    refused = do("PUT", "/by-hand", written(sell("0.55"), dry_run=True))

    assert (tried["state"], tried["number"]) == ("checked", 0)
    assert refused["code"] == "limits_breached"
    assert do("GET", "/by-hand")["by_hand"] == []
    assert kinds(plant) == []


def test_after_its_gate_nothing_is_written(plant: Plant, do: Do) -> None:
    plant.clock = HandClock(at=plant.clock.now() + timedelta(hours=2))

    assert do("PUT", "/by-hand", written(sell("0.5")))["code"] == "gate_closed"
    assert do("POST", "/locks", {"delivery": DAY, "locked": True} | LI)["code"] == "gate_closed"


# ---------------------------------------------------------------- locked


def test_locked_no_revision_leaves_and_none_is_withdrawn(plant: Plant, do: Do) -> None:
    first = do("POST", "/bids", asked("r1"))
    locked = do("POST", "/locks", {"delivery": DAY, "locked": True} | LI)
    assert (locked["http"], locked["locked"]) == (200, True)

    newer = do("POST", "/bids", asked("r2"))
    hand = do("PUT", "/by-hand", written(sell("0.5"), based_on=first["bid_set_id"]))
    back = do("DELETE", f"/bids/{first['bid_set_id']}")

    for refused in (newer, hand, back):
        assert (refused["http"], refused["code"]) == (409, "locked")
        assert "Li locked it" in refused["detail"]
    again = do("POST", "/bids", asked("r1"))
    assert again == first  # the same request: what stands already
    assert do("POST", "/bids", asked("r3", dry_run=True))["status"] == "dry_run"
    assert kinds(plant) == ["bid_set", "bid_lock"]
    assert not plant.trade.refusals


def test_unlocked_the_next_revision_leaves(plant: Plant, do: Do) -> None:
    do("POST", "/locks", {"delivery": DAY, "locked": True} | LI)
    assert do("POST", "/bids", asked("r1"))["code"] == "locked"

    do("POST", "/locks", {"delivery": DAY, "locked": False, "by": "Wang", "reason": "seen"})

    assert do("POST", "/bids", asked("r1"))["revision"] == 1
    assert [(one["by"], one["locked"]) for one in do("GET", "/by-hand")["locks"]] == [
        ("Wang", False)
    ]


def test_a_lock_of_one_delivery_holds_up_no_other(plant: Plant, do: Do) -> None:
    do("POST", "/locks", {"delivery": DAY, "locked": True} | LI)
    half = {"start": DAY["start"], "end": "2025-12-03T12:00:00Z"}

    assert do("POST", "/locks", {"delivery": half, "locked": True} | LI)["code"] == "off_grid"
    assert hands.lock_of(plant, plant.file.products[1].product_id, FIRST) is None


def test_what_the_journal_does_not_take_does_not_hold(
    plant: Plant, do: Do, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*args: Any, **more: Any) -> None:
        raise UnavailableError("the disk is full", where="journal", fix="Make room")

    monkeypatch.setattr(plant.journal, "append_all", full)

    assert do("POST", "/locks", {"delivery": DAY, "locked": True} | LI)["code"] == "unavailable"
    assert do("PUT", "/by-hand", written(sell("0.5")))["code"] == "unavailable"
    assert not plant.trade.locks
    assert not plant.trade.by_hand


# ---------------------------------------------------------------- kept, and sent


def test_what_was_said_outlives_a_restart_and_ends_with_its_delivery(
    plant: Plant, tmp_path: Path, serving: Any
) -> None:
    bench: Bench = bench_of(plant, tmp_path)()
    limit(bench.plant)

    async def say(path: str, method: str, body: Any) -> None:
        async with serving(bench.plant) as client:
            answer = await client.request(method, PATH + path, json=body)
            assert answer.status == 200, await answer.text()

    day = {"start": "2025-12-03T23:00:00Z", "end": "2025-12-04T23:00:00Z"}
    asyncio.run(say("/locks", "POST", {"delivery": day, "locked": True} | LI))
    before = dict(bench.plant.trade.locks)

    bench.build()

    assert dict(bench.plant.trade.locks) == before
    assert bench.plant.trade.hands == 1
    (delivery,) = (key[1] for key in before)
    forget_offers(bench.plant, delivery.end)
    assert not bench.plant.trade.locks


def test_a_venue_that_bids_are_sent_to_gets_what_a_person_wrote(
    plant: Plant, tmp_path: Path
) -> None:
    floor: Floor = floor_of(bench_of(plant, tmp_path), ask_before_minutes=15)
    floor.look(FIRST_GATE - 10 * MINUTE)
    (first,) = floor.venue.received
    request = HandRequest.model_validate(
        {
            "delivery": {"start": FIRST.start, "end": FIRST.end},
            "based_on": first[0],
            "bids": [sell("0.2", start=FIRST.start, end=FIRST.end)],
        }
        | LI
    )

    asyncio.run(byhand.write(floor.plant, QUARTER_HOUR, request, now=floor.bench.clock.at))
    floor.look(FIRST_GATE - 9 * MINUTE, FIRST_GATE - 8 * MINUTE)

    names = [name for name, _ in floor.venue.received]
    assert names == [first[0], first[0].removesuffix(".1") + ".2"]
    assert b'"quantity_mw":"0.2"' in floor.venue.received[1][1]
    assert floor.plant.book.status(names[0]) is BidSetStatus.SUPERSEDED


def test_locked_before_its_gate_nothing_is_sent_and_the_gate_is_at_risk_for_that_reason(
    plant: Plant, tmp_path: Path
) -> None:
    floor: Floor = floor_of(bench_of(plant, tmp_path), ask_before_minutes=15)
    saying = byhand.lock(
        floor.plant, QUARTER_HOUR, FIRST, locked=True, **LI, now=floor.bench.clock.at
    )
    asyncio.run(saying)

    floor.ticks(FIRST_GATE - SECOND)

    assert floor.venue.received == []
    assert any("Li locked it" in text for text in floor.told("gate_at_risk"))
