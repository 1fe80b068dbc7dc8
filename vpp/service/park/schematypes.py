"""The types of value that every section of a park, market or case file uses."""

from __future__ import annotations

from datetime import datetime, time
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

from vpp.model.ids import ID_PATTERN


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no IANA time zone such as Europe/Stockholm") from error
    return name


def _local(at: time) -> time:
    if at.tzinfo is not None or at.second or at.microsecond:
        raise ValueError(f"{at} is no local time of the form 06:00")
    return at


def whole_minute(moment: datetime) -> datetime:
    """Refuse a moment that lies within a minute."""
    if moment.second or moment.microsecond:
        raise ValueError(f"{moment} does not lie on a whole minute")
    return moment


Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
"""A word that several things share, to speak of them together."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
SeriesId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]{1,64}$")]
FileName = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Size = Annotated[float, Field(ge=0, le=1e9)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
Cost = Annotated[float, Field(ge=-1e9, le=1e9)]
"""May be below 0, where taking it is paid for."""
Minutes = Annotated[int, Field(ge=0, le=44_640)]
Count = Annotated[int, Field(ge=0, le=1000)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]
DegC = Annotated[float, Field(ge=-273.15, le=2000)]
Hour = Annotated[int, Field(ge=0, le=23)]
Zone = Annotated[str, AfterValidator(_known_zone)]
LocalTime = Annotated[time, AfterValidator(_local)]
Money = Annotated[Decimal, Field(max_digits=18)]
Price = Annotated[Decimal, Field(ge=0, max_digits=18)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Day: TypeAlias = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK: list[Day] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WORK_WEEK: list[Day] = ["mon", "tue", "wed", "thu", "fri"]


def day_numbers(days: list[Day]) -> tuple[int, ...]:
    """Weekdays as the nouns count them: 0 is Monday."""
    return tuple(DAYS.index(day) for day in days)


class Section(BaseModel):
    """Frozen, unknown keys refused, every number finite, no reading of one type as another."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
