"""Rules that a market file must keep beyond the form of its fields."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from pydantic import ValidationError

from vpp.account.settlement import gap_rule_on
from vpp.service.config import read_document, shipped
from vpp.service.marketschema import MarketSection


def test_a_day_ahead_market_says_what_a_missing_imbalance_price_settles_at() -> None:
    tree = dict(read_document(shipped("markets/se3_day_ahead.yaml")).tree)
    rules = [rule.noun() for rule in MarketSection.model_validate(tree).settlement.gap_rules]
    assert gap_rule_on(rules, date(2025, 12, 3)).max_age == timedelta(hours=1)

    tree["settlement"] = {"price_series_id": "price.day-ahead.se3"}
    with pytest.raises(ValidationError, match="gap_rules: a day-ahead market needs at least one"):
        MarketSection.model_validate(tree)
