"""nempy dispatches a region, interval by interval: bands in on stdin, MW and prices out on stdout, as JSON.

It knows nothing of us. An interval is {"demand": MW, "bands": [[unit, "generator" or "load", [[MW, price], …]], …]}
with ten bands a row; the answer is {"price": …, "dispatch": {"unit/generator": MW, …}}.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import pandas as pd
from nempy import markets  # type: ignore[import-not-found, unused-ignore]

BANDS = 10


def frame(rows: list[list[Any]], column: int) -> pd.DataFrame:
    """One row a unit and direction, one column a band: MW (0) or price (1)."""
    return pd.DataFrame(
        [
            {"unit": unit, "dispatch_type": kind}
            | {str(n + 1): float(band[column]) for n, band in enumerate(bands)}
            for unit, kind, bands in rows
        ]
    )


def dispatch(interval: dict[str, Any]) -> dict[str, Any]:
    rows = interval["bands"]
    units = [{"unit": unit, "region": "R", "dispatch_type": kind} for unit, kind, _ in rows]
    market = markets.SpotMarket(market_regions=["R"], unit_info=pd.DataFrame(units))
    market.set_unit_volume_bids(frame(rows, 0))
    market.set_unit_price_bids(frame(rows, 1))
    market.set_demand_constraints(
        pd.DataFrame({"region": ["R"], "demand": [float(interval["demand"])]})
    )
    market.dispatch()
    done = market.get_unit_dispatch()
    return {
        "price": float(market.get_energy_prices()["price"].iloc[0]),
        "dispatch": {
            f"{row.unit}/{row.dispatch_type}": float(row.dispatch) for row in done.itertuples()
        },
    }


if __name__ == "__main__":
    json.dump([dispatch(interval) for interval in json.load(sys.stdin)], sys.stdout)
