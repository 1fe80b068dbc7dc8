"""Maps of foreign payloads: from a file to a noun.

config/devices/{mqtt,http,csv}/NAME.yaml ──load_payload_map──▶ PayloadMap     every part says where it is from
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from vpp.errors import DataError
from vpp.model.payloads import (
    Answer,
    Command,
    Incoming,
    JsonPath,
    PayloadMap,
    PointAt,
    QualityAt,
    TimeAt,
    TopicPattern,
)
from vpp.service.links.payloadschema import (
    AnswerSection,
    CommandSection,
    IncomingSection,
    PayloadMapSection,
    PointSection,
)
from vpp.service.park.config import ConfigErrors, Document, Fault, KeyPath, read_document, shipped

FOLDERS = ("devices/mqtt", "devices/http", "devices/csv")
"""A name is in one of them alone: a map fits every carrier that can do what it says."""

_MAP: TypeAdapter[PayloadMapSection] = TypeAdapter(PayloadMapSection)


def shipped_payload_maps() -> list[str]:
    """The names of the maps that come with the package."""
    return sorted(_shipped())


def _shipped() -> dict[str, Path]:
    return {file.stem: file for folder in FOLDERS for file in shipped(folder).glob("*.yaml")}


def load_payload_map(name: str, folder: Path) -> PayloadMap:
    """A map by its name, or by the name of a file that ends in .yaml and lies in `folder`.

    Raises:
        ConfigErrors: Every fault of the file, or that there is none.
    """
    own = folder / name if name.endswith(".yaml") else Path(f"{name}.yaml")
    document = read_document(_shipped().get(name, own))
    section = document.parse(_MAP, (), document.tree)
    faults = list(document.faults)
    faults += section if isinstance(section, list) else _unfounded(document, section)
    if isinstance(section, list) or faults:
        raise ConfigErrors(faults)
    return _noun(document, section)


def payload_map_schema() -> dict[str, Any]:
    """JSON Schema of a map of payloads."""
    return PayloadMapSection.model_json_schema(by_alias=True)


def _unfounded(document: Document, section: PayloadMapSection) -> Iterator[Fault]:
    """A map under another name, parts that do not say where they are from, names that nobody captures."""
    if Path(document.file).stem != section.payloads:
        yield document.fault(("payloads",), f"the file is called {Path(document.file).name}")
    parts = {"incoming"} | {
        part for part in ("command", "answer") if getattr(section, part) is not None
    }
    for part in sorted(parts - section.sources.keys()):
        yield document.fault((part,), "has no entry in sources")
    for key in sorted(section.sources.keys() - parts):
        yield document.fault(("sources", key), "speaks of no part of the map")
    if not any("power_kw" in one.points for one in section.incoming):
        yield document.fault(("incoming",), "power_kw is missing: a device without it says nothing")


def _noun(document: Document, section: PayloadMapSection) -> PayloadMap:
    faults: list[Fault] = []
    incoming: list[Incoming] = []
    for place, one in enumerate(section.incoming):
        path: KeyPath = ("incoming", place)
        try:
            read = _incoming(one)
        except DataError as error:
            faults.append(document.fault(path, f"{error.what}: {error.fix}"))
            continue
        incoming.append(read)
        needed = set(section.device_by)
        for point in read.points.values():
            needed |= point.when.keys() | point.path.placeholders()
        faults += _uncaptured(document, path, needed - {*read.topic.captures, *read.names})
    answer = None
    try:
        answer = None if section.answer is None else _answer(section.answer)
    except DataError as error:
        faults.append(document.fault(("answer",), f"{error.what}: {error.fix}"))
    if answer is not None:
        needed = {*section.device_by} - {*answer.topic.captures, *answer.names}
        faults += _uncaptured(document, ("answer",), needed)
    if faults:
        raise ConfigErrors(faults)
    return PayloadMap(
        name=section.payloads,
        device_by=tuple(section.device_by),
        incoming=tuple(incoming),
        command=None if section.command is None else _command(section.command),
        answer=answer,
        hold_s=section.hold_s,
        frozen_after=section.frozen_after,
    )


def _uncaptured(document: Document, path: KeyPath, names: set[str]) -> Iterator[Fault]:
    for name in sorted(names):
        yield document.fault(path, f"neither topic nor `names` capture {name!r}")


def _incoming(section: IncomingSection) -> Incoming:
    time, quality = section.time, section.quality
    return Incoming(
        topic=TopicPattern(text=section.topic),
        each=_path(section.each),
        names={name: JsonPath(text=path) for name, path in section.names.items()},
        time=None
        if time is None
        else TimeAt(
            path=JsonPath(text=time.path),
            form=time.form,
            pattern=time.pattern,
            zone=None if time.zone is None else ZoneInfo(time.zone),
        ),
        seq=_path(section.seq),
        quality=None
        if quality is None
        else QualityAt(
            path=JsonPath(text=quality.path),
            good=tuple(quality.good),
            uncertain=tuple(quality.uncertain),
        ),
        points={str(name): _point(point) for name, point in section.points.items()},
    )


def _point(section: PointSection) -> PointAt:
    return PointAt(
        path=JsonPath(text=section.path),
        scale=-section.scale if section.counts == "draw" else section.scale,
        when=section.when,
        unknown=tuple(section.unknown),
    )


def _command(section: CommandSection) -> Command:
    sign = -1 if section.counts == "draw" else 1
    return Command(
        topic=section.topic,
        payload=section.payload,
        scale=sign / section.scale,
        release=section.release,
        without_expiry=section.without_expiry or "",
        tolerance_kw=section.tolerance_kw,
        method=section.method,
    )


def _answer(section: AnswerSection) -> Answer:
    return Answer(
        topic=TopicPattern(text=section.topic),
        names={name: JsonPath(text=path) for name, path in section.names.items()},
        command_id=_path(section.command_id),
        accepted=JsonPath(text=section.accepted),
        values=tuple(section.values),
        reason=_path(section.reason),
    )


def _path(text: str | None) -> JsonPath | None:
    return None if text is None else JsonPath(text=text)
