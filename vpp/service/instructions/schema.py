"""The park file's section `instructions`: loads that are reached through a person, and how that person is asked.

    instructions: {answer_before_minutes, …, resources: [{resource, person}]}

Shape and ranges; what joins them with the park is in `checks.py`. Who the people are, and how each
is reached, stands under `people`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from vpp.service.park.schematypes import Fraction, Id, Positive, Section

Span = Annotated[int, Field(ge=0, le=2880)]


class ReachedSection(Section):
    """One load that a person turns down by hand."""

    resource: Id
    """A `curtailable_load` with a `notice_minutes`."""
    person: Id
    answer_before_minutes: Annotated[int, Field(ge=1, le=2880)] | None = None
    """In place of that of the section."""


class InstructionsSection(Section):
    """How people are asked."""

    tell_before_minutes: Annotated[int, Field(ge=15, le=2880)] = 240
    """A call of the plan is told as soon as it begins within this time; from then on it stands."""
    answer_before_minutes: Annotated[int, Field(ge=1, le=2880)] = 30
    """The deadline lies so long before the window: what is not promised by then is given to others."""
    remind_before_minutes: Span = 15
    """Whoever has not answered is reminded so long before the deadline; 0: nobody is."""
    least_kw: Positive = 5.0
    """Nobody is asked for less."""
    least_reliability: Fraction = 0.5
    """The plan counts on what came of the last instructions to a load, and on no less than this part."""
    reliability_instructions: Annotated[int, Field(ge=0, le=100)] = 5
    """So many last ones of a load count; 0: every one is counted on wholly."""
    resources: Annotated[list[ReachedSection], Field(max_length=1000)] = Field(default_factory=list)

    @property
    def tell_before(self) -> timedelta:
        return timedelta(minutes=self.tell_before_minutes)

    @property
    def remind_before(self) -> timedelta:
        return timedelta(minutes=self.remind_before_minutes)

    def answer_before(self, reached: ReachedSection) -> timedelta:
        """How long before a window the person of this load must have answered."""
        own = reached.answer_before_minutes
        return timedelta(minutes=self.answer_before_minutes if own is None else own)
