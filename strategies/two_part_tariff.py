"""Pay the network: time-of-use energy, and a charge on the month's highest import.

    actual demand     each kW above the month's highest import so far
    contract          each kW above what the contract includes, or was paid already, at its multiple
    capacity          nothing a plan could change

A base strategy: every park has it without asking. What is charged is worked out from the park file's
tariffs (`vpp/plan/demand.py`). New peaks are priced, not forbidden, so that a cold day stays solvable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vpp.plan.terms import EnergyPrice, PeakCharge, Term
from vpp.plan.view import PlanningView


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPartTariff:
    """Takes everything from the tariffs of the park file; nothing to set."""

    def terms(self, view: PlanningView) -> tuple[Term, ...]:
        """An energy price at each connection point, a peak charge for each billing month."""
        energy: list[Term] = [
            EnergyPrice(
                connection_point_id=point_id,
                import_per_kwh=price.values,
                export_per_kwh=np.zeros(view.horizon.steps),
            )
            for point_id, price in view.import_per_kwh.items()
        ]
        peaks = [
            PeakCharge(
                connection_point_id=peak.connection_point_id,
                first_step=peak.first_step,
                last_step=peak.last_step,
                price_per_kw=peak.price_per_kw,
                free_kw=peak.paid_kw,
                interval_steps=peak.interval_steps,
                elapsed_steps=peak.elapsed_steps,
                elapsed_kw=peak.elapsed_kw,
                counts=peak.counts,
                margin=peak.margin,
            )
            for peak in view.paid_peaks
        ]
        return (*energy, *peaks)


BASE = TwoPartTariff
