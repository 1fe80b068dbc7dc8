"""A strategy file as text, read beside the park it is for: its strategies, or every fault with its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydantic import Field, TypeAdapter

from vpp.errors import ConfigError
from vpp.service.park.config import ConfigErrors, read_yaml
from vpp.service.park.parkfile import ParkFile, StrategyUse
from vpp.service.park.schema import UseSection
from vpp.service.park.schematypes import Section
from vpp.service.tuning.desk import Line, Reader, ReadStrategies, Strategy, version_of


class _FileSection(Section):
    strategies: list[UseSection] = Field(default_factory=list)


_FILE: TypeAdapter[_FileSection] = TypeAdapter(_FileSection)


def reader_of(
    file: ParkFile, load: Callable[[tuple[StrategyUse, ...]], tuple[Strategy, ...]]
) -> Reader:
    """Reads strategy files for the park of `file`; `load` makes strategies of what is written."""

    def read(text: str, name: str) -> ReadStrategies:
        document = read_yaml(text.encode(), file=name)
        section = document.parse(_FILE, (), document.tree)
        faults = list(document.faults)
        if isinstance(section, list):
            raise ConfigErrors([*faults, *section])
        if faults:
            raise ConfigErrors(faults)
        uses = tuple(
            StrategyUse(use=use.use, settings=use.settings, path=f"strategies.{place}.with")
            for place, use in enumerate(section.strategies)
        )
        made: list[Strategy] = []
        for place, use in enumerate(uses):
            try:
                made += load((use,))
            except ConfigError as error:
                where = ("strategies", place)
                faults.append(document.fault(where, f"{error.what} -> {error.fix}"))
        if faults:
            raise ConfigErrors(faults)
        tree: dict[str, Any] = document.tree or {}
        return ReadStrategies(
            text=text,
            version=version_of(text),
            tree=tree,
            lines=tuple(
                Line(name=use.use, use=use.use, priority=None, scope="park", schedule="always")
                for use in uses
            ),
            strategies=tuple(made),
            file=replace(file, strategies=uses),
        )

    return read


def text_of(file: ParkFile) -> str:
    """The strategies of a park file as a strategy file of their own."""
    import yaml

    uses = [{"use": use.use, "with": dict(use.settings)} for use in file.strategies]
    return str(yaml.safe_dump({"strategies": uses}, sort_keys=False))
