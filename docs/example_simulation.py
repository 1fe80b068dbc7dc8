"""A market of thirty lines over some simulated days: bid, clear, award, let time pass, day by day.

vpp simulate &
python docs/example_simulation.py http://127.0.0.1:8080 demo 3
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from typing import Any
from urllib.request import Request, urlopen


def call(method: str, url: str, body: dict[str, Any] | None = None) -> Any:
    """One exchange; a problem is raised as `HTTPError`, whose body tells its stable code."""
    content = None if body is None else json.dumps(body).encode()
    request = Request(url, content, {"Content-Type": "application/json"}, method=method)
    with urlopen(request, timeout=600) as answer:
        return json.load(answer)


def play(service: str, park: str, days: int) -> list[dict[str, Any]]:
    """Play a day-ahead market that takes the first step of every bid; every bid, award and delivery."""
    made = call("POST", f"{service}/v1/simulations", {"park": park, "seed": 1})
    one = f"{service}/v1/simulations/{made['simulation_id']}"
    products = call("GET", f"{one}/markets")["products"]
    market = next(f"{one}/markets/{p['product']}" for p in products if p["kind"] == "energy_da")
    for day in range(days):
        gate = call("GET", market)["next_delivery"]
        closes_at = datetime.fromisoformat(gate["closes_at"])
        call("POST", f"{one}/step", {"until": (closes_at - timedelta(minutes=5)).isoformat()})
        asked = {"request_id": f"day-{day}", "delivery": gate["delivery"]}
        bids = call("POST", f"{market}/bids", asked)
        cleared = [
            {k: bid[k] for k in ("bid_id", "start", "end")} | bid["offer"]["steps"][0]
            for bid in bids["bids"]
        ]
        call("POST", f"{one}/step", {"until": (closes_at + timedelta(minutes=45)).isoformat()})
        award = {"award_id": f"award-{day}", "revision": 1, "final": True}
        award |= {"bid_set_id": bids["bid_set_id"], "cleared": cleared}
        call("POST", f"{market}/awards", award)
    call("POST", f"{one}/step", {"until": gate["delivery"]["end"]})
    rows: list[dict[str, Any]] = call("GET", f"{one}/table")["rows"]
    call("DELETE", one)
    return rows


if __name__ == "__main__":
    json.dump(play(sys.argv[1], sys.argv[2], int(sys.argv[3])), sys.stdout, indent=2)
