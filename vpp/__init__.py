"""An open virtual power plant for the enterprises of industrial parks.

 devices ─▶ intake ──newest──▶ state (frozen once a cycle, in resource order) ─┐
 series (prices, weather, meters …) ─▶ forecast ────────────────────▶ PlanningView ─▶ strategies
        commitments of what is sold already ───────────────────────────────▶   ▼   ◀── terms
                                                    compile → solve → validate → Schedule | fallback
                       ┌─────────────────────────────────────────┤
   offer per product ◀─┘ (bids come from the same model)         ▼
   Bid ─▶ journal ─▶ venue or simulator ─▶ Award ─▶ journal ─▶ position ─▶ share ─▶ guard ─▶ Setpoint ─▶ devices
                                                                                        ▲ track: who says yes and does not obey
   meters ─▶ baseline ─▶ delivery ─▶ settlement ─▶ member statements ─▶ carbon

Start reading at `vpp/service/cycle.py`: the whole day of the plant is there, in order.
Inside, power is kW and energy kWh, net injection positive (feeding the grid, selling); times
are aware UTC; money and market quantities are `Decimal` at the doors and float in the optimiser.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("vpp")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+source"
