"""Loads that people turn down: what must fit together in a park file."""

from __future__ import annotations

from datetime import timedelta

from vpp.model.resource import CurtailableLoad
from vpp.service.instructions.schema import InstructionsSection, ReachedSection
from vpp.service.links.carriers import told_set_points
from vpp.service.park.config import KeyPath
from vpp.service.park.parts import Parts, require

LEAST_TIME = timedelta(minutes=30)
"""Between a plan that calls a load and the deadline: plans are made as of the quarter-hour before, and a person
needs some minutes to look."""


def check_instructions(parts: Parts) -> None:
    """Each is a load that can be turned down in calls, once, by somebody who is known and nobody else, in time."""
    section = parts.instructions
    if section is None:
        return
    seen: set[str] = set()
    told = told_set_points(parts)
    for place, one in enumerate(section.resources):
        where: KeyPath = ("instructions", "resources", place)
        require(parts, (*where, "person"), one.person, parts.known("person"), "person")
        if not require(
            parts, (*where, "resource"), one.resource, parts.known("resource"), "resource"
        ):
            continue
        if one.resource in seen:
            parts.fault((*where, "resource"), f"{one.resource} stands there already")
        seen.add(one.resource)
        if one.resource in told:
            place_of_link, link = told[one.resource]
            what = f"{one.person} turns {one.resource} by hand, and {link!r} sends it set-points"
            parts.fault(place_of_link, f"{what}: let the link only read it")
        if (load := parts.by_id().get(one.resource)) is None:
            continue  # it is faulty itself
        if not isinstance(load, CurtailableLoad) or load.node_id is not None:
            what = (
                f"{one.resource} is no curtailable_load of electricity: no person can turn it down"
            )
            parts.fault((*where, "resource"), what)
        else:
            _check_time(parts, (*where, "resource"), section, one, load)


def _check_time(
    parts: Parts,
    where: KeyPath,
    section: InstructionsSection,
    one: ReachedSection,
    load: CurtailableLoad,
) -> None:
    """A call that is planned can still be answered; one that nobody was told of can still be told."""
    least = section.answer_before(one) + LEAST_TIME
    if load.notice < least:
        parts.fault(
            where,
            f"{one.resource} has a notice_minutes of {load.notice // timedelta(minutes=1)}: give"
            f" {least // timedelta(minutes=1)} or more, so that there is time to answer",
        )
    every = timedelta(0) if parts.planning is None else parts.planning.every
    if section.tell_before < load.notice + every:
        parts.fault(
            where,
            f"its notice_minutes and planning.every_minutes are"
            f" {(load.notice + every) // timedelta(minutes=1)}: tell_before_minutes must not be less",
        )
