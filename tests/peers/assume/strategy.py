# SPDX-License-Identifier: AGPL-3.0-or-later
"""A strategy of ASSUME that bids what a simulation of the plant answers, and tells it the results.

    ASSUME opens an auction ─▶ step the simulation there ─▶ ask for bids ─▶ one order a step of a curve
    ASSUME clears it        ─▶ step ─▶ award, prices      ─▶ note what both sides say

It speaks HTTP and nothing else; while it waits ASSUME's time stands still.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from assume.common.base import BaseStrategy, BaseUnit

QUARTER = timedelta(minutes=15)
SPREAD_PER_MWH = 15.0
"""Between the cleared price and that of imbalance."""


def moment(naive: datetime) -> str:
    """ASSUME's times name no zone and mean UTC."""
    return naive.replace(tzinfo=UTC).isoformat()


def exact(volume: float) -> Decimal:
    """A quantity without the noise of floats, as it stood in the bid or was cut from it."""
    return Decimal(str(round(abs(volume), 6))).normalize()


class ExternalUnit(BaseUnit):
    """A unit that ASSUME knows by its size alone."""

    def __init__(self, max_power: float, min_power: float, **rest: object) -> None:
        super().__init__(**rest)
        self.max_power, self.min_power = max_power, min_power

    def as_dict(self) -> dict[str, object]:
        sizes = {"max_power": self.max_power, "min_power": self.min_power}
        return super().as_dict() | sizes | {"unit_type": "external"}


class SimulationStrategy(BaseStrategy):
    """Bids for one unit out of one simulation of the plant."""

    def __init__(self, *_: object, url: str, product: str, **__: object) -> None:
        super().__init__()
        self.url, self.product = url, product
        self.names = self.call("GET", "")["series"]
        self.ledger: list[dict[str, object]] = []
        """One entry an auction: what was asked, answered, ordered and cleared."""
        self.unsettled: dict[datetime, float] = {}
        """Cleared price by quarter-hour that has not been told as an imbalance price yet."""
        self.bids: dict[str, dict[str, str]] = {}
        """The bids of the auction that is open, by id."""

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """One exchange with the simulation."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(self.url + path, content, headers, method=method)
        try:
            with urlopen(request, timeout=900) as answer:
                return json.load(answer)
        except HTTPError as problem:
            raise RuntimeError(f"{method} {path}: {problem.read().decode()}") from problem

    # ------------------------------------------------------------ asked

    def calculate_bids(self, unit, market_config, product_tuples, **_):
        now = self._now(unit, market_config, product_tuples)
        self.call("POST", "/step", {"until": moment(now)})
        self._tell_imbalance(now)
        delivery = {"start": moment(product_tuples[0][0]), "end": moment(product_tuples[-1][1])}
        request_id = f"{unit.id}-{len(self.ledger)}"
        asked = {"request_id": request_id, "delivery": delivery}
        bid_set = self.call("POST", f"/markets/{self.product}/bids", asked)
        self.bids = {bid["bid_id"]: bid for bid in bid_set["bids"]}
        by_start = {moment(p[0]): p for p in product_tuples}
        orders = []
        for bid in bid_set["bids"]:
            start = datetime.fromisoformat(bid["start"]).astimezone(UTC).isoformat()
            product, sign = by_start[start], 1 if bid["side"] == "sell" else -1
            for number, step in enumerate(bid["offer"]["steps"]):
                orders.append(
                    {
                        "start_time": product[0],
                        "end_time": product[1],
                        "only_hours": product[2],
                        "price": float(step["price_per_mwh"]),
                        "volume": sign * float(step["quantity_mw"]),
                        "node": unit.node,
                        "bid_id": f"{bid['bid_id']}#{number}",
                    }
                )
        self.ledger.append(
            {
                "asked_at": moment(now),
                "products": len(product_tuples),
                "bid_set_id": bid_set["bid_set_id"],
                "plan_id": bid_set["plan_id"],
                "socs": self._socs(),
                "orders": len(orders),
                "orders_back": 0,
                "award": None,
            }
        )
        return orders

    def _now(self, unit, market_config, product_tuples) -> datetime:
        """When the auction opens: its products begin a fixed time after that."""
        return product_tuples[0][0] - market_config.market_products[0].first_delivery

    def _socs(self) -> list[float]:
        listed = self.call("GET", "/resources")["resources"]
        return [r["soc"] for r in listed if r["soc"] is not None]

    # ------------------------------------------------------------ told

    def calculate_reward(self, unit, marketconfig, orderbook) -> None:
        entry = self.ledger[-1]
        now = datetime.fromisoformat(entry["asked_at"]) + marketconfig.opening_duration
        self.call("POST", "/step", {"until": now.isoformat()})
        taken, price_at = defaultdict(Decimal), {}
        for order in orderbook:
            price_at[order["start_time"], order["end_time"]] = order["accepted_price"]
            taken[order["bid_id"].split("#")[0]] += exact(order["accepted_volume"])
        span = {bid_id: (self.bids[bid_id]["start"], self.bids[bid_id]["end"]) for bid_id in taken}
        cleared = [
            {
                "bid_id": bid_id,
                "start": span[bid_id][0],
                "end": span[bid_id][1],
                "quantity_mw": format(quantity, "f"),
                "price_per_mwh": str(Decimal(str(self._price(span[bid_id], price_at)))),
            }
            for bid_id, quantity in taken.items()
            if quantity
        ]
        award = {
            "award_id": f"award-{entry['bid_set_id']}",
            "revision": 1,
            "final": True,
            "bid_set_id": entry["bid_set_id"],
            "cleared": cleared,
            "rejected": [bid_id for bid_id, quantity in taken.items() if not quantity],
        }
        entry["award"] = self.call("POST", f"/markets/{self.product}/awards", award)["status"]
        entry["orders_back"] += len(orderbook)
        prices = {
            start + k * QUARTER: price
            for (start, end), price in price_at.items()
            for k in range((end - start) // QUARTER)
        }
        self._publish(self.names["day_ahead"], prices, now)
        self.unsettled |= prices

    def _price(self, span, price_at) -> float:
        start, end = (datetime.fromisoformat(t).astimezone(UTC).replace(tzinfo=None) for t in span)
        return price_at[start, end]

    def _publish(self, series_id: str, prices: dict[datetime, float], now: datetime) -> None:
        upload = {
            "unit": self.names["unit"],
            "resolution_s": 900,
            "issued_at": now.isoformat(),
            "source": "ASSUME",
            "values": [
                {"interval_start": moment(start), "value": price}
                for start, price in sorted(prices.items())
            ],
        }
        self.call("PUT", f"/series/{series_id}", upload)

    def _tell_imbalance(self, now: datetime) -> None:
        """What the quarter-hours that are over settle at."""
        over = {start: p for start, p in self.unsettled.items() if start + QUARTER <= now}
        if not over:
            return
        for name, sign in (("imbalance_short", 1), ("imbalance_long", -1)):
            prices = {start: p + sign * SPREAD_PER_MWH for start, p in over.items()}
            self._publish(self.names[name], prices, now.replace(tzinfo=UTC))
        self.unsettled = {s: p for s, p in self.unsettled.items() if s not in over}
