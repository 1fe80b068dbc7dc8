"""How offers of one product are made, in the park file."""

from __future__ import annotations

from typing import Literal

from vpp.model.ids import ProductId
from vpp.model.market import BidMode, Binding
from vpp.service.bids.curveschema import CurveSettings
from vpp.service.markets.schema import ProductName
from vpp.service.park.schematypes import Section


class BidSection(Section):
    """Of a product that does not stand there, offers are made in the mode `robust`."""

    product: ProductName
    mode: Literal["robust", "expected"] = "robust"
    """robust: whatever is accepted of an offer can be delivered within all limits. expected: it earns
    the most over several price scenarios (day-ahead products with a curve for each interval: steps, lines, segments)."""
    curves: CurveSettings | None = None
    """Of the mode `expected`."""

    def noun(self) -> Binding:
        """As the builders of offers know it."""
        return Binding(product_id=ProductId(self.product), mode=BidMode(self.mode))
