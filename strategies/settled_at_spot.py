"""Where no strategy trades, what the park draws and feeds is settled at the expected price of energy.

A base strategy: every park has it without asking. It holds in the steps that no `price_arbitrage` holds,
so that energy is never free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.plan.part import Part
from vpp.plan.terms import Commitment, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledAtSpot:
    """Nothing to set."""

    def terms(self, view: PlanningView, part: Part) -> tuple[Term, ...]:
        """One position, at one price both ways."""
        if not part.steps.any():
            return ()
        spot = np.where(part.steps, view.spot_per_kwh.values, 0.0)
        committed = np.where(part.steps, view.committed_kw, 0.0)
        return (Commitment(base_kw=committed, short_per_kwh=spot, long_per_kwh=spot),)


BASE = SettledAtSpot
