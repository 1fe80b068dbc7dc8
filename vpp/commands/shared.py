"""What the commands share: options, the width of a terminal, lengths of time, parks by name."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vpp.errors import ConfigError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
FAULTS_HELP = "What goes wrong with devices: 5% at random, or a file."

_LENGTH = re.compile(r"^(\d+)(m|h|d)$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def length_of(text: str, where: str = "--for") -> timedelta:
    """A length of time as people write it: 24h, 7d, 90m.

    Raises:
        ConfigError: it is none.
    """
    match = _LENGTH.match(text)
    if match is None:
        raise ConfigError(f"{text!r} is no length", where=where, fix="Say 24h, 7d or 90m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def wide_console() -> Console:
    """A terminal as wide as it is; what is piped somewhere is wide enough not to be cut."""
    console = Console()
    return console if console.is_terminal else Console(width=110)


def park_path(name: str) -> Path:
    """Where a park stands that was named as a file or as one that is shipped."""
    from vpp.service.park.parkfile import shipped_park

    return Path(name) if name.endswith((".yaml", ".yml")) else shipped_park(name)
