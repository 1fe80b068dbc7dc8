"""How bids in the mode `expected` are made, in park files and cases."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vpp.service.park.schematypes import Positive, Section, Share


class CurveSettings(Section):
    """Curves that earn the most over several price scenarios."""

    scenarios: Annotated[int, Field(ge=2, le=10)] = 10
    """How many prices each curve is made for, of those that the planner draws for its futures or for this."""
    cvar_weight: Annotated[float, Field(ge=0, le=1)] = 0.1
    """0: the mean profit counts; 1: only that of the worst scenarios; between: a mixture."""
    cvar_level: Annotated[float, Field(ge=0, lt=1)] = 0.8
    """The worst 1 - cvar_level of the scenarios are meant by that."""
    paths: Annotated[int, Field(ge=20, le=2000)] = 200
    """On so many price paths beside the scenarios the curves are tried before they are offered."""
    most_undelivered: Share = 0.02
    """Share of the energy traded on these paths that may stay undelivered: beyond, curves are cut."""
    undelivered_per_kwh: Positive = 5.0
    """What a kWh that is not delivered costs on these paths, in the park's currency: above every market price (in
    EUR 4 at most), below a broken limit (`planning.limit_excess_per_kwh`), so that the park does what it can."""
    seconds: Annotated[float, Field(gt=0, le=600)] = 20.0
    """Time for all of it, beside the plan's own."""
