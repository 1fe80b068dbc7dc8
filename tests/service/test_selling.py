"""What strategies let be sold: reserve and regulation by whom, at what least price, to what share; and which calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.service.drpark import planned
from tests.service.regulationpark import ASKED_AT, DAY, MILEAGE, a_park
from vpp.model.ids import ProductId
from vpp.model.market import Bid
from vpp.service.plant import Plant
from vpp.service.strategies.reading import parse_strategies
from vpp.service.strategies.selling import RESERVE, terms_of
from vpp.service.trading.trading import plan_offer


def asked(plant: Plant, text: str) -> None:
    """The plant, with more strategies in its file."""
    own = plant.strategies
    read = parse_strategies((own.text + text).encode(), own.ground, name="s.yaml")
    plant.file = replace(plant.file, strategies=read)


def offered(plant: Plant) -> tuple[Bid, ...]:
    assert plant.schedule is not None
    product = plant.products[ProductId(MILEAGE)]
    return plan_offer(plant, product, plant.file.park.bidding_units[0], DAY, plant.schedule)


def regulation(scope: str = "", **settings: float) -> str:
    said = ", ".join(f"{name}: {value}" for name, value in settings.items())
    return f"  - {{name: agc, use: frequency_regulation{scope}, with: {{{said}}}}}\n"


def most_mw(bids: tuple[Bid, ...]) -> Decimal:
    return max((Decimal(str(bid.most_mwh)) for bid in bids), default=Decimal(0))


def asks(bids: tuple[Bid, ...]) -> set[Decimal]:
    """Prices that are asked."""
    return {price for bid in bids for _, price in bid.offer.priced_mw if price is not None}


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    made = a_park(tmp_path, MILEAGE)
    asyncio.run(planned(made, ASKED_AT))
    return made


def test_regulation_is_sold_for_no_less_than_its_strategy_asks(plant: Plant) -> None:
    before = asks(offered(plant))
    asked(plant, regulation(least_mileage_price_per_mw=float(max(before)) + 1))
    assert asks(offered(plant)) == {max(before) + 1}


@pytest.mark.parametrize(("share", "mw"), [(0.25, 10), (0.24, 0)])
def test_regulation_is_sold_to_its_share_of_what_is_declared(
    plant: Plant, share: float, mw: int
) -> None:
    """40 MW are declared, 10 MW are the least that the market takes, and all that the battery has."""
    asked(plant, regulation(most_share=share))
    assert most_mw(offered(plant)) == mw


def test_regulation_is_sold_by_those_in_the_scope_alone(plant: Plant) -> None:
    asked(plant, regulation(", scope: {enterprises: [dairy]}"))  # which has no battery
    assert offered(plant) == ()


def test_regulation_is_not_sold_at_an_hour_at_which_no_strategy_does(plant: Plant) -> None:
    asked(plant, regulation(", schedule: {months: [1]}"))
    assert offered(plant) == ()


def test_a_least_price_that_the_market_cannot_pay_sells_nothing(plant: Plant) -> None:
    asked(plant, regulation(least_mileage_price_per_mw=999_999))
    assert offered(plant) == ()


def test_a_file_without_such_a_strategy_sells_as_before(plant: Plant) -> None:
    assert terms_of(plant.strategies, RESERVE, DAY.start) is None
    assert offered(plant)
