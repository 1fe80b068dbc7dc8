"""Payloads of foreign gateways as data: which topic and which JSON path mean which of our points.

    topic  ── pattern with captures ──▶ names ─┐
    JSON   ── paths ──▶ names, time, number ───┼──▶ a device and its points, in our units
           └─ path ──▶ raw × scale × sign ─────┘

A map speaks of a kind of gateway, never of one park: who is who stands in the park file, where each device
is told by the names that its messages carry. Nothing here reads a message; see `adapters/payload_mapping.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from vpp.errors import DataError

Scalar: TypeAlias = str | int | float | bool
"""Listed in tuples, never in sets: there true and 1 would be one."""
Names: TypeAlias = Mapping[str, str]

MISSING = object()
"""What a path finds where there is nothing."""

COMMAND_NAMES = frozenset(
    {"power", "command_id", "seq", "issued_at", "expires_at", "expires_unix_s", "expires_in_s"}
)
"""What the text of a command may say in braces, beside the names of its device."""

EXPIRY_NAMES = frozenset({"expires_at", "expires_unix_s", "expires_in_s"})

_STEP = re.compile(
    r"\.?(?P<key>[A-Za-z_$][\w-]*)|\[(?P<index>\d+)\]"
    r"|\[(?P<by>[\w-]+)=(?P<value>[^\]]+)\]|\[\"(?P<quoted>[^\"]+)\"\]"
)
_BRACED = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class _Where:
    """The first element of an array whose `key` is `value`; names in braces in `value` are filled in."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonPath:
    """A place in a JSON document: `data.values[0]`, `points[name=P].value`, `["odd key"]`; empty is all."""

    text: str
    steps: tuple[str | int | _Where, ...] = field(init=False)

    def __post_init__(self) -> None:
        steps: list[str | int | _Where] = []
        at = 0
        while at < len(self.text):
            found = _STEP.match(self.text, at)
            if found is None:
                raise DataError(
                    f"{self.text!r} is no path at {self.text[at:]!r}",
                    where="path",
                    fix='Write a.b[0], items[name=P].value or ["odd key"]',
                )
            if found["index"] is not None:
                steps.append(int(found["index"]))
            elif found["by"] is not None:
                steps.append(_Where(found["by"], found["value"]))
            else:
                steps.append(found["key"] or found["quoted"])
            at = found.end()
        object.__setattr__(self, "steps", tuple(steps))

    def find(self, document: object, names: Names) -> object:
        """What stands there; `MISSING` where nothing does."""
        here = document
        for step in self.steps:
            if isinstance(step, str):
                here = here.get(step, MISSING) if isinstance(here, dict) else MISSING
            elif isinstance(step, int):
                here = here[step] if isinstance(here, list) and step < len(here) else MISSING
            else:
                here = _first(here, step, names)
            if here is MISSING:
                return MISSING
        return here

    def placeholders(self) -> frozenset[str]:
        """Names that must be known before it can be followed."""
        return frozenset(
            name
            for step in self.steps
            if isinstance(step, _Where)
            for name in _BRACED.findall(step.value)
        )


