"""Messages of the HTTP contract about regulation: how signals are followed now.

MW as text where they are compared with a market's, above 0 feeds; times ISO 8601 with a zone. See `wire.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from vpp.wire import WireModel


class IndexPartsView(WireModel):
    """What an index is put together from, each as its rule counts it."""

    rate: Decimal
    """K1 of Hunan and the north, k1 of the south."""
    delay: Decimal
    """K2 of Hunan, k2 of the south, K3 of the north."""
    accuracy: Decimal
    """K3 of Hunan, k3 of the south, K2 of the north."""


class PjmScoreView(WireModel):
    """PJM's score of the last hour, each part from 0 to 1."""

    accuracy: float
    delay: float
    precision: float
    score: float


class RegulationRunView(WireModel):
    """The newest run of a product's signal. Means are over its instructions that are over."""

    product: str
    running: bool
    since: datetime
    until: datetime
    awarded_mw: Decimal
    asked_mw: Decimal
    response_mw: Decimal | None
    """Measured, less what is owed without the signal."""
    error_mw_now: Decimal | None
    mileage_mw: Decimal
    instructions: int
    samples: int
    """Counted since the service began, as all of this."""
    first_reaction_s: Decimal | None
    """Of the first instruction: until a tenth of it was done."""
    delay_s: Decimal | None
    rate_mw_per_min: Decimal | None
    error_mw: Decimal | None
    index_name: str
    """By the product's market file."""
    parts: IndexPartsView | None
    index: Decimal | None
    in_band_share: Decimal | None
    """Of samples within the acceptance band."""
    pjm: PjmScoreView | None


class RegulationView(WireModel):
    """How signals are followed."""

    at: datetime
    runs: list[RegulationRunView]
