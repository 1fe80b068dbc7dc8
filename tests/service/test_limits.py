"""Limit orders that arrive while running: on record, in the next plan, kept by guard and share, gone by themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any

import pytest

from tests.service.conftest import NOW, hear
from vpp.errors import ConflictError, DataError, UnavailableError
from vpp.model.ids import FeederId, ResourceId
from vpp.model.park import LimitOrder, Limits
from vpp.model.time import QUARTER, Interval
from vpp.service import cycle, inputs
from vpp.service.calls import limits
from vpp.service.demo.history import give_history
from vpp.service.forecasting.issuing import issue
from vpp.service.plant import Plant
from vpp.service.wiring import build_plant
from vpp.wire import LimitRequest

HOUR = timedelta(hours=1)


def order(**changes: Any) -> LimitRequest:
    standing: dict[str, Any] = {
        "place": "feeder-north",
        "start": "2025-12-02T10:00:00Z",
        "end": "2025-12-02T12:00:00Z",
        "import_kw": 2000,
        "source": "grid operator",
    }
    return LimitRequest.model_validate({**standing, **changes})


def put(plant: Plant, order_id: str = "o-1", *, now: datetime = NOW, **changes: Any) -> None:
    asyncio.run(limits.put_order(plant, order_id, order(**changes), now=now))


def feeder_kw(plant: Plant, now: datetime) -> float:
    """What the northern feeder may draw at `now`."""
    found = {f.feeder_id: f.limits.import_kw for f in limits.park_at(plant, now).feeders}
    return found[FeederId("feeder-north")]


# ---------------------------------------------------------------- in force


def test_an_order_holds_in_its_span_and_expires_by_itself(plant: Plant) -> None:
    put(plant, start="2025-12-02T11:00:00Z", end="2025-12-02T12:00:00Z")

    assert feeder_kw(plant, NOW) == 11_000
    assert feeder_kw(plant, NOW + HOUR) == 2000
    assert feeder_kw(plant, NOW + 2 * HOUR - timedelta.resolution) == 2000
    assert feeder_kw(plant, NOW + 2 * HOUR) == 11_000
    assert limits.park_at(plant, NOW) is plant.file.park


def test_an_order_never_widens_a_limit_and_of_two_the_narrower_holds(plant: Plant) -> None:
    put(plant, "wide", import_kw=99_000)
    assert feeder_kw(plant, NOW) == 11_000

    put(plant, "narrow", import_kw=500)
    put(plant, "middle", import_kw=700)
    assert feeder_kw(plant, NOW) == 500


@pytest.mark.parametrize("place", ["demo", "feeder-north", "steel", "steel-melt"])
def test_every_node_of_the_tree_may_be_narrowed(plant: Plant, place: str) -> None:
    put(plant, place=place, export_kw=7)

    park = limits.park_at(plant, NOW)
    every: dict[str, Limits] = {
        park.park_id: park.limits,
        **{f.feeder_id: f.limits for f in park.feeders},
        **{e.enterprise_id: e.limits for e in park.enterprises},
        **{p.connection_point_id: p.limits for p in park.connection_points},
    }
    assert [name for name, own in every.items() if own.export_kw == 7] == [place]
    assert every[place].import_kw == 2000


def test_an_order_is_in_the_next_plan_and_not_when_it_is_over(plant: Plant) -> None:
    assert plant.file.simulation is not None
    give_history(plant, plant.file.simulation, NOW)
    put(plant)
    put(plant, "later", start="2026-06-01T00:00:00Z", end="2026-06-02T00:00:00Z")

    def in_view(now: datetime) -> list[str]:
        horizon = inputs.horizon_of(plant, now)
        forecasts = asyncio.run(issue(plant, inputs.series_needed(plant), horizon, now))
        view = inputs.build_view(plant, now, horizon, forecasts)
        return [one.order_id for one in view.limit_orders]

    assert in_view(NOW) == ["o-1"]
    assert in_view(NOW + 2 * HOUR) == []


def test_the_guard_keeps_an_order_that_came_this_minute(plant: Plant) -> None:
    """The mill's battery feeds 500 kW at 18:00; an order of that minute leaves its point 200."""
    battery = plant.file.park.resource_by_id[ResourceId("steel-battery")]
    evening = datetime(2025, 12, 3, 18, tzinfo=UTC)
    assert plant.schedule is not None
    plant.schedule = replace(plant.schedule, issued_at=evening)
    hear(plant, evening - timedelta(seconds=10), seq=2)

    def sent_kw(now: datetime) -> float:
        plant.clock.at = now  # type: ignore[attr-defined]
        asyncio.run(cycle.act(plant, now))
        return plant.setpoints[battery.resource_id].power_kw

    assert sent_kw(evening) == pytest.approx(500)
    put(
        plant,
        place=battery.connection_point_id,
        import_kw=None,
        export_kw=200,
        end="2025-12-04T00:00:00Z",
        now=evening,
    )

    assert sent_kw(evening + timedelta(minutes=1)) == pytest.approx(200)


