"""The park as plans and bids may see it: who does not follow its set-points is nobody's to sell."""

from __future__ import annotations

from datetime import datetime

from vpp.act.health import Fault
from vpp.model.measurement import ParkState, Reading, Unknown
from vpp.sense.state import freeze
from vpp.service.plant import Plant


def biddable(plant: Plant, now: datetime) -> ParkState:
    """The state at `now`, without those that did not follow and have not proven since that they do.

    The plan holds them as unknown.
    """
    state = freeze(plant.file.park, plant.intake.newest, now)
    stray = plant.acting.health.fault == Fault.NOT_FOLLOWED
    if not stray.any():
        return state
    return ParkState(
        taken_at=state.taken_at,
        resources=tuple(
            Unknown(resource_id=one.resource_id, reason="it does not follow its set-points")
            if stray[at] and isinstance(one, Reading)
            else one
            for at, one in enumerate(state.resources)
        ),
    )
