"""Which series somebody must give, or forecast, before a resource can be planned.

A cluster of like resources (`forecast_as`) has one series, which is what all of them do together, in kW; each
does its part of it by its size. So a fleet of ten thousand roofs is learnt and forecast as one, and a plan finds
each roof's course all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vpp.model.ids import ResourceId
from vpp.model.resource.common import Common
from vpp.model.resource.converter import Converter
from vpp.model.resource.ev import EvFleet
from vpp.model.resource.generator import Generator
from vpp.model.resource.loads import CurtailableLoad, FixedLoad
from vpp.model.resource.storage import Storage
from vpp.model.resource.thermal import ThermalZone

if TYPE_CHECKING:
    from vpp.model.resource import Resource


def power_series(resource: Common) -> str | None:
    """Net injection in kW of a load that comes by itself; None for the other kinds."""
    if isinstance(resource, FixedLoad | CurtailableLoad):
        return f"power.{resource.forecast_as or resource.resource_id}"
    return None


def available_series(resource: Common) -> str | None:
    """What the weather lets a generator feed, in kW; None for the other kinds."""
    if isinstance(resource, Generator) and resource.weather_driven:
        return f"available.{resource.forecast_as or resource.resource_id}"
    return None


def arriving_series(resource: Common) -> str | None:
    """Net injection in kW of cars that are still to come; None for the other kinds."""
    return f"arriving.{resource.resource_id}" if isinstance(resource, EvFleet) else None


def outdoor_series(resource: Common) -> str | None:
    """Outdoor temperature in °C that a zone or a converter feels; None where it feels none."""
    if isinstance(resource, ThermalZone | Converter):
        return resource.outdoor_series_id
    return None


def share_series(resource: Common) -> str | None:
    """Share of a storage's power that is available, 0 to 1; None where it always is."""
    return resource.power_series_id if isinstance(resource, Storage) else None


def needed_series(resource: Common) -> tuple[str, ...]:
    """All of them, by name."""
    named = (power_series, available_series, arriving_series, outdoor_series, share_series)
    return tuple(name for of in named if (name := of(resource)) is not None)


def parts_of_series(resources: Iterable[Resource]) -> dict[ResourceId, float]:
    """Which part of its cluster's series each member does, by size; who is alone in none is left out."""
    sizes_kw: dict[str, dict[ResourceId, float]] = {}
    for resource in resources:
        name = power_series(resource) or available_series(resource)
        if name is not None:
            size_kw = max(resource.draw_kw, resource.feed_kw)
            sizes_kw.setdefault(name, {})[resource.resource_id] = size_kw
    parts: dict[ResourceId, float] = {}
    for members in sizes_kw.values():
        if len(members) > 1:
            total = sum(members.values())
            parts |= {
                member: size_kw / total if total else 1 / len(members)
                for member, size_kw in members.items()
            }
    return parts
