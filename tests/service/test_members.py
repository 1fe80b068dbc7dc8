"""A member sees what is its own and nothing of the others, and what it asks for holds once an operator says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.service.rebuilt import EVENING, Bench, HandClock, bench_of
from tests.service.test_accounts import MIDNIGHT, settled
from vpp.account.statements import Call
from vpp.errors import DataError
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.time import QUARTER
from vpp.service.kill import Scope
from vpp.service.members import asking
from vpp.service.members.windowtext import with_window
from vpp.service.plant import Plant
from vpp.service.strategies.strategies import version_of
from vpp.service.tuning import changing
from vpp.wiremembers import WindowRequest

Do = Callable[..., dict[str, Any]]
LI = {"by": "Li", "reason": "the roof is mended"}
WINDOW = {"start": "2025-12-05T07:00:00Z", "end": "2025-12-05T15:00:00Z"}


@pytest.fixture
def do(plant: Plant, serving: Any) -> Iterator[Do]:
    """`do("GET", "/v1/…")`: the answer, its status beside it; one server for all of a test."""
    with asyncio.Runner() as runner:
        served = serving(plant)
        client = runner.run(served.__aenter__())

        async def ask(method: str, path: str, body: Any) -> dict[str, Any]:
            answer = await client.request(method, path, json=body)
            if answer.content_type == "text/csv":
                return {"http": answer.status, "text": await answer.text()}
            told: dict[str, Any] = await answer.json(content_type=None)
            return {"http": answer.status} | told

        yield lambda method, path, body=None: runner.run(ask(method, path, body))
        runner.run(served.__aexit__(None, None, None))


def asked(kind: str = "maintenance", *resources: str, **changes: Any) -> dict[str, Any]:
    return {"kind": kind, "resources": list(resources)} | WINDOW | LI | changes


# ---------------------------------------------------------------- its own view


def test_a_member_sees_its_own_load_plan_and_resources(plant: Plant, do: Do) -> None:
    shown = do("GET", "/v1/members/steel")

    park = plant.file.park
    own = [r.resource_id for r in park.resources if r.enterprise_id == "steel"]
    assert [r["resource_id"] for r in shown["resources"]] == own
    points = [p for p in park.connection_points if p.enterprise_id == "steel"]
    assert shown["power_kw"] == -100.0 * len(points)
    assert plant.schedule is not None
    planned = sum(plant.schedule.connection_point_kw[p.connection_point_id] for p in points)
    assert shown["planned"]["course"]["net_kw"][0] == pytest.approx(float(planned[0]))  # type: ignore[index]
    assert shown["measured"] is None  # nobody has read its meters twice yet
    assert shown["agreement"]["takes_part"] is True


def test_a_power_that_one_of_its_meters_does_not_tell_is_not_made_up(
    empty_plant: Plant, serving: Any
) -> None:
    async def run() -> Any:
        async with serving(empty_plant) as client:
            return await (await client.get("/v1/members/steel")).json()

    shown = asyncio.run(run())

    assert (shown["power_kw"], shown["measured"], shown["planned"]) == (None, None, None)
    assert all(r["power_kw"] is None and r["reason"] for r in shown["resources"])


def everything_sent(do: Do, owner: str) -> str:
    """All that a member's routes answer, refusals too."""
    base = f"/v1/members/{owner}"
    sent = [
        do("GET", base),
        do("GET", f"{base}/periods"),
        do("GET", f"{base}/statement?period=2025-12"),
        do("GET", f"{base}/statement?period=2025-12&format=csv"),
        do("POST", f"{base}/requests", asked("maintenance", "no-such-thing")),
        do("POST", f"{base}/requests/99/withdraw", LI),
    ]
    return json.dumps(sent)


def others_in(plant: Plant, owner: str, text: str) -> set[str]:
    """Names of others, and of what is theirs, in a text."""
    park = plant.file.park
    foreign = {e.enterprise_id for e in park.enterprises} | {e.name for e in park.enterprises}
    foreign |= set(park.device_owner) | {p.connection_point_id for p in park.connection_points}
    own = {owner, *(e.name for e in park.enterprises if e.enterprise_id == owner)}
    own |= {name for name, (of, _) in park.device_owner.items() if of == owner}
    own |= {p.connection_point_id for p in park.connection_points if p.enterprise_id == owner}
    return {name for name in foreign - own if f'"{name}"' in text or f",{name}," in text}


