"""What the page shows first: how the park stands, what today brought, and what waits for somebody."""

from __future__ import annotations

from vpp.service.api.routes import AnyRoute, Call, Nothing, reading
from vpp.service.links.watch import broker
from vpp.service.plant import Plant
from vpp.wirepage import EnterpriseName, StatusView


async def show_status(plant: Plant, call: Call[Nothing, Nothing]) -> StatusView:
    park = plant.file.park
    broker_connected, broker_since = broker(plant)
    return StatusView(
        park_id=park.park_id,
        name=park.name,
        timezone=park.timezone.key,
        currency=park.currency,
        now=call.now,
        safe_state=plant.safe_state.value,
        safe_state_reason=plant.safe_state_reason,
        kill_reason=plant.kill.reason,
        broker_connected=broker_connected,
        broker_since=broker_since,
        enterprises=[
            EnterpriseName(enterprise_id=e.enterprise_id, name=e.name) for e in park.enterprises
        ],
    )


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/status",
        "Whose park, what time there, and on which rung of the ladder",
        show_status,
        gives=StatusView,
    ),
)
