"""Read a strategy file: all of it valid for its park, or every fault at once, by line and column.

bytes ──▶ Document ──▶ schema ──▶ settings of each strategy ──▶ checks against the park ──▶ Strategies
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from vpp.model.ids import EnterpriseId
from vpp.service.park.config import ConfigErrors, Document, Fault, KeyPath, read_bytes, read_yaml
from vpp.service.strategies.checks import check, scoped
from vpp.service.strategies.schema import StrategiesSection, StrategySection
from vpp.service.strategies.strategies import Entry, Ground, Strategies, version_of
from vpp.service.strategies.wiring import Settings, base, kinds

_FILE: TypeAdapter[StrategiesSection] = TypeAdapter(StrategiesSection)

NO_FILE = b"strategies: []\n"


def read_strategies(path: Path, ground: Ground) -> Strategies:
    """The strategies of a file.

    Raises:
        ConfigErrors: Every fault found.
    """
    return parse_strategies(read_bytes(path), ground, name=str(path), path=path)


def parse_strategies(
    content: bytes, ground: Ground, *, name: str, path: Path | None = None
) -> Strategies:
    """The strategies that a text holds; `name` is what faults call it, `path` where it lies.

    Raises:
        ConfigErrors: Every fault found.
    """
    document = read_yaml(content, file=name)
    section, faults = shape(document)
    if section is not None:
        faults += check(document, section, ground)
    if faults or section is None:
        raise ConfigErrors(in_order(document, faults))
    return _build(document, section, ground, content.decode("utf-8-sig"), path)


def without_file(ground: Ground) -> Strategies:
    """The strategies of a park that names no file: what every park needs."""
    return replace(parse_strategies(NO_FILE, ground, name="strategies"), given=False)


def shape(document: Document) -> tuple[StrategiesSection | None, list[Fault]]:
    """What can be said of a file without its park; None where it has no shape at all."""
    if not isinstance(document.tree, dict):
        return None, [*document.faults, document.fault((), "is no mapping of keys to values")]
    found = document.parse(_FILE, (), document.tree)
    faults = [*document.faults, *(found if isinstance(found, list) else [])]
    listed = document.tree.get("strategies")
    for place, one in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(one, dict):
            faults += _settings_faults(document, ("strategies", place), one)
    return (None if isinstance(found, list) else found), faults


def _settings_faults(document: Document, path: KeyPath, one: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with the settings of one strategy, those that enterprises override included."""
    use = one.get("use")
    if not isinstance(use, str):
        return []
    kind = kinds().get(use)
    if kind is None:
        what = f"there is no strategy {use!r}; known: {', '.join(kinds())}"
        if use in base():
            what = f"{use} is in force in every park: leave it out"
        return [document.fault((*path, "use"), what)]
    settings = one.get("with", {})
    if not isinstance(settings, dict):
        return []
    faults = _faults(document.parse(kind.adapter, (*path, "with"), settings))
    overrides = one.get("overrides", {})
    for name, some in overrides.items() if isinstance(overrides, dict) else ():
        if isinstance(some, dict) and not faults:
            where = (*path, "overrides", name)
            faults += _faults(document.parse(kind.adapter, where, settings | some))
    return faults


def _faults(parsed: object) -> list[Fault]:
    return list(parsed) if isinstance(parsed, list) else []


def _build(
    document: Document, section: StrategiesSection, ground: Ground, text: str, path: Path | None
) -> Strategies:
    entries = [_entry(one, ground) for one in section.strategies]
    return Strategies(
        version=version_of(text),
        text=text,
        given=True,
        path=path,
        section=section,
        members={EnterpriseId(n): one.noun(n) for n, one in section.members.items()},
        entries=tuple(sorted(entries, key=lambda entry: -entry.priority)),
        ground=ground,
    )


def _entry(one: StrategySection, ground: Ground) -> Entry:
    points, resources = scoped(one.scope, ground)
    return Entry(
        name=one.name,
        use=one.use,
        priority=one.priority,
        settings=_settings(one, {}),
        overrides={
            EnterpriseId(name): _settings(one, some) for name, some in one.overrides.items()
        },
        hours=one.schedule.noun(),
        points=points,
        resources=resources,
        section=one,
    )


def _settings(one: StrategySection, over: Mapping[str, Any]) -> Settings:
    """The settings of a strategy that is checked already."""
    content = json.dumps(one.settings | dict(over))
    settings: Settings = kinds()[one.use].adapter.validate_json(content, strict=True)
    return settings


def in_order(document: Document, found: list[Fault]) -> list[Fault]:
    """Faults by place; a value that is wrong as YAML already is not told a second time for its type."""
    told = {fault.path for fault in document.faults}
    unique = dict.fromkeys([*document.faults, *(f for f in found if f.path not in told)])
    return sorted(unique, key=lambda fault: (fault.line, fault.column))
