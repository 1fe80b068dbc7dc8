"""The strategy file, key by key: what a person may write.

    strategies:
      - name: evening                 # how people speak of it
        use: peak_shaving             # a file of strategies/
        priority: 60                  # of two of one kind in the same place and step the higher holds
        scope: {enterprises: [steel]} # left out: the park
        schedule: {days: [mon, tue], hours: ["17:00-21:00"], holidays: without}
        with: {most_import_kw: 3000, excess_per_kwh: 0.5}
        overrides: {metal: {most_import_kw: 2500}}
    members:
      steel:
        maintenance: [{resources: [steel-battery], from: .., to: .., reason: ..}]

Only shape and ranges stand here; what must fit the park is in `checks.py`, and the settings of each
strategy are checked by the strategy's own dataclass.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, model_validator

from vpp.model.hours import Hours
from vpp.model.ids import EnterpriseId, ResourceId
from vpp.model.members import MemberRule, Window
from vpp.model.time import Interval
from vpp.service.park.schematypes import (
    WEEK,
    Count,
    Day,
    Id,
    Section,
    Tag,
    Text,
    day_numbers,
    whole_minute,
)
from vpp.service.park.tariffschema import YEAR, Month

MOST_STRATEGIES = 200
MOST_WINDOWS = 200

_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")


def _span(text: str) -> str:
    if _SPAN.fullmatch(text) is None or text[6:] > "24:00" or text[:5] == text[6:]:
        raise ValueError(f"{text!r} is no span of hours such as 07:00-22:00")
    return text


HoursSpan = Annotated[str, AfterValidator(_span)]
WHOLE_DAY = ["00:00-24:00"]
Moment = Annotated[AwareDatetime, AfterValidator(whole_minute)]
StrategyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
FileStem = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


class ScheduleSection(Section):
    """When it holds, by the park's clock; all that is said must fit, and what is left out holds always."""

    days: Annotated[list[Day], Field(min_length=1)] = WEEK
    hours: Annotated[list[HoursSpan], Field(min_length=1, max_length=24)] = WHOLE_DAY
    """Spans such as 07:00-22:00; one that passes midnight (22:00-06:00) holds at both ends of each day."""
    months: Annotated[list[Month], Field(min_length=1)] = YEAR
    holidays: Literal["with", "without", "only"] = "with"
    """Rest days of the park's calendar: with them, without them, or only on them."""

    def noun(self) -> tuple[Hours, ...]:
        """Hours, any of which must hold; none where it holds always."""
        if self == ScheduleSection():
            return ()
        return tuple(
            Hours(
                start=start,
                end=end,
                days=day_numbers(self.days),
                months=tuple(self.months),
                holidays={"with": None, "without": False, "only": True}[self.holidays],
            )
            for span in self.hours
            for start, end in _clock(span)
        )


def _clock(span: str) -> list[tuple[time, time]]:
    """A span as hours of one day: two where it passes midnight; an end of 00:00 is that of the day."""
    start, end = time.fromisoformat(span[:5]), time.fromisoformat(span[6:].replace("24:", "00:"))
    if end == time() or start < end:
        return [(start, end)]
    return [(time(), end), (start, time())]


class ScopeSection(Section):
    """Where it holds: at all that is named. A tag of an enterprise is a tag of all that it owns."""

    enterprises: list[Id] = Field(default_factory=list)
    tags: list[Tag] = Field(default_factory=list)
    resources: list[Id] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_something(self) -> ScopeSection:
        if not (self.enterprises or self.tags or self.resources):
            raise ValueError("names nothing: leave `scope` out for the whole park")
        return self


class StrategySection(Section):
    """One strategy: what it is for stands in its file, and in `vpp schema strategies`."""

    name: StrategyName
    """Unique: how people and the page speak of it."""
    use: FileStem
    """A file of strategies/."""
    priority: Annotated[int, Field(ge=0, le=100)] = 50
    """Of two of one kind that cover the same place and step, the higher holds there; of equals the first."""
    scope: ScopeSection | None = None
    """Left out: the park."""
    schedule: ScheduleSection = ScheduleSection()
    """Left out: always."""
    settings: Annotated[dict[str, Any], Field(alias="with", default_factory=dict)]
    overrides: dict[Id, dict[str, Any]] = Field(default_factory=dict)
    """Settings that differ for one enterprise."""