def test_nothing_that_a_member_is_sent_is_about_another(plant: Plant, do: Do) -> None:
    plant.clock = HandClock(at=MIDNIGHT + 4 * QUARTER)
    for number in (0, 1):
        one = settled(MIDNIGHT + number * QUARTER, provisional=number == 1)
        plant.accounted[one.interval] = one
    call = Call(
        enterprise_id=EnterpriseId("cold"), detail="", energy_kwh=one.lines[0].amount,
        price_per_kwh=one.lines[0].amount,
    )  # fmt: skip
    plant.calls[ResourceId("cold-ice-maker"), MIDNIGHT] = call
    for name in ("steel", "metal", "cold", "office", "school", "store"):
        mine = next(r for r in plant.file.park.resources if r.enterprise_id == name)
        do("POST", f"/v1/members/{name}/requests", asked("maintenance", mine.resource_id))

    for owner in ("steel", "metal", "cold", "office", "school", "store"):
        assert others_in(plant, owner, everything_sent(do, owner)) == set()


def test_a_stop_of_the_whole_park_tells_a_member_no_more_than_that(plant: Plant, do: Do) -> None:
    plant.kill.kill("the press of Office smokes")
    assert do("GET", "/v1/members/steel")["stopped_because"] == "the whole park"

    plant.kill.kill("a drill", Scope("enterprise", "school"))
    plant.kill.release()
    assert do("GET", "/v1/members/steel")["stopped_because"] is None
    assert do("GET", "/v1/members/school")["stopped_because"] == "a drill"


def test_a_member_that_is_none_is_refused_without_naming_others(do: Do) -> None:
    refused = do("GET", "/v1/members/nobody")

    assert (refused["http"], refused["code"]) == (404, "unknown_enterprise")
    assert "steel" not in json.dumps(refused)


# ---------------------------------------------------------------- what it asks for


def test_what_is_asked_for_waits_and_holds_once_an_operator_accepts(plant: Plant, do: Do) -> None:
    made = do("POST", "/v1/members/steel/requests", asked("maintenance", "steel-battery"))
    assert (made["state"], made["number"]) == ("open", 1)
    assert do("GET", "/v1/members/steel")["agreement"]["maintenance"] == []

    said = {"accept": True, "by": "Wang", "reason": "agreed in the morning round"}
    done = do("POST", "/v1/member-requests/1/decision", said)

    assert (done["http"], done["state"], done["decided_by"]) == (200, "accepted", "Wang")
    assert done["strategy_version"] == version_of(plant.tuning.seen.text)
    asyncio.run(changing.take(plant, plant.clock.now()))  # the next plan
    (window,) = do("GET", "/v1/members/steel")["agreement"]["maintenance"]
    assert (window["resources"], window["state"]) == (["steel-battery"], "ahead")
    assert window["reason"] == "the roof is mended (asked by Li)"
    assert plant.file.strategies.section.members["steel"].maintenance
    again = do("POST", "/v1/member-requests/1/decision", said)
    assert (again["http"], again["code"]) == (409, "conflict")


@pytest.mark.parametrize(("kind", "covers"), [("no_steering", "all"), ("no_calls", "calls")])
def test_days_without_steering_or_calls_are_vetoes_of_whole_local_days(
    plant: Plant, do: Do, kind: str, covers: str
) -> None:
    span = {"start": "2025-12-04T23:00:00Z", "end": "2025-12-06T23:00:00Z"}
    do("POST", "/v1/members/cold/requests", asked(kind, **span))
    do("POST", "/v1/member-requests/1/decision", {"accept": True, "by": "Wang", "reason": "yes"})
    asyncio.run(changing.take(plant, plant.clock.now()))

    (veto,) = do("GET", "/v1/members/cold")["agreement"]["vetoes"]

    assert (veto["first"], veto["last"], veto["covers"]) == ("2025-12-05", "2025-12-06", covers)


def test_what_is_refused_or_withdrawn_changes_nothing(plant: Plant, do: Do) -> None:
    text = plant.tuning.seen.text
    do("POST", "/v1/members/steel/requests", asked())
    do("POST", "/v1/members/steel/requests", asked())
    foreign = do("POST", "/v1/members/cold/requests/1/withdraw", LI)
    withdrawn = do("POST", "/v1/members/steel/requests/1/withdraw", LI)
    refused = do(
        "POST",
        "/v1/member-requests/2/decision",
        {"accept": False, "by": "Wang", "reason": "not then"},
    )

    assert foreign["http"] == 422
    assert (withdrawn["state"], refused["state"]) == ("withdrawn", "refused")
    assert [one["state"] for one in do("GET", "/v1/member-requests")["requests"]] == [
        "refused",
        "withdrawn",
    ]
    assert plant.tuning.seen.text == text


