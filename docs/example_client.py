"""A market in thirty lines: ask for bids, take the best step of each, tell the result.

python docs/example_client.py http://127.0.0.1:8080 se3-day-ahead
"""

from __future__ import annotations

import json
import sys
import uuid
from typing import Any
from urllib.request import Request, urlopen


def call(method: str, url: str, body: dict[str, Any] | None = None) -> Any:
    """One exchange; a problem is raised as `HTTPError`, whose body tells its stable code."""
    content = None if body is None else json.dumps(body).encode()
    request = Request(url, content, {"Content-Type": "application/json"}, method=method)
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


def play(service: str, product: str) -> dict[str, Any]:
    """Take the first step of every bid for the next delivery; returns the acknowledged award."""
    market = f"{service}/v1/markets/{product}"
    delivery = call("GET", market)["next_delivery"]["delivery"]
    request_id = str(uuid.uuid4())
    bid_set = call("POST", f"{market}/bids", {"request_id": request_id, "delivery": delivery})
    cleared = [
        {
            **{name: bid[name] for name in ("bid_id", "start", "end")},
            "quantity_mw": bid["offer"]["steps"][0]["quantity_mw"],
            "price_per_mwh": bid["offer"]["steps"][0]["price_per_mwh"],
        }
        for bid in bid_set["bids"]
    ]
    award = {"award_id": f"award-{request_id}", "revision": 1, "final": True, "rejected": []}
    award |= {"bid_set_id": bid_set["bid_set_id"], "cleared": cleared}
    acknowledged: dict[str, Any] = call("POST", f"{market}/awards", award)
    return acknowledged | {"bids": len(bid_set["bids"])}


if __name__ == "__main__":
    json.dump(play(*sys.argv[1:3]), sys.stdout, indent=2)
