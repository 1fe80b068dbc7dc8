"""A cloud front over a park that sold its sun: what the intraday auctions save, in small."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from benchmarks.cloud_front import WITH, WITHOUT, Asked, both, lost
from vpp.service.inline import InlineExecutor


def test_re_trading_through_the_intraday_auctions_costs_less_than_the_imbalance_it_avoids() -> None:
    asked = Asked(every=timedelta(hours=3), hours=14)

    rows = asyncio.run(both(asked, InlineExecutor()))

    with_, without = rows[WITH], rows[WITHOUT]
    assert without.imbalance_kwh > 4000  # three of four hours: 3 MW of sun, a fifth is left
    assert with_.imbalance_kwh < without.imbalance_kwh / 2
    assert lost(with_) < lost(without) / 2
    assert with_.cost < without.cost
    assert (with_.plans_failed, without.plans_failed) == (0, 0)
