"""A market that pays as bid, and one that clears ours among strangers: both sides keep the same books to the cent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from vpp.model.ids import ProductId
from vpp.model.time import QUARTER
from vpp.simulate.clearingrules import Among, AtPrice, Clearing

if TYPE_CHECKING:
    from tests.scenarios.conftest import MakePark, Play

DAY_AHEAD, QUARTER_HOUR = ProductId("se3-day-ahead"), ProductId("se3-quarter-hour")
RULES: dict[str, Clearing] = {
    DAY_AHEAD: Among(depth_mw=Decimal(20), spread=Decimal(40)),
    QUARTER_HOUR: AtPrice(pays="bid"),
}


def test_books_agree_where_a_market_pays_as_bid_and_where_it_clears_among_strangers(
    small_park: MakePark, play: Play
) -> None:
    file = small_park()
    simulation = file.simulation
    assert simulation is not None
    market = replace(simulation.market, clearing=RULES)

    # A run is scored only where statements and the venue's ledger agree.
    played = play(replace(file, simulation=replace(simulation, market=market)), length=4 * QUARTER)

    assert played.summary["awards"] > 0
    found = {price for _, price in played.report["prices"]["day_ahead"]}
    recorded = {
        str(Decimal(str(value)).quantize(Decimal("0.01")))
        for value in simulation.day_ahead_per_mwh.values
    }
    assert not found <= recorded  # strangers and ours have made prices of their own
    trades = [t for t in played.plant.book.position().all_trades() if t.product_id == QUARTER_HOUR]
    own = {str(price) for _, price in played.report["prices"]["quarter_hour"]}
    assert trades
    assert any(str(trade.price_per_mwh) not in own for trade in trades)
