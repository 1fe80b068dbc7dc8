"""Offers to and from their messages: the fields of a form are called the same on both sides.

Decimals are written as plain strings, an interval as its start and end, and what is None not at all.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, TypeAdapter

from vpp.model import offer as forms
from vpp.model.offer import Offer
from vpp.model.time import Interval
from vpp.wire import WireOffer

_WIRE: TypeAdapter[WireOffer] = TypeAdapter(WireOffer)
_FORMS: tuple[type[Offer], ...] = (
    forms.StepCurveOffer,
    forms.LinearCurveOffer,
    forms.SegmentsOffer,
    forms.EnvelopeOffer,
    forms.PriceBandsOffer,
    forms.SingleOffer,
    forms.BidOfferPairsOffer,
    forms.BlockOffer,
    forms.SelfScheduleOffer,
    forms.QuantityOnlyOffer,
)
_BY_FORM = {form.form: form for form in _FORMS}
_INSIDE: dict[str, type] = {
    "steps": forms.CurveStep,
    "points": forms.CurvePoint,
    "segments": forms.Segment,
    "bands": forms.PriceBand,
    "pairs": forms.PricePair,
    "parts": forms.BlockPart,
    "trapezium": forms.Trapezium,
}
"""What the fields that hold more than a number are made of."""


def offer_to_json(offer: Offer) -> dict[str, Any]:
    """The offer as JSON holds it, `form` first."""
    return {"form": offer.form, **_to_json(offer)}


def offer_to_wire(offer: Offer) -> WireOffer:
    """The offer as a message."""
    return _WIRE.validate_python(offer_to_json(offer))


def offer_from_wire(message: WireOffer) -> Offer:
    """The offer that a message speaks of.

    Raises:
        DataError: It breaks a rule of its form.
    """
    return _BY_FORM[message.form](**_read(message))


def _to_json(value: Any) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for field in fields(value):
        match getattr(value, field.name):
            case None:
                pass
            case Decimal() as number:
                told[field.name] = format(number, "f")
            case Interval(start=start, end=end):
                told |= {"start": start, "end": end}
            case tuple() as items:
                told[field.name] = [_to_json(item) for item in items]
            case str() | int() as plain:
                told[field.name] = plain
            case inside:
                told[field.name] = _to_json(inside)
    return told


def _read(message: BaseModel) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name in type(message).model_fields:
        value = getattr(message, name)
        if isinstance(value, list):
            read[name] = tuple(_INSIDE[name](**_read(item)) for item in value)
        elif isinstance(value, BaseModel):
            read[name] = _INSIDE[name](**_read(value))
        elif name not in ("form", "start", "end"):
            read[name] = value
    if "start" in type(message).model_fields:
        start, end = message.start, message.end  # type: ignore[attr-defined]  # a part of a block
        read["interval"] = Interval(start.astimezone(UTC), end.astimezone(UTC))
    return read
