"""Schedule nominations: what was announced for each day, and what is confirmed of it."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal

from vpp.errors import DataError
from vpp.model.nomination import ConfirmedSchedule
from vpp.model.time import Interval
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.plant import Plant
from vpp.service.trading import nominating
from vpp.service.trading.positiondesk import HeldNomination
from vpp.wireposition import (
    ConfirmationRequest,
    DifferenceView,
    NominationLineView,
    NominationsView,
    NominationView,
    ShownNomination,
)


async def list_nominations(plant: Plant, call: Call[Nothing, Nothing]) -> NominationsView:
    return NominationsView(
        nominations=[_view(plant, one) for one in nominating.newest_versions(plant)]
    )


async def show_nomination(plant: Plant, call: Call[Nothing, Nothing]) -> ShownNomination:
    return _shown(plant, _found(plant, call.path["nomination_id"]))


async def confirm_nomination(
    plant: Plant, call: Call[Nothing, ConfirmationRequest]
) -> ShownNomination:
    name, body = call.path["nomination_id"], call.body
    _found(plant, name)
    confirmed: dict[Interval, Decimal] = {}
    for line in body.confirmed:
        interval = Interval(line.start.astimezone(UTC), line.end.astimezone(UTC))
        if confirmed.setdefault(interval, line.confirmed_mw) != line.confirmed_mw:
            raise DataError(
                f"{line.start} stands twice", where=f"nomination {name}", fix="Name each once"
            )
    schedule = ConfirmedSchedule(
        nomination_id=name, version=body.version, confirmed_mw=confirmed, where="the API"
    )
    return _shown(plant, await nominating.confirm(plant, schedule, now=call.now))


def _found(plant: Plant, name: str) -> HeldNomination:
    for held in nominating.newest_versions(plant):
        if held.nomination.nomination_id == name:
            return held
    raise HttpRefusal(
        "nothing of that name was nominated",
        code="unknown_nomination",
        where=f"nomination {name[:80]}",
        fix="Look at GET /v1/positions/nominations",
    )


def _view(plant: Plant, held: HeldNomination) -> NominationView:
    of = held.nomination
    return NominationView(
        nomination_id=of.nomination_id,
        unit=of.unit_id,
        delivery_day=of.day,
        version=of.version,
        digest=held.digest,
        made_at=held.made_at,
        written=of.name in plant.positions.put_out,
        confirm_by=held.confirm_by,
        status=held.status,
        differs_in=len(held.differences),
    )


def _shown(plant: Plant, held: HeldNomination) -> ShownNomination:
    return ShownNomination(
        nomination=_view(plant, held),
        lines=[
            NominationLineView(start=interval.start, end=interval.end, nominated_mw=mw)
            for interval, mw in held.nomination.nominated_mw.items()
        ],
        differences=[
            DifferenceView(
                start=one.interval.start,
                end=one.interval.end,
                nominated_mw=one.nominated_mw,
                confirmed_mw=one.confirmed_mw,
                by_mw=one.by_mw,
            )
            for one in held.differences
        ],
    )


_PATH = "/v1/positions/nominations"

ROUTES: tuple[AnyRoute, ...] = (
    reading(
        _PATH,
        "The newest version of each schedule nomination, and what became of it",
        list_nominations,
        gives=NominationsView,
    ),
    reading(
        f"{_PATH}/{{nomination_id}}",
        "One nomination, interval by interval",
        show_nomination,
        gives=ShownNomination,
        codes=("unknown_nomination",),
    ),
    writing(
        "POST",
        f"{_PATH}/{{nomination_id}}/confirmation",
        "Confirm a nomination, or say what is held instead; it is matched interval by interval",
        confirm_nomination,
        takes=ConfirmationRequest,
        gives=ShownNomination,
        codes=("unknown_nomination", "invalid_data", "unavailable"),
    ),
)