class VetoSection(Section):
    """A time in which a member wants no hand on something: it is not steered, and not called."""

    resources: list[Id] = Field(default_factory=list)
    """Left out: everything the member owns."""
    covers: Literal["all", "calls"] = "all"
    """calls: it is steered as ever, and the member is in no call for demand response."""
    first: date | None = None
    """Local day; left out: from now on."""
    last: date | None = None
    """The last one included."""
    schedule: ScheduleSection = ScheduleSection()
    reason: Text

    @model_validator(mode="after")
    def _fits(self) -> VetoSection:
        if self.first is not None and self.last is not None and self.last < self.first:
            raise ValueError(f"last {self.last} lies before first {self.first}")
        if self.covers == "calls" and self.resources:
            raise ValueError("a member is called as a whole: leave `resources` out")
        return self

    def noun(self) -> Window:
        """The veto as plans and steering look at it."""
        return Window(
            resources=frozenset(map(ResourceId, self.resources)),
            steered=self.covers == "calls",
            reason=f"veto: {self.reason}",
            hours=self.schedule.noun(),
            first=self.first,
            last=self.last,
        )


class MaintenanceSection(Section):
    """A span in which something is not there: it is not steered, and not counted on."""

    resources: list[Id] = Field(default_factory=list)
    """Left out: everything the member owns."""
    start: Annotated[Moment, Field(alias="from")]
    """With its offset from UTC."""
    end: Annotated[Moment, Field(alias="to")]
    reason: Text

    @model_validator(mode="after")
    def _in_order(self) -> MaintenanceSection:
        start: datetime = self.start
        if self.end <= start:
            raise ValueError(f"to {self.end.isoformat()} is not after from {start.isoformat()}")
        return self

    def noun(self) -> Window:
        """The window as plans and steering look at it."""
        return Window(
            resources=frozenset(map(ResourceId, self.resources)),
            steered=False,
            reason=f"maintenance: {self.reason}",
            span=Interval(self.start.astimezone(UTC), self.end.astimezone(UTC)),
        )


class CallCapsSection(Section):
    """How often and how long a member may be called for demand response; left out: no limit of its own."""

    per_day: Count | None = None
    per_month: Count | None = None
    """Local calendar month."""
    hours_per_month: Annotated[float, Field(ge=0, le=744)] | None = None
    called_before: Count = 0
    """Calls of the month in which the record begins that lie before it."""
    hours_before: Annotated[float, Field(ge=0, le=744)] = 0.0
    """Hours of those calls."""


class MemberSection(Section):
    """What one enterprise has agreed to."""

    takes_part: bool = True
    """In calls for demand response."""
    vetoes: Annotated[list[VetoSection], Field(max_length=MOST_WINDOWS)] = Field(
        default_factory=list
    )
    maintenance: Annotated[list[MaintenanceSection], Field(max_length=MOST_WINDOWS)] = Field(
        default_factory=list
    )
    call_caps: CallCapsSection = CallCapsSection()

    def noun(self, name: str) -> MemberRule:
        """What is kept to for this member."""
        caps = self.call_caps
        return MemberRule(
            enterprise_id=EnterpriseId(name),
            takes_part=self.takes_part,
            windows=(
                *(veto.noun() for veto in self.vetoes),
                *(one.noun() for one in self.maintenance),
            ),
            calls_per_day=caps.per_day,
            calls_per_month=caps.per_month,
            hours_per_month=caps.hours_per_month,
            called_before=caps.called_before,
            hours_before=caps.hours_before,
        )


class StrategiesSection(Section):
    """What a park is steered for, and what its members have agreed to."""

    strategies: Annotated[list[StrategySection], Field(max_length=MOST_STRATEGIES)]
    """What every park needs stands here unasked: its tariffs, the worth of stored energy, and energy
    that nobody trades at the expected price."""
    members: Annotated[dict[Id, MemberSection], Field(max_length=1000)] = Field(
        default_factory=dict
    )
    """Enterprises that have agreed to something else than to take part in everything, always."""
