"""The park file's section `alarms`: who is told of what nobody acknowledges, and what is otherwise here.

alarms:
escalate:
- {priority: high, after_minutes: 10, to: [wang]}
kinds: {devices_silent: {priority: low, after_s: 300}}
shelve_most_hours: 24
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from vpp.model.alarm import Priority
from vpp.service.alarms.catalogue import CATALOGUE, AlarmKind
from vpp.service.park.schematypes import Id, Section


def _known(name: str) -> str:
    if name not in CATALOGUE:
        raise ValueError(f"there is no kind {name!r} of alarm: use one of {sorted(CATALOGUE)}")
    return name


PriorityName = Literal["critical", "high", "medium", "low"]
KindName = Annotated[str, AfterValidator(_known)]


class EscalationSection(Section):
    """Who is told when nobody acknowledges."""

    priority: PriorityName = "high"
    """Alarms of this priority and more urgent ones."""
    after_minutes: Annotated[float, Field(ge=0, le=1440)] = 10.0
    """So long after it was raised."""
    to: Annotated[list[Id], Field(min_length=1, max_length=20)]
    """Persons of `people.persons`, over every way to each of them."""


class KindSection(Section):
    """What of a kind is otherwise in this park."""

    priority: PriorityName | None = None
    after_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    """It must hold so long before it is told."""
    clear_after_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    """It must be gone so long before it is over."""


class AlarmsSection(Section):
    """Alarms: escalation, and what differs from the catalogue."""

    escalate: Annotated[list[EscalationSection], Field(max_length=20)] = Field(default_factory=list)
    kinds: dict[KindName, KindSection] = Field(default_factory=dict)
    shelve_most_hours: Annotated[float, Field(gt=0, le=168)] = 24.0
    """Nothing is shelved for longer."""


def kinds_of(section: AlarmsSection) -> Mapping[str, AlarmKind]:
    """The catalogue as it is in one park."""
    return {name: _kind(kind, section.kinds.get(name)) for name, kind in CATALOGUE.items()}


def _kind(kind: AlarmKind, own: KindSection | None) -> AlarmKind:
    if own is None:
        return kind
    return replace(
        kind,
        priority=kind.priority if own.priority is None else Priority(own.priority),
        after=kind.after if own.after_s is None else timedelta(seconds=own.after_s),
        clear_after=(
            kind.clear_after if own.clear_after_s is None else timedelta(seconds=own.clear_after_s)
        ),
    )
