"""Strategies over HTTP: read, validate, preview, put, roll back, and a candidate in the shadow."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Annotated, TypeVar

from pydantic import Field

from vpp.errors import ConflictError
from vpp.service.api.problems import HttpRefusal
from vpp.service.api.reading import MAX_FAULTS
from vpp.service.api.routes import AnyRoute, Call, Nothing, reading, writing
from vpp.service.park.config import ConfigErrors
from vpp.service.plant import Plant
from vpp.service.tuning import changing, previewing, record, shadow
from vpp.service.tuning.desk import MOST_VERSIONS, Version
from vpp.service.tuning.differences import differences
from vpp.service.tuning.previewing import Preview
from vpp.service.tuning.reading import read_aside
from vpp.service.tuning.view import (
    fault_views,
    preview_view,
    shadows_view,
    strategies_view,
    version_view,
)
from vpp.wire import ProblemFault, WireModel
from vpp.wirestrategies import (
    PreviewRequest,
    PreviewView,
    RollbackRequest,
    ShadowEndRequest,
    ShadowRequest,
    ShadowsView,
    StrategiesRequest,
    StrategiesText,
    StrategiesView,
    ValidationView,
    VersionsView,
    VersionTextView,
    VersionView,
)

Made = TypeVar("Made")


async def show_strategies(plant: Plant, call: Call[Nothing, Nothing]) -> StrategiesView:
    return strategies_view(plant, call.now)


async def put_strategies(plant: Plant, call: Call[Nothing, StrategiesRequest]) -> VersionView:
    asked = call.body
    version = await _accepted(
        plant,
        changing.put(
            plant,
            asked.text,
            by=asked.by,
            reason=asked.reason,
            based_on=asked.based_on,
            now=call.now,
        ),
    )
    return version_view(plant, version)


async def validate(plant: Plant, call: Call[Nothing, StrategiesText]) -> ValidationView:
    try:
        read = await read_aside(plant, call.body.text)
    except ConfigErrors as error:
        faults = fault_views(error.faults[:MAX_FAULTS])
        return ValidationView(valid=False, version=None, faults=faults, changes=[])
    desk = plant.tuning
    before = plant.strategies if desk.waiting is None else desk.waiting
    changes = list(differences(before.section, read.section))
    return ValidationView(valid=True, version=read.version, faults=[], changes=changes)


class VersionsQuery(WireModel):
    before: Annotated[int, Field(ge=1, lt=10**9)] | None = None
    """Versions below this number."""


async def list_versions(plant: Plant, call: Call[VersionsQuery, Nothing]) -> VersionsView:
    before = call.query.before
    known = plant.tuning.versions
    if before is not None:
        known = record.versions_on_record(plant.journal)
    numbers = sorted((n for n in known if before is None or n < before), reverse=True)
    newest = [known[number] for number in numbers[:MOST_VERSIONS]]
    return VersionsView(versions=[version_view(plant, one) for one in newest])


async def show_version(plant: Plant, call: Call[Nothing, Nothing]) -> VersionTextView:
    asked = call.path["number"]
    number = int(asked) if asked.isdecimal() and len(asked) < 10 else 0
    known = _known_with_older(plant, number)
    version = known.get(number)
    text = None if version is None else record.text_of(plant.journal, version.number)
    if version is None or text is None:
        raise HttpRefusal(
            "there is no such version",
            code="unknown_version",
            where=f"version {asked[:80]}",
            fix="Look at GET /v1/strategies/versions",
        )
    return VersionTextView(
        version=version_view(plant, version),
        text=text,
        changes=await _changes(plant, known, version, text),
    )


def _known_with_older(plant: Plant, number: int) -> Mapping[int, Version]:
    """The versions at hand where they tell what was live before `number`, else all that are on record."""
    kept = plant.tuning.versions
    older = any(one.live_from is not None and one.number < number for one in kept.values())
    return kept if number in kept and older else record.versions_on_record(plant.journal)


async def _changes(
    plant: Plant, known: Mapping[int, Version], version: Version, text: str
) -> list[str]:
    """Against what was live before it; of texts that this release cannot read, that it cannot."""
    older = [
        one for one in known.values() if one.live_from is not None and one.number < version.number
    ]
    if not older:
        return []
    before = record.text_of(plant.journal, max(older, key=lambda one: one.number).number)
    try:
        old, new = await read_aside(plant, before or ""), await read_aside(plant, text)
    except ConfigErrors as error:
        return [f"cannot be told, for it cannot be read any more: {error.faults[0]}"]
    return list(differences(old.section, new.section))


async def roll_back(plant: Plant, call: Call[Nothing, RollbackRequest]) -> VersionView:
    asked = call.body
    version = await _accepted(
        plant,
        changing.roll_back(
            plant,
            asked.to,
            by=asked.by,
            reason=asked.reason,
            based_on=asked.based_on,
            now=call.now,
        ),
    )
    return version_view(plant, version)


async def start_preview(plant: Plant, call: Call[Nothing, PreviewRequest]) -> PreviewView:
    read = await _accepted(plant, read_aside(plant, call.body.text))
    try:
        preview = previewing.start(plant, read, call.body.backtest_days, call.now)
    except ConflictError as error:
        raise HttpRefusal(
            error.what, code="preview_running", where=error.where, fix=error.fix
        ) from error
    return preview_view(preview)


async def show_preview(plant: Plant, call: Call[Nothing, Nothing]) -> PreviewView:
    return preview_view(_found(plant, call))


async def cancel_preview(plant: Plant, call: Call[Nothing, Nothing]) -> PreviewView:
    preview = _found(plant, call)
    await previewing.cancel(plant, preview)
    return preview_view(preview)


def _found(plant: Plant, call: Call[Nothing, Nothing]) -> Preview:
    asked = call.path["preview_id"]
    preview = plant.tuning.previews.get(asked)
    if preview is None:
        raise HttpRefusal(
            "there is no such preview",
            code="unknown_preview",
            where=f"preview {asked[:80]}",
            fix="Start one: POST /v1/strategies/preview",
        )
    return preview


async def show_shadow(plant: Plant, call: Call[Nothing, Nothing]) -> ShadowsView:
    return shadows_view(plant)


async def start_shadow(plant: Plant, call: Call[Nothing, ShadowRequest]) -> ShadowsView:
    read = await _accepted(plant, read_aside(plant, call.body.text))
    await shadow.start(plant, read, by=call.body.by, reason=call.body.reason, now=call.now)
    return shadows_view(plant)


async def end_shadow(plant: Plant, call: Call[Nothing, ShadowEndRequest]) -> ShadowsView:
    await shadow.end(plant, by=call.body.by, reason=call.body.reason, now=call.now)
    return shadows_view(plant)


async def _accepted(plant: Plant, making: Awaitable[Made]) -> Made:
    """What was accepted; faults of the text are told all at once, each with its place."""
    try:
        return await making
    except ConfigErrors as error:
        plant.metrics.tuning.changed("refused")
        raise HttpRefusal(
            f"the text has {len(error.faults)} faults, the first: {error.faults[0]}"[:400],
            code="invalid_strategies",
            where="body.text",
            fix="Mend what `errors` lists; POST /v1/strategies/validate shows it too",
            faults=[
                ProblemFault(path=f"{one.line}:{one.column}: {one.path}", what=one.what)
                for one in error.faults[:MAX_FAULTS]
            ],
        ) from error


ROUTES: tuple[AnyRoute, ...] = (
    reading(
        "/v1/strategies",
        "The strategies that plans are made by, what waits, and what the file says",
        show_strategies,
        gives=StrategiesView,
    ),
    writing(
        "PUT",
        "/v1/strategies",
        "Take a strategy file from the next plan on; `based_on` is the version of the file it was made from",
        put_strategies,
        takes=StrategiesRequest,
        gives=VersionView,
        codes=("conflict", "invalid_strategies", "invalid_data", "unavailable"),
        example={
            "text": "strategies: []\n",
            "by": "Li",
            "reason": "the battery is worn",
            "based_on": "0123456789ab",
        },
    ),
    writing(
        "POST",
        "/v1/strategies/validate",
        "What is wrong with a strategy file, each fault with its place, and what it would change",
        validate,
        takes=StrategiesText,
        gives=ValidationView,
        keeps=False,
    ),
    writing(
        "POST",
        "/v1/strategies/preview",
        "Begin to find out what a strategy file would do: back-test and tomorrow's plan beside the live one",
        start_preview,
        takes=PreviewRequest,
        gives=PreviewView,
        codes=("invalid_strategies", "preview_running", "unavailable"),
        keeps=False,
    ),
    reading(
        "/v1/strategies/previews/{preview_id}",
        "How far a preview is, and what it found",
        show_preview,
        gives=PreviewView,
        codes=("unknown_preview",),
    ),
    reading(
        "/v1/strategies/previews/{preview_id}",
        "End a preview that runs; again changes nothing",
        cancel_preview,
        method="DELETE",
        gives=PreviewView,
        codes=("unknown_preview",),
    ),
    reading(
        "/v1/strategies/versions",
        "The newest 500 versions, or those before one; the newest first",
        list_versions,
        gives=VersionsView,
        query=VersionsQuery,
    ),
    reading(
        "/v1/strategies/versions/{number}",
        "One version with its text, and what it changed",
        show_version,
        gives=VersionTextView,
        codes=("unknown_version",),
    ),
    writing(
        "POST",
        "/v1/strategies/rollback",
        "Take the text of an earlier version back from the next plan on, as a new version",
        roll_back,
        takes=RollbackRequest,
        gives=VersionView,
        codes=("conflict", "invalid_strategies", "invalid_data", "unavailable"),
    ),
    reading(
        "/v1/strategies/shadow",
        "The candidate beside the live version, and its score",
        show_shadow,
        gives=ShadowsView,
    ),
    writing(
        "POST",
        "/v1/strategies/shadow",
        "Run a candidate beside the live version: it plans and never steers; it replaces the one before",
        start_shadow,
        takes=ShadowRequest,
        gives=ShadowsView,
        codes=("conflict", "invalid_strategies", "unavailable"),
    ),
    writing(
        "POST",
        "/v1/strategies/shadow/end",
        "Let the candidate rest; its score stays",
        end_shadow,
        takes=ShadowEndRequest,
        gives=ShadowsView,
        codes=("unavailable",),
    ),
)
