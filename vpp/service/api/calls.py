"""Activations: what is called of us, product by product."""

from __future__ import annotations

from vpp.model.activation import Activation
from vpp.model.market import Side
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.api.views import ActivationsView, ActivationView
from vpp.service.calls import activations
from vpp.service.plant import Plant
from vpp.wire import ActivationRequest


async def take_activation(plant: Plant, call: Call[Nothing, ActivationRequest]) -> ActivationView:
    taken = await activations.take(plant, call.path["product"], call.body, now=call.now)
    return _view(plant, taken)


async def list_activations(plant: Plant, call: Call[Nothing, Nothing]) -> ActivationsView:
    pack = activations.listed(plant, call.path["product"])
    return ActivationsView(
        product=pack.product_id,
        activations=[
            _view(plant, one)
            for one in plant.book.calls.standing()
            if one.product_id == pack.product_id
        ],
    )


def _view(plant: Plant, one: Activation) -> ActivationView:
    status = "booked" if one.quantity_mw else "withdrawn"
    return ActivationView.model_validate(
        {
            "activation_id": one.activation_id,
            "revision": one.revision,
            "status": status if plant.book.calls.stands(one) else "superseded",
            "unit": one.unit_id,
            "start": one.interval.start,
            "end": one.interval.end,
            "direction": "up" if one.side is Side.SELL else "down",
            "quantity_mw": one.quantity_mw,
            "source": one.source,
            "received_at": one.received_at,
        }
    )


_PATH = "/v1/markets/{product}/activations"

ROUTES: tuple[AnyRoute, ...] = (
    reading(
        _PATH,
        "What is called of us, and what was",
        list_activations,
        gives=ActivationsView,
        codes=("unknown_product",),
    ),
    writing(
        "POST",
        _PATH,
        "Call for what we hold ready, or give an instruction; acknowledged when it is on disk",
        take_activation,
        takes=ActivationRequest,
        gives=ActivationView,
        codes=(
            *("unknown_product", "unknown_unit", "off_grid", "over", "conflict", "invalid_data"),
            "unavailable",
        ),
    ),
)
