"""What `simulation.market.clearing` says of a product must fit its market file."""

from __future__ import annotations

from vpp.service.markets.clearingschema import AgcSection
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts, require
from vpp.service.park.schema import SimulationSection


def check_clearing(parts: Parts, simulation: SimulationSection) -> None:
    """Each product is known and named once; a service has a price of its own, and a signal follows where a product says so."""
    packs = {pack.section.id: pack for _, pack in parts.packs}
    named: set[str] = set()
    for place, rule in enumerate(simulation.market.clearing):
        path: KeyPath = ("simulation", "market", "clearing", place)
        if not require(parts, (*path, "product"), rule.product, packs, "product"):
            continue
        if rule.product in named:
            parts.fault((*path, "product"), f"{rule.product} is cleared by a rule already")
        named.add(rule.product)
        pack = packs[rule.product]
        if pack.by_invitation:
            what = f"{rule.product} is called by invitation: see simulation.demand_response"
            parts.fault((*path, "product"), what)
        elif isinstance(rule, AgcSection) and not pack.by_signal:
            what = f"{rule.product} follows no signal: see its activation.trigger"
            parts.fault((*path, "style"), what)
        elif pack.section.kind in ("energy_da", "energy_id", "energy_rt"):
            continue
        elif rule.price is None:
            kind = pack.section.kind
            parts.fault(path, f"{rule.product} is {kind}, whose price nobody records: give one")
