"""Rules that a market file must keep beyond the form of its fields."""

from __future__ import annotations

from datetime import date, timedelta

from pydantic import TypeAdapter

from vpp.account.settlement import gap_rule_on
from vpp.service.config import read_document, shipped
from vpp.service.marketschema import MarketSection

MARKET: TypeAdapter[MarketSection] = TypeAdapter(MarketSection)


def test_a_day_ahead_market_says_what_a_missing_imbalance_price_settles_at() -> None:
    document = read_document(shipped("markets/se3_day_ahead.yaml"))
    market = document.parse(MARKET, (), document.tree)
    assert isinstance(market, MarketSection)
    rules = [rule.noun() for rule in market.settlement.gap_rules]
    assert gap_rule_on(rules, date(2025, 12, 3)).max_age == timedelta(hours=1)

    without = document.tree | {"settlement": {"price_series_id": "price.day-ahead.se3"}}
    faults = document.parse(MARKET, (), without)
    assert isinstance(faults, list)
    assert "gap_rules: a day-ahead market needs at least one" in str(faults[0])
