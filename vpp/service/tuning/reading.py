"""A text read as the strategy file of a park that is in service, beside the event loop."""

from __future__ import annotations

import asyncio

from vpp.service.plant import Plant
from vpp.service.strategies.reading import parse_strategies
from vpp.service.strategies.strategies import Strategies


async def read_aside(plant: Plant, text: str) -> Strategies:
    """The strategies that a text holds.

    Raises:
        ConfigErrors: Every fault found, each with its place.
    """
    path, ground = plant.tuning.path, plant.strategies.ground
    name = "strategies" if path is None else path.name
    return await asyncio.to_thread(parse_strategies, text.encode(), ground, name=name, path=path)
