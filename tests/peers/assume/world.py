# SPDX-License-Identifier: AGPL-3.0-or-later
"""A month of day-ahead auctions in ASSUME: thermal plants, a demand, and one unit of ours.

python world.py URL PRODUCT DAYS MINUTES

URL is that of a simulation, MINUTES the length of a product (60 or 15). Prints one JSON document: the
ledger of every auction, and what ASSUME's own books say of our unit.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from datetime import datetime, timedelta

from assume import World
from assume.common.fast_pandas import FastIndex
from assume.common.forecaster import DemandForecaster, PowerplantForecaster, UnitForecaster
from assume.common.market_objects import MarketConfig, MarketProduct
from dateutil import rrule
from dateutil.relativedelta import relativedelta
from strategy import ExternalUnit, SimulationStrategy

FIRST_ASK = datetime(2025, 12, 2, 11)  # noqa: DTZ001  (ASSUME's times name no zone)
"""The opening of the first auction; it clears an hour later, for the next day."""

PLANTS = (  # MW, fuel price, efficiency: marginal costs of 25 to 140 a MWh
    ("lignite", 40.0, 10.0, 0.40),
    ("coal", 30.0, 22.0, 0.42),
    ("gas", 30.0, 38.0, 0.55),
    ("old-gas", 20.0, 38.0, 0.38),
    ("oil", 20.0, 49.0, 0.35),
)


def demand_mw(at: datetime) -> float:
    """Between 55 and 112 MW: low at night, high in the evening, lower at weekends, never twice the same."""
    by_hour = 80 + 25 * math.sin(2 * math.pi * (at.hour + at.minute / 60 - 13) / 24)
    by_week = -8 if at.weekday() >= 5 else 0
    return by_hour + by_week + 5 * math.sin(at.toordinal()) + 2 * math.sin(7 * at.hour + at.minute)


def built(url: str, product: str, days: int, step: timedelta) -> tuple[World, SimulationStrategy]:
    start = FIRST_ASK - timedelta(hours=11)
    end = start + timedelta(days=days + 2)
    world = World(log_level="ERROR")
    world.unit_types["external"] = ExternalUnit
    world.bidding_strategies["simulation"] = SimulationStrategy
    world.setup(start=start, end=end, simulation_id="month", save_frequency_hours=None)
    index = FastIndex(start=start, end=end, freq=step)

    minutes = step // timedelta(minutes=1)
    last_delivered = FIRST_ASK + timedelta(days=days - 1, hours=13 + 24)
    market = MarketConfig(
        market_id="day-ahead",
        opening_hours=rrule.rrule(rrule.DAILY, dtstart=FIRST_ASK, until=last_delivered),
        opening_duration=timedelta(hours=1),
        market_mechanism="pay_as_clear",
        market_products=[
            MarketProduct(
                duration=relativedelta(minutes=minutes),
                count=24 * 60 // minutes,
                first_delivery=relativedelta(hours=13),
            )
        ],
        maximum_bid_volume=1000,
        maximum_bid_price=4000,
        minimum_bid_price=-500,
    )  # no ticks: with ticks orders come back in ticks
    world.add_market_operator("operator")
    world.add_market("operator", market)

    for name, size_mw, fuel_price, efficiency in PLANTS:
        world.add_unit_operator(f"owner of {name}")
        world.add_unit(
            name,
            "power_plant",
            f"owner of {name}",
            {
                "max_power": size_mw,
                "min_power": 0.0,
                "efficiency": efficiency,
                "fuel_type": name,
                "bidding_strategies": {"day-ahead": "powerplant_energy_naive"},
                "technology": name,
            },
            PowerplantForecaster(index, fuel_prices={name: fuel_price}),
        )
    world.add_unit_operator("town")
    drawn = [-demand_mw(start + k * step) for k in range(len(index))]
    world.add_unit(
        "town",
        "demand",
        "town",
        {
            "max_power": -1000.0,
            "min_power": 0.0,
            "price": 3000.0,
            "bidding_strategies": {"day-ahead": "demand_energy_naive"},
            "technology": "demand",
        },
        DemandForecaster(index, demand=drawn),
    )
    world.add_unit_operator("park")
    strategy = SimulationStrategy(url=url, product=product)
    unit = ExternalUnit(
        id="park",
        unit_operator="park",
        technology="park",
        bidding_strategies={"day-ahead": strategy},
        forecaster=UnitForecaster(index),
        max_power=2.5,
        min_power=-2.5,
    )
    world.add_unit_instance("park", unit)
    return world, strategy


def main() -> None:
    logging.disable(logging.WARNING)
    url, product, days, minutes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    step = timedelta(minutes=minutes)
    world, strategy = built(url, product, days, step)
    world.run()
    outputs = world.unit_operators["park"].units["park"].outputs
    hours = step / timedelta(hours=1)
    energy = [float(mw) * hours for mw in outputs["energy"].data]
    # ASSUME counts price times power an index step; an hour holds so many of them.
    cash = [float(value) * hours for value in outputs["energy_cashflow"].data]
    prices = sorted({round(float(p), 2) for p in outputs["energy_accepted_price"].data})
    document = {
        "ledger": strategy.ledger,
        "sold_mwh": sum(mwh for mwh in energy if mwh > 0),
        "bought_mwh": -sum(mwh for mwh in energy if mwh < 0),
        "net_mwh": sum(energy),
        "cashflow": sum(cash),
        "prices": prices,
    }
    sys.stdout.write(f"RESULT {json.dumps(document)}\n")


if __name__ == "__main__":
    main()
