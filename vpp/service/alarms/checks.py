"""What joins the section `alarms` of a park file: whoever is told stands among its people."""

from __future__ import annotations

from vpp.service.park.parts import Parts, require


def check_alarms(parts: Parts) -> None:
    """Everybody who is told is there."""
    if parts.alarms is None:
        return
    known = parts.known("person")
    for place, rule in enumerate(parts.alarms.escalate):
        for at, name in enumerate(rule.to):
            require(parts, ("alarms", "escalate", place, "to", at), name, known, "person")
