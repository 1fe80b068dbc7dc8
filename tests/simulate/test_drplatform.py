"""The simulated load-management platform by itself: what it sends when, and the golden sums in its own code."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from vpp.errors import UnavailableError
from vpp.simulate.drplatform import LoadPlatform
from vpp.simulate.exchange import Answer
from vpp.simulate.ledger import Ledger
from vpp.simulate.spec import EvaluationRules, Event, PlatformRules

D = Decimal
NINE = D(9)
START = datetime(2026, 7, 15, 9, tzinfo=UTC)
"""17:00 of a Wednesday in Shanghai."""
END = START + timedelta(hours=2)
EVENT = Event(
    event_id="peak",
    start=START,
    end=END,
    invited_at=START - timedelta(hours=31),
    reply_by=START - timedelta(hours=25),
    wanted_mw=D(6),
    price_cap_per_mwh=D(3000),
    area="east",
)
EVALUATION = EvaluationRules(
    days=5,
    window_days=45,
    outlier=D("0.25"),
    no_holidays=True,
    correct_h=(D(2), D(1)),
    correct_within=(D("0.8"), D("1.2")),
    below_baseline=True,
    bands=(
        (D(0), D("0.5"), D(0), None),
        (D("0.5"), D("0.8"), D("0.6"), None),
        (D("0.8"), D("1.2"), D(1), None),
        (D("1.2"), None, D(1), D("1.2")),
    ),
    shortfall=(D("0.5"), D("0.5")),
    rest_days={},
    work_days={},
)
RULES = PlatformRules(
    product="dr",
    direction="up",
    step_mw=D("0.1"),
    confirm_share=D(1),
    clears_at_share=D(1),
    confirms_after=timedelta(minutes=30),
    reminds_before=timedelta(hours=1),
    history_days=14,
    events=(EVENT,),
    evaluation=EVALUATION,
)


class Service:
    """Answers as the contract says: 5 MW nominated by two members, in eight bids."""

    def __init__(self, price: str = "2900") -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.away = 0
        bids = [
            {"bid_id": f"b{n}", "start": f"s{n}", "end": f"e{n}", "side": "sell"}
            | {"offer": {"form": "single", "quantity_mw": "5.0", "price_per_mwh": price}}
            for n in range(8)
        ]
        nomination = {"bid_set_id": "set", "quantity_mw": "5.0"}
        nomination |= {"shares_mw": {"mill": "4", "dairy": "1"}}  # type: ignore[dict-item]
        self.shown = {
            "/v1/markets/dr/invitations/peak": {"stage": "nominated", "nomination": nomination},
            "/v1/markets/dr/bids/set": {"bids": bids},
        }

    def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        retry_busy: bool = True,
    ) -> Answer:
        if self.away:
            self.away -= 1
            raise UnavailableError("away", where="service", fix="wait")
        self.asked.append((method, path.removeprefix("/v1/markets/dr/"), body))
        return Answer(200, self.shown.get(path, {}), b"")


def platform(
    service: Service, mill_mw: Decimal = NINE, rules: PlatformRules = RULES
) -> tuple[LoadPlatform, Ledger]:
    """The mill draws 15 MW on all days, and `mill_mw` in the window; the dairy 5 MW throughout."""

    def drawn_wh(enterprise: str, start: datetime) -> int | None:
        if enterprise == "dairy":
            return 1_250_000
        return int(mill_mw * 250_000) if START <= start < END else 3_750_000

    ledger = Ledger(D("0.01"))
    made = LoadPlatform(
        service,
        rules,
        ledger,
        drawn_wh,
        zone=ZoneInfo("Asia/Shanghai"),
        minor_unit=D("0.01"),
        opened_at=START - timedelta(hours=40),
    )
    return made, ledger


def played(service: Service, **changes: Any) -> tuple[LoadPlatform, Ledger]:
    made, ledger = platform(service, **changes)

    async def run() -> None:
        for _ in range(20):
            if (due := made.next_due()).year == 9999:
                return
            await made.act(due)

    asyncio.run(run())
    return made, ledger


def test_it_invites_reads_the_reply_confirms_calls_and_evaluates() -> None:
    service = Service()
    made, ledger = played(service)
    assert [(method, path) for method, path, _ in service.asked] == [
        ("POST", "invitations"),
        ("GET", "invitations/peak"),
        ("GET", "bids/set"),
        ("POST", "awards"),
        ("POST", "activations"),
    ]
    award, call = service.asked[3][2], service.asked[4][2]
    assert [line["quantity_mw"] for line in award["cleared"]] == ["5.0"] * 8
    assert award["cleared"][0]["price_per_mwh"] == "3000"  # one price for all: the cap
    assert (call["quantity_mw"], call["direction"]) == ("5.0", "up")
    assert ledger.status("set") == "cleared"
    assert ledger.counts["dr_evaluated"] == len(made.results) == 1


@pytest.mark.parametrize(
    ("actual_mw", "amount", "penalty"),
    [("14", 36_000, 0), ("13", 36_000, 0), ("16.5", 12_600, 0), ("18", 0, 1500)],
)
def test_its_own_code_comes_to_the_golden_sums(actual_mw: str, amount: int, penalty: int) -> None:
    made, _ = played(Service(), mill_mw=D(actual_mw) - 5)
    (result,) = made.results
    assert D(result["amount"]) == amount
    assert D(result["penalty"]) == penalty


def test_who_asks_for_more_than_it_pays_is_not_chosen() -> None:
    service = Service(price="2900")
    rules = replace(RULES, clears_at_share=D("0.9"))
    made, _ = played(service, rules=rules)
    assert service.asked[-1][2]["cleared"] == []
    assert len(service.asked[-1][2]["rejected"]) == 8
    assert made.results == []


def test_a_share_is_confirmed_in_whole_steps() -> None:
    service = Service()
    played(service, rules=replace(RULES, confirm_share=D("0.73")))
    assert service.asked[3][2]["cleared"][0]["quantity_mw"] == "3.6"  # 3.65 rounded down


def test_where_the_service_is_away_it_asks_again() -> None:
    service = Service()
    service.away = 3
    made, _ = played(service)
    assert [method for method, _, _ in service.asked].count("POST") == 3
    assert len(made.results) == 1
