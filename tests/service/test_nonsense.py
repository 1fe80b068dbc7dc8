"""A simulator's nonsense at the three doors: problem+json, a stable code, and nothing left but the audit record."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import pytest
import structlog

from vpp.model.time import QUARTER, Interval
from vpp.service.api.problems import CODES
from vpp.service.plant import Plant

MARKET = "/v1/markets/se3-day-ahead"
DAY = {"start": "2025-12-02T23:00:00Z", "end": "2025-12-03T23:00:00Z"}
ASK: dict[str, Any] = {"request_id": "r1", "delivery": DAY}
CALL: dict[str, Any] = {
    "activation_id": "a1",
    "revision": 1,
    "start": "2025-12-02T17:00:00Z",
    "end": "2025-12-02T18:00:00Z",
    "direction": "up",
    "quantity_mw": "0.8",
    "source": "a simulator",
}
AWARD: dict[str, Any] = {
    "award_id": "w1",
    "revision": 1,
    "final": True,
    "bid_set_id": "nobody",
    "cleared": [
        {
            "bid_id": "x",
            "start": "2025-12-02T23:00:00Z",
            "end": "2025-12-02T23:15:00Z",
            "quantity_mw": "1",
            "price_per_mwh": "40",
        }
    ],
}


def span(start: str, end: str) -> dict[str, Any]:
    return {"delivery": {"start": start, "end": end}}


def line(**changes: Any) -> dict[str, Any]:
    return {"cleared": [AWARD["cleared"][0] | changes]}


NAN = json.dumps(AWARD).replace('"1"', "NaN")
HUGE = json.dumps(ASK | {"request_id": "r" * 10_000_000})

CASES = {
    "a delivery off the grid": (
        f"{MARKET}/bids",
        ASK | span("2025-12-02T23:07:00Z", DAY["end"]),
        "off_grid",
    ),
    "a delivery of another length": (
        f"{MARKET}/bids",
        ASK | span(DAY["start"], "2025-12-03T12:00:00Z"),
        "off_grid",
    ),
    "past the gate": (
        f"{MARKET}/bids",
        ASK | span("2025-12-01T23:00:00Z", "2025-12-02T23:00:00Z"),
        "gate_closed",
    ),
    "before the gate": (
        f"{MARKET}/bids",
        ASK | span("2025-12-05T23:00:00Z", "2025-12-06T23:00:00Z"),
        "gate_not_open",
    ),
    "an unknown product": ("/v1/markets/nothing/bids", ASK, "unknown_product"),
    "an unknown unit": (f"{MARKET}/bids", ASK | {"unit": "nobody"}, "unknown_unit"),
    "prices of a wrong length": (
        f"{MARKET}/bids",
        ASK | {"prices_per_mwh": ["40"] * 95},
        "wrong_length",
    ),
    "more prices than any day has": (
        f"{MARKET}/bids",
        ASK | {"prices_per_mwh": ["40"] * 500},
        "invalid_body",
    ),
    "a price that is no number": (
        f"{MARKET}/bids",
        ASK | {"prices_per_mwh": ["NaN"] * 96},
        "invalid_body",
    ),
    "an end before the start": (
        f"{MARKET}/bids",
        ASK | span(DAY["end"], DAY["start"]),
        "invalid_data",
    ),
    "an unknown field": (f"{MARKET}/bids", ASK | {"now": DAY["start"]}, "invalid_body"),
    "10 MB": (f"{MARKET}/bids", HUGE, "body_too_large"),
    "an award to an unknown product": ("/v1/markets/nothing/awards", AWARD, "unknown_product"),
    "an award of NaN": (f"{MARKET}/awards", NAN, "malformed_json"),
    "an award of infinitely much": (
        f"{MARKET}/awards",
        AWARD | line(quantity_mw="Infinity"),
        "invalid_body",
    ),
    "an award below 0": (f"{MARKET}/awards", AWARD | line(quantity_mw="-1"), "invalid_data"),
    "an award that ends before it begins": (
        f"{MARKET}/awards",
        AWARD | line(end="2025-12-02T22:00:00Z"),
        "invalid_data",
    ),
    "an award without a revision": (
        f"{MARKET}/awards",
        {k: v for k, v in AWARD.items() if k != "revision"},
        "invalid_body",
    ),
    "a call off the grid": (
        f"{MARKET}/activations",
        CALL | {"start": "2025-12-02T17:01:00Z"},
        "off_grid",
    ),
    "a call that ends before it begins": (
        f"{MARKET}/activations",
        CALL | {"end": "2025-12-02T16:00:00Z"},
        "off_grid",
    ),
    "a call that is over": (
        f"{MARKET}/activations",
        CALL | {"start": "2025-12-02T08:00:00Z", "end": "2025-12-02T09:00:00Z"},
        "over",
    ),
    "a call of an unknown product": ("/v1/markets/nothing/activations", CALL, "unknown_product"),
    "a call to an unknown unit": (
        f"{MARKET}/activations",
        CALL | {"unit": "nobody"},
        "unknown_unit",
    ),
    "a call for more than the unit has": (
        f"{MARKET}/activations",
        CALL | {"quantity_mw": "12.001"},
        "invalid_data",
    ),
    "a call for less than nothing": (
        f"{MARKET}/activations",
        CALL | {"quantity_mw": "-1"},
        "invalid_body",
    ),
    "a call for NaN": (f"{MARKET}/activations", CALL | {"quantity_mw": "NaN"}, "invalid_body"),
}


def image(plant: Plant) -> object:
    """All that trading knows, and all that is on record."""
    night = Interval(plant.clock.now(), plant.clock.now() + 96 * QUARTER)
    return (
        plant.book.all_bids(),
        [plant.book.position().trades(quarter) for quarter in night.split(QUARTER)],
        plant.book.quarantined(),
        [(one.activation_id, one.revision) for one in plant.book.calls.standing()],
        len(list(plant.journal.entries("bid_set", "award", "activation", "withdrawal", "kill"))),
        plant.kill.latched(),
        repr((plant.trade.rates, plant.trade.refusals)),
        plant.replan,
    )


@pytest.mark.parametrize("case", CASES)
def test_nonsense_gets_its_code_and_leaves_nothing_but_the_audit_record(
    plant: Plant, serving: Any, case: str
) -> None:
    path, body, code = CASES[case]
    before = image(plant)

    async def run() -> None:
        async with serving(plant) as client:
            text = body if isinstance(body, str) else json.dumps(body)
            answer = await client.post(
                path, data=io.BytesIO(text.encode()), headers={"Content-Type": "application/json"}
            )
            problem = await answer.json()
            assert problem["code"] == code, problem
            assert answer.status == CODES[code][0]
            assert answer.content_type == "application/problem+json"

    with structlog.testing.capture_logs() as lines:
        asyncio.run(run())
    assert image(plant) == before
    (said,) = [one for one in lines if one["event"] == "refused"]
    assert (said["code"], said["path"]) == (code, path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bid_set_id": "nobody"}, "unknown_bid_set"),
        ({"bid_id": "se3-day-ahead/park-se3/20251202T2300Z/sell/9"}, "unknown_bid"),
        ({"quantity_mw": "99"}, "above_bid"),
        ({"start": "2025-12-02T23:15:00Z", "end": "2025-12-02T23:30:00Z"}, "wrong_interval"),
    ],
)
def test_an_award_that_does_not_fit_is_no_nonsense_for_it_may_be_owed(
    plant: Plant, serving: Any, changes: dict[str, str], reason: str
) -> None:
    """Refusing it would not make the venue forget it: it is kept apart, counted and shouted about."""

    async def run() -> None:
        async with serving(plant) as client:
            made = await (await client.post(f"{MARKET}/bids", json=ASK)).json()
            bid = next(b for b in made["bids"] if b["side"] == "buy")
            kept = {k: v for k, v in changes.items() if k != "bid_set_id"}
            one = {"bid_id": bid["bid_id"], "start": bid["start"], "end": bid["end"]}
            one |= {"quantity_mw": "0.1", "price_per_mwh": "40"}
            award = AWARD | {
                "bid_set_id": changes.get("bid_set_id", made["bid_set_id"]),
                "cleared": [one | kept],
            }
            answer = await client.post(f"{MARKET}/awards", json=award)
            assert (answer.status, (await answer.json())["status"]) == (200, "quarantined")
            again = await client.post(f"{MARKET}/awards", json=award | {"rejected": ["y"]})
            assert (again.status, (await again.json())["code"]) == (409, "conflict")

    asyncio.run(run())
    ((_, why),) = plant.book.quarantined()
    assert why.reason == reason
    assert [e.kind for e in plant.events.recent() if e.severity == "alarm"] == ["award_quarantined"]


def test_the_table_in_the_docs_has_every_code_that_these_doors_give() -> None:
    text = (Path(__file__).parents[2] / "docs" / "simulators.md").read_text(encoding="utf-8")
    table = text[text.index("## Nonsense") :]
    for code in {code for _, _, code in CASES.values()} | {"conflict", "shadow", "needs_approval"}:
        assert f"`{code}`" in table, code
