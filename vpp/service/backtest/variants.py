"""Strategy files that are compared with a park's own: each a park file that differs in them alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vpp.errors import ConfigError
from vpp.service.backtest.living import Variant
from vpp.service.park.parkfile import ParkFile
from vpp.service.strategies.reading import read_strategies

CURRENT = "current"
"""The name of the park's own strategies."""


def with_strategies(file: ParkFile, paths: Sequence[Path]) -> tuple[Variant, ...]:
    """The park as it is, then once with each strategy file, by the file's name without its ending.

    Raises:
        ConfigErrors: All that is wrong in the first file that is not in order.
        ConfigError: Two files of one name.
    """
    variants = [Variant(name=CURRENT, file=file)]
    for path in paths:
        if path.stem in {variant.name for variant in variants}:
            raise ConfigError(
                f"{path.stem!r} is the name of another one",
                where="--strategies",
                fix="Name the files apart; `current` are the park's own",
            )
        variants.append(
            Variant(
                name=path.stem,
                file=replace(file, strategies=read_strategies(path, file.strategies.ground)),
            )
        )
    return tuple(variants)
