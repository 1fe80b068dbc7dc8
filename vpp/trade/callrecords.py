"""Activations as bytes in the record.

activation    the whole of it, with what was planned without it
signal_move   of a signal whose first set-point is there: where to, and no more; it moves 20 000 times a day
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from math import isfinite, nan
from typing import Literal

import msgspec
import numpy as np

from vpp.model.activation import Activation
from vpp.model.horizon import Horizon, Profile
from vpp.model.ids import ProductId, UnitId
from vpp.model.market import Side
from vpp.model.time import QUARTER, Interval, isoformat, parse_utc


class _Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    start: str
    net_kw: list[float | None]
    """In quarter-hours from `start` on; None where no plan was seen."""


class _ActivationRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    product: str
    unit: str
    start: str
    end: str
    side: Literal["buy", "sell"]
    quantity_mw: str
    source: str
    baseline: _Baseline | None
    invitation: str | None = None
    signal: bool = False


def activation_to_record(activation: Activation) -> bytes:
    """What the journal keeps of an activation, beside its key (id/revision) and its time."""
    profile = activation.baseline_kw
    baseline = None
    if profile is not None:
        known = [kw if isfinite(kw) else None for kw in profile.values.tolist()]
        baseline = _Baseline(start=isoformat(profile.horizon.start), net_kw=known)
    return msgspec.json.encode(
        _ActivationRecord(
            product=activation.product_id,
            unit=activation.unit_id,
            start=isoformat(activation.interval.start),
            end=isoformat(activation.interval.end),
            side=activation.side.value,
            quantity_mw=format(activation.quantity_mw, "f"),
            source=activation.source,
            baseline=baseline,
            invitation=activation.invitation_id,
            signal=activation.signal,
        )
    )


def is_move(activation: Activation, before: Activation | None) -> bool:
    """Whether a revision only moves a signal that is on record."""
    return (
        before is not None
        and activation.signal
        and before.signal
        and before.revision < activation.revision
        and (before.product_id, before.unit_id, before.interval, before.source)
        == (activation.product_id, activation.unit_id, activation.interval, activation.source)
    )


def move_to_record(activation: Activation) -> bytes:
    """What the journal keeps of a move, beside its key (id/revision) and its time."""
    return msgspec.json.encode(format(activation.activated_mw, "f"))


def move_from_record(
    key: str, body: bytes, received_at: datetime, before: Activation
) -> Activation:
    """The revision of `before` that a move is."""
    mw = Decimal(msgspec.json.decode(body, type=str))
    return replace(
        before,
        revision=int(key.rpartition("/")[2]),
        side=Side.SELL if mw >= 0 else Side.BUY,
        quantity_mw=abs(mw),
        received_at=received_at,
        followed=(),
    )


def activation_from_record(key: str, body: bytes, received_at: datetime) -> Activation:
    """The activation, as `BidBook.activate` takes it."""
    record = msgspec.json.decode(body, type=_ActivationRecord)
    name, _, revision = key.rpartition("/")
    where = f"record of activation {key}"
    baseline = None
    if record.baseline is not None:
        net_kw = np.array([nan if kw is None else kw for kw in record.baseline.net_kw])
        start = parse_utc(record.baseline.start, where=where)
        baseline = Profile(Horizon(start, QUARTER, len(net_kw)), net_kw)
    return Activation(
        activation_id=name,
        revision=int(revision),
        product_id=ProductId(record.product),
        unit_id=UnitId(record.unit),
        interval=Interval(parse_utc(record.start, where=where), parse_utc(record.end, where=where)),
        side=Side(record.side),
        quantity_mw=Decimal(record.quantity_mw),
        source=record.source,
        received_at=received_at,
        invitation_id=record.invitation,
        signal=record.signal,
        baseline_kw=baseline,
    )