def test_what_makes_no_sense_is_refused(do: Do) -> None:
    wrong = [
        (asked("maintenance", "cold-battery"), "is no resource of steel"),
        (asked("no_calls", "steel-battery"), "called as a whole"),
        (asked(end="2025-12-05T07:00:00Z"), "is no span"),
        (asked(start="2025-11-01T00:00:00Z", end="2025-11-02T00:00:00Z"), "is over"),
        (asked(end="2027-12-05T07:00:00Z"), "longer than a year"),
    ]
    for body, told in wrong:
        refused = do("POST", "/v1/members/steel/requests", body)
        assert refused["http"] == 422
        assert told in refused["detail"]


def test_more_than_fifty_wait_of_no_member(do: Do) -> None:
    for _ in range(asking.MOST_OPEN):
        assert do("POST", "/v1/members/steel/requests", asked())["http"] == 200

    assert do("POST", "/v1/members/steel/requests", asked())["http"] == 422
    assert do("POST", "/v1/members/cold/requests", asked())["http"] == 200


def test_requests_outlive_a_restart(plant: Plant, tmp_path: Path) -> None:
    bench: Bench = bench_of(plant, tmp_path)()
    request = WindowRequest.model_validate(asked("maintenance", "steel-battery"))

    async def run() -> None:
        await asking.ask(bench.plant, EnterpriseId("steel"), request, now=EVENING)
        await asking.ask(bench.plant, EnterpriseId("steel"), request, now=EVENING)
        await asking.decide(
            bench.plant, 1, accept=False, by="Wang", reason="no", now=EVENING + timedelta(hours=1)
        )

    asyncio.run(run())
    before = dict(bench.plant.members.asked)

    bench.build()

    assert bench.plant.members.numbers == 2
    assert {n: (one.state, one.reason) for n, one in bench.plant.members.asked.items()} == {
        n: (one.state, one.reason) for n, one in before.items()
    }


# ---------------------------------------------------------------- into the file

ITEM = {"from": "2025-12-05T08:00:00+01:00", "to": "2025-12-05T16:00:00+01:00", "reason": "roof"}
LINE = '- {from: "2025-12-05T08:00:00+01:00", to: "2025-12-05T16:00:00+01:00", reason: "roof"}\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("strategies: []  # none\n", "strategies: []  # none\nmembers:\n  steel:\n    maintenance:\n      " + LINE),
        ("strategies: []\nmembers:\n", "strategies: []\nmembers:\n  steel:\n    maintenance:\n      " + LINE),
        (
            "strategies: []\nmembers:\n    # who\n    cold: {takes_part: false}\n",
            "strategies: []\nmembers:\n    # who\n    steel:\n      maintenance:\n        "
            + LINE
            + "    cold: {takes_part: false}\n",
        ),
        (
            "members:\n  steel:\n    takes_part: true  # since May\nstrategies: []\n",
            "members:\n  steel:\n    maintenance:\n      "
            + LINE
            + "    takes_part: true  # since May\nstrategies: []\n",
        ),
        (
            "members:\n  steel:\n    maintenance:\n    - {from: a, to: b, reason: c}\nstrategies: []\n",
            "members:\n  steel:\n    maintenance:\n    "
            + LINE
            + "    - {from: a, to: b, reason: c}\nstrategies: []\n",
        ),
    ],
)  # fmt: skip
def test_a_window_is_one_line_more_and_every_other_byte_stays(before: str, after: str) -> None:
    made = with_window(before, "steel", "maintenance", ITEM)

    assert made == after
    assert with_window(made, "steel", "maintenance", ITEM) == made  # there already


@pytest.mark.parametrize(
    "text", ["strategies: []\nmembers: {steel: {takes_part: true}}\n", "- 1\n"]
)
def test_where_there_is_no_line_for_it_the_operator_is_told_what_to_write(text: str) -> None:
    with pytest.raises(DataError) as refused:
        with_window(text, "steel", "maintenance", ITEM)

    assert LINE.strip() in str(refused.value)
