"""Which series somebody must give, or forecast, before a resource can be planned."""

from __future__ import annotations

from vpp.model.resource.common import Common
from vpp.model.resource.converter import Converter
from vpp.model.resource.ev import EvFleet
from vpp.model.resource.generator import Generator
from vpp.model.resource.loads import CurtailableLoad, FixedLoad
from vpp.model.resource.storage import Storage
from vpp.model.resource.thermal import ThermalZone


def power_series(resource: Common) -> str | None:
    """Net injection in kW of a load that comes by itself; None for the other kinds."""
    comes = isinstance(resource, FixedLoad | CurtailableLoad)
    return f"power.{resource.resource_id}" if comes else None


def available_series(resource: Common) -> str | None:
    """What the weather lets a generator feed, in kW; None for the other kinds."""
    driven = isinstance(resource, Generator) and resource.weather_driven
    return f"available.{resource.resource_id}" if driven else None


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
