"""Values out of foreign JSON: numbers, times, words of quality; whatever is none is refused with a reason."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from vpp.errors import DataError
from vpp.model.payloads import (
    MISSING,
    Incoming,
    JsonPath,
    Names,
    PointAt,
    QualityAt,
    Scalar,
    TimeAt,
)
from vpp.model.time import EPOCH, parse_utc

MAX_BYTES = 256 * 1024
"""Of a foreign message: an array of a whole plant is large."""

MAX_ELEMENTS = 10_000
_NUMBER = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?([eE][+-]?\d{1,2})?")


class Nonsense(StrEnum):
    """Why a message of a gateway was refused."""

    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    TOPIC = "topic"
    SHAPE = "shape"
    UNKNOWN_DEVICE = "unknown_device"
    NOT_A_NUMBER = "not_a_number"
    BAD_TIME = "bad_time"


class NonsenseError(Exception):
    """A message, or a part of one, that cannot be read."""

    def __init__(self, reason: Nonsense, what: str) -> None:
        super().__init__(what)
        self.reason = reason


def document_of(payload: bytes) -> object:
    if len(payload) > MAX_BYTES:
        raise NonsenseError(Nonsense.TOO_LARGE, f"{len(payload)} bytes")
    try:
        document: object = msgspec.json.decode(payload)
    except (ValueError, RecursionError) as error:  # malformed, not UTF-8, nested without end
        raise NonsenseError(Nonsense.NOT_JSON, f"{error} in {payload[:60]!r}") from error
    return document


def elements_of(incoming: Incoming, document: object, names: Names) -> Sequence[object]:
    if incoming.each is None:
        return (document,)
    elements = incoming.each.find(document, names)
    if not isinstance(elements, list) or len(elements) > MAX_ELEMENTS:
        raise NonsenseError(Nonsense.SHAPE, f"no array at {incoming.each.text!r}")
    return elements


def names_of(paths: Mapping[str, JsonPath], element: object, document: object) -> dict[str, str]:
    names = {}
    for name, path in paths.items():
        found = _either(path, element, document)
        if isinstance(found, str | int) and not isinstance(found, bool):
            names[name] = str(found)
    return names


def _either(path: JsonPath, element: object, document: object) -> object:
    """What stands in the element, or else in the message around it."""
    found = path.find(element, {})
    return path.find(document, {}) if found is MISSING and element is not document else found


def points_of(
    points: Mapping[str, PointAt], element: object, names: Names
) -> Iterator[tuple[str, float]]:
    for name, point in points.items():
        if any(names.get(key) != value for key, value in point.when.items()):
            continue
        raw = point.path.find(element, names)
        if raw is MISSING or raw is None or is_one_of(raw, point.unknown):
            continue
        value = _number(raw, name) * point.scale
        if not math.isfinite(value):
            raise NonsenseError(Nonsense.NOT_A_NUMBER, f"{name} is {shown(raw)}")
        yield name, value + 0.0  # no -0.0


def _number(raw: object, name: str) -> float:
    number = isinstance(raw, int | float) and not isinstance(raw, bool)
    if number or (isinstance(raw, str) and _NUMBER.fullmatch(raw)):
        try:
            return float(raw)  # type: ignore[arg-type]  # one of the two
        except OverflowError:
            pass
    raise NonsenseError(Nonsense.NOT_A_NUMBER, f"{name} is {shown(raw)}")


def time_of(
    time: TimeAt | None, element: object, document: object, received_at: datetime
) -> datetime:
    if time is None:
        return received_at
    raw = _either(time.path, element, document)
    try:
        return _moment(time, raw)
    except (DataError, ValueError, OverflowError) as error:
        raise NonsenseError(Nonsense.BAD_TIME, f"{shown(raw)} is no time") from error


def _moment(time: TimeAt, raw: object) -> datetime:
    """Raises DataError, ValueError or OverflowError where it is none."""
    if time.form in ("unix_s", "unix_ms"):
        seconds = _seconds(raw) / (1000 if time.form == "unix_ms" else 1)
        return EPOCH + timedelta(microseconds=round(seconds * 1e6))
    if not isinstance(raw, str):
        raise ValueError("no text")
    if time.form == "iso" and time.zone is None:
        return parse_utc(raw, where="time")
    if time.form == "iso":
        moment = datetime.fromisoformat(raw)
    else:
        moment = datetime.strptime(raw, time.pattern)  # noqa: DTZ007  the zone follows
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=time.zone)
    return moment.astimezone(UTC)


def _seconds(raw: object) -> float:
    if isinstance(raw, str) and _NUMBER.fullmatch(raw):
        return float(raw)
    if isinstance(raw, int | float) and not isinstance(raw, bool) and abs(raw) < 1e15:
        return float(raw)
    raise ValueError("no number")


def seq_of(incoming: Incoming, element: object, document: object) -> int | None:
    if incoming.seq is None:
        return None
    raw = _either(incoming.seq, element, document)
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    raise NonsenseError(Nonsense.SHAPE, f"the number of the message is {shown(raw)}")


def quality_of(quality: QualityAt | None, element: object, document: object) -> str:
    if quality is None:
        return "good"
    raw = _either(quality.path, element, document)
    if is_one_of(raw, quality.good):
        return "good"
    return "uncertain" if is_one_of(raw, quality.uncertain) else "bad"


def is_one_of(raw: object, values: tuple[Scalar, ...]) -> bool:
    """Whether a value is one of these; true is no 1."""
    return any(
        isinstance(raw, bool) is isinstance(value, bool) and raw == value for value in values
    )


def shown(raw: object) -> str:
    """A value as a log can hold it; of what is nested only its kind."""
    if isinstance(raw, dict | list):
        return "an object" if isinstance(raw, dict) else "an array"
    return "nothing" if raw is MISSING else repr(raw)[:60]
