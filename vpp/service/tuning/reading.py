"""A strategy file as text, read beside the park it is for: its strategies, or every fault with its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vpp.service.park.config import read_yaml
from vpp.service.park.parkfile import ParkFile
from vpp.service.strategies.reading import parse_strategies
from vpp.service.strategies.schema import ScheduleSection, StrategySection
from vpp.service.tuning.desk import Line, Reader, ReadStrategies


def reader_of(file: ParkFile) -> Reader:
    """Reads strategy files for the park of `file`."""
    ground = file.strategies.ground

    def read(text: str, name: str) -> ReadStrategies:
        strategies = parse_strategies(text.encode(), ground, name=name)
        tree: dict[str, Any] = read_yaml(text.encode(), file=name).tree
        return ReadStrategies(
            text=text,
            version=strategies.version,
            tree=tree,
            lines=tuple(_line(entry.section) for entry in strategies.entries),
            strategies=strategies,
            file=replace(file, strategies=strategies),
        )

    return read


def _line(section: StrategySection) -> Line:
    """One strategy in words."""
    return Line(
        name=section.name,
        use=section.use,
        priority=section.priority,
        scope=_scope(section),
        schedule=_schedule(section.schedule),
    )


def _scope(section: StrategySection) -> str:
    if section.scope is None:
        return "park"
    scope = section.scope
    return ", ".join([*scope.enterprises, *(f"#{tag}" for tag in scope.tags), *scope.resources])


def _schedule(section: ScheduleSection) -> str:
    """What of it is said; `always` where nothing is."""
    said = section.model_dump(mode="json", exclude_defaults=True)
    holidays = said.pop("holidays", "with")
    words = [", ".join(map(str, value)) for value in said.values()]
    if holidays != "with":
        words.append(f"{holidays} holidays")
    return "; ".join(words) or "always"