# ---------------------------------------------------------------- a plan at once


def test_an_order_asks_for_a_new_plan_at_once(plant: Plant) -> None:
    assert plant.file.simulation is not None
    give_history(plant, plant.file.simulation, NOW)
    asyncio.run(cycle.replan(plant, NOW + timedelta(minutes=1)))
    assert plant.plan_count == 0

    put(plant, now=NOW + timedelta(minutes=2))
    asyncio.run(cycle.replan(plant, NOW + timedelta(minutes=3)))

    assert plant.plan_count == 1
    assert plant.view is not None
    assert plant.view.now == NOW
    assert [one.order_id for one in plant.view.limit_orders] == ["o-1"]
    assert plant.replan is None
    text = next(e.text for e in plant.events.recent() if e.kind == "replan")
    assert text == (
        "a new plan at once: limit order o-1 at feeder-north: import at most 2000 kW,"
        " 2025-12-02T10:00:00Z to 2025-12-02T12:00:00Z, by grid operator"
    )


# ---------------------------------------------------------------- on record


def test_what_reached_the_disk_though_it_said_no_can_be_withdrawn_and_is_told(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_all = plant.journal.append_all

    async def lies(entries: Sequence[tuple[str, str, bytes]], *, now: datetime) -> None:
        await append_all(entries, now=now)
        raise UnavailableError("no answer", where="journal", fix="Look at the disk")

    monkeypatch.setattr(plant.journal, "append_all", lies)
    with pytest.raises(UnavailableError):
        put(plant)
    monkeypatch.setattr(plant.journal, "append_all", append_all)

    held = asyncio.run(limits.withdraw(plant, "o-1", by="Li", reason="it is over", now=NOW))
    assert held is not None
    assert held.withdrawn
    told = [event.text for event in plant.events.recent() if event.kind == "limit_order"]
    assert any("holds, for the disk had taken it after all" in text for text in told)
    assert again(plant).limits == plant.limits


def again(plant: Plant) -> Plant:
    """The same park, begun again on the same journal."""
    return build_plant(
        plant.file,
        clock=plant.clock,
        data=plant.kill._folder,
        journal=plant.journal,
        source=plant.source,
        sink=plant.sink,
        venue=None,
        executor=plant.executor,
        record=plant.record,
    )


def test_orders_survive_a_restart_and_what_was_withdrawn_stays_so(plant: Plant) -> None:
    put(plant, "stays")
    put(plant, "goes", place="demo")
    put(plant, "rises", import_kw=3000)
    put(plant, "rises", import_kw=1000, revision=2)
    asyncio.run(limits.withdraw(plant, "goes", by="Li", reason="it is over", now=NOW))

    begun = again(plant)

    assert begun.limits == plant.limits
    assert [one.order_id for one in limits.not_over(begun, NOW)] == ["stays", "rises"]
    assert feeder_kw(begun, NOW) == 1000


def test_an_order_of_a_place_that_is_gone_stands_in_no_way_though_it_was_withdrawn(
    plant: Plant,
) -> None:
    put(plant)
    asyncio.run(limits.withdraw(plant, "o-1", by="Li", reason="it is over", now=NOW))
    put(plant, "o-2")

    park = plant.file.park
    points = tuple(replace(p, feeder_id=None) for p in park.connection_points)
    plant.file = replace(
        plant.file, park=replace(park, feeders=park.feeders[1:], connection_points=points)
    )
    plant.limits.clear()
    limits.recover(plant)

    assert plant.limits == {}
    told = [e.text for e in plant.events.recent() if "does not fit" in e.text]
    assert len(told) == 2


def test_the_same_order_again_changes_nothing_and_other_content_is_a_conflict(
    plant: Plant,
) -> None:
    put(plant)
    put(plant)
    assert len(list(plant.journal.entries(limits.ORDER))) == 1

    with pytest.raises(ConflictError, match="other content"):
        put(plant, import_kw=1)
    put(plant, import_kw=1, revision=3)
    with pytest.raises(ConflictError, match="revision 3 is known"):
        put(plant, revision=2)
    assert feeder_kw(plant, NOW) == 1


def test_a_withdrawn_order_comes_back_with_a_higher_revision_only(plant: Plant) -> None:
    put(plant)
    for _ in range(2):
        asyncio.run(limits.withdraw(plant, "o-1", by="Li", reason="it is over", now=NOW))
    assert feeder_kw(plant, NOW) == 11_000
    assert len(list(plant.journal.entries(limits.WITHDRAWAL))) == 1

    with pytest.raises(ConflictError, match="withdrawn"):
        put(plant)
    put(plant, revision=2)
    assert feeder_kw(plant, NOW) == 2000


@pytest.mark.parametrize(
    ("order_id", "changes", "says"),
    [
        pytest.param("o-1", {"place": "nowhere"}, "names 0 nodes", id="no such place"),
        pytest.param("o-1", {"place": "steel-battery"}, "names 0 nodes", id="a resource"),
        pytest.param(
            "o-1",
            {"start": "2025-12-02T08:00:00Z", "end": "2025-12-02T10:00:00Z"},
            "ended at",
            id="over",
        ),
        pytest.param("O 1", {}, "O 1", id="no id"),
    ],
)
def test_an_order_that_cannot_be_kept_is_refused_and_not_on_record(
    plant: Plant, order_id: str, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        put(plant, order_id, **changes)

    assert not list(plant.journal.entries(limits.ORDER))


# ---------------------------------------------------------------- over HTTP


def test_an_order_is_put_shown_listed_and_withdrawn_over_http(plant: Plant, serving: Any) -> None:
    body = json.loads(order().model_dump_json())

    async def run() -> None:
        async with serving(plant) as client:
            taken = await client.put("/v1/limits/o-1", json=body)
            assert taken.status == 200
            assert (await taken.json())["state"] == "in_force"
            shown = await (await client.get("/v1/limits/o-1")).json()
            assert (shown["import_kw"], shown["export_kw"]) == (2000, None)
            json_headers = {"Content-Type": "application/json"}
            nameless = await client.delete("/v1/limits/o-1", headers=json_headers)
            assert (nameless.status, (await nameless.json())["code"]) == (422, "invalid_query")
            gone = await client.delete(
                "/v1/limits/o-1?by=Li&reason=the+works+are+over", headers=json_headers
            )
            assert (await gone.json())["state"] == "withdrawn"
            (kept,) = plant.journal.entries(limits.WITHDRAWAL)
            assert json.loads(kept.body) == {"by": "Li", "reason": "the works are over"}
            listed = await (await client.get("/v1/limits")).json()
            assert [one["state"] for one in listed["limits"]] == ["withdrawn"]
            unknown = await client.get("/v1/limits/o-9")
            assert (unknown.status, (await unknown.json())["code"]) == (404, "unknown_limit")

    asyncio.run(run())


@pytest.mark.parametrize(
    "changes",
    [{"import_kw": None}, {"end": "2025-12-02T10:00:00Z"}, {"import_kw": -1}, {"priority": 101}],
)
def test_a_body_that_is_no_order_is_refused(
    plant: Plant, serving: Any, changes: dict[str, Any]
) -> None:
    body = {**json.loads(order().model_dump_json()), **changes}

    async def run() -> None:
        async with serving(plant) as client:
            refused = await client.put("/v1/limits/o-1", json=body)
            assert (refused.status, (await refused.json())["code"]) == (422, "invalid_body")

    asyncio.run(run())


# ---------------------------------------------------------------- the noun


def test_a_park_is_narrowed_only_where_an_order_says_so(plant: Plant) -> None:
    park = plant.file.park
    one = LimitOrder(
        order_id="o",
        place=FeederId("feeder-south"),
        span=Interval(NOW, NOW + QUARTER),
        limits=Limits(export_kw=0.0),
        source="s",
    )

    narrowed = park.narrowed([one])

    assert narrowed.feeders[0] == park.feeders[0]
    assert narrowed.feeders[1].limits == Limits(import_kw=4000, export_kw=0)
    assert narrowed.limits == park.limits
    assert narrowed.enterprises == park.enterprises
    assert inf not in (narrowed.limits.import_kw, narrowed.limits.export_kw)
