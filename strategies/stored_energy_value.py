"""Do not empty the stores only because the horizon ends: value what is left in them.

A base strategy: every park has it without asking. A kWh that is left saves buying one later. What that
will cost is taken as the mean expected price of the whole horizon, energy and network together. A kWh of
another carrier saves the electricity that its best converter would take to make it again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.plan.terms import StoredEnergyValue, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEnergyWorth:
    """Nothing to set."""

    def terms(self, view: PlanningView) -> tuple[Term, ...]:
        """One value for all stores."""
        network = [price.values.mean() for price in view.import_per_kwh.values()]
        mean = float(view.spot_per_kwh.values.mean()) + float(np.mean(network) if network else 0.0)
        nodes = [node.node_id for node in view.park.nodes]
        worth = {node: view.park.electricity_worth(node) for node in nodes}
        return (StoredEnergyValue(price_per_kwh=max(mean, 0.0), electricity_per_kwh=worth),)


BASE = StoredEnergyWorth
