"""The `vpp` command and all below it, from what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from tools.reference.tables import table
from vpp.cli import app

WORDS = {str: "text", Path: "file", int: "whole number", float: "number"}


def commands_page() -> str:
    """A section a command, in the order of `vpp --help`."""
    text = (
        "# Commands\n\n`--json` prints one document on stdout; logs go to stderr. Exit 0: done. Exit 2: bad input,"
        " told as `file:line:col: path: what` or in one line. Exit 1: anything else.\n"
    )
    for name, command in _all("vpp", typer.main.get_command(app)):
        text += f"\n## `{name}`\n\n{(command.help or '').strip()}\n\n{_parameters(command)}"
    return text


def _all(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", {})
    if not inner or (command.params and command.invoke_without_command):
        yield name, command
    for word, one in inner.items():
        yield from _all(f"{name} {word}", one)


def _parameters(command: Any) -> str:
    rows = []
    for parameter in command.params:
        if parameter.name in ("help", "install_completion", "show_completion"):
            continue
        argument = parameter.param_type_name == "argument"
        name = parameter.name.upper() if argument else ", ".join(parameter.opts)
        flag = getattr(parameter, "is_flag", False)
        kind = "" if flag else WORDS.get(parameter.type_descriptor.annotation, "text")
        default = "needed" if parameter.required else parameter.default
        if default in (None, False, ()) or callable(default):
            default = ""
        rows.append((f"`{name}`", kind, default, parameter.help or ""))
    return table(("", "takes", "default", "meaning"), rows)
