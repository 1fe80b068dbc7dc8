"""The section `feeds` of a park file: series that are fetched, from a folder or over HTTP."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from vpp.service.markets.schema import ProductName
from vpp.service.park.schematypes import FileName, Id, Minutes, Section, SeriesId, Text
from vpp.service.secretfiles import SecretSection, no_list_of_values

Unit = Annotated[str, StringConstraints(min_length=1, max_length=32)]
Source = Annotated[str, StringConstraints(min_length=1, max_length=120)]

_OURS = {"host", "connection", "content-length", "transfer-encoding", "cookie"}
"""Headers that say how a question is asked, not by whom."""

_DAY = re.compile(r"\{(?:today|tomorrow)(?::[%A-Za-z0-9/_.-]{1,40})?\}")


def _pattern(text: str) -> str:
    if "/" in text or "\\" in text or text.startswith("."):
        raise ValueError(f"{text!r} is no pattern for names of files in one folder")
    return text


def _url(text: str) -> str:
    rest = _DAY.sub("", text)
    if "{" in rest or "}" in rest:
        raise ValueError("in braces only {today} and {tomorrow}, or {tomorrow:%Y/%m-%d}")
    return text


def _header(name: str) -> str:
    if name.lower() in _OURS:
        raise ValueError(f"{name} is not for a park file to say")
    return name


HeaderName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$"), AfterValidator(_header)
]


def _divides_a_day(minutes: int) -> int:
    if 1440 % minutes:
        raise ValueError(f"{minutes} minutes do not divide a day")
    return minutes


class FeedSeries(Section):
    """One series of the table."""

    id: SeriesId
    column: Text
    """Column of a CSV table, or key of a JSON row."""
    unit: Unit
    times: Annotated[float, Field(ge=-1e9, le=1e9)] = 1.0
    """From the table's unit and sign to `unit`; loads are below 0 here."""


class FeedNeed(Section):
    """Before which gates these series must be there."""

    product: ProductName
    minutes_before_gate: Annotated[Minutes, Field(ge=1)] = 30
    """So long before it closes, values for all of the delivery must be known."""


class FeedSection(Section):
    """What all feeds have."""

    id: Id
    source: Source
    """Whose values these are, as it is noted with each of them."""
    resolution_minutes: Annotated[int, Field(ge=1, le=1440), AfterValidator(_divides_a_day)]
    start: Text = "interval_start"
    """Column with the start of each interval."""
    stamps: Literal["zoned", "utc", "local", "unix_s"] = "zoned"
    """`zoned`: ISO 8601 with an offset. `utc`: without one. `local`: readings of the park's clock, rows in
    order of time. `unix_s`: seconds since 1970."""
    issued: Text | None = None
    """Column with the moment since which a row was known, with an offset where stamps are local; else
    that of the file or answer."""
    series: Annotated[list[FeedSeries], Field(min_length=1, max_length=200)]
    needed: list[FeedNeed] = Field(default_factory=list)
    max_age_hours: Annotated[float, Field(gt=0, le=8760)] | None = None
    """A need is not met either by values that were issued longer ago."""
    max_bytes: Annotated[int, Field(ge=1000, le=50_000_000)] = 5_000_000
    """Of one document; a larger one is refused."""


class CsvFeedSection(FeedSection):
    """Files in a folder that is watched."""

    kind: Literal["csv"]
    folder: FileName
    """Beside the park file, or absolute."""
    pattern: Annotated[str, StringConstraints(max_length=100), AfterValidator(_pattern)] = "*.csv"
    every_s: Annotated[float, Field(ge=1, le=86_400)] = 30.0


class HttpFeedSection(FeedSection):
    """A document that is fetched again and again."""

    kind: Literal["http"]
    url: Annotated[str, StringConstraints(max_length=2000), AfterValidator(_url)]
    """https, or http on this machine. `{today}` and `{tomorrow}` are local days."""
    headers: Annotated[
        dict[HeaderName, SecretSection], Field(max_length=20), BeforeValidator(no_list_of_values)
    ] = Field(default_factory=dict)
    """Sent along, by name. Of a value the file says only where it is kept: `{env: NAME}` or `{file: NAME}`."""
    form: Literal["json", "csv"] = "json"
    rows: Annotated[str, StringConstraints(max_length=200)] = ""
    """Where in a JSON document the rows are: `data.prices`."""
    every_s: Annotated[float, Field(ge=10, le=86_400)] = 900.0
    timeout_s: Annotated[float, Field(ge=1, le=120)] = 10.0


AnyFeed = Annotated[CsvFeedSection | HttpFeedSection, Field(discriminator="kind")]