def _first(here: object, step: _Where, names: Names) -> object:
    wanted = fill(step.value, names)
    for item in here if isinstance(here, list) else ():
        if isinstance(item, dict) and step.key in item and str(item[step.key]) == wanted:
            return item
    return MISSING


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPattern:
    """A topic with captures: `site/{gateway}/+/up`. A capture takes one level, `#` at the end the rest."""

    text: str

    def __post_init__(self) -> None:
        levels = self.text.split("/")
        whole = all(
            "#" not in level or (level == "#" and place == len(levels) - 1)
            for place, level in enumerate(levels)
        )
        captures = self.captures
        lone = all("{" not in level or _BRACED.fullmatch(level) for level in levels)
        if not (self.text and whole and lone and len(set(captures)) == len(captures)):
            raise DataError(
                f"{self.text!r} is no topic pattern",
                where="topic",
                fix="Write levels with /, {name} or + for one of them, # for the rest",
            )

    @property
    def captures(self) -> tuple[str, ...]:
        """The names in braces, in order."""
        return tuple(_BRACED.findall(self.text))

    @property
    def filter(self) -> str:
        """What to subscribe to."""
        return _BRACED.sub("+", self.text)

    def match(self, topic: str) -> dict[str, str] | None:
        """The captured names; None where the topic is another one."""
        wanted, given = self.text.split("/"), topic.split("/")
        if wanted[-1] == "#":
            wanted, given = wanted[:-1], given[: len(wanted) - 1]
        if len(wanted) != len(given):
            return None
        names = {}
        for level, here in zip(wanted, given, strict=True):
            if capture := _BRACED.fullmatch(level):
                names[capture[1]] = here
            elif level not in ("+", here):
                return None
        return names


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAt:
    """Where a message says when it was measured."""

    path: JsonPath
    form: Literal["iso", "unix_s", "unix_ms", "pattern"]
    pattern: str = ""
    """As of `strptime`, where the form is `pattern`."""
    zone: ZoneInfo | None = None
    """Whose clock times without an offset are of; None where each names its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityAt:
    """Where a message says how good it is; what is in neither list is bad."""

    path: JsonPath
    good: tuple[Scalar, ...]
    uncertain: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointAt:
    """Where a number stands and what it means."""

    path: JsonPath
    scale: float = 1.0
    """Our unit (kW, kWh, Wh, degC, 1 for soc) for each of theirs, with the sign of ours."""
    when: Names = field(default_factory=dict)
    """Names that the message must carry for this point; none where every message has it."""
    unknown: tuple[Scalar, ...] = ()
    """What it holds where the device does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """Messages of one topic."""

    topic: TopicPattern
    each: JsonPath | None
    """An array whose elements are read like messages of their own; paths start at the element."""
    names: Mapping[str, JsonPath]
    """Further names, out of the element or the message."""
    time: TimeAt | None
    """None where they do not say: then the time of receipt counts."""
    seq: JsonPath | None
    quality: QualityAt | None
    points: Mapping[str, PointAt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How a set-point is said."""

    topic: str
    payload: Any
    """JSON in which texts may hold names in braces; one that is nothing else becomes a number where it is one."""
    scale: float
    """Of theirs for each kW of net injection."""
    release: Any | None
    """What lets the device go; None where it lets go by itself when a command has expired."""
    without_expiry: str
    """What the device does when we fall silent, in words; empty where commands carry their expiry."""
    tolerance_kw: float
    """How far a value that is read back may lie from what was sent."""

    method: str = "POST"
    """Of HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a device says that it took a command, or refuses."""

    topic: TopicPattern
    names: Mapping[str, JsonPath]
    command_id: JsonPath | None
    """None: the newest command to that device is meant."""
    accepted: JsonPath
    values: tuple[Scalar, ...]
    """What it says where it takes the command."""
    reason: JsonPath | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadMap:
    """One kind of gateway."""

    name: str
    device_by: tuple[str, ...]
    """The names that tell which device a message is of."""
    incoming: tuple[Incoming, ...]
    command: Command | None
    answer: Answer | None
    hold_s: float
    """How long a point that came alone may be told along with a later one."""
    frozen_after: int | None
    """So many times the very same points, and they are called bad; None where messages say when they were measured."""

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """Topic filters."""
        filters = [one.topic.filter for one in self.incoming]
        if self.answer is not None:
            filters.append(self.answer.topic.filter)
        return tuple(dict.fromkeys(filters))


def fill(text: str, names: Mapping[str, object]) -> str:
    """A text with the names in braces filled in; one that is not known stays as it is."""
    return _BRACED.sub(lambda found: str(names.get(found[1], found[0])), text)


def fill_all(template: Any, names: Mapping[str, object]) -> Any:
    """A JSON template filled in; a text that is one name alone becomes that value, a number stays one."""
    if isinstance(template, str):
        alone = _BRACED.fullmatch(template)
        if alone is not None and alone[1] in names:
            return names[alone[1]]
        return fill(template, names)
    if isinstance(template, dict):
        return {fill(key, names): fill_all(value, names) for key, value in template.items()}
    if isinstance(template, list):
        return [fill_all(item, names) for item in template]
    return template


def placeholders(template: Any) -> Iterator[str]:
    """All names in braces of a JSON template."""
    if isinstance(template, str):
        yield from _BRACED.findall(template)
    elif isinstance(template, dict):
        for key, value in template.items():
            yield from placeholders(key)
            yield from placeholders(value)
    elif isinstance(template, list):
        for item in template:
            yield from placeholders(item)
