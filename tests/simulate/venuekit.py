"""A small venue with round numbers: two products of one unit, prices that never change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from vpp.model.horizon import Horizon, Profile
from vpp.simulate.auction import Auction, iso
from vpp.simulate.clearinghouse import Clearinghouse
from vpp.simulate.clearingrules import Clearing
from vpp.simulate.hall import Hall
from vpp.simulate.ledger import Ledger, Slot
from vpp.simulate.prices import Prices
from vpp.simulate.spec import MarketRules
from vpp.simulate.venuefaults import Fault, FaultSpec, VenueFaults

START = datetime(2025, 12, 1, 10, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
CENT = Decimal("0.01")
CALM_RULES = MarketRules(
    quarter_hour_noise_sd_per_mwh=0.0,
    quarter_hour_noise_correlation=0.0,
    imbalance_spread_per_mwh=10.0,
)


def prices(per_mwh: float = 50.0) -> Prices:
    """The same price for two weeks."""
    horizon = Horizon(START - timedelta(days=1), QUARTER, 96 * 14)
    return Prices(Profile(horizon, np.full(horizon.steps, per_mwh)), CALM_RULES, seed=1)


ROLLING = Auction(
    product="qh",
    currency="EUR",
    zone=ZoneInfo("UTC"),
    interval=QUARTER,
    units=("unit-1",),
    daily=False,
    lead=timedelta(minutes=30),
    days_before=0,
    closes=time(),
)
"""Each quarter-hour by itself; its gate closes half an hour before."""

RESERVE = Auction(
    product="reserve",
    currency="EUR",
    zone=ZoneInfo("UTC"),
    interval=timedelta(hours=1),
    units=("unit-1",),
    daily=False,
    lead=timedelta(hours=1),
    days_before=0,
    closes=time(),
    kind="reserve_capacity",
    direction="up",
    price_unit="capacity_price_per_mw_h",
)


def hall(
    ledger: Ledger,
    rules: Mapping[str, Clearing] | None = None,
    rates: Mapping[Fault, float] | None = None,
    *,
    seed: int = 1,
) -> tuple[Hall, VenueFaults]:
    faults = VenueFaults(FaultSpec(rates=rates or {}, seed=seed))
    return (
        Hall(
            ledger,
            Clearinghouse(prices(), rules or {}, seed),
            {"qh": ROLLING, "reserve": RESERVE},
            faults,
            results_after=lambda _: timedelta(minutes=1),
        ),
        faults,
    )


def quarter(number: int) -> Slot:
    """The quarter-hour that begins so many after `START` + 1 h."""
    start = START + timedelta(hours=1) + number * QUARTER
    return start, start + QUARTER


def bid_set(
    slot: Slot,
    *,
    revision: int = 1,
    product: str = "qh",
    unit: str = "unit-1",
    mw: str = "0.8",
    price: str = "40",
    side: str = "sell",
    offer: Mapping[str, Any] | None = None,
) -> tuple[str, bytes]:
    """Id and bytes of a bid set of one bid."""
    name = f"{product}.{unit}.{slot[0]:%Y%m%dT%H%MZ}.{revision}"
    span = {"start": iso(slot[0]), "end": iso(slot[1])}
    steps = {"form": "curve_step", "steps": [{"quantity_mw": mw, "price_per_mwh": price}]}
    content = {
        "bid_set_id": name,
        "product": product,
        "unit": unit,
        "revision": revision,
        "delivery": span,
        "bids": [
            {
                "bid_id": f"{product}/{unit}/{slot[0]:%Y%m%dT%H%MZ}/{side}/{revision}",
                **span,
                "side": side,
                "offer": offer or steps,
            }
        ],
    }
    return name, json.dumps(content).encode()


def entries(path: Path) -> list[dict[str, Any]]:
    """A ledger as it is on disk."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
