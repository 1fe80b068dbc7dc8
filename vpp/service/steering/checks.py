"""How a park is steered: what must fit its products."""

from __future__ import annotations

from vpp.service.park.parts import Parts, require


def check_control(parts: Parts) -> None:
    """Each product is there and named once, and changes something."""
    if parts.control is None:
        return
    known, seen = {pack.section.id for _, pack in parts.packs}, set[str]()
    for place, one in enumerate(parts.control.products):
        path = ("control", "products", place)
        require(parts, (*path, "product"), one.product, known, "product")
        if one.product in seen:
            parts.fault((*path, "product"), f"{one.product} stands there already")
        seen.add(one.product)
        if one.period_s is None and one.sharing is None:
            parts.fault(path, f"{one.product} is steered as all others: say period_s or sharing")
        if one.period_s is not None and one.period_s > parts.control.period_s:
            what = f"{one.period_s:g} s is longer than control.period_s {parts.control.period_s:g}"
            parts.fault((*path, "period_s"), f"{what}, which holds then")
